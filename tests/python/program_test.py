"""coppice.program under a worker of the test's own: events, signals, resumes, faults."""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import fake_worker  # noqa: E402

WALK, EXPLICIT, PACK = (os.path.join(HERE, 'programs', name) for name in ('walk.py', 'explicit.py', 'pack.py'))


class InFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def run_program(self, script=WALK, **options):
        return fake_worker.run(script, self.folder, **options)


class Events(InFolder):
    def test_a_run_reports_saves_and_is_done(self):
        run = self.run_program(steps=23, report=5, checkpoint=10)
        self.assertEqual(run.code, 0, run.text())
        names = [(event['event'], event.get('step')) for event in run.events if event['event'] != 'progress']
        self.assertEqual(names, [('start', None), ('metrics', 5), ('metrics', 10), ('checkpoint', 10), ('metrics', 15),
                                 ('metrics', 20), ('checkpoint', 20), ('metrics', 23), ('checkpoint', 23), ('done', 23)])
        self.assertEqual(set(run.rows()[5]), {'walk/x0', 'loss', 'positive'})
        provenance = run.of('start')[0]['provenance']
        self.assertEqual((provenance['program'], provenance['device'], provenance['pack_width']), ('walk.py', 'cpu', 1))

    def test_settings_and_seed_come_from_the_spec(self):
        rows = [self.run_program(settings=settings, seeds=[seed]).rows(seed)[20]['loss']
                for settings, seed in (({'rate': 0.2}, 0), ({'rate': 0.1}, 0), ({}, 0), ({}, 1))]
        self.assertEqual(rows[1], rows[2])
        self.assertEqual(len(set(rows)), 3)

    def test_what_the_script_prints_never_meets_the_events(self):
        run = self.run_program(settings={'mode': 'chatty'})
        self.assertEqual(run.code, 0, run.text())
        self.assertEqual(len(run.of('done')), 1)
        for text in ('no event', 'from a child', 'raw', '"done"'):
            self.assertIn(text, run.text())

    def test_a_script_that_a_program_starts_runs_alone(self):
        run = self.run_program(settings={'mode': 'another program'})
        self.assertEqual(run.code, 0, run.text())
        self.assertEqual(sorted(run.rows()), [5, 10, 15, 20])
        self.assertIn('done at step 1', run.text())

    def test_every_call_written_out_gives_the_same_events(self):
        run = self.run_program(EXPLICIT)
        self.assertEqual(run.code, 0, run.text())
        self.assertEqual([event['step'] for event in run.of('checkpoint')], [10, 20])
        self.assertEqual({step: row['loss'] for step, row in self.run_program().rows().items()},
                         {step: row['loss'] for step, row in run.rows().items()})
        self.assertIn('after the end', run.text())

    def test_a_step_that_takes_long_shows_progress(self):
        attempt = fake_worker.Attempt(WALK, self.folder, settings={'mode': 'busy'})
        attempt.wait_for(lambda a: len(a.of('progress')) >= 2)
        self.assertEqual(attempt.signal().end(), 75)
        first, second = attempt.of('progress')[:2]
        self.assertEqual(first['members'], [{'seed': 0, 'step': 2}])
        self.assertGreater(second['activity'], first['activity'])

    def test_a_finished_run_has_nothing_left_to_do(self):
        resume = self.run_program().newest()
        again = self.run_program(resume=resume)
        self.assertEqual(again.code, 0)
        self.assertEqual([event['event'] for event in again.events], ['start', 'done'])


class FullDisk(InFolder):
    SCRIPT = """
import pathlib, resource, sys
sys.path.insert(0, sys.argv[1])
from coppice import _saving
if sys.argv[3] == 'full':
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
def save(path):
    raise RuntimeError('unexpected pos')  # as torch.save says it
try:
    _saving.save_durably(pathlib.Path(sys.argv[2]), 10, save)
except Exception as error:
    print(type(error).__name__, type(error.__context__).__name__)
"""

    def raised(self, disk):
        done = subprocess.run([sys.executable, '-c', self.SCRIPT, fake_worker.PACKAGE, self.folder, disk], stdout=subprocess.PIPE, text=True, check=True)
        self.assertEqual(os.listdir(self.folder), [])
        return done.stdout.split()

    def test_an_error_of_a_library_that_hides_it_is_one_of_the_disk(self):
        self.assertEqual(self.raised('full'), ['OSError', 'RuntimeError'])
        self.assertEqual(self.raised('free')[0], 'RuntimeError')


