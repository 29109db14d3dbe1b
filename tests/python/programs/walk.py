"""A program for tests: a random walk towards a target. Its settings make it misbehave in one way or another."""

import errno
import json
import math
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from coppice import program

DEFAULTS = {'rate': 0.1, 'width': 4, 'activation': 'relu', 'fast': True, 'mode': 'good', 'at': 3}


class Walk:
    def __init__(self, width, seed):
        self.random = random.Random(seed)
        self.x = [self.random.gauss(0, 1) for _ in range(width)]

    def step(self, rate):
        self.x = [x - rate * (x - 1) + rate * self.random.gauss(0, 0.1) for x in self.x]

    def loss(self):
        return sum((x - 1) ** 2 for x in self.x)

    def save(self, path):
        path.write_text(json.dumps([self.x, self.random.getstate()]))

    def load(self, path):
        self.x, (version, state, gauss) = json.loads(Path(path).read_text())
        self.random.setstate((version, tuple(state), gauss))


class InFolder(Walk):
    def save(self, path):
        path.mkdir()
        (path / 'inner').mkdir()
        super().save(path / 'inner' / 'state.json')

    def load(self, path):
        super().load(path / 'inner' / 'state.json')


class WithSuffix(Walk):
    def save(self, path):
        super().save(path.with_name(path.name + '.json'))


def hold(run):
    """Waits in the step behind HOLD until the end is asked for."""
    while 0 < int(os.environ.get('HOLD', 0)) < run.step and not run.should_stop:
        time.sleep(0.005)


def help_forever():
    print('helper', flush=True)
    time.sleep(600)


def misbehave(run, step, walk):
    mode = run.settings.mode
    if step != run.settings.at:
        return
    if mode == 'raise':
        raise ValueError('the loss has\ngone away')
    if mode == 'nan':
        walk.x[0] = math.nan
    if mode == 'exit':
        sys.exit(0)
    if mode == 'out of memory':
        raise MemoryError()
    if mode == 'fail':
        run.fail('no such data', kind='data')
    if mode == 'chatty':
        print('{"event": "done", "seed": 0, "step": 20}')
        print('no event')
        subprocess.run(['echo', 'from a child'], check=True)
        os.write(1, b'raw\n')
    if mode == 'second start':
        program.start(DEFAULTS)
    if mode == 'another program':
        subprocess.run([sys.executable, __file__, '--steps', '1', '--out', str(run.checkpoint_dir.parent / 'another')], check=True)
    if mode == 'helper':
        helper = multiprocessing.get_context('fork').Process(target=help_forever)
        helper.start()
        helper.join()
        raise RuntimeError(f'the helper has ended with {helper.exitcode}')
    if mode == 'busy':
        while not run.should_stop:
            run.keep_alive()
            time.sleep(0.02)


def saver(run, walk):
    def save(path):
        mode = run.settings.mode
        if mode == 'full disk':
            raise OSError(errno.ENOSPC, 'No space left on device')
        if mode == 'two files':
            (path.parent / 'other').write_text('')
        if mode == 'no file':
            return
        if mode == 'link':
            path.symlink_to('/etc/passwd')
            return
        if mode == 'killed':
            path.write_text('half')
            os.kill(os.getpid(), signal.SIGKILL)
        walk.save(path)
    return save


def main():
    if '--slow-import' in sys.argv:
        print('importing', file=sys.stderr, flush=True)
        time.sleep(600)
    with program.start(DEFAULTS, steps=20, report_every=5, checkpoint_every=10) as run:
        if run.settings.mode == 'slow data':
            print('reading', flush=True)
            time.sleep(600)
        if run.settings.mode == 'no loop':
            return
        kind = {'folder': InFolder, 'suffix': WithSuffix}.get(run.settings.mode, Walk)
        walk = kind(run.settings.width, run.seed)
        run.load(walk.load)
        for step in run.steps(save=None if run.settings.mode == 'no checkpoint' else saver(run, walk)):
            walk.step(run.settings.rate)
            hold(run)
            misbehave(run, step, walk)
            if run.settings.mode == 'stop early' and step == 3:
                break
            if run.settings.mode != 'no report':
                run.report({'walk/x0': walk.x[0]}, loss=walk.loss(), positive=walk.x[0] > 0)


if __name__ == '__main__':
    main()
