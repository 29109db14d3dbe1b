"""Workers and sweeps on a real Slurm.

  slurm_test.py --bin BUILD/bin [--out DIR] [NAME ...]     what continuous integration runs
  slurm_test.py --bin BUILD/bin --long                     with the disturbances at their full length; prints figures
"""
import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
import unittest

from deployment import AllocationClock, Deployment, check_work
from slurm_cluster import SlurmCluster, missing_programs, wait_for

GIVEN_BACK = ('preempted', 'released')
OPTIONS = None
SLURM = None


def setUpModule():
    global SLURM
    folder = tempfile.mkdtemp(prefix='coppice-slurm-')
    SLURM = SlurmCluster(folder)
    try:
        SLURM.start()
    except BaseException:
        tearDownModule()
        raise


def tearDownModule():
    SLURM.stop()
    if OPTIONS.out:
        shutil.rmtree(OPTIONS.out, ignore_errors=True)
        shutil.copytree(SLURM.folder, OPTIONS.out, ignore=lambda path, names: [
            name for name in names if not name.endswith(('.log', '.out')) and not os.path.isdir(os.path.join(path, name))])
    shutil.rmtree(SLURM.folder, ignore_errors=True)


def trainers():
    """Pid -> environment of the live trainers of this test's Slurm."""
    found = {}
    mark = f'SLURM_CONF={SLURM.folder}/'.encode()
    for entry in os.listdir('/proc'):
        if not entry.isdigit():
            continue
        try:
            with open(f'/proc/{entry}/cmdline', 'rb') as file:
                program = file.read().split(b'\0')[0]
            with open(f'/proc/{entry}/environ', 'rb') as file:
                environment = file.read().split(b'\0')
        except OSError:
            continue
        if program.endswith(b'coppice-trainer') and any(word.startswith(mark) for word in environment):
            found[int(entry)] = dict(word.decode(errors='replace').split('=', 1) for word in environment if b'=' in word)
    return found


class SlurmTest(unittest.TestCase):
    def setUp(self):
        self.coppice = Deployment(SLURM, OPTIONS.bin, self._testMethodName)
        self.addCleanup(self.coppice.stop)

    def state(self, job):
        return SLURM.job(job)['JobState']

    def wait_for_state(self, job, state, timeout=60):
        wait_for(lambda: self.state(job) == state, timeout, f'{state} of job {job}; it says: {SLURM.log_of(job)[-2000:]}', 0.2)

    def wait_for_empty_queue(self, timeout=60):
        wait_for(lambda: not SLURM.queue(), timeout, 'empty queue', 0.2)

    def names_that_worked(self, sweep):
        return {attempt['worker'] for attempts in self.coppice.attempts(sweep).values() for attempt in attempts}


class WorkersTest(SlurmTest):
    def test_every_task_of_an_array_works_and_an_idle_end_is_the_end(self):
        self.coppice.submit('array', seeds=3, steps=3000)
        job = self.coppice.workers('--array=1-3', '--cpus-per-task=8', flags=['--idle-exit', '3s', '--threads', '1'])
        self.coppice.wait_for_end('array')
        check_work(self.coppice, 'array', self)
        self.assertEqual(self.names_that_worked('array'), {f'test-{job}_{task}-0' for task in (1, 2, 3)})
        self.wait_for_empty_queue()
        for task in (1, 2, 3):
            shown = SLURM.job(f'{job}_{task}')
            self.assertEqual((shown['JobState'], shown['Restarts']), ('COMPLETED', '0'))

    def test_every_task_of_srun_works_with_nothing_of_the_submitter_s_environment(self):
        self.coppice.submit('tasks', seeds=3, steps=3000)
        os.symlink(os.path.abspath(OPTIONS.bin), os.path.join(SLURM.folder, 'bin'))
        self.addCleanup(os.remove, os.path.join(SLURM.folder, 'bin'))
        job = self.coppice.workers('--export=NONE', '--nodes=3', '--ntasks-per-node=1', '--cpus-per-task=8', flags=[
            '--access', self.coppice.access, '--state-dir', self.coppice.home + '/state', '--idle-exit', '3s', '--threads', '1'])
        self.coppice.wait_for_end('tasks')
        check_work(self.coppice, 'tasks', self)
        self.assertEqual(self.names_that_worked('tasks'), {f'test-{job}-{task}' for task in (0, 1, 2)})
        self.wait_for_state(job, 'COMPLETED')
        self.assertEqual(SLURM.job(job)['Restarts'], '0')

    def test_four_gpus_are_four_slots_with_one_each(self):
        self.coppice.submit('gpus', seeds=2, steps=30000)
        self.coppice.workers('--gres=gpu:4', flags=['--pack', '1', '--threads', '1'])
        (worker,) = self.coppice.wait_for_workers(1).values()
        self.assertEqual(worker['slots'], 4)
        self.coppice.wait_for_running('gpus', 4)
        self.assertEqual(sorted(environment.get('CUDA_VISIBLE_DEVICES') for environment in trainers().values()), ['0', '1', '2', '3'])


