"""The scripts of docs/python.md and of the package's docstrings, run alone and under a worker as they stand there.

Exit code 77 (skipped) where this Python has no torch, which some of them import.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest

try:
    import torch  # noqa: F401
except ImportError:
    print('skipped: this Python has no torch (Debian: apt install python3-torch)')
    sys.exit(77)

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import fake_worker  # noqa: E402


def scripts():
    """The examples of the page that start a program."""
    with open(os.path.join(HERE, '..', '..', 'docs', 'python.md')) as file:
        found = re.findall(r'^```python\n(.*?)^```$', file.read(), re.MULTILINE | re.DOTALL)
    return [text for text in found if 'program.start' in text]


MODEL = '''
import random
class Model:
    def __init__(self, width, seed):
        self.x = [random.Random(seed).random() for _ in range(width)]
    def train_step(self, step, rate):
        self.x = [x - rate * x for x in self.x]
        return sum(self.x)
    def accuracy(self):
        return sum(x < 0.5 for x in self.x) / len(self.x)
    def save(self, path):
        path.write_text(repr(self.x))
    def load(self, path):
        self.x = eval(path.read_text())
'''


def docstring_example():
    with open(os.path.join(fake_worker.PACKAGE, 'coppice', 'program.py')) as file:
        text = re.search(r'^::\n\n(.*?)^\w', file.read(), re.MULTILINE | re.DOTALL).group(1)
    return MODEL + '\n'.join(line[4:] for line in text.splitlines()).replace('10_000', '20')


class Docs(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def test_all_are_found(self):
        self.assertEqual(len(scripts()), 4)

    def test_each_runs_alone_and_under_a_worker(self):
        for number, text in enumerate([*scripts(), docstring_example()]):
            with self.subTest(text=text):
                path = os.path.join(self.folder, f'train{number}.py')
                with open(path, 'w') as file:
                    file.write(text)
                seeds = [0, 1, 2] if 'start_pack' in text else [0]
                run = fake_worker.run(path, self.folder, seeds=seeds, steps=20, report=5, checkpoint=10)
                self.assertEqual(run.code, 0, run.text())
                for seed in seeds:
                    self.assertEqual(sorted(run.rows(seed)), [5, 10, 15, 20])
                again = fake_worker.run(path, self.folder, seeds=seeds, steps=30, report=5, checkpoint=10, resume=run.newest())
                self.assertEqual(again.code, 0, again.text())
                alone = subprocess.run([sys.executable, path, '--steps', '20'], cwd=tempfile.mkdtemp(dir=self.folder),
                                       env=dict(os.environ, PYTHONPATH=fake_worker.PACKAGE), stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True)
                self.assertEqual(alone.returncode, 0, alone.stderr)
                self.assertIn('done at step 20', alone.stdout)

    def test_the_first_gives_the_same_numbers_when_it_is_interrupted(self):
        path = os.path.join(self.folder, 'train.py')
        with open(path, 'w') as file:
            file.write(scripts()[0])
        sizes = {'steps': 400, 'report': 100, 'checkpoint': 100}
        rows, codes = fake_worker.run_interrupted(path, self.folder, (100, 200), signal.SIGTERM, **sizes)
        self.assertEqual(codes[-1], 0)
        self.assertEqual(rows, fake_worker.run(path, self.folder, **sizes).rows())


if __name__ == '__main__':
    unittest.main()
