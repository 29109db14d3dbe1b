"""examples/modular_addition by `coppice local`, scaled down: killed programs and a stopped run give the same table.

    local_test.py BIN      the folder of the built programs; exit code 77 (skipped) where this Python has no torch
"""

import contextlib
import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

try:
    import torch  # noqa: F401
except ImportError:
    print('skipped: this Python has no torch (Debian: apt install python3-torch)')
    sys.exit(77)

BIN = os.path.abspath(sys.argv[1])
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
EXAMPLE = os.path.join(ROOT, 'examples', 'modular_addition')


def programs_below(folder):
    """The processes of programs whose run spec lies in this folder."""
    found = []
    for name in os.listdir('/proc'):
        if name.isdigit():
            try:
                with open(f'/proc/{name}/environ', 'rb') as file:
                    variables = file.read().split(b'\0')
            except OSError:
                continue
            if any(variable.startswith(f'COPPICE_RUN_SPEC={folder}/'.encode()) for variable in variables):
                found.append(int(name))
    return found


class Local(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = os.path.realpath(folder.name)
        # The study is moved as a user would move it, and made small.
        self.study = os.path.join(self.folder, 'study')
        shutil.copytree(EXAMPLE, self.study, ignore=shutil.ignore_patterns('__pycache__'))
        shutil.copytree(os.path.join(ROOT, 'python', 'coppice'), os.path.join(self.study, 'coppice'))
        with open(os.path.join(self.study, 'sweep.yaml')) as file:
            text = file.read()
        for pattern, small in ((r'p: 31', 'p: 11'), (r'width: 128', 'width: 32'), (r'(?m)^  weight_decay: .*', '  weight_decay: [0, 1]'),
                               (r'(?m)^  train_fraction: .*', '  train_fraction: [0.5]'), ('seed: 0-2', 'seed: 0-1'),
                               ('steps: 4000', 'steps: 600'), ('every: 1000', 'every: 100')):
            text, count = re.subn(pattern, small, text)
            self.assertEqual(count, 1, pattern)
        with open(os.path.join(self.study, 'sweep.yaml'), 'w') as file:
            file.write(text)

    def start(self, name):
        return subprocess.Popen([BIN + '/coppice', 'local', 'study/sweep.yaml', '--dir', name, '--no-report'], cwd=self.folder,
                                env={'PATH': '/usr/bin:/bin', 'HOME': self.folder}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def finish(self, process, *codes):
        out = process.communicate(timeout=240)[0]
        self.assertIn(process.returncode, codes or (0,), out)

    def rows(self, name):
        with open(os.path.join(self.folder, name, 'metrics.csv'), newline='') as file:
            return sorted((row['weight_decay'], row['train_fraction'], row['seed'], int(row['step']), row['train_loss'], row['val_loss'])
                          for row in csv.DictReader(file))

    def test_killed_and_stopped_it_gives_the_table_of_an_undisturbed_run(self):
        self.finish(self.start('whole'))
        self.assertEqual(len(self.rows('whole')), 4 * 600 // 50)
        process = self.start('disturbed')
        for line in process.stdout:
            if ' running on ' in line:
                break
        deadline = time.monotonic() + 60
        found = []
        while not found and time.monotonic() < deadline:
            found = programs_below(self.folder + '/disturbed')
        self.assertTrue(found, 'no program of the sweep was there to be killed')
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for line in process.stdout:
            if ' succeeded ' in line:
                break
        process.send_signal(signal.SIGINT)
        self.finish(process, 75, 0)  # 0: the rest had ended by then
        self.finish(self.start('disturbed'))
        self.assertEqual(self.rows('disturbed'), self.rows('whole'))
        done = subprocess.run([sys.executable, os.path.join(EXAMPLE, 'report.py'), self.folder + '/disturbed/metrics.csv', '--out', self.folder],
                              stdout=subprocess.PIPE, text=True, check=True)
        self.assertRegex(done.stdout, r'(?m)^weight decay +train 0.5$')


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
