"""examples/modular_addition, scaled down: interrupted runs give the same bits, and the report says what the rows say.

Exit code 77 (skipped) where this Python has no torch.
"""

import csv
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest
import xml.dom.minidom

try:
    import torch  # noqa: F401
except ImportError:
    print('skipped: this Python has no torch (Debian: apt install python3-torch)')
    sys.exit(77)

HERE = os.path.dirname(os.path.abspath(__file__))
EXAMPLE = os.path.join(HERE, '..', '..', 'examples', 'modular_addition')
TRAIN = os.path.join(EXAMPLE, 'train.py')
sys.path.insert(0, os.path.join(HERE, '..', 'python'))
import fake_worker  # noqa: E402

SMALL = {'p': 11, 'width': 32}
SIZES = {'steps': 400, 'report': 50, 'checkpoint': 100}


class Training(unittest.TestCase):
    def test_interrupted_by_kills_it_gives_the_same_bits(self):
        with tempfile.TemporaryDirectory() as folder:
            whole = fake_worker.run(TRAIN, folder, settings=SMALL, **SIZES)
            self.assertEqual(whole.code, 0, whole.text())
            for number in (signal.SIGTERM, signal.SIGKILL):
                rows, codes = fake_worker.run_interrupted(TRAIN, folder, (150, 300), number, settings=SMALL, **SIZES)
                self.assertEqual((len(codes), codes[-1]), (3, 0))
                self.assertEqual(rows, whole.rows())
            other = fake_worker.run(TRAIN, folder, settings={**SMALL, 'weight_decay': 0}, **SIZES)
            self.assertNotEqual(other.rows(), whole.rows())

    def test_the_sweep_names_the_settings_and_defaults_of_the_script(self):
        with open(os.path.join(EXAMPLE, 'sweep.yaml')) as file:
            text = file.read()
        given = dict(part.split(': ') for part in re.search(r'settings: \{(.*)\}', text).group(1).split(', '))
        for axis in ('weight_decay', 'train_fraction'):
            self.assertRegex(text, rf'(?m)^  {axis}: \[')
        with tempfile.TemporaryDirectory() as folder:
            process = subprocess.run([sys.executable, TRAIN, '--help'], cwd=folder, stdout=subprocess.PIPE, text=True, check=True,
                                     env=dict(os.environ, PYTHONPATH=fake_worker.PACKAGE))
        defaults = dict(re.findall(r'^  (\w+)=(\S+)$', process.stdout, re.MULTILINE))
        self.assertEqual({name: float(value) for name, value in given.items()}, {name: float(value) for name, value in defaults.items()})

    def test_run_hands_in_the_sweep_and_reports(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(folder + '/coppice', 'w') as file:  # leaves what a sweep would
                file.write('#!/bin/sh\nmkdir -p "$4" && cp "$0.csv" "$4/metrics.csv" && echo "$@" >"$4/arguments"\n')
            os.chmod(folder + '/coppice', 0o755)
            with open(folder + '/coppice.csv', 'w') as file:
                file.write('weight_decay,train_fraction,seed,step,train_accuracy,val_accuracy\n1,0.5,0,50,1,1\n')
            python = os.path.dirname(sys.executable)
            done = subprocess.run([os.path.join(EXAMPLE, 'run.sh'), 'out'], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, env={'PATH': f'{folder}:{python}:/usr/bin:/bin'})
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertIn('figure: out-figures/grokking.svg', done.stdout)
            with open(folder + '/out/arguments') as file:
                self.assertEqual(file.read(), f'local {os.path.realpath(EXAMPLE)}/sweep.yaml --dir out\n')


class Report(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def report(self, rows, columns=('weight_decay', 'train_fraction', 'seed', 'step', 'train_accuracy', 'val_accuracy')):
        path = self.folder + '/metrics.csv'
        with open(path, 'w', newline='') as file:
            csv.writer(file).writerows([columns, *rows])
        return subprocess.run([sys.executable, os.path.join(EXAMPLE, 'report.py'), path, '--out', self.folder + '/report'],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def test_it_says_when_each_setting_generalizes(self):
        rows = [(decay, 0.5, seed, step, float(step >= 100), float(decay == 1 and step >= late))
                for decay in (0, 1) for seed, late in ((0, 200), (1, 400), (2, 300)) for step in range(50, 501, 50)]
        done = self.report(rows)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r'(?m)^0 +never \(100\)$')
        self.assertRegex(done.stdout, r'(?m)^1 +300 \(100\)$')
        with open(self.folder + '/report/lateness.csv', newline='') as file:
            self.assertEqual(list(csv.reader(file))[1:], [['0.5', '0.0', '3', '100', 'never'], ['0.5', '1.0', '3', '100', '300']])
        figure = xml.dom.minidom.parse(self.folder + '/report/grokking.svg')
        self.assertEqual(len(figure.getElementsByTagName('polyline')), 4)

    def test_rows_of_another_sweep_or_none_are_refused(self):
        self.assertIn("no column 'train_fraction'", self.report([(1, 2)], ('seed', 'step')).stderr)
        self.assertIn('holds no row yet', self.report([]).stderr)
        self.assertEqual(self.report([]).returncode, 1)


if __name__ == '__main__':
    unittest.main()
