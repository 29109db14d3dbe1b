"""A worker's side of the contract (docs/programs.md), for tests: starts a program, checks and collects its events."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading

PACKAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'python')
NEEDS_START = ('progress', 'metrics', 'checkpoint', 'done')


class Violation(AssertionError):
    """An event that a worker would refuse."""


class Checker:
    """Holds each event against the rules of the contract, as worker/program/trainer_events.cc does."""

    def __init__(self, members, steps):
        self.steps = steps
        self.started = False
        self.members = {member['seed']: {'start': member.get('resume_step', 0), 'metrics': member.get('resume_step', 0) - 1,
                                         'checkpoint': member.get('resume_step', 0) - 1, 'progress': 0, 'ended': False,
                                         'dir': member['checkpoint_dir']} for member in members}

    def check(self, event):
        name = event['event']
        self.need(name not in NEEDS_START or self.started, f'{name} before start')
        if name == 'start':
            self.need(not self.started and event['protocol'] == 1 and event['steps'] == self.steps, event)
            self.need(isinstance(event['provenance'], dict), event)
            named = {member['seed']: member['step'] for member in event['members']}
            open_members = {seed: member['start'] for seed, member in self.members.items() if not member['ended']}
            self.need(named == open_members, (named, open_members))
            self.started = True
        elif name == 'progress':
            for entry in event['members']:
                member = self.members[entry['seed']]
                self.need(member['progress'] <= entry['step'] <= self.steps, event)
                member['progress'] = entry['step']
            self.need(event['steps_per_second'] >= 0 and event['activity'] >= 0, event)
        elif name in ('metrics', 'checkpoint', 'done', 'failed', 'preempted'):
            self.check_member(name, event, self.members[event['seed']])

    def check_member(self, name, event, member):
        step = event['step']
        self.need(not member['ended'] and member['start'] <= step <= self.steps, event)
        if name == 'metrics':
            self.need(step > member['metrics'] and event['values'], event)
            member['metrics'] = step
        elif name == 'checkpoint':
            self.need(step > member['checkpoint'] and os.path.dirname(event['path']) == member['dir'], event)
            self.need(os.path.exists(event['path']), event)
            member['checkpoint'] = step
        elif name == 'done':
            self.need(step == self.steps and (member['checkpoint'] == step or member['start'] == step), event)
        if name in ('done', 'failed', 'preempted'):
            member['ended'] = True

    @staticmethod
    def need(true, what):
        if not true:
            raise Violation(what)


def take(path):
    """Moves a checkpoint out of the program's reach, as a worker does. Its suffix stays."""
    folder, name = os.path.split(path)
    taken = tempfile.mkdtemp(prefix='taken-', dir=os.path.dirname(folder)) + '/' + name
    os.rename(path, taken)
    return taken


class Attempt:
    """One process of a program. `resume` maps a seed to its (path, step).

    The programs of these tests wait in the step behind `hold` until they are asked to end.
    """

    def __init__(self, script, folder, *, settings=None, steps=20, report=5, checkpoint=10, seeds=(0,), resume=None, flags=(),
                 hold=None):
        os.makedirs(folder, exist_ok=True)
        members = []
        for seed in seeds:
            directory = tempfile.mkdtemp(prefix=f'seed-{seed}-', dir=folder)
            members.append({'seed': seed, 'checkpoint_dir': directory})
            if resume and seed in resume:
                members[-1]['resume'], members[-1]['resume_step'] = resume[seed]
        spec = {'protocol': 1, 'members': members, 'threads': 1, 'device': 'cpu',
                'run': {'train': {'steps': steps}, 'report': {'every': report}, 'checkpoint': {'every': checkpoint, 'keep': 2},
                        'settings': settings or {}}}
        path = tempfile.mkstemp(prefix='run-', suffix='.json', dir=folder)[1]
        with open(path, 'w') as file:
            json.dump(spec, file)
        environment = dict(os.environ, COPPICE_RUN_SPEC=path, PYTHONPATH=PACKAGE, OMP_NUM_THREADS='1', HOLD=str(hold or 0))
        self.events = []
        self.violation = None
        self.changed = threading.Condition()
        self.checker = Checker(members, steps)
        self.process = subprocess.Popen([sys.executable, script, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env=environment, start_new_session=True)
        self.stderr = []
        self.readers = [threading.Thread(target=self.read_events), threading.Thread(target=self.read_text)]
        for reader in self.readers:
            reader.start()

    def read_events(self):
        for line in self.process.stdout:
            try:
                event = json.loads(line)
                self.checker.check(event)
                if event['event'] == 'checkpoint':
                    event['path'] = take(event['path'])
            except (ValueError, KeyError, Violation) as error:
                self.violation = self.violation or f'{error!r} in the line {line!r}'
                continue
            with self.changed:
                self.events.append(event)
                self.changed.notify_all()

    def read_text(self):
        for line in self.process.stderr:
            with self.changed:
                self.stderr.append(line)
                self.changed.notify_all()

    def wait_for(self, true, seconds=60):
        """Waits until true(attempt); the process must not end before."""
        with self.changed:
            if not self.changed.wait_for(lambda: true(self) or self.process.poll() is not None, seconds):
                raise AssertionError(f'not within {seconds} s; {self.events}; {"".join(self.stderr)}')
            if not true(self):
                raise AssertionError(f'the process has ended; {self.events}; {"".join(self.stderr)}')
        return self

    def signal(self, number=signal.SIGTERM):
        """To the whole group, as a worker does."""
        os.killpg(self.process.pid, number)
        return self

    def end(self, seconds=60):
        """The exit code, once everything is read. An event that breaks the contract is an error."""
        try:
            code = self.process.wait(seconds)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
            for reader in self.readers:
                reader.join()
            self.process.stdout.close()
            self.process.stderr.close()
        if self.violation:
            raise Violation(self.violation)
        return code

    def of(self, name, seed=0):
        return [event for event in self.events if event['event'] == name and event.get('seed', seed) == seed]

    def text(self):
        return ''.join(self.stderr)

    def newest(self):
        """What the next attempt resumes from."""
        return {seed: (found[-1]['path'], found[-1]['step']) for seed in self.checker.members
                for found in [self.of('checkpoint', seed)] if found}

    def rows(self, seed=0):
        return {event['step']: event['values'] for event in self.of('metrics', seed)}


def run(script, folder, **options):
    """A whole run. Returns the attempt after its end."""
    attempt = Attempt(script, folder, **options)
    attempt.code = attempt.end()
    return attempt


def run_interrupted(script, folder, at, number=signal.SIGTERM, **options):
    """A run that gets a signal after the metrics of each step in `at`, and holds there if it can.

    Returns all rows and the codes of the attempts.
    """
    rows, codes, resume = {}, [], {}
    for step in [*at, None]:
        attempt = Attempt(script, folder, resume=resume, hold=step, **options)
        if step is not None:
            attempt.wait_for(lambda a: any(event['step'] >= step for event in a.of('metrics')))
            attempt.signal(number)
        codes.append(attempt.end())
        resume.update(attempt.newest())
        kept = resume.get(0, (None, 0))[1]
        rows = {**rows, **attempt.rows()}
        rows = {step: values for step, values in rows.items() if step <= kept}
    return rows, codes