class EndsTest(SlurmTest):
    def test_scancel_gives_the_jobs_back_and_is_the_end(self):
        self.coppice.submit('cancelled', seeds=1, steps=100000)
        job = self.coppice.workers('--cpus-per-task=8')
        self.coppice.wait_for_running('cancelled')
        SLURM.call(['scancel', job])
        wait_for(lambda: not self.coppice.connected(), 20, 'end of the worker')
        self.wait_for_state(job, 'CANCELLED')
        self.wait_for_empty_queue()
        for attempts in self.coppice.attempts('cancelled').values():
            for attempt in attempts:
                self.assertIn(attempt['outcome'], GIVEN_BACK, attempt)
        self.assertEqual({shown['failures'] for shown in self.coppice.jobs('cancelled')}, {0})

    def test_the_signal_ahead_of_the_time_limit_puts_the_job_back(self):
        self.coppice.submit('limited', seeds=1, steps=100000)
        # Slurm sends the signal up to a minute early: here at once.
        job = self.coppice.workers('--cpus-per-task=8', '--time=3', '--signal=B:USR1@175', flags=['--threads', '1'])
        wait_for(lambda: SLURM.job(job)['Restarts'] == '1' and self.state(job) == 'RUNNING', 120, 'second start')
        self.assertIn('the walltime ended with work left', SLURM.log_of(job))
        for attempts in self.coppice.attempts('limited').values():
            for attempt in attempts:
                self.assertIn(attempt['outcome'], GIVEN_BACK + ('',), attempt)

    def test_a_second_sigterm_does_not_cut_a_checkpoint_short(self):
        self.coppice.submit('slow', seeds=1, steps=100000)
        job = self.coppice.workers('--cpus-per-task=8', flags=['--slots', '1'])
        self.coppice.wait_for_running('slow')
        (pid,) = trainers()
        os.kill(pid, signal.SIGSTOP)  # as if its checkpoint took long to write
        for _ in range(2):
            SLURM.call(['scancel', '--signal=TERM', '--full', job])
            time.sleep(3)  # longer than what counts as one request elsewhere
        self.assertIn(pid, trainers())
        os.kill(pid, signal.SIGCONT)
        self.wait_for_state(job, 'COMPLETED')
        (attempts,) = [found for found in self.coppice.attempts('slow').values() if found]
        self.assertIn(attempts[0]['outcome'], GIVEN_BACK, attempts)
        self.assertGreater(attempts[0]['end_step'], 0)


