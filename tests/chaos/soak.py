"""Sweeps on real processes under faults: coordinator, workers and trainers that are killed, frozen, cut off, starved of disk and lied to by
their files. After each sweep every result is held against an undisturbed run's, bit by bit.

  soak.py --minutes 60 --seed 1      round after round, each with a random schedule, until the time is over
  soak.py --seed 1 --round 17        that round alone, again
  soak.py --each-once --seed 1       rounds until every fault has struck (what continuous integration runs)
  soak.py --program --minutes 10     with examples/modular_addition, a program of the user's own, in place of the trainer
"""
import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import disks
import faults
import report
import verdict
from cluster import Cluster
from proxy import Network
from schedule import Chaos, random_schedule

SPEC = """name: {name}
{grid}
model: {{d_model: 32, heads: 2, d_ff: 64}}
train: {{steps: 1500, batch_size: 8, learning_rate: 1e-3, warmup_steps: 100}}
data: {{train: 2000, val: 100, test: 10, gen: 100}}
report: {{every: 100, decode_sentences: 20, dyck_prefixes: 50, probes: {{sentences: 20}}}}
checkpoint: {{every: 250, keep: 2}}
max_failures: 1000
"""
# 12 jobs for a soak; 6 are enough to strike each fault once.
GRID = 'tasks: [question, tense, dyck]\ndepths: [1, 2]\nseeds: 0-1\noverrides: [{where: {task: dyck}, train: {steps: 600}}]'
SMALL_GRID = 'tasks: [question, tense]\ndepths: [2]\nseeds: 0-2'
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = """name: {name}
program:
  command: [{python}, train.py]
  directory: {root}/examples/modular_addition
  environment: {{PYTHONDONTWRITEBYTECODE: 1}}
  settings: {{p: 11, train_fraction: 0.5, weight_decay: 1.0, learning_rate: 0.003, width: 32}}
  resources: {{gpus: 0, threads: 1}}
axes:
  weight_decay: [0, 1]
  train_fraction: [0.4, 0.6]
  seed: 0-2
train: {{steps: 6000}}
report: {{every: 200}}
checkpoint: {{every: 500, keep: 2}}
max_failures: 1000
"""
CALM = [{'slots': 2, 'relay': False}]
# One worker on the shared folder with a slot, one with packs, one whose checkpoints travel over the network.
STRUCK = [{'pinned': True}, {'pack': 2}, {'shared': False, 'pack': 2}]


class Interrupted(Exception):
    pass


class Soak:
    """Owns the folder of the rounds that failed, the network's thread and the undisturbed results."""

    def __init__(self, args):
        self.args = args
        self.work = tempfile.mkdtemp(prefix='coppice-chaos-')
        self.network = Network()
        self.undisturbed = None
        self.cluster = None
        self.rounds = []
        self._log = []

    def close(self):
        if self.cluster is not None:
            self.cluster.stop()
        self.network.close()
        shutil.rmtree(self.work, ignore_errors=True)

    def say(self, text):
        line = f'{time.strftime("%H:%M:%S")} {text}'
        self._log.append(line)
        print(line, flush=True)

    def run_undisturbed(self):
        began = time.monotonic()
        self._begin('undisturbed', CALM)
        chaos = Chaos(self.cluster, 'undisturbed', self.say)
        chaos.run([])
        chaos.stop()
        book = verdict.Book(self.cluster, 'undisturbed')
        if chaos.violations or book.violations or book.charged:
            raise RuntimeError(f'the undisturbed run went wrong: {chaos.violations} {book.violations} {book.charged}')
        self.undisturbed = self._results('undisturbed')
        self._end()
        jobs = len({cell[0] for cell in self.undisturbed.cells})
        self.say(f'undisturbed: {self.undisturbed.rows} rows of {jobs} jobs in {time.monotonic() - began:.0f} s')

    def run_round(self, number, steps):
        """Returns the steps that found nothing to strike."""
        self._log = []
        name = f'round-{number}'
        began = time.monotonic()
        self._begin(name, STRUCK)
        with open(os.path.join(self.cluster.folder, 'schedule.json'), 'w', encoding='utf-8') as file:
            json.dump({'seed': self.args.seed, 'round': number, 'steps': steps}, file, indent=1)
        chaos = Chaos(self.cluster, name, self.say)
        left = steps
        try:
            left = chaos.run(steps)
            violations, lost, book = self._judge(chaos, name)
        except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
            # Of this round, not of the rounds to come.
            violations, lost, book = chaos.violations + [f'the round broke off: {error!r}'], len(self.undisturbed.cells), None
        finally:
            chaos.stop()
        self.rounds.append(report.Round(number, chaos.struck, self.undisturbed.rows, lost, time.monotonic() - began,
                                        book.attempts if book else 0, violations))
        for violation in violations[:40]:
            self.say(f'VIOLATION {violation}')
        self._end(keep_at=os.path.join(self.args.out, f'seed-{self.args.seed}-{name}') if violations else None)
        self.say(self.rounds[-1].line())
        return left

    def _judge(self, chaos, name):
        """(violations, values that are missing or differ, the book)"""
        book = verdict.Book(self.cluster, name)
        book.check_charges(chaos.trainer_kills, 'checkpoint-disk-full' in chaos.struck, chaos.damaged_checkpoints)
        differences, lost = verdict.compare(self._results(name), self.undisturbed)
        violations = chaos.violations + book.violations + differences
        coordinator = self.cluster.coordinator
        if not coordinator.idle():
            return violations + ['the coordinator is not there at the end'], lost, book
        coordinator.terminate(time.monotonic())
        if coordinator.process.wait(timeout=120) != 0:
            violations.append(f'the coordinator ended with {coordinator.process.returncode}')
        violations += verdict.check_database(os.path.join(self.cluster.database.path, 'coppice.db'))
        return violations, lost, book

    def _begin(self, name, layout):
        layout = [dict(worker, programs=self.args.program) for worker in layout]
        self.cluster = Cluster(self.args.bin, os.path.join(self.work, name), self.network, layout)
        if self.args.program:
            self.cluster.submit(PROGRAM.format(name=name, python=self.args.python, root=ROOT))
        else:
            self.cluster.submit(SPEC.format(name=name, grid=SMALL_GRID if self.args.each_once else GRID))

    def _results(self, name):
        # torch.save writes other bytes for equal weights: an object's identity shows in a pickle.
        return verdict.read_results(self.cluster, name, with_digests=not self.args.program)

    def _end(self, keep_at=None):
        if keep_at:
            os.makedirs(self.args.out, exist_ok=True)
            with open(os.path.join(self.cluster.folder, 'chaos.log'), 'w', encoding='utf-8') as file:
                file.write('\n'.join(self._log) + '\n')
            if os.path.exists(keep_at):
                shutil.rmtree(keep_at)
            self.say(f'everything of this round is kept in {keep_at}')
        cluster, self.cluster = self.cluster, None
        cluster.stop(keep_at)


