"""Another account of the machine, with a client of its own: what it gets of a coordinator.

usage: stranger.py HOST:PORT SCRATCH FILE...     (with no credentials; tries to read each FILE, too)
       stranger.py HOST:PORT SCRATCH --own ACCESS (the control: with the owner's access file)

Speaks TLS by Python's ssl and HTTP/2 by hand, so that nothing of gRPC is in the way. Prints JSON: what was tried -> what came back.
"""
import json
import os
import re
import socket
import ssl
import struct
import subprocess
import sys

TIMEOUT_SECONDS = 20


def frame(kind, flags, stream, payload):
    return struct.pack('>I', len(payload))[1:] + bytes([kind, flags]) + struct.pack('>I', stream) + payload


def literal(name, value):
    """A header as HPACK writes it without tables and Huffman codes."""
    assert len(name) < 127 and len(value) < 127
    return b'\0' + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def list_sweeps(token):
    headers = [(':method', 'POST'), (':scheme', 'https'), (':path', '/coppice.v1.SweepService/ListSweeps'), (':authority', 'localhost'),
               ('content-type', 'application/grpc'), ('te', 'trailers')]
    if token:
        headers.append(('authorization', f'Bearer {token}'))
    block = b''.join(literal(name, value) for name, value in headers)
    return (b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + frame(4, 0, 0, b'') + frame(1, 4, 1, block) + frame(0, 1, 1, b'\0\0\0\0\0'))


def talk(connection, token=''):
    """All that the other side says to the call: until it closes, or ends the stream."""
    received = b''
    connection.sendall(list_sweeps(token))
    while True:
        part = connection.recv(65536)
        if not part:
            return received
        received += part
        if ended(received):
            return received


def ended(received):
    """Whether there is a frame that ends stream 1."""
    at = 0
    while at + 9 <= len(received):
        size = int.from_bytes(received[at:at + 3], 'big')
        if received[at + 3] in (0, 1) and received[at + 4] & 1:
            return at + 9 + size <= len(received)
        at += 9 + size
    return False


def context(version=None):
    result = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    result.check_hostname = False
    result.verify_mode = ssl.CERT_NONE  # a stranger would speak to anybody
    result.set_alpn_protocols(['h2'])
    if version:
        result.maximum_version = version
    return result


def attempt(address, tls, token=''):
    """What came back in the clear, as text; 'nothing (why)' where it was nothing of HTTP/2."""
    host, port = address.rsplit(':', 1)
    received = b''
    try:
        with socket.create_connection((host, int(port)), timeout=TIMEOUT_SECONDS) as raw:
            if tls is None:
                received = talk(raw, token)
            else:
                with tls.wrap_socket(raw, server_hostname='localhost') as connection:
                    received = talk(connection, token)
    except (OSError, ssl.SSLError) as error:
        return f'nothing ({type(error).__name__}: {error})'
    if received[:1] == b'\x15' or not received:  # a TLS alert, or only the end
        return 'nothing (closed)'
    return received.decode('latin-1')


def own_certificate(scratch):
    """One of an authority that the coordinator never heard of."""
    certificate, key = os.path.join(scratch, 'cert.pem'), os.path.join(scratch, 'key.pem')
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=coppice-client',
                    '-addext', 'extendedKeyUsage=clientAuth', '-days', '2', '-keyout', key, '-out', certificate], check=True, capture_output=True)
    result = context()
    result.load_cert_chain(certificate, key)
    return result


def read(path):
    try:
        if os.path.isdir(path):
            return f'listed: {os.listdir(path)}'
        with open(path, 'rb') as file:
            return f'read: {len(file.read())} bytes'
    except OSError as error:
        return f'nothing ({type(error).__name__})'


def tokens_in_sight():
    """Tokens in what every account may read of every process."""
    found = 0
    for pid in filter(str.isdigit, os.listdir('/proc')):
        for name in ('cmdline', 'environ'):
            try:
                with open(f'/proc/{pid}/{name}', 'rb') as file:
                    found += len(re.findall(rb'coppice_[A-Za-z0-9_-]{40,}', file.read()))
            except OSError:
                pass  # it may not, or the process has gone
    return found


def main():
    address, scratch, files = sys.argv[1], sys.argv[2], sys.argv[3:]
    if files[:1] == ['--own']:
        with open(files[1], encoding='utf-8') as file:
            access = json.load(file)
        certificate, key = os.path.join(scratch, 'own-cert.pem'), os.path.join(scratch, 'own-key.pem')
        for path, content in ((certificate, access['certificate']), (key, access['key'])):
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), 'w', encoding='utf-8') as file:
                file.write(content)
        tls = context()
        tls.load_cert_chain(certificate, key)
        print(json.dumps({'with certificate and token': attempt(address, tls, access['tokens']['operator']),
                          'with certificate alone': attempt(address, tls)}))
        return
    results = {
        'account': str(os.getuid()),
        'plain text': attempt(address, None),
        'TLS 1.3': attempt(address, context()),
        'TLS 1.2': attempt(address, context(ssl.TLSVersion.TLSv1_2)),
        'a certificate of its own': attempt(address, own_certificate(scratch)),
        'tokens in sight': str(tokens_in_sight()),
    }
    for path in files:
        results[path] = read(path)
    print(json.dumps(results))


if __name__ == '__main__':
    main()
