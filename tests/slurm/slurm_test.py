"""Workers and sweeps on a real Slurm.

  slurm_test.py --bin BUILD/bin [--out DIR] [NAME ...]     what continuous integration runs
  slurm_test.py --bin BUILD/bin --long                     with the disturbances at their full length; prints figures
"""
import os
import signal
import time

from deployment import AllocationClock, SlurmTest, check_work, run_tests, trainers
from slurm_cluster import wait_for

GIVEN_BACK = ('preempted', 'released')


class SweepTest(SlurmTest):
    def state(self, job):
        return self.slurm.job(job)['JobState']

    def wait_for_state(self, job, state, timeout=60):
        wait_for(lambda: self.state(job) == state, timeout, f'{state} of job {job}; it says: {self.slurm.log_of(job)[-2000:]}', 0.2)

    def wait_for_empty_queue(self, timeout=60):
        wait_for(lambda: not self.slurm.queue(), timeout, 'empty queue', 0.2)

    def names_that_worked(self, sweep):
        return {attempt['worker'] for attempts in self.coppice.attempts(sweep).values() for attempt in attempts}


class WorkersTest(SweepTest):
    def test_every_task_of_an_array_works_and_an_idle_end_is_the_end(self):
        self.coppice.submit('array', seeds=3, steps=3000)
        job = self.coppice.workers('--array=1-3', '--cpus-per-task=8', flags=['--idle-exit', '3s', '--threads', '1'])
        self.coppice.wait_for_end('array')
        check_work(self.coppice, 'array', self)
        self.assertEqual(self.names_that_worked('array'), {f'test-{job}_{task}-0' for task in (1, 2, 3)})
        self.wait_for_empty_queue()
        for task in (1, 2, 3):
            shown = self.slurm.job(f'{job}_{task}')
            self.assertEqual((shown['JobState'], shown['Restarts']), ('COMPLETED', '0'))

    def test_every_task_of_srun_works_with_nothing_of_the_submitter_s_environment(self):
        self.coppice.submit('tasks', seeds=3, steps=3000)
        os.symlink(os.path.abspath(self.options.bin), os.path.join(self.slurm.folder, 'bin'))
        self.addCleanup(os.remove, os.path.join(self.slurm.folder, 'bin'))
        job = self.coppice.workers('--export=NONE', '--nodes=3', '--ntasks-per-node=1', '--cpus-per-task=8', flags=[
            '--access', self.coppice.access, '--state-dir', self.coppice.home + '/state', '--idle-exit', '3s', '--threads', '1'])
        self.coppice.wait_for_end('tasks')
        check_work(self.coppice, 'tasks', self)
        self.assertEqual(self.names_that_worked('tasks'), {f'test-{job}-{task}' for task in (0, 1, 2)})
        self.wait_for_state(job, 'COMPLETED')
        self.assertEqual(self.slurm.job(job)['Restarts'], '0')

    def test_four_gpus_are_four_slots_with_one_each(self):
        self.coppice.submit('gpus', seeds=2, steps=30000)
        self.coppice.workers('--gres=gpu:4', flags=['--pack', '1', '--threads', '1'])
        (worker,) = self.coppice.wait_for_workers(1).values()
        self.assertEqual(worker['slots'], 4)
        self.coppice.wait_for_running('gpus', 4)
        self.assertEqual(sorted(environment.get('CUDA_VISIBLE_DEVICES') for environment in trainers(self.slurm).values()), ['0', '1', '2', '3'])


