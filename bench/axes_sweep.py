#!/usr/bin/env python3
"""What a sweep over five axes costs: its submission, status, filters, a restart of the coordinator.

  bench/axes_sweep.py [--bin DIR] [--jobs N] [--points N]

The axes are four settings with an equal number of values, and the seed. Real programs, a real database, loopback. Times are of
the command, from exec to exit; of several runs, the median and the longest. The last line gives the coordinator's memory.
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SETTINGS = ('train.learning_rate', 'train.weight_decay', 'train.beta1', 'model.dropout')


def spec_text(values, seeds):
    axes = ''.join(f'  {setting}: [{", ".join(f"0.{10 + value}" for value in range(values))}]\n' for setting in SETTINGS)
    return f'name: large\naxes:\n  task: question\n  depth: 2\n{axes}  seed: 0-{seeds - 1}\ntrain: {{steps: 1000}}\n'


class Bench:
    def __init__(self, binaries, folder):
        self.binaries = binaries
        self.folder = folder
        self.environment = {'HOME': folder, 'PATH': '/usr/bin:/bin'}
        self.port_file = os.path.join(folder, 'port')
        self.coordinator = None

    def start(self):
        """Returns the seconds from exec until it serves."""
        if os.path.exists(self.port_file):
            os.unlink(self.port_file)
        with open(os.path.join(self.folder, 'log'), 'ab') as log:
            began = time.monotonic()
            self.coordinator = subprocess.Popen(
                [os.path.join(self.binaries, 'coppice-coordinator'), '--port-file', self.port_file,
                 '--data-dir', os.path.join(self.folder, 'data')], env=self.environment, stdout=log, stderr=log)
        while not os.path.exists(self.port_file):  # written once it serves
            if self.coordinator.poll() is not None:
                raise SystemExit('axes_sweep.py: the coordinator ended:\n' + open(os.path.join(self.folder, 'log')).read())
            time.sleep(0.005)
        return time.monotonic() - began

    def kill(self):
        if self.coordinator is not None:
            self.coordinator.kill()
            self.coordinator.wait()
            self.coordinator = None

    def command(self, *arguments):
        """Returns the seconds that it took and what it printed."""
        began = time.monotonic()
        done = subprocess.run([os.path.join(self.binaries, 'coppice'), *arguments], env=self.environment, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise SystemExit(f'axes_sweep.py: coppice {" ".join(arguments)} failed:\n{done.stderr}')
        return time.monotonic() - began, done.stdout

    def memory(self):
        with open(f'/proc/{self.coordinator.pid}/status') as file:
            for line in file:
                if line.startswith('VmHWM:'):
                    return int(line.split()[1]) / 1024
        raise SystemExit('axes_sweep.py: no VmHWM in /proc/PID/status')


def line(what, times):
    print(f'| {what} | {statistics.median(times):.3f} / {max(times):.3f} s |', flush=True)


def measure(bench, jobs, points):
    values = round(points ** (1 / len(SETTINGS)))
    points = values ** len(SETTINGS)
    seeds = max(1, jobs // points)
    spec = os.path.join(bench.folder, 'large.yaml')
    with open(spec, 'w') as file:
        file.write(spec_text(values, seeds))
    print(f'| {points * seeds} jobs: {points} points on {len(SETTINGS)} axes x {seeds} seeds | median / longest |\n|---|---:|')
    bench.start()
    line('dry run', [bench.command('submit', '--dry-run', spec)[0]])
    line('submit', [bench.command('submit', spec)[0]])
    repeats = range(10)
    line('`coppice status large`', [bench.command('status', 'large')[0] for _ in repeats])
    line('`coppice list`', [bench.command('list')[0] for _ in repeats])
    one = [f'--where={setting}=0.{10 + values // 2}' for setting in SETTINGS]
    took = []
    for _ in repeats:
        seconds, out = bench.command('jobs', 'large', *one, '--seed', str(seeds - 1), '--json')
        if out.count('"seed"') != 1:
            raise SystemExit(f'axes_sweep.py: one job is asked for, and the answer is\n{out}')
        took.append(seconds)
    line('`coppice jobs`, one job by five axes', took)
    line('`coppice jobs`, one seed of each point', [bench.command('jobs', 'large', '--seed', '0')[0] for _ in range(3)])
    line('`coppice status`, a tenth of the points', [bench.command('status', 'large', one[0])[0] for _ in range(3)])
    bench.kill()
    restarts = []
    for _ in range(3):
        restarts.append(bench.start())
        peak = bench.memory()
        bench.kill()
    line('kill -9, from exec to serving', restarts)
    print(f'\nresident memory of the coordinator after a restart, peak: {peak:.0f} MiB')


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--bin', default=os.path.join(ROOT, 'build/release/bin'), help='folder of the programs')
    parser.add_argument('--jobs', type=int, default=1_000_000)
    parser.add_argument('--points', type=int, default=10_000, help='grid points; rounded to a fourth power')
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix='coppice-bench-')
    bench = Bench(os.path.abspath(options.bin), folder)
    try:
        measure(bench, options.jobs, options.points)
    finally:
        bench.kill()
        shutil.rmtree(folder)


if __name__ == '__main__':
    sys.exit(main())