def names_of_faults(args, say):
    names = set(faults.FAULTS) - set(args.without.split(','))
    if not disks.can_mount():
        say('SKIPPED ' + ', '.join(sorted(faults.NEEDS_SMALL_DISK)) + ': a disk of its own size needs root or unprivileged user namespaces')
        names -= faults.NEEDS_SMALL_DISK
    return names


def soak(args, runner):
    names = names_of_faults(args, runner.say)
    runner.run_undisturbed()
    deadline = time.monotonic() + 60 * args.minutes
    number = 0
    while args.round is None and (number == 0 or time.monotonic() < deadline):
        number += 1
        rng = random.Random(f'{args.seed}/{number}')
        runner.run_round(number, random_schedule(rng, names, args.faults))
    if args.round is not None:
        rng = random.Random(f'{args.seed}/{args.round}')
        runner.run_round(args.round, random_schedule(rng, names, args.faults))


def each_once(args, runner):
    left = random_schedule(random.Random(args.seed), names_of_faults(args, runner.say), len(faults.FAULTS))
    runner.run_undisturbed()
    for number in range(1, args.rounds + 1):
        left = runner.run_round(number, left)
        if not left:
            return
    runner.say('VIOLATION never struck: ' + ', '.join(step[1] for step in left))
    runner.rounds[-1].violations.append('some faults found nothing to strike')


def parse(argv):
    parser = argparse.ArgumentParser(prog='soak.sh', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--minutes', type=float, default=10, help='start no new round after so long [10]')
    parser.add_argument('--seed', type=int, default=1, help='of every schedule [1]')
    parser.add_argument('--bin', default=os.path.join(ROOT, 'build', 'release', 'bin'), help='folder of the programs [build/release/bin]')
    parser.add_argument('--out', default=os.path.join(ROOT, 'build', 'chaos'), help='where failed rounds are kept [build/chaos]')
    parser.add_argument('--faults', type=int, default=12, help='in a round [12]')
    parser.add_argument('--without', default='', help='faults to leave out, with commas between them')
    parser.add_argument('--round', type=int, help='only this round of the seed')
    parser.add_argument('--each-once', action='store_true', help='rounds until every fault has struck once')
    parser.add_argument('--rounds', type=int, default=6, help='at most, with --each-once [6]')
    parser.add_argument('--program', action='store_true', help='sweeps of examples/modular_addition in place of the trainer')
    parser.add_argument('--python', default='/usr/bin/python3', help='with --program, a Python that has torch [/usr/bin/python3]')
    args = parser.parse_args(argv)
    args.bin, args.out = os.path.abspath(args.bin), os.path.abspath(args.out)
    for name in ('coppice', 'coppice-coordinator', 'coppice-worker', 'coppice-trainer'):
        if not os.access(os.path.join(args.bin, name), os.X_OK):
            parser.error(f'no {name} in {args.bin}; build first (scripts/build.sh), or name the folder with --bin')
    return args


def main():
    args = parse(sys.argv[1:])
    disks.enter_namespace()

    def interrupt(number, _):
        raise Interrupted(signal.Signals(number).name)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, interrupt)
    runner = Soak(args)
    try:
        (each_once if args.each_once else soak)(args, runner)
    except Interrupted as reason:
        runner.say(f'{reason}: stopping')
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        runner.close()
    print(report.table(runner.rounds))
    return 1 if not runner.rounds or any(round.violations for round in runner.rounds) else 0


if __name__ == '__main__':
    sys.exit(main())