class EndsTest(SweepTest):
    def test_scancel_gives_the_jobs_back_and_is_the_end(self):
        self.coppice.submit('cancelled', seeds=1, steps=100000)
        job = self.coppice.workers('--cpus-per-task=8')
        self.coppice.wait_for_running('cancelled')
        self.slurm.call(['scancel', job])
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
        wait_for(lambda: self.slurm.job(job)['Restarts'] == '1' and self.state(job) == 'RUNNING', 120, 'second start')
        self.assertIn('the walltime ended with work left', self.slurm.log_of(job))
        for attempts in self.coppice.attempts('limited').values():
            for attempt in attempts:
                self.assertIn(attempt['outcome'], GIVEN_BACK + ('',), attempt)

    def test_a_second_sigterm_does_not_cut_a_checkpoint_short(self):
        self.coppice.submit('slow', seeds=1, steps=100000)
        job = self.coppice.workers('--cpus-per-task=8', flags=['--slots', '1'])
        self.coppice.wait_for_running('slow')
        (pid,) = trainers(self.slurm)
        os.kill(pid, signal.SIGSTOP)  # as if its checkpoint took long to write
        for _ in range(2):
            self.slurm.call(['scancel', '--signal=TERM', '--full', job])
            time.sleep(3)  # longer than what counts as one request elsewhere
        self.assertIn(pid, trainers(self.slurm))
        os.kill(pid, signal.SIGCONT)
        self.wait_for_state(job, 'COMPLETED')
        (attempts,) = [found for found in self.coppice.attempts('slow').values() if found]
        self.assertIn(attempts[0]['outcome'], GIVEN_BACK, attempts)
        self.assertGreater(attempts[0]['end_step'], 0)


