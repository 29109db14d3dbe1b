"""Coppice on the tests' Slurm: a coordinator with the access that it makes by default, workers by deploy/slurm/worker.sbatch, the CLI.

`run_tests` starts the Slurm of a file of tests, which are `SlurmTest`s.
"""
import argparse
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from slurm_cluster import SlurmCluster, missing_programs, wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRIPT = os.path.join(ROOT, 'deploy/slurm/worker.sbatch')

SPEC = '''name: {name}
tasks: [{tasks}]
depths: [1]
seeds: 0-{last_seed}
model: {{d_model: 32, heads: 2, d_ff: 64}}
train: {{steps: {steps}, batch_size: 8, learning_rate: 1e-3, warmup_steps: 100}}
data: {{train: 2000, val: 100, test: 10, gen: 100}}
report: {{every: {every}, probes: {{sentences: 20}}}}
checkpoint: {{every: {every}}}
'''


class Deployment:
    """Owned and called by one thread. A home folder of its own stands for the home that all nodes share."""
    flags = ()  # more of the coordinator's

    def __init__(self, slurm, bin_dir, name):
        self.slurm = slurm
        self.bin_dir = bin_dir
        self.home = os.path.join(slurm.folder, f'home-{name}')
        os.makedirs(self.home)
        self._process = None
        self._port = 0
        self.start()

    @property
    def access(self):
        return os.path.join(self.home, '.config/coppice/access.json')

    def start(self):
        """Starts the coordinator, after a `kill` on the same port."""
        port_file = os.path.join(self.home, 'port')
        if os.path.exists(port_file):
            os.remove(port_file)
        with open(os.path.join(self.home, 'coordinator.log'), 'ab') as log:
            self._process = subprocess.Popen(
                [shutil.which('setpriv'), '--pdeathsig', 'KILL', '--', self._binary('coppice-coordinator'), '--listen', f'127.0.0.1:{self._port}',
                 '--host', '127.0.0.1', '--port-file', port_file, '--lease', '5s', '--heartbeat', '500ms', *self.flags],
                env=self.coordinator_environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        wait_for(lambda: os.path.exists(port_file), 30, 'coordinator')
        with open(port_file, encoding='utf-8') as file:
            self._port = int(file.read().strip().rsplit(':', 1)[1])

    def kill(self):
        self._process.kill()
        self._process.wait()

    def stop(self):
        """The jobs of Slurm are cancelled, then the coordinator ends."""
        if self.slurm.queue():
            self.slurm.call(['scancel'] + list(self.slurm.queue()), check=False)
            wait_for(lambda: not self.slurm.queue(), 60, 'end of the jobs')
        self._process.terminate()
        self._process.wait(30)

    def environment(self):
        kept = {name: value for name, value in self.slurm.environment.items() if name not in ('XDG_STATE_HOME', 'XDG_CONFIG_HOME')}
        return {**kept, 'HOME': self.home, 'OMP_NUM_THREADS': '1'}

    def coordinator_environment(self):
        return self.environment()

    def workers(self, *sbatch_words, flags=(), script=SCRIPT, environment=None):
        """Submits workers; the id of the Slurm job."""
        extra = {'COPPICE_WORKER': self._binary('coppice-worker'), 'HOME': self.home, **(environment or {})}
        return self.slurm.sbatch(*sbatch_words, script, *flags, environment=extra)

    def cli(self, *words, check=True, timeout=60):
        """What it prints. With `check`, ChildProcessError where it fails."""
        done = subprocess.run([self._binary('coppice'), *words], env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=timeout, check=False)
        if check and done.returncode != 0:
            raise ChildProcessError(f'coppice {" ".join(words)}: {done.stderr.strip()}')
        return done.stdout

    def submit(self, name, seeds=2, steps=4000, every=1000, tasks='question, tense, dyck'):
        path = os.path.join(self.home, f'{name}.yaml')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(SPEC.format(name=name, tasks=tasks, last_seed=seeds - 1, steps=steps, every=every))
        self.cli('submit', path)

    def jobs(self, sweep):
        return json.loads(self.cli('jobs', sweep, '--json'))['jobs']

    def connected(self):
        """Name -> what is known of each worker that is there."""
        shown = json.loads(self.cli('workers', '--json'))['workers']
        return {worker['name']: worker for worker in shown if worker['connected']}

    def wait_for_workers(self, count, timeout=30):
        wait_for(lambda: len(self.connected()) >= count, timeout, f'{count} workers')
        return self.connected()

    def wait_for_running(self, sweep, count=1, timeout=30):
        """The jobs that have trained and been heard of."""
        def running():
            found = [job for job in self.jobs(sweep) if job['state'] == 'RUNNING' and job['step'] > 0]
            return found if len(found) >= count else []
        return wait_for(running, timeout, f'{count} running jobs of {sweep}', 0.2)

    def ended(self, sweep):
        return all(job['state'] not in ('PENDING', 'RUNNING') for job in self.jobs(sweep))

    def wait_for_end(self, sweep, timeout=120):
        wait_for(lambda: self.ended(sweep), timeout, f'end of {sweep}', 0.2)

    def attempts(self, sweep):
        """Job's name -> its attempts in order."""
        found = {}
        for job in self.jobs(sweep):
            name = f'{sweep}/{job["task"]}/{job["depth"]}/{job["seed"]}'
            found[name] = json.loads(self.cli('show', name, '--json'))['attempts']
        return found

    def times(self, sweep):
        """When the jobs of an ended sweep held a slot: pairs of seconds since 1970."""
        attempts = [attempt for found in self.attempts(sweep).values() for attempt in found]
        return [(int(attempt['granted_ms']) / 1000, int(attempt['ended_ms']) / 1000) for attempt in attempts]

    def _binary(self, name):
        return os.path.join(self.bin_dir, name)


def check_work(deployment, sweep, test):
    """Every job succeeded, none was charged, and no step was computed twice: each attempt starts where the one before ended."""
    for job in deployment.jobs(sweep):
        test.assertEqual((job['state'], job['failures']), ('SUCCEEDED', 0), job)
    for name, attempts in deployment.attempts(sweep).items():
        step = 0
        for attempt in attempts:
            test.assertEqual(attempt['start_step'], step, f'{name}: {attempts}')
            step = attempt['end_step']
            test.assertIn(attempt['outcome'], ('succeeded', 'preempted', 'released'), f'{name}: {attempt}')


class SlurmTest(unittest.TestCase):
    """A test with a coordinator of its own on the Slurm that `run_tests` started."""
    slurm = None
    options = None
    deployment = Deployment

    def setUp(self):
        self.coppice = self.deployment(self.slurm, self.options.bin, self._testMethodName)
        self.addCleanup(self.coppice.stop)


def run_tests(description, add_arguments=lambda parser: None):
    """Main program of a file of tests: the arguments, a Slurm, the tests that are named, the end of the Slurm. Does not return."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--bin', required=True, type=os.path.abspath, help='folder of the four binaries')
    parser.add_argument('--out', help='folder for the logs')
    add_arguments(parser)
    parser.add_argument('names', nargs='*')
    options = SlurmTest.options = parser.parse_args()
    missing = missing_programs()
    if missing:
        print(f'skipped: {", ".join(missing)} not installed')
        sys.exit(77)
    slurm = SlurmTest.slurm = SlurmCluster(tempfile.mkdtemp(prefix='coppice-slurm-'))
    try:
        slurm.start()
        unittest.main(argv=[sys.argv[0]] + options.names, verbosity=2)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        slurm.stop()
        if options.out:
            shutil.rmtree(options.out, ignore_errors=True)
            shutil.copytree(slurm.folder, options.out, ignore=_all_but_logs)
        shutil.rmtree(slurm.folder, ignore_errors=True)


def _all_but_logs(path, names):
    return [name for name in names if not name.endswith(('.log', '.out')) and not os.path.isdir(os.path.join(path, name))]


def trainers(slurm):
    """Pid -> environment of the live trainers of a Slurm."""
    found = {}
    mark = f'SLURM_CONF={slurm.folder}/'.encode()
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


@dataclasses.dataclass
class Given:
    """Seconds that a sweep was given, and what it made of them. A busy machine changes neither `given` to `busy` nor `cpu` by much."""
    given: float  # of nodes
    busy: float  # of slots with a job
    cpu: float  # of trainers

    def __str__(self):
        return f'{self.given:.0f} s of nodes, {self.busy:.0f} s of them with a job; {self.cpu:.0f} s of CPU in trainers'


class AllocationClock:
    """Adds up how long Slurm's jobs of `low` run, and what their trainers use, on a thread of its own."""

    def __init__(self, slurm):
        self._slurm = slurm
        self._done = threading.Event()
        self._nodes = []  # pairs: seconds since 1970, seconds of nodes since the entry before
        self._cpu = {}  # pid -> seconds
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self, times):
        """Up to the end of the last of a sweep's times."""
        self._done.set()
        self._thread.join()
        end = max(ended for _, ended in times)
        given = sum(seconds for when, seconds in self._nodes if when <= end)
        return Given(given, sum(ended - granted for granted, ended in times), sum(self._cpu.values()))

    def _run(self):
        last = time.monotonic()
        while not self._done.wait(0.2):
            running = self._slurm.call(['squeue', '--noheader', '--array', '--partition=low', '--states=RUNNING', '-o', '%D'], check=False)
            now = time.monotonic()
            self._nodes.append((time.time(), (now - last) * sum(int(nodes) for nodes in running.split())))
            last = now
            for pid in trainers(self._slurm):
                self._note(pid)

    def _note(self, pid):
        try:
            with open(f'/proc/{pid}/stat', encoding='ascii', errors='replace') as file:
                fields = file.read().rpartition(')')[2].split()
        except OSError:
            return
        self._cpu[pid] = (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')
