"""Measures what bench/preemption.sh prints: from SIGTERM at a worker to its exit, with the checkpoint and the released lease in between."""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

REPORT_EVERY = 4
SPEC = """name: {name}
tasks: {task}
depths: [{depth}]
seeds: [0]
train: {{steps: 100000}}
report: {{every: {every}}}
checkpoint: {{every: 50000}}
"""
# With so little to evaluate a report is soon at its probes.
PROBES_ALONE = 'data: {val: 50, gen: 50}\n'
# Of the trainer's processor time, behind the step whose report is due: then it is in the midst of it, however busy the machine is.
INTO_EVALUATION, INTO_PROBES = 2, 6
PROMISED_SECONDS = 30


class Run:
    """A coordinator, one worker and one job at the paper's size."""

    def __init__(self, args, depth, store):
        self.args, self.depth, self.store = args, depth, store
        self.folder = tempfile.mkdtemp(prefix='coppice-preemption-')
        self.worker = None
        self.job = ''
        self.log = open(os.path.join(self.folder, 'log'), 'wb')
        port_file = os.path.join(self.folder, 'port')
        self.coordinator = self.start('coppice-coordinator', '--insecure', '--data-dir', self.path('coordinator'), '--listen', '127.0.0.1:0',
                                      '--port-file', port_file, '--lease', '20s', '--heartbeat', '200ms')
        self.wait(lambda: os.path.exists(port_file), 60, 'the coordinator serves')
        with open(port_file, encoding='utf-8') as file:
            self.address = file.read().strip()

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self, program, *args):
        return subprocess.Popen(['setpriv', '--pdeathsig', 'KILL', '--', os.path.join(self.args.bin, program), *args], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def start_worker(self):
        shared = ['--checkpoint-dir', self.path('coordinator/checkpoints')] if self.store == 'shared' else []
        self.worker = self.start('coppice-worker', '--insecure', '--coordinator', self.address, '--name', 'node', '--state-dir', self.path('worker'), *shared)

    def coppice(self, *args):
        return subprocess.run([os.path.join(self.args.bin, 'coppice'), '--insecure', '--coordinator', self.address, *args], check=True,
                              capture_output=True, text=True).stdout

    def show(self):
        return json.loads(self.coppice('show', self.job, '--json'))

    def submit(self, name, more=''):
        with open(self.path('spec.yaml'), 'w', encoding='utf-8') as file:
            file.write(SPEC.format(name=name, task=self.args.task, depth=self.depth, every=REPORT_EVERY) + more)
        self.coppice('submit', self.path('spec.yaml'))
        self.job = f'{name}/{self.args.task}/{self.depth}/0'

    def step(self):
        return self.show()['job']['step']

    def reported(self):
        return self.coppice('metrics', self.job.split('/')[0], '--jsonl') != ''

    def trainer_seconds(self):
        """Processor time of the worker's trainer."""
        for entry in filter(str.isdigit, os.listdir('/proc')):
            try:
                with open(f'/proc/{entry}/stat', encoding='utf-8', errors='replace') as file:
                    fields = file.read().rsplit(')', 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) == self.worker.pid:
                return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')
        return 0

    def wait(self, condition, timeout, what):
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline or (self.worker and self.worker.poll() is not None):
                raise SystemExit(f'preemption: waited in vain until {what}; see {self.folder}')
            time.sleep(0.1)

    def preempt(self, moment):
        """SIGTERM now; prints a line of the table. Returns whether all was in time."""
        known = len(self.show()['events'])
        sent_ms, began = time.time() * 1000, time.monotonic()
        self.worker.terminate()
        code = self.worker.wait()
        exit_seconds = time.monotonic() - began
        self.worker = None
        shown = self.show()
        after = {}
        for event in shown['events'][known:]:
            after.setdefault(event['type'], (int(event['time_ms']) - sent_ms) / 1000)
        checkpoint = shown['checkpoints'][0] if shown['checkpoints'] else {'step': 0, 'bytes': 0}
        told = [f'{after[event]:.1f}' if event in after else 'none' for event in ('checkpoint', 'released')]
        print(f'| {self.args.task} {self.depth} | {self.store} | {moment} | {told[0]} | {told[1]} | {exit_seconds:.1f} | '
              f'{checkpoint["step"]} | {int(checkpoint["bytes"]) / 1e6:.0f} |', flush=True)
        return code == 0 and exit_seconds <= PROMISED_SECONDS and 'none' not in told

    def preempt_report(self, moment, seconds):
        """Preempts in the midst of the first report."""
        self.start_worker()
        self.wait(lambda: self.step() >= REPORT_EVERY, 1800, 'a report is due')
        began = self.trainer_seconds()
        self.wait(lambda: self.trainer_seconds() >= began + seconds, 600, 'the report is under way')
        in_time = self.preempt(moment)
        if self.reported():
            print(f'  too late: the report was done before its {moment} were interrupted', file=sys.stderr)
            return False
        return in_time

    def measure(self):
        self.submit('paper')
        self.start_worker()
        self.wait(lambda: self.step() >= 1, 1800, 'it trains')
        fine = self.preempt('training')
        fine &= self.preempt_report('evaluation', INTO_EVALUATION)
        self.coppice('cancel', 'paper')
        self.submit('probes', PROBES_ALONE)
        return self.preempt_report('probes', INTO_PROBES) and fine

    def close(self):
        for process in (self.worker, self.coordinator):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser = argparse.ArgumentParser(prog='bench/preemption.sh')
    parser.add_argument('--bin', default=os.path.join(root, 'build', 'release', 'bin'))
    parser.add_argument('--task', default='question')
    parser.add_argument('--depths', default='6,10')
    parser.add_argument('--stores', default='shared,streamed', help='shared folder, gRPC streams')
    args = parser.parse_args()
    args.bin = os.path.abspath(args.bin)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('preemption: stopped'))
    print('| job | checkpoints | while | checkpoint s | released s | exit s | at step | MB |\n|---|---|---|---|---|---|---|---|', flush=True)
    fine = True
    for depth in args.depths.split(','):
        for store in args.stores.split(','):
            run = Run(args, depth, store)
            try:
                fine &= run.measure()
            finally:
                run.close()
    return 0 if fine else 1


if __name__ == '__main__':
    sys.exit(main())