class DisturbancesTest(SweepTest):
    def preempt_all(self, seconds):
        """Jobs of `high` take every node and keep it for so long; returns once they have ended."""
        taken = self.slurm.sbatch('-p', 'high', '--nodes=3', '--exclusive', '--wrap', f'sleep {seconds}', '-o', '/dev/null')
        wait_for(lambda: self.state(taken) in ('COMPLETED', 'FAILED'), 90, 'end of the preemptor', 0.2)

    def test_preemptions_of_all_nodes_cost_an_array_no_step(self):
        self.compare('array', '--array=1-3')

    def test_preemptions_of_all_nodes_cost_the_tasks_of_srun_no_step(self):
        self.compare('tasks', '--nodes=3', '--ntasks-per-node=1')

    def compare(self, form, *words):
        if not self.options.long:
            _, preemptions = self.sweep(f'preempted-{form}', words, preempt=True)
            self.assertEqual(preemptions, 1)
            return
        alone, _ = self.sweep(f'alone-{form}', words, preempt=False)
        preempted, preemptions = self.sweep(f'preempted-{form}', words, preempt=True)
        self.assertGreater(preemptions, 1, 'with more --steps there are more')
        without_job = preempted.given / preempted.busy / (alone.given / alone.busy) - 1
        again = preempted.cpu / alone.cpu - 1
        lost = (1 + without_job) * (1 + again) - 1
        print(f'\n{form}: {preemptions} preemptions of all nodes\n  undisturbed {alone}\n  preempted   {preempted}\n'
              f'  lost beyond what was taken away: {100 * without_job:.1f} % without a job, {100 * again:.1f} % as work of trainers, '
              f'in all {100 * lost:.1f} %', flush=True)
        self.assertLess(lost, 0.15)

    def sweep(self, name, words, preempt):
        """What the sweep was given and made of it, and how often it was preempted."""
        long = self.options.long
        clock = AllocationClock(self.slurm)
        if long:
            self.coppice.submit(name, seeds=3, steps=self.options.steps, every=2000)
        else:
            self.coppice.submit(name, seeds=2, steps=5000)
        self.coppice.workers('--cpus-per-task=8', *words, flags=['--threads', '1', '--pack', '1', '--idle-exit', '10s'])
        self.coppice.wait_for_running(name)
        preemptions = 0
        asked = time.monotonic()
        while preempt and (long or preemptions < 1):
            time.sleep(max(0, asked + (25 if long else 0) - time.monotonic()))
            if self.coppice.ended(name):
                break
            asked = time.monotonic()
            self.preempt_all(2)
            preemptions += 1
            wait_for(lambda: set(self.slurm.queue().values()) <= {'RUNNING'}, 60, 'workers that run again', 0.2)
        self.coppice.wait_for_end(name, 900)
        given = clock.stop(self.coppice.times(name))
        check_work(self.coppice, name, self)
        self.wait_for_empty_queue()
        return given, preemptions

    def test_a_job_that_slurm_ends_for_good_goes_back(self):
        self.coppice.submit('ended', seeds=1, steps=100000)
        job = self.coppice.workers('-p', 'cancelled', '--cpus-per-task=8', flags=['--threads', '1'])
        self.coppice.wait_for_running('ended')
        self.preempt_all(1)
        wait_for(lambda: self.state(job) == 'RUNNING' and self.slurm.job(job)['Restarts'] == '1', 60, 'second start', 0.2)
        self.assertIn('preempted: job', self.slurm.log_of(job))
        self.assertEqual({shown['failures'] for shown in self.coppice.jobs('ended')}, {0})

    def test_requeues_at_any_moment_cost_no_step(self):
        self.coppice.submit('requeued', seeds=1, steps=4000)
        job = self.coppice.workers('--cpus-per-task=8', flags=['--threads', '1', '--idle-exit', '5s'])
        wait_for(lambda: self.state(job) == 'RUNNING', 30, 'start of the worker')
        self.slurm.call(['scontrol', 'requeue', job])  # before the worker has registered
        wait_for(lambda: self.state(job) == 'RUNNING' and self.slurm.job(job)['Restarts'] == '1', 60, 'second start')
        self.coppice.wait_for_running('requeued')
        self.slurm.call(['scontrol', 'requeue', job])
        self.coppice.wait_for_end('requeued')
        check_work(self.coppice, 'requeued', self)
        self.wait_for_state(job, 'COMPLETED')
        self.assertEqual(self.slurm.job(job)['Restarts'], '2')

    def test_a_lost_node_leaves_one_worker_and_charges_nobody(self):
        if not self.options.long:
            self.skipTest('takes two minutes')
        self.coppice.submit('orphaned', seeds=1, steps=10000000, every=2000)
        job = self.coppice.workers('--nodes=1', '--cpus-per-task=8', flags=['--threads', '1', '--idle-exit', '5s'])
        self.coppice.wait_for_running('orphaned')
        (orphan,) = trainers(self.slurm)
        node = self.slurm.job(job)['NodeList']
        self.slurm.kill_node(node)
        wait_for(lambda: self.slurm.job(job)['Restarts'] == '1' and self.state(job) == 'RUNNING', 120, 'requeue of the job')
        self.assertIn(orphan, trainers(self.slurm), 'the orphan trains on')
        self.assertNotEqual(self.slurm.job(job)['NodeList'], node)
        wait_for(lambda: [environment.get('SLURM_RESTART_COUNT') for environment in trainers(self.slurm).values()] == ['1'], 150,
                 'work of the requeued instance alone')
        self.slurm.start_node(node)
        (running,) = self.coppice.wait_for_running('orphaned')
        reached = running['step'] + 2000
        wait_for(lambda: self.coppice.wait_for_running('orphaned')[0]['step'] > reached, 60, 'progress beyond a checkpoint', 1)
        (attempts,) = [found for found in self.coppice.attempts('orphaned').values() if found]
        self.assertEqual(len(attempts), 2, f'the name went to and fro: {attempts}')
        self.assertGreater(attempts[1]['start_step'], 0)
        self.assertEqual(attempts[1]['start_step'], attempts[0]['end_step'], 'the last checkpoint of the orphan')
        self.assertEqual({shown['failures'] for shown in self.coppice.jobs('orphaned')}, {0})
        self.coppice.cli('cancel', 'orphaned')
        self.coppice.submit('afterwards', seeds=1, steps=3000)
        self.coppice.wait_for_end('afterwards')
        check_work(self.coppice, 'afterwards', self)
        self.wait_for_state(job, 'COMPLETED')
        self.assertEqual(self.slurm.job(job)['Restarts'], '1')


def add_arguments(parser):
    parser.add_argument('--long', action='store_true', help='with the disturbances at their full length; prints figures')
    parser.add_argument('--steps', type=int, default=8000, help='of each job of the sweeps that --long compares')


if __name__ == '__main__':
    run_tests(__doc__, add_arguments)
