"""A pool brings a sweep from submit to its end with no hand on it, over stand-ins for Slurm's programs, while the coordinator is
killed twice and Slurm goes away once. The other programs are the real ones: pool_end_to_end_test.py FOLDER_OF_BINARIES."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
BINARIES = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else ''
PATIENCE = 120
SWEEP = '''
name: words
tasks: question
depths: [1]
seeds: 0-3
model: {d_model: 16, heads: 2, d_ff: 32}
train: {steps: 20000, learning_rate: 1e-3, warmup_steps: 50}
data: {train: 500, val: 50, test: 10, gen: 50}
report: {every: 500, probes: {sentences: 5}}
checkpoint: {every: 500}
'''


class PoolEndToEndTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='pool-')
        self.slurm = os.path.join(self.folder, 'slurm')
        os.makedirs(os.path.join(self.slurm, 'jobs'))
        program = os.path.join(self.slurm, 'fake_slurm.py')
        shutil.copy(os.path.join(HERE, 'fake_slurm.py'), program)
        for name in ('sbatch', 'squeue', 'scancel', 'scontrol'):
            with open(os.path.join(self.slurm, name), 'w') as file:
                file.write('#!%s\nimport sys\nsys.path.insert(0, %r)\nimport fake_slurm\n'
                           'sys.exit(fake_slurm.command(%r))\n' % (sys.executable, self.slurm, name))
            os.chmod(os.path.join(self.slurm, name), 0o755)
        self.environment = {'HOME': self.folder, 'PATH': self.slurm + ':/usr/bin:/bin'}
        self.coordinator = None

    def tearDown(self):
        for job in self.jobs():
            if job['state'] == 'RUNNING':
                os.killpg(job['pid'], signal.SIGKILL)
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.folder)

    def binary(self, name):
        return os.path.join(BINARIES, name)

    def start(self, *flags, **variables):
        self.port = os.path.join(self.folder, 'port')
        with open(os.path.join(self.folder, 'coordinator.log'), 'a') as log:
            self.coordinator = subprocess.Popen(
                [self.binary('coppice-coordinator'), '--port-file', self.port, '--lease', '6s', '--heartbeat', '1s',
                 *flags], env=dict(self.environment, **variables), stdout=log, stderr=log)
        self.await_that('the coordinator serves', lambda: os.path.exists(self.port))

    def stop(self, number):
        if self.coordinator is not None:
            self.coordinator.send_signal(number)
            self.coordinator.wait()
            self.coordinator = None

    def cli(self, *args):
        done = subprocess.run([self.binary('coppice')] + list(args), env=self.environment, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, universal_newlines=True)
        self.assertEqual(done.returncode, 0, '%s: %s' % (args, done.stderr))
        return done.stdout

    def coordinator_folder(self, name):
        root = json.loads(self.cli('server', '--json'))['checkpoint_root']
        self.assertEqual(os.path.basename(root), name)
        return root

    def pool(self):
        return json.loads(self.cli('pool', 'show', 'low', '--json'))['pool']

    def jobs(self):
        jobs = []
        for name in os.listdir(os.path.join(self.slurm, 'jobs')):
            if name.endswith('.json'):
                with open(os.path.join(self.slurm, 'jobs', name)) as file:
                    jobs.append(json.load(file))
        return jobs

    def log(self):
        with open(os.path.join(self.folder, 'coordinator.log')) as file:
            return file.read()[-4000:]

    def await_that(self, what, condition):
        end = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end, '%s: not in time\n%s' % (what, self.log()))
            time.sleep(0.1)

    def test_a_coordinator_without_slurm_is_served_by_runs_from_cron(self):
        self.start('--slurm-by-client', PATH='/usr/bin:/bin')  # without the stand-ins
        self.cli('pool', 'add', 'low', '--partition', 'low', '--walltime', '10m', '--cpus', '1', '--idle-exit', '3s',
                 '--worker', self.binary('coppice-worker'), '--pack', '4')
        with open(os.path.join(self.folder, 'words.yaml'), 'w') as file:
            file.write(SWEEP)
        self.cli('submit', os.path.join(self.folder, 'words.yaml'))
        self.await_that('the pool names its client', lambda: 'coppice pool run' in self.pool().get('decision', ''))
        self.assertEqual(self.jobs(), [])
        # The first run dies once its sbatch has queued the job, before it can say so.
        hang = os.path.join(self.slurm, 'hang')
        open(hang, 'w').close()
        dying = subprocess.Popen([self.binary('coppice'), 'pool', 'run', '--once'], env=self.environment,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.await_that('a submission', self.jobs)
        dying.kill()
        dying.wait()
        os.remove(hang)
        # The coordinator would give the run up after a while; a restart forgets it at once.
        self.stop(signal.SIGKILL)
        os.remove(self.port)
        self.start('--slurm-by-client', PATH='/usr/bin:/bin')
        self.cli('pool', 'run', '--once')
        self.cli('wait', 'words', '--timeout', '%ds' % PATIENCE)
        self.await_that('the worker ends', lambda: all(job['state'] == 'COMPLETED' for job in self.jobs()))
        self.cli('pool', 'run', '--once')
        self.assertEqual(len(self.jobs()), 1, 'the job of the lost answer is found by its key')
        pool = self.pool()
        self.assertEqual([each['outcome'] for each in pool['allocations']], ['completed'])
        self.stop(signal.SIGTERM)

    def test_a_probe_looks_at_a_node(self):
        self.start()
        shared = self.coordinator_folder('checkpoints')
        self.cli('pool', 'add', 'low', '--partition', 'low', '--walltime', '10m', '--worker',
                 self.binary('coppice-worker'), '--worker-flag=--checkpoint-dir=' + shared)
        report = json.loads(self.cli('pool', 'check', 'low', '--probe', '--json'))
        levels = {each['topic']: each['level'] for each in report['findings']}
        self.assertEqual(levels, {each: 'OK' for each in ('start', 'coordinator', 'clock', 'version', 'trainer',
                                                          'checkpoints')}, report['findings'])
        self.assertEqual([name for name in os.listdir(shared) if 'probe' in name], [], 'both files are gone')
        self.assertEqual(len(self.jobs()), 1)
        pool = self.pool()
        self.assertEqual(pool.get('allocations', []), [], 'the probe is no allocation of the pool')
        # A worker that does not get in says so in the job's output.
        self.cli('pool', 'add', 'low', '--replace', '--partition', 'low', '--walltime', '10m', '--worker',
                 self.binary('coppice-worker'), '--worker-access', os.path.join(self.folder, 'none.json'))
        done = subprocess.run([self.binary('coppice'), 'pool', 'check', 'low', '--probe'], env=self.environment,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stdout, r'- failed: node: [\s\S]*failed: access: .*none.json')
        self.assertNotIn('the pool can work', done.stdout)
        self.stop(signal.SIGTERM)

    def start_without_slurm(self):
        """A coordinator that finds no slurmctld concludes and submits nothing; it ends by kill -9."""
        away = os.path.join(self.slurm, 'away')
        before = {job['name'] for job in self.jobs() if job['state'] in ('PENDING', 'RUNNING')}
        with open(away, 'w'):
            self.start()
        self.await_that('the pool says that Slurm is away', lambda: 'waits for Slurm' in self.pool()['decision'])
        pool = self.pool()
        self.assertIn('Unable to contact slurm controller', pool['decision'])
        self.assertLessEqual(before, {row['key'] for row in pool['allocations'] if row['state'] != 'ended'})
        with open(os.path.join(self.folder, 'coordinator.log')) as file:
            self.assertEqual(file.read().count('Slurm does not answer'), 1)
        self.stop(signal.SIGKILL)
        os.remove(self.port)
        os.remove(away)

    def test_a_sweep_needs_no_hand_although_the_coordinator_is_killed(self):
        self.start()
        self.cli('pool', 'add', 'low', '--partition', 'low', '--walltime', '10m', '--max-workers', '2', '--cpus', '1',
                 '--idle-exit', '3s', '--worker', self.binary('coppice-worker'), '--pack', '2')
        self.assertEqual(self.jobs(), [], 'without work nothing is asked for')
        with open(os.path.join(self.folder, 'words.yaml'), 'w') as file:
            file.write(SWEEP)
        self.cli('submit', os.path.join(self.folder, 'words.yaml'))
        submitted = time.monotonic()
        self.await_that('a first submission', self.jobs)
        self.assertLess(time.monotonic() - submitted, 5, 'from submit to sbatch')
        self.await_that('a worker of the pool', lambda: self.pool()['connected'] > 0)
        self.await_that('a number of each allocation', lambda: all(row['job_id'] for row in self.pool()['allocations']))
        self.await_that('a running job', lambda: json.loads(self.cli('status', 'words', '--json'))
                        ['sweep']['counts']['running'] != '0')
        self.stop(signal.SIGKILL)
        os.remove(self.port)
        self.start_without_slurm()
        self.start()
        self.cli('wait', 'words', '--timeout', '%ds' % PATIENCE)
        counts = json.loads(self.cli('status', 'words', '--json'))['sweep']['counts']
        self.assertEqual(counts['succeeded'], '4', counts)
        names = [job['name'] for job in self.jobs()]
        self.assertEqual(len(names), len(set(names)), 'no allocation is submitted twice')
        self.assertLessEqual(len(names), 4, 'two workers at once, and what was idle may have ended')
        self.await_that('the workers end', lambda: all(job['state'] in ('COMPLETED', 'CANCELLED') for job in self.jobs()))
        self.await_that('the pool knows it', lambda: self.pool()['running'] == 0 and self.pool()['queued'] == 0)
        self.cli('pool', 'remove', 'low')
        self.stop(signal.SIGTERM)


if __name__ == '__main__':
    unittest.main()
