"""Strikes faults at a running sweep in the order of a schedule, heals them, keeps the daemons up, and waits for the end."""
import random
import subprocess
import time

from cluster import Watcher
from daemons import ProcessRef, trainers_of
import faults
import signal

PATIENCE = 15.0       # for a target to appear
MUST_LEAVE = 60.0     # after SIGTERM; 30 s are promised, the rest is for a machine that has other work
SUPERSEDED = 79       # the exit code of a worker whose name another one has
STANDSTILL = 600.0    # without a step forward after the last fault; a job that was unlucky often waits up to 5 minutes


def random_schedule(rng, names, count):
    """[(pause before, fault, seed of its details)]"""
    struck = rng.sample(sorted(names), min(count, len(names)))
    return [(rng.choice([rng.uniform(0, 0.3), rng.uniform(0.3, 2.5)]), name, rng.getrandbits(32)) for name in struck]


def stop_processes(pids):
    """SIGSTOP to those that are there. For continue_processes."""
    stopped = []
    for pid in pids:
        try:
            stopped.append(ProcessRef(pid))
        except ProcessLookupError:
            pass
    for reference in stopped:
        reference.signal(signal.SIGSTOP)
    return stopped


def continue_processes(stopped):
    for reference in stopped:
        reference.signal(signal.SIGCONT)
        reference.close()


class Chaos:
    """One sweep under faults. Owned and called by one thread; `cluster` outlives it."""

    def __init__(self, cluster, sweep, say):
        self.cluster = cluster
        self.sweep = sweep
        self.struck = []  # names of faults, in order
        self.violations = []
        self.attempts_at_kill = {}  # job -> attempts when its trainer was killed last
        self.trainer_kills = 0
        self.damaged_checkpoints = 0
        self.commits_lost = False
        self._say = say
        self._due = []    # (when, what to do)
        self._until = []  # (condition, then, not before, not after)
        self._database_full = False
        self._refusals_since = None  # where the coordinator's log is searched for a refusal that a person answers
        self._watcher = Watcher(cluster, sweep)

    # For the faults.

    def now(self):
        return time.monotonic()

    def jobs(self):
        return self._watcher.jobs()

    def later(self, seconds, action):
        self._due.append((self.now() + seconds, action))

    def until(self, condition, then=lambda: None, after=0.0, at_most=None):
        now = self.now()
        self._until.append((condition, then, now + after, None if at_most is None else now + at_most))

    def command(self, args):
        """Whether a command of the CLI succeeded."""
        try:
            return self.cluster.cli(args, timeout=3).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def freeze(self, daemon, seconds, trainers):
        process = daemon.process
        stopped = stop_processes([process.pid] + trainers)
        daemon.frozen = True

        def thaw():
            continue_processes(stopped)
            if daemon.process is process:
                daemon.frozen = False
        self.later(seconds, thaw)

    def cut_off(self, process, worker, seconds):
        """Lets a worker's process before stand still, which is no daemon of the cluster any more. Once it is back, it must find that another
        one has its name, and end with the code for that."""
        name = worker.worker_name
        stopped = stop_processes([process.pid] + trainers_of(process.pid))

        def check():
            if worker.worker_name == name:  # otherwise its successor may never have had the name
                if process.poll() is None:
                    self.violations.append(f'{name}: {MUST_LEAVE:.0f} s after its return a superseded process is still there')
                elif process.returncode != SUPERSEDED:
                    self.violations.append(f'{name}: a superseded process ended with {process.returncode}')
            process.kill()
            process.wait()

        def thaw():
            continue_processes(stopped)
            self.until(lambda: process.poll() is not None or worker.worker_name != name, check, at_most=MUST_LEAVE)
        self.later(seconds, thaw)

    def accept_data_loss(self):
        """From now on a person reads the coordinator's refusals and starts it again as they say: more than once, for the start that accepts
        the loss may be struck itself."""
        since = self._refusals_since = self.cluster.coordinator.log_size()
        self.until(lambda: self._refusals_since != since)

    def _answer_refusal(self):
        coordinator = self.cluster.coordinator
        if self._refusals_since is not None and coordinator.log_says(coordinator.refusal, self._refusals_since):
            self._refusals_since = coordinator.log_size()
            coordinator.next_arguments = ['--accept-data-loss']

    def note_database_full(self):
        self._database_full = True

    # The run.

    def run(self, steps):
        """Strikes until the schedule or the sweep is at its end, then waits for the sweep's. Returns the steps that found no target."""
        left = list(steps)
        while left and not self._watcher.ended():
            pause, name, seed = left.pop(0)
            self._spend(pause)
            if not self._strike(name, seed):
                left.append((pause, name, seed))
                if not self._watcher.jobs() or self._watcher.ended():
                    break
        self._finish()
        return left

    def stop(self):
        self._watcher.stop()

    def _strike(self, name, seed):
        deadline = self.now() + PATIENCE
        while not self._watcher.ended() and self.now() < deadline:
            what = faults.FAULTS[name](self, random.Random(seed))
            if what is not None:
                self.struck.append(name)
                self._say(f'{name}: {what}')
                return True
            self._spend(0.1)
        return False

    def _spend(self, seconds):
        deadline = self.now() + seconds
        while True:
            self._tick()
            if self.now() >= deadline:
                return
            time.sleep(0.05)

    def _tick(self):
        now = self.now()
        self._answer_refusal()
        self.cluster.tick()
        due = [entry for entry in self._due if entry[0] <= now]
        self._due = [entry for entry in self._due if entry[0] > now]
        for _, action in due:
            action()
        for entry in list(self._until):
            condition, then, not_before, not_after = entry
            late = not_after is not None and now > not_after
            if now >= not_before and (late or condition()):
                self._until.remove(entry)
                then()
        for daemon in self.cluster.daemons:
            if daemon.leaving_since is not None and not daemon.frozen and now - daemon.leaving_since > MUST_LEAVE:
                self.violations.append(f'{daemon.name} was still there {MUST_LEAVE:.0f} s after SIGTERM')
                daemon.kill()

    def _finish(self):
        """Lets every fault heal, then waits for the sweep's end; only a standstill is an error, slowness is not."""
        furthest, moved = None, self.now()
        if self.commits_lost:
            self.until(self._ask_again)
        while self._due or self._until or not self._watcher.ended():
            self._spend(0.2)
            standing = [(job['state'], job['step'], job['attempts']) for job in self.jobs()]
            if standing != furthest:
                furthest, moved = standing, self.now()
            if self.now() - moved > STANDSTILL:
                self.violations.append(f'nothing has moved for {STANDSTILL:.0f} s: {standing}')
                return
        for daemon in self.cluster.daemons:
            self._check_exits(daemon)

    def _ask_again(self):
        """What a person has to do after the coordinator lost commits: what was asked of it then may be among them."""
        names = [worker.worker_name for worker in self.cluster.workers]
        return self.command(['resume', self.sweep]) and all(self.command(['drain', name, '--undo']) for name in names)

    def on_commits_lost(self):
        """At once, not at the end: in a sweep that is paused again the next faults would wait for a target."""
        self.commits_lost = True
        self.until(self._ask_again, at_most=60)

    def _check_exits(self, daemon):
        for code, cause, _ in daemon.exits:
            # 'early': before the program had said a word, so perhaps before it could mind the signal.
            fine = {'killed': code == -9, 'terminated': code == 0, 'early': code in (0, -signal.SIGTERM)}.get(cause, code == 1 and (self._database_full or self.commits_lost))
            if not fine:
                self.violations.append(f'{daemon.name} ended {cause} with {code}')
