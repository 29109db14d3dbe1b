"""A script with coppice.program that runs alone, and the parts that need no process."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = os.path.join(HERE, '..', '..', 'python')
sys.path[:0] = [HERE, PACKAGE]
import fake_worker  # noqa: E402
import coppice  # noqa: E402
from coppice import _settings  # noqa: E402

WALK, PACK = (os.path.join(HERE, 'programs', name) for name in ('walk.py', 'pack.py'))


class Alone(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def start(self, *flags, script=WALK, hold=0):
        environment = {name: value for name, value in os.environ.items() if name != 'COPPICE_RUN_SPEC'}
        return subprocess.Popen([sys.executable, script, *flags], cwd=self.folder, env={**environment, 'PYTHONPATH': PACKAGE, 'HOLD': str(hold)},
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def call(self, *flags, script=WALK, code=0):
        process = self.start(*flags, script=script)
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, code, out + err)
        return out if code == 0 else err

    def rows(self, folder='coppice-run/seed-0'):
        with open(os.path.join(self.folder, folder, 'metrics.jsonl')) as file:
            return {row['step']: row['values'] for row in map(json.loads, file)}

    def stop_at(self, step, *flags):
        process = self.start(*flags, hold=step)
        for line in process.stdout:
            if line.startswith(f'step {step}/'):
                process.send_signal(signal.SIGINT)
                break
        out = process.stdout.read()
        self.assertEqual(process.wait(60), 75, out)
        process.stdout.close()
        process.stderr.close()
        return out

    def test_it_trains_prints_and_gives_a_workers_numbers(self):
        out = self.call('--set', 'width=3', '--seed', '5', '--out', 'mine')
        self.assertIn('seed 5 starts: 20 steps', out)
        self.assertRegex(out, r'step 20/20  walk/x0 \S+  loss \S+  positive \S+')
        self.assertIn('done at step 20', out)
        run = fake_worker.run(WALK, os.path.join(self.folder, 'worker'), settings={'width': 3}, seeds=[5])
        self.assertEqual(self.rows('mine/seed-5'), run.rows(5))

    def test_stopped_and_called_again_it_gives_the_same_numbers(self):
        self.call('--out', 'whole')
        out = self.stop_at(10)
        self.assertRegex(out, r'stopped; the same command goes on from step \d+')
        step = int(re.search(r'from step (\d+)', out).group(1))
        self.assertIn(f'goes on from step {step}', self.call())
        self.assertEqual(self.rows(), self.rows('whole/seed-0'))

    def test_rows_behind_the_checkpoint_come_once(self):
        self.call('--steps', '10')
        with open(os.path.join(self.folder, 'coppice-run/seed-0/metrics.jsonl'), 'a') as file:
            file.write('{"step": 15, "values": {"loss": 99}}\n{"step": 20, "val')
        self.call()
        self.assertEqual(sorted(self.rows()), [5, 10, 15, 20])
        self.assertNotEqual(self.rows()[15]['loss'], 99)

    def test_more_steps_go_on_and_two_checkpoints_stay(self):
        self.call()
        self.call('--steps', '50')
        names = sorted(name for name in os.listdir(os.path.join(self.folder, 'coppice-run/seed-0')) if name.startswith('step'))
        self.assertEqual(names, ['step-000000040', 'step-000000050'])
        self.assertIn('has come to step 50', self.call('--steps', '20', code=2))

    def test_a_folder_of_another_run_is_refused(self):
        self.call()
        self.assertIn('a run with rate 0.1, and this one has 0.2', self.call('--set', 'rate=0.2', code=2))
        os.makedirs(os.path.join(self.folder, 'full/seed-0'))
        open(os.path.join(self.folder, 'full/seed-0/thesis.tex'), 'w').close()
        self.assertIn('holds other files', self.call('--out', 'full', code=2))

    def test_two_processes_do_not_train_in_one_folder(self):
        process = self.start(hold=1)
        process.stdout.readline()
        self.assertIn('another process trains in', self.call(code=2))
        process.kill()
        process.communicate()

    def test_one_process_may_run_one_after_the_other(self):
        script = self.folder + '/two.py'
        with open(script, 'w') as file:
            file.write('from coppice import program\nimport signal\nbefore = signal.getsignal(signal.SIGINT)\nfor steps in (2, 4):\n'
                       '    with program.start(steps=steps, argv=[]) as run:\n'
                       '        for step in run.steps(save=lambda path: path.write_text("x")):\n            run.report(x=step)\n'
                       'assert signal.getsignal(signal.SIGINT) is before\n')
        self.assertIn('goes on from step 2', self.call(script=script))
        self.assertEqual(sorted(self.rows()), [2, 4])

    def test_wrong_flags_name_the_remedy(self):
        for flags, message in ((('--set', 'widht=3'), 'did you mean width'), (('--set', 'width'), '--set name=value'),
                               (('--set', 'fast=no'), 'true or false'), (('--seed', '-1'), '--seed is a whole number'),
                               (('--steps', '0'), '--steps is a whole number'), (('--sed', '1'), 'unrecognized arguments'),
                               (('--set', 'rate=NaN'), 'is a number'), (('--set', 'rate=1e999'), 'is finite')):
            self.assertIn(message, self.call(*flags, code=2))
        self.assertIn('activation="relu"', self.call('--help'))

    def test_a_failure_ends_with_1(self):
        self.assertIn('failed at step 3 (internal): ValueError: the loss has gone away', self.call('--set', 'mode=raise', code=1))
        self.assertEqual(self.rows(), {})

    def test_a_pack(self):
        out = self.call('--seed', '3,4', script=PACK)
        self.assertIn('seed 4  done at step 20', out)
        self.assertEqual(list(self.rows('coppice-run/seed-3')), [20])  # it reports every 100 steps, and at the last


class Settings(unittest.TestCase):
    def test_they_read_like_attributes_and_like_a_mapping(self):
        settings = _settings.Settings({'rate': 0.1, 'items': 3})
        self.assertEqual((settings.rate, settings['items'], dict(settings)), (0.1, 3, {'rate': 0.1, 'items': 3}))
        with self.assertRaisesRegex(AttributeError, 'no setting depth'):
            settings.depth
        with self.assertRaisesRegex(AttributeError, 'cannot be changed'):
            settings.rate = 3

    def test_a_dataclass_stays_one(self):
        @dataclasses.dataclass(frozen=True)
        class Mine:
            rate: float = 0.1
            word: str = 'relu'

        values = _settings.resolve(_settings.defaults_of(Mine), {'rate': 1})
        filled = _settings.filled(Mine, values)
        self.assertEqual(filled, Mine(rate=1.0))
        self.assertIsInstance(filled.rate, float)
        self.assertEqual(_settings.filled(Mine(word='tanh'), _settings.defaults_of(Mine(word='tanh'))).word, 'tanh')

    def test_defaults_that_cannot_be_settings_are_errors_of_the_script(self):
        for defaults, message in (({'a b': 1}, 'no name of a setting'), ({'a': None}, 'a number, true, false or a word'),
                                  ({'a': float('nan')}, 'finite'), ({'1a': 1}, 'no name'), (3, 'a mapping')):
            with self.assertRaisesRegex((TypeError, ValueError), message):
                _settings.defaults_of(defaults)

    def test_version_is_that_of_the_project(self):
        with open(os.path.join(HERE, '..', '..', 'CMakeLists.txt')) as file:
            self.assertIn(f'project(coppice VERSION {coppice.__version__} ', file.read())


if __name__ == '__main__':
    unittest.main()