class Interrupted(InFolder):
    def compare(self, script, at, number=signal.SIGTERM, **options):
        whole = fake_worker.run(script, self.folder, **options)
        rows, codes = fake_worker.run_interrupted(script, self.folder, at, number, **options)
        self.assertEqual(codes, [75 if number == signal.SIGTERM else -number] * len(at) + [0])
        self.assertEqual(rows, whole.rows())

    def test_interrupted_runs_give_the_same_numbers(self):
        self.compare(WALK, (5, 10, 15))

    def test_killed_runs_give_the_same_numbers(self):
        self.compare(WALK, (5, 15), signal.SIGKILL)

    def test_with_every_call_written_out(self):
        self.compare(EXPLICIT, (5, 15))

    def test_with_a_folder_as_checkpoint(self):
        self.compare(WALK, (5, 15), settings={'mode': 'folder'})

    def test_with_a_suffix_of_the_savers_own(self):
        self.compare(WALK, (5, 15), settings={'mode': 'suffix'})
        self.assertTrue(self.run_program(settings={'mode': 'suffix'}).newest()[0][0].endswith('/step-000000020.json'))

    def test_a_resume_that_forgets_the_random_state_gives_other_numbers(self):
        # The comparison above can fail.
        whole = self.run_program()
        first = self.run_program(steps=10)
        path, step = first.newest()[0]
        with open(path) as file:
            x, _ = json.load(file)
        with open(path, 'w') as file:
            json.dump([x, random.Random(0).getstate()], file)
        self.assertNotEqual(self.run_program(resume={0: (path, step)}).rows()[20], whole.rows()[20])

    def test_the_checkpoint_of_a_request_is_of_the_step_in_progress(self):
        attempt = fake_worker.Attempt(WALK, self.folder, hold=3, report=1, checkpoint=100)
        attempt.wait_for(lambda a: 3 in a.rows()).signal()
        self.assertEqual(attempt.end(), 75)
        step = attempt.of('preempted')[0]['step']
        self.assertEqual([event['step'] for event in attempt.of('checkpoint')], [step])
        self.assertIn(step, attempt.rows())

    def test_a_request_while_data_are_read_or_modules_imported_ends_at_once_as_preempted(self):
        for options, word in (({'settings': {'mode': 'slow data'}}, 'reading'), ({'flags': ['--slow-import']}, 'importing')):
            attempt = fake_worker.Attempt(WALK, self.folder, **options)
            attempt.wait_for(lambda a: word in a.text()).signal()
            self.assertEqual(attempt.end(10), 75, attempt.text())
            self.assertEqual(attempt.events, [{'event': 'preempted', 'seed': 0, 'step': 0}])

    def test_a_helper_that_the_same_signal_ends_is_no_failure(self):
        attempt = fake_worker.Attempt(WALK, self.folder, settings={'mode': 'helper', 'at': 12})
        attempt.wait_for(lambda a: 'helper' in a.text()).signal()
        self.assertEqual(attempt.end(10), 75, attempt.text())
        self.assertEqual(attempt.of('preempted')[0]['step'], 10)

    def test_only_a_second_interrupt_ends_at_once(self):
        attempt = fake_worker.Attempt(WALK, self.folder, settings={'mode': 'busy'})
        attempt.wait_for(lambda a: a.of('progress')).signal(signal.SIGINT).signal(signal.SIGINT)
        self.assertEqual(attempt.end(), 75)

    def test_a_reader_that_has_gone_is_a_request_to_end(self):
        attempt = fake_worker.Attempt(WALK, self.folder, settings={'mode': 'busy', 'at': 6}, steps=1000, checkpoint=1000)
        attempt.wait_for(lambda a: 5 in a.rows())
        os.dup2(os.open(os.devnull, os.O_RDONLY), attempt.process.stdout.fileno())
        self.assertEqual(attempt.end(20), 75, attempt.text())
        saved = [name for _, _, names in os.walk(self.folder) for name in names if name.startswith('step-')]
        self.assertEqual(len(saved), 1)

    def test_a_kill_while_a_checkpoint_is_written_leaves_none(self):
        run = self.run_program(settings={'mode': 'killed'})
        self.assertEqual(run.code, -9)
        self.assertEqual(run.of('checkpoint'), [])
        directory = run.checker.members[0]['dir']
        self.assertEqual([name for name in os.listdir(directory) if not name.startswith('.')], [])


