"""A pool on a real Slurm. Takes some minutes and prints figures, so it is run by hand:

  pool_test.py --bin BUILD/bin [--out DIR] [NAME ...]
"""
import datetime
import json
import os
import shutil
import time

from deployment import Deployment, SlurmTest, check_work, run_tests
from slurm_cluster import wait_for

SUBMIT_SECONDS = 5
QUEUED_SECONDS = 60  # at most so long is anything queued once no work is left


# The first answer never comes: the job is queued, and the coordinator that asked for it does not learn of that.
SILENT_SBATCH = '''#!/bin/sh
mkdir {folder}/asked 2>/dev/null || exec {sbatch} "$@"
{sbatch} "$@" >/dev/null
while kill -0 $PPID 2>/dev/null; do sleep 0.1; done
'''


def say(text):
    print(f'\n{text}'.rstrip(), flush=True)


class PoolDeployment(Deployment):
    """Programs in the folder `bin` of its home come before Slurm's."""

    def environment(self):
        inherited = super().environment()
        return {**inherited, 'PATH': f'{self.home}/bin:{inherited["PATH"]}'}

    def silence_sbatch(self):
        os.mkdir(f'{self.home}/bin')
        with open(f'{self.home}/bin/sbatch', 'w', encoding='utf-8') as file:
            file.write(SILENT_SBATCH.format(folder=self.home, sbatch=shutil.which('sbatch')))
        os.chmod(f'{self.home}/bin/sbatch', 0o755)


