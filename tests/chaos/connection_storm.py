#!/usr/bin/env python3
"""Thousands of connections are made while the coordinator stands still for longer than timers wait, again and again.

When it goes on, it accepts in one go what has queued up, with clocks that are that much behind. With gRPC's keepalive at 20 s a coordinator died
of that within four rounds: the timer of a connection that was still being made was due at once, and two threads worked on it.

  tests/chaos/connection_storm.py --bin build/release/bin --out DIR [--rounds 12] [--freeze 22]
About 25 s a round. Exit code 0: it lives, answers, and ends in order on SIGTERM.
"""
import argparse
import multiprocessing
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time

from daemons import Daemon

# What a client says first: the preface and an empty SETTINGS frame.
PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + struct.pack('>IBI', 4, 0, 0)
HELD = 400  # connections that each process keeps open; then the oldest is reset


def connect_for_ever(address, made):
    open_ones = []
    while True:
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.settimeout(0.5)  # a full queue drops what comes; the kernel's own next try would be long after the freeze
        try:
            connection.connect(address)
            connection.sendall(PREFACE)
        except OSError:
            connection.close()
            time.sleep(0.001)  # refused: nobody listens, and nothing tells when somebody will
            continue
        open_ones.append(connection)
        with made.get_lock():
            made.value += 1
        if len(open_ones) == HELD:
            oldest = open_ones.pop(0)
            oldest.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            oldest.close()


def address_of(daemon, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and daemon.alive():
        with open(daemon.log, encoding='utf-8', errors='replace') as log:
            found = re.search(r'serving on (127\.0\.0\.1):(\d+)', log.read())
        if found:
            return found.group(1), int(found.group(2))
        time.sleep(0.05)
    sys.exit(f'the coordinator did not start; see {daemon.log}')


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--bin', required=True, help='folder of the binaries')
    parser.add_argument('--out', required=True, help='new folder for logs and data')
    parser.add_argument('--rounds', type=int, default=12)
    parser.add_argument('--freeze', type=float, default=22, help='seconds that the coordinator stands still')
    parser.add_argument('--processes', type=int, default=3)
    options = parser.parse_args()
    os.makedirs(options.out)
    daemon = Daemon('coordinator', os.path.join(options.out, 'coordinator.log'))
    daemon.argv = [os.path.join(options.bin, 'coppice-coordinator'), '--insecure', '--data-dir', os.path.join(options.out, 'data'), '--listen', '127.0.0.1:0']
    daemon.start()
    address = address_of(daemon)
    made = multiprocessing.Value('q', 0)
    clients = [multiprocessing.Process(target=connect_for_ever, args=(address, made), daemon=True) for _ in range(options.processes)]
    for client in clients:
        client.start()
    for number in range(1, options.rounds + 1):
        time.sleep(3)
        daemon.process.send_signal(signal.SIGSTOP)
        time.sleep(options.freeze)
        before = made.value
        daemon.process.send_signal(signal.SIGCONT)
        deadline = time.monotonic() + 60
        while made.value < before + 2000 and daemon.alive() and time.monotonic() < deadline:
            time.sleep(0.05)
        if not daemon.alive():
            sys.exit(f'round {number}: the coordinator ended with {daemon.process.returncode} after {made.value} connections; see {daemon.log}')
        if made.value < before + 2000:
            sys.exit(f'round {number}: the coordinator accepts no connections any more')
        print(f'round {number}: alive after {made.value} connections', flush=True)
    for client in clients:
        client.terminate()
    status = subprocess.run([os.path.join(options.bin, 'coppice'), '--insecure', '--coordinator', '%s:%d' % address, 'workers'], timeout=60, check=False)
    daemon.process.terminate()
    ended = daemon.process.wait(timeout=60)
    if status.returncode != 0 or ended != 0:
        sys.exit(f'coppice workers ended with {status.returncode}, the coordinator with {ended}')
    print('the coordinator answers, and ended in order')


if __name__ == '__main__':
    main()