class Faults(InFolder):
    def failure(self, kind, message, script=WALK, code=1, **options):
        run = self.run_program(script, **options)
        self.assertEqual(run.code, code, run.text())
        self.assertEqual([event['kind'] for event in run.of('failed')], [kind])
        self.assertRegex(run.of('failed')[0]['message'], message)
        return run

    def test_an_exception_is_a_failure_in_one_line_with_its_place(self):
        run = self.failure('internal', r'^ValueError: the loss has gone away \(walk.py:\d+\)$', settings={'mode': 'raise'})
        self.assertEqual(run.of('failed')[0]['step'], 3)
        self.assertIn('Traceback', run.text())

    def test_a_number_that_is_not_finite_is_a_failure_of_kind_nan(self):
        run = self.failure('nan', 'walk/x0 is nan at step 5', settings={'mode': 'nan'})
        self.assertEqual(run.rows(), {})

    def test_the_kinds_of_faults(self):
        for mode, kind, message in (('out of memory', 'out_of_memory', 'MemoryError'), ('fail', 'data', '^no such data$'),
                                    ('exit', 'internal', 'called exit'), ('second start', 'internal', 'has one run'), ('full disk', 'disk', 'No space left'),
                                    ('two files', 'internal', 'wrote other, step-000000010'), ('no file', 'internal', 'wrote nothing'),
                                    ('link', 'internal', 'neither a file nor a folder'), ('no report', 'internal', 'nothing was reported'),
                                    ('no checkpoint', 'internal', 'step, 20, has no checkpoint'), ('stop early', 'internal', 'ended at step 3 of 20'),
                                    ('no loop', 'internal', 'ended without a step')):
            with self.subTest(mode=mode):
                self.failure(kind, message, settings={'mode': mode})

    def test_a_checkpoint_that_cannot_be_read_is_a_failure_of_its_kind_before_the_start(self):
        path, step = self.run_program(steps=10).newest()[0]
        with open(path, 'w') as file:
            file.write('damaged')
        run = self.failure('checkpoint', 'JSONDecodeError', resume={0: (path, step)})
        self.assertEqual(run.of('start'), [])

    def refused(self, message, script=WALK, **options):
        run = self.run_program(script, **options)
        self.assertEqual((run.code, [event['event'] for event in run.events]), (2, ['refused']), run.text())
        self.assertRegex(run.events[0]['message'], message)

    def test_settings_that_cannot_be_are_refused(self):
        self.refused('no setting widht; did you mean width', settings={'widht': 3})
        self.refused('width is a whole number, not 2.5', settings={'width': 2.5})
        self.refused('rate is a number, not', settings={'rate': 'high'})
        self.refused('fast is true or false', settings={'fast': 1})
        self.refused('activation is a word', settings={'activation': 3})
        self.assertEqual(self.run_program(settings={'width': 4.0, 'rate': 1}).code, 0)

    def test_several_seeds_for_a_program_of_one_are_refused(self):
        self.refused('trains one seed and got 2', seeds=[0, 1])


class Packs(InFolder):
    def test_members_report_alone_and_resume_at_different_steps(self):
        whole = self.run_program(PACK, seeds=[4, 7])
        self.assertEqual(whole.code, 0, whole.text())
        short = self.run_program(PACK, seeds=[7], steps=10)
        again = self.run_program(PACK, seeds=[4, 7], resume=short.newest())
        self.assertEqual(again.code, 0, again.text())
        self.assertEqual(again.rows(4), whole.rows(4))
        self.assertEqual({**short.rows(7), **again.rows(7)}, whole.rows(7))
        self.assertEqual(sorted(again.rows(7)), [15, 20])

    def test_a_member_that_fails_leaves_the_others(self):
        run = self.run_program(PACK, seeds=[4, 7], settings={'bad': 4})
        self.assertEqual(run.code, 1, run.text())
        self.assertEqual([event['kind'] for event in run.of('failed', 4)], ['nan'])
        self.assertEqual(len(run.of('done', 7)), 1)

    def test_a_member_whose_checkpoint_is_damaged_leaves_the_others(self):
        path = os.path.join(self.folder, 'damaged')
        open(path, 'w').close()
        run = self.run_program(PACK, seeds=[4, 7], resume={4: (path, 10)})
        self.assertEqual(run.code, 1, run.text())
        self.assertEqual([event['kind'] for event in run.of('failed', 4)], ['checkpoint'])
        self.assertEqual(run.of('start')[0]['members'], [{'seed': 7, 'step': 0}])
        self.assertEqual(len(run.of('done', 7)), 1)

    def test_a_request_ends_all(self):
        attempt = fake_worker.Attempt(PACK, self.folder, seeds=[4, 7], settings={'bad': 4}, hold=8, report=1)
        attempt.wait_for(lambda a: 8 in a.rows(7)).signal()
        self.assertEqual(attempt.end(), 75)
        self.assertEqual(len(attempt.of('failed', 4)), 1)
        self.assertEqual(attempt.of('preempted', 7)[0]['step'], attempt.of('checkpoint', 7)[-1]['step'])


if __name__ == '__main__':
    unittest.main()