class PoolTest(SlurmTest):
    deployment = PoolDeployment

    def setUp(self):
        super().setUp()
        # A pool that goes on would replace what the cleanup cancels.
        self.addCleanup(lambda: self.coppice.cli('pool', 'pause', 'low', check=False))

    def add_pool(self, max_workers=2):
        home = self.coppice.home
        self.coppice.cli('pool', 'add', 'low', '--partition', 'low', '--walltime', '10m', '--max-workers', str(max_workers), '--cpus', '8',
                         '--idle-exit', '3s', '--worker', os.path.join(self.options.bin, 'coppice-worker'), '--pack', '1',
                         # Slurm gives jobs the home of the password file, which all tests share.
                         '--worker-access', self.coppice.access, f'--worker-flag=--state-dir={home}/state', '--worker-flag=--threads=1')

    def pool(self):
        return json.loads(self.coppice.cli('pool', 'show', 'low', '--all', '--json'))['pool']

    def allocations(self):
        """Slurm's job id -> key and state of each job that this test's pool has ever submitted: Slurm forgets none so soon."""
        shown = self.slurm.call(['squeue', '--noheader', '--states=all', '-o', '%i|%j|%k|%T'])
        found = {}
        for line in shown.splitlines():
            job, name, comment, state = line.strip().split('|')
            if self.prefix() and name.startswith(self.prefix()):
                self.assertEqual(name, comment)
                found[job] = (name, state)
        return found

    def prefix(self):
        """Of this store's keys; none before the pool's first submission."""
        for row in self.pool().get('allocations', []):
            return row['key'].rsplit('-', 1)[0]
        return ''

    def log(self):
        with open(f'{self.coppice.home}/coordinator.log', encoding='utf-8') as file:
            return file.read()

    def running(self):
        return [job for job, (_, state) in self.allocations().items() if state == 'RUNNING']

    def check_keys(self):
        keys = [key for key, _ in self.allocations().values()]
        self.assertEqual(len(keys), len(set(keys)), f'a key was submitted twice: {keys}')

    def take_all_nodes(self, seconds):
        """The id of a job of `high` that runs on every node."""
        taken = self.slurm.sbatch('-p', 'high', '--nodes=3', '--exclusive', '--wrap', f'sleep {seconds}', '-o', '/dev/null')
        wait_for(lambda: self.slurm.job(taken)['JobState'] != 'PENDING', 60, 'start of the preemptor', 0.2)
        return taken

    def give_nodes_back(self, taken):
        wait_for(lambda: self.slurm.job(taken)['JobState'] == 'COMPLETED', 60, 'end of the preemptor', 0.2)

    def wait_for_empty_queue(self):
        """Seconds until nothing was queued, and until nothing ran."""
        begin = time.monotonic()
        queued = 0.0

        def empty():
            nonlocal queued
            states = self.slurm.queue().values()
            if 'PENDING' in states:
                queued = time.monotonic() - begin
            return not states
        wait_for(empty, 2 * QUEUED_SECONDS, f'empty queue: {self.slurm.queue()}', 0.2)
        return queued, time.monotonic() - begin

    def show(self, *words):
        say(f'$ coppice {" ".join(words)}\n{self.coppice.cli(*words, check=False)}')

    def test_a_sweep_needs_no_hand_through_preemptions_and_a_killed_coordinator(self):
        self.add_pool()
        self.show('pool', 'check', 'low')
        self.assertEqual(self.slurm.queue(), {}, 'nothing is asked for without work')
        begin = time.monotonic()
        self.coppice.submit('words', seeds=2, steps=self.options.steps, every=2000)
        wait_for(self.slurm.queue, 30, 'first submission')
        reaction = time.monotonic() - begin
        self.assertLess(reaction, SUBMIT_SECONDS, 'from submit to sbatch')
        self.coppice.wait_for_running('words', timeout=60)
        self.show('pool', 'list')
        taken = self.take_all_nodes(5)
        self.show('pool', 'list')
        self.give_nodes_back(taken)
        self.coppice.wait_for_running('words', timeout=90)
        self.coppice.kill()
        self.coppice.start()
        self.coppice.wait_for_running('words', timeout=90)
        if not self.coppice.ended('words'):
            self.give_nodes_back(self.take_all_nodes(5))
        self.coppice.wait_for_end('words', 300)
        worked = time.monotonic() - begin
        queued, ran = self.wait_for_empty_queue()
        self.assertLess(queued, QUEUED_SECONDS)
        check_work(self.coppice, 'words', self)
        self.check_keys()
        self.check_ends()
        restarts = [int(self.slurm.job(job)['Restarts']) for job in self.allocations()]
        self.assertGreater(sum(restarts), 0, 'nothing was preempted')
        say(f'first sbatch {reaction:.1f} s after submit; sweep {worked:.0f} s; nothing queued {queued:.0f} s and nothing running '
            f'{ran:.0f} s after its end; allocations {self.allocations()}, restarts {restarts}')

    def check_ends(self):
        """Slurm saw good ends alone, and the pool learns of them."""
        for job, (_, state) in self.allocations().items():
            self.assertIn(state, ('COMPLETED', 'CANCELLED'), f'job {job}: {self.pool()}')
        wait_for(lambda: all(row['state'] == 'ended' for row in self.pool()['allocations']), 150, 'end of the rows', 1)
        self.show('pool', 'show', 'low')
        self.assertEqual(self.pool().get('failures', 0), 0)

    def test_a_cancelled_allocation_is_replaced_and_charges_nobody(self):
        self.add_pool()
        self.coppice.submit('cancelled', seeds=1, steps=100 * self.options.steps, every=2000)
        self.coppice.wait_for_running('cancelled', 2, timeout=60)
        victim = self.running()[0]
        self.slurm.call(['scancel', victim])
        begin = time.monotonic()
        wait_for(lambda: len(self.allocations()) > 2, 150, 'replacement', 0.2)
        replaced = time.monotonic() - begin
        self.assertEqual(self.slurm.job(victim)['JobState'], 'CANCELLED')
        wait_for(lambda: len(self.coppice.connected()) == 2, 60, 'worker of the replacement')
        self.show('pool', 'list')
        for attempts in self.coppice.attempts('cancelled').values():
            for attempt in attempts:
                self.assertIn(attempt['outcome'], ('preempted', 'released', ''), attempt)
        self.assertEqual({shown['failures'] for shown in self.coppice.jobs('cancelled')}, {0})
        self.coppice.cli('cancel', 'cancelled')
        queued, ran = self.wait_for_empty_queue()
        self.check_keys()
        self.check_ends()
        say(f'replaced {replaced:.1f} s after scancel; nothing queued {queued:.0f} s, nothing running {ran:.0f} s after the end')

    def test_a_job_whose_submitter_was_killed_is_adopted(self):
        self.add_pool()
        self.coppice.silence_sbatch()
        self.coppice.submit('killed', seeds=1, steps=self.options.steps // 3)
        wait_for(self.slurm.queue, 30, 'first submission')
        (row,) = self.pool()['allocations']
        self.assertEqual((row['state'], row['job_id']), ('intended', ''))
        self.coppice.kill()
        self.coppice.start()
        begin = time.monotonic()
        wait_for(lambda: all(row['job_id'] for row in self.pool()['allocations']), 60, 'number of the job')
        adopted = time.monotonic() - begin
        self.coppice.wait_for_end('killed', 120)
        self.wait_for_empty_queue()
        check_work(self.coppice, 'killed', self)
        self.check_keys()
        self.assertLessEqual(len(self.allocations()), 2)
        self.check_ends()
        say(f'adopted {adopted:.1f} s after the start; in all {self.allocations()}')

    def test_a_drain_cancels_what_is_queued_and_leaves_what_runs(self):
        self.add_pool(max_workers=4)
        self.coppice.submit('drained', seeds=2, steps=100 * self.options.steps)
        wait_for(lambda: len(self.running()) == 3, 60, 'three allocations that run', 0.2)
        wait_for(lambda: len(self.allocations()) == 4, 60, 'a fourth that is queued', 0.2)
        self.coppice.wait_for_running('drained', 3)
        # The pool learns from the queue that it waits, and for what.
        wait_for(lambda: any(row['state'] == 'queued' and row['reason'] for row in self.pool()['allocations']), 60, 'reason of the fourth', 0.2)
        (waiting, *_) = [job for job in self.coppice.jobs('drained') if job['state'] == 'PENDING']
        self.show('why', f'drained/{waiting["task"]}/{waiting["depth"]}/{waiting["seed"]}')
        self.show('pool', 'list')
        self.coppice.cli('pool', 'drain', 'low')
        begin = time.monotonic()
        wait_for(lambda: 'PENDING' not in self.slurm.queue().values(), 60, f'cancelled allocation: {self.pool()}', 0.2)
        drained = time.monotonic() - begin
        self.assertEqual(len(self.running()), 3)
        self.show('pool', 'list')
        self.show('why', f'drained/{waiting["task"]}/{waiting["depth"]}/{waiting["seed"]}')
        self.coppice.cli('cancel', 'drained')
        queued, ran = self.wait_for_empty_queue()
        self.assertEqual(queued, 0)
        self.check_keys()
        self.check_ends()
        say(f'drained after {drained:.1f} s; the workers ended by idle {ran:.0f} s after their last work')

    def test_nothing_is_concluded_while_slurmctld_is_away(self):
        self.add_pool(max_workers=4)
        self.coppice.submit('unanswered', seeds=2, steps=100 * self.options.steps)
        wait_for(lambda: len(self.running()) == 3 and len(self.allocations()) == 4, 60, 'three allocations that run and one that waits', 0.2)
        self.coppice.wait_for_running('unanswered', 3)
        before = {row['key']: row['state'] for row in self.pool()['allocations']}
        running = {job['id'] for job in self.coppice.jobs('unanswered') if job['state'] == 'RUNNING'}
        self.slurm.kill_controller()
        begin = time.monotonic()
        wait_for(lambda: 'Slurm does not answer' in self.log(), 60, 'word of it in the log')
        noticed = time.monotonic() - begin
        self.show('pool', 'list')
        self.assertIn('waits for Slurm', self.pool()['decision'])
        self.coppice.kill()
        self.coppice.start()
        self.coppice.submit('more', seeds=2, steps=100)  # and with it a reason to ask for more
        while time.monotonic() - begin < 75:
            self.assertEqual({row['key']: row['state'] for row in self.pool()['allocations']}, before)
            time.sleep(1)
        self.slurm.start_controller()
        wait_for(lambda: 'Slurm answers again' in self.log(), 90, 'word of its return in the log', 1)
        self.assertEqual(self.log().count('Slurm does not answer'), 2, 'once by each coordinator')
        self.assertEqual({row['key'] for row in self.pool()['allocations']}, set(before))
        self.assertLessEqual(running, {job['id'] for job in self.coppice.jobs('unanswered') if job['state'] == 'RUNNING'})
        self.coppice.cli('cancel', 'unanswered')
        self.coppice.wait_for_end('more', 60)
        check_work(self.coppice, 'more', self)
        queued, ran = self.wait_for_empty_queue()
        self.check_keys()
        self.check_ends()
        say(f'noticed {noticed:.0f} s after slurmctld was gone; nothing queued {queued:.0f} s, nothing running {ran:.0f} s after the end')

    def test_slots_are_idle_for_less_than_a_twentieth_of_their_time(self):
        self.add_pool()
        begin = time.monotonic()
        self.coppice.submit('minutes', seeds=8, steps=self.options.minute_steps, every=self.options.minute_steps // 4, tasks='question')
        wait_for(lambda: len(self.running()) == 2, 30, 'two allocations', 0.2)
        self.coppice.wait_for_end('minutes', 1200)
        worked = time.monotonic() - begin
        self.wait_for_empty_queue()
        check_work(self.coppice, 'minutes', self)
        busy = sum(ended - granted for granted, ended in self.coppice.times('minutes'))
        held = sum(self.seconds_of(job) for job in self.allocations())
        idle_end = 3 * len(self.allocations())
        idle = 1 - busy / held
        say(f'8 jobs of {busy / 8:.0f} s in {worked:.0f} s; {len(self.allocations())} allocations were held for '
            f'{held:.0f} s, with --idle-exit 3s at the end of each; idle share {100 * idle:.1f} %, '
            f'without that {100 * (1 - busy / (held - idle_end)):.1f} %')
        self.assertLess(idle, 0.05)

    def seconds_of(self, job):
        """That Slurm gave it, with one slot."""
        shown = self.slurm.job(job)
        start, end = (datetime.datetime.fromisoformat(shown[name]) for name in ('StartTime', 'EndTime'))
        return (end - start).total_seconds()


def add_arguments(parser):
    parser.add_argument('--minute-steps', type=int, default=100000, help='that a core makes in about a minute')
    parser.add_argument('--steps', type=int, default=30000, help='of each of a sweep\'s jobs; the longer, the better the figures')


if __name__ == '__main__':
    run_tests(__doc__, add_arguments)