class DisturbancesTest(SlurmTest):
    def preempt_all(self, seconds):
        """Jobs of `high` take every node and keep it for so long; returns once they have ended."""
        taken = SLURM.sbatch('-p', 'high', '--nodes=3', '--exclusive', '--wrap', f'sleep {seconds}', '-o', '/dev/null')
        wait_for(lambda: self.state(taken) in ('COMPLETED', 'FAILED'), 90, 'end of the preemptor', 0.2)

    def test_preemptions_of_all_nodes_cost_no_step(self):
        for form, words in (('tasks', ['--nodes=3', '--ntasks-per-node=1']), ('array', ['--array=1-3'])):
            with self.subTest(form):
                if OPTIONS.long:
                    undisturbed, _ = self.sweep(f'alone-{form}', words, preempt=False)
                given, preemptions = self.sweep(f'preempted-{form}', words, preempt=True)
                self.assertGreater(preemptions, 0)
                if OPTIONS.long:
                    print(f'\n{form}: {preemptions} preemptions, {given:.0f} node seconds against {undisturbed:.0f} alone: '
                          f'{100 * (given / undisturbed - 1):.1f} % lost beyond what was taken away', flush=True)
                    self.assertLess(given, 1.15 * undisturbed)

    def sweep(self, name, words, preempt):
        """Node seconds that the sweep was given, and how often it was preempted."""
        self.coppice.submit(name, seeds=3, steps=90000 if OPTIONS.long else 16000, every=2000)
        self.coppice.workers('--cpus-per-task=8', *words, flags=['--threads', '1', '--pack', '1', '--idle-exit', '10s'])
        self.coppice.wait_for_running(name)
        clock = AllocationClock(SLURM)
        preemptions = 0
        while preempt and not self.coppice.ended(name) and (OPTIONS.long or preemptions < 1):
            time.sleep(25 if OPTIONS.long else 2)
            self.preempt_all(2)
            preemptions += 1
        self.coppice.wait_for_end(name, 600)
        given = clock.stop()
        check_work(self.coppice, name, self)
        self.wait_for_empty_queue()
        return given, preemptions

    def test_requeues_at_any_moment_cost_no_step(self):
        self.coppice.submit('requeued', seeds=1, steps=6000)
        job = self.coppice.workers('--cpus-per-task=8', flags=['--threads', '1', '--idle-exit', '5s'])
        wait_for(lambda: self.state(job) == 'RUNNING', 30, 'start of the worker')
        SLURM.call(['scontrol', 'requeue', job])  # before the worker has registered
        wait_for(lambda: self.state(job) == 'RUNNING' and SLURM.job(job)['Restarts'] == '1', 60, 'second start')
        self.coppice.wait_for_running('requeued')
        SLURM.call(['scontrol', 'requeue', job])
        self.coppice.wait_for_end('requeued')
        check_work(self.coppice, 'requeued', self)
        self.wait_for_state(job, 'COMPLETED')
        self.assertEqual(SLURM.job(job)['Restarts'], '2')

    def test_a_lost_node_leaves_one_worker_and_charges_nobody(self):
        if not OPTIONS.long:
            self.skipTest('takes two minutes')
        self.coppice.submit('orphaned', seeds=1, steps=600000, every=5000)
        job = self.coppice.workers('--nodes=1', '--cpus-per-task=8', flags=['--threads', '1', '--idle-exit', '5s'])
        self.coppice.wait_for_running('orphaned')
        node = SLURM.job(job)['NodeList']
        SLURM.kill_node(node)
        self.assertEqual(len(trainers()), 1)  # the orphan trains on
        wait_for(lambda: SLURM.job(job)['Restarts'] == '1' and self.state(job) == 'RUNNING', 120, 'requeue of the job')
        self.assertNotEqual(SLURM.job(job)['NodeList'], node)
        wait_for(lambda: any(environment.get('SLURM_RESTART_COUNT') == '1' for environment in trainers().values()), 150,
                 'work of the requeued instance')
        SLURM.start_node(node)
        self.coppice.wait_for_end('orphaned', 300)
        for shown in self.coppice.jobs('orphaned'):
            self.assertEqual((shown['state'], shown['failures']), ('SUCCEEDED', 0))
        self.wait_for_state(job, 'COMPLETED')


def main():
    global OPTIONS
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--bin', required=True, help='folder of the four binaries')
    parser.add_argument('--out', help='folder for the logs')
    parser.add_argument('--long', action='store_true')
    parser.add_argument('names', nargs='*')
    OPTIONS = parser.parse_args()
    missing = missing_programs()
    if missing:
        print(f'skipped: {", ".join(missing)} not installed')
        sys.exit(77)
    try:
        unittest.main(argv=[sys.argv[0]] + OPTIONS.names, verbosity=2)
    except KeyboardInterrupt:  # unittest leaves the module as it is
        tearDownModule()
        sys.exit(130)


if __name__ == '__main__':
    main()
