#!/usr/bin/env python3
"""Measures the CPU time that the pools' looks at the work cost the coordinator, while many jobs wait and no worker is there.

    pool_demand.py [--bin BUILD/bin] [--sweeps 10] [--seeds 6250]

A sweep has 16 groups (two tasks of eight depths) of so many seeds. The pool runs dry, so Slurm is not needed.
"""
import argparse
import json
import os
import shutil
import subprocess
import tempfile
import time

TICK_SECONDS = 5  # the pools look so often
SPEC = '''name: s{number}
tasks: [question, tense]
depths: [1, 2, 3, 4, 5, 6, 7, 8]
seeds: 0-{last}
model: {{d_model: 16, heads: 2, d_ff: 32}}
train: {{steps: 20000, learning_rate: 1e-3, warmup_steps: 50}}
data: {{train: 500, val: 50, test: 10, gen: 50}}
report: {{every: 500, probes: {{sentences: 5}}}}
checkpoint: {{every: 500}}
'''


class Coordinator:
    """One in a folder of its own, with a squeue that lists nothing."""

    def __init__(self, binaries, folder):
        self._binaries = binaries
        self._folder = folder
        os.mkdir(os.path.join(folder, 'bin'))
        with open(os.path.join(folder, 'bin/squeue'), 'w', encoding='utf-8') as file:
            os.fchmod(file.fileno(), 0o755)
            file.write('#!/bin/sh\n')
        self._environment = {'HOME': folder, 'PATH': folder + '/bin:/usr/bin:/bin'}
        port = os.path.join(folder, 'port')
        with open(os.path.join(folder, 'log'), 'w', encoding='utf-8') as log:
            self._process = subprocess.Popen([os.path.join(binaries, 'coppice-coordinator'), '--port-file', port, '--pools-dry-run'],
                                             env=self._environment, stdout=log, stderr=log)
        self.call('server', '--wait', '30s')

    def call(self, *words):
        return subprocess.run([os.path.join(self._binaries, 'coppice'), *words], env=self._environment, check=True, stdout=subprocess.PIPE,
                              text=True).stdout

    def submit(self, number, seeds):
        spec = os.path.join(self._folder, 'sweep.yaml')
        with open(spec, 'w', encoding='utf-8') as file:
            file.write(SPEC.format(number=number, last=seeds - 1))
        self.call('submit', spec)

    def cpu_seconds(self):
        total = 0
        for task in os.listdir(f'/proc/{self._process.pid}/task'):
            with open(f'/proc/{self._process.pid}/task/{task}/schedstat', encoding='ascii') as file:
                total += int(file.read().split()[0])
        return total / 1e9

    def kill(self):
        self._process.kill()
        self._process.wait()


def milliseconds_a_look(coordinator, looks):
    begin = coordinator.cpu_seconds()
    time.sleep(looks * TICK_SECONDS)
    return 1000 * (coordinator.cpu_seconds() - begin) / looks


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--bin', default='build/release/bin', type=os.path.abspath)
    parser.add_argument('--sweeps', type=int, default=10)
    parser.add_argument('--seeds', type=int, default=6250)
    parser.add_argument('--looks', type=int, default=6, help='of the pools, which the figures are means of')
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix='coppice-demand-')
    coordinator = Coordinator(options.bin, folder)
    try:
        for number in range(options.sweeps):
            coordinator.submit(number, options.seeds)
        time.sleep(TICK_SECONDS)
        without = milliseconds_a_look(coordinator, options.looks)
        coordinator.call('pool', 'add', 'low', '--partition', 'low', '--gpus', '1', '--gpu-hours-a-sweep', '1', '--walltime', '1h',
                         '--worker', '/worker', '--log-dir', folder + '/logs')
        time.sleep(TICK_SECONDS)
        beside = milliseconds_a_look(coordinator, options.looks)
        decision = json.loads(coordinator.call('pool', 'show', 'low', '--json'))['pool']['decision']
        if 'wants' not in decision:
            raise SystemExit(f'the pool has not looked: {decision}')
        print(f'{options.sweeps * 16 * options.seeds} jobs in {options.sweeps * 16} groups wait: {beside - without:.1f} ms of CPU time a look of '
              f'the pools, every {TICK_SECONDS} s')
    finally:
        coordinator.kill()
        shutil.rmtree(folder)


if __name__ == '__main__':
    main()
