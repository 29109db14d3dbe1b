"""examples/modular_addition on a real Slurm: a program of the user's own, whose jobs are requeued while they train.

  example_test.py --bin BUILD/bin [--out DIR]
"""
import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys

from deployment import ROOT, SlurmTest, run_tests
from slurm_cluster import wait_for

PYTHON = '/usr/bin/python3'  # Debian's, for which there is a torch
SMALL = ((r'command: \[python3,', f'command: [{PYTHON},'), ('p: 31', 'p: 11'), ('width: 128', 'width: 32'),
         (r'(?m)^  weight_decay: .*', '  weight_decay: [0, 1]'), (r'(?m)^  train_fraction: .*', '  train_fraction: [0.5]'),
         ('seed: 0-2', 'seed: 0-1'), ('steps: 4000', 'steps: 12000'), ('every: 50', 'every: 200'), ('every: 1000', 'every: 400'))


class ExampleTest(SlurmTest):
    def setUp(self):
        super().setUp()
        self.study = os.path.join(self.coppice.home, 'study')
        shutil.copytree(os.path.join(ROOT, 'examples/modular_addition'), self.study, ignore=shutil.ignore_patterns('__pycache__'))
        shutil.copytree(os.path.join(ROOT, 'python/coppice'), os.path.join(self.study, 'coppice'), ignore=shutil.ignore_patterns('__pycache__'))

    def submit(self, name):
        with open(os.path.join(self.study, 'sweep.yaml'), encoding='utf-8') as file:
            text = file.read()
        for pattern, small in ((r'(?m)^name: .*', f'name: {name}'), *SMALL):
            text, count = re.subn(pattern, small, text)
            self.assertEqual(count, 1, pattern)
        path = os.path.join(self.study, f'{name}.yaml')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        self.coppice.cli('submit', path)

    def rows(self, sweep):
        table = csv.DictReader(io.StringIO(self.coppice.cli('metrics', sweep, '--csv')))
        return [{name: value for name, value in row.items() if name != 'job_id'} for row in table]

    def test_requeues_change_no_number(self):
        self.submit('whole')
        job = self.coppice.workers('--array=1-2', '--cpus-per-task=8', flags=['--programs', '--threads', '1', '--idle-exit', '20s'])
        self.coppice.wait_for_end('whole')
        self.submit('struck')
        for _ in range(2):
            # Each task trains, and is sent back to the queue with SIGTERM to all of its processes.
            running = {shown['worker'] for shown in self.coppice.wait_for_running('struck', 2, timeout=60)}
            self.assertEqual(len(running), 2)
            for task in (1, 2):
                self.slurm.call(['scontrol', 'requeue', f'{job}_{task}'])
            wait_for(lambda: not running & {shown['worker'] for shown in self.coppice.jobs('struck') if shown['state'] == 'RUNNING'}, 60,
                     'end of the attempts', 0.2)
        self.coppice.wait_for_end('struck')
        attempts = 0
        for shown in self.coppice.jobs('struck'):
            self.assertEqual((shown['state'], shown['failures']), ('SUCCEEDED', 0), shown)
            step = 0
            for attempt in json.loads(self.coppice.cli('show', str(shown['id']), '--json'))['attempts']:
                self.assertEqual(attempt['start_step'], step, shown)
                step = attempt['end_step']
                attempts += 1
        self.assertGreaterEqual(attempts, 4 + 2)
        whole = self.rows('whole')
        self.assertEqual(len(whole), 4 * 60)
        self.assertEqual(self.rows('struck'), whole)


if __name__ == '__main__':
    if subprocess.run([PYTHON, '-c', 'import torch'], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        print(f'skipped: {PYTHON} has no torch')
        sys.exit(77)
    run_tests(__doc__)
