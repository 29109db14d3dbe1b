"""Measures what bench/checkpoint_stall.sh prints: what a checkpoint costs the training, from the trainer's own events."""
import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

BATCH = 8
# A report every so many steps tells how long they took; every second one has a checkpoint behind it, which counts for the steps that follow.
REPORT_EVERY = 5
PROMISED_STEPS = 2


def events(args, depth, folder):
    checkpoint_every = 2 * REPORT_EVERY
    steps = checkpoint_every * args.checkpoints + 1  # the last step's is written at once, and apart from the others
    command = ['setpriv', '--pdeathsig', 'KILL', '--', os.path.join(args.bin, 'coppice-trainer'), '--task', args.task, '--depth', str(depth),
               '--seeds', args.seeds, '--threads', str(args.threads), '--steps', str(steps), '--checkpoint-every', str(checkpoint_every),
               '--report-every', str(REPORT_EVERY), '--train-size', '2000', '--val-size', '20', '--test-size', '20', '--gen-size', '20',
               '--probe-sentences', '0', '--out', folder]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return [json.loads(line) for line in output.splitlines()], steps


def median(values):
    return statistics.median(values) if values else 0


def measure(args, depth):
    folder = tempfile.mkdtemp(prefix='coppice-stall-', dir=args.dir)
    try:
        told, steps = events(args, depth, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    checkpoints = [event for event in told if event['event'] == 'checkpoint' and event['step'] < steps]
    stall_of = {(event['seed'], event['step']): event['stall_ms'] for event in checkpoints}
    alone, beside = [], []
    for event in told:
        if event['event'] != 'metrics' or event['step'] % REPORT_EVERY != 0 or event['step'] == REPORT_EVERY:
            continue
        total_ms = 1000 * REPORT_EVERY * BATCH / event['values']['sequences_per_second']
        stall_ms = stall_of.get((event['seed'], event['step'] - REPORT_EVERY))
        if stall_ms is None:
            alone.append(total_ms / REPORT_EVERY)
        else:
            beside.append((total_ms - stall_ms) / REPORT_EVERY)
    step_ms, stalls = median(alone), [event['stall_ms'] for event in checkpoints]
    ratio = median(stalls) / step_ms
    print(f'| {args.task}, depth {depth} | {checkpoints[0]["bytes"] / 1e6:.0f} | {len(checkpoints)} | {step_ms:.0f} | {median(stalls):.0f} '
          f'| {max(stalls):.0f} | {median([event["write_ms"] for event in checkpoints]):.0f} | {median(beside):.0f} | {ratio:.2f} |', flush=True)
    return ratio <= PROMISED_STEPS


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser = argparse.ArgumentParser(prog='bench/checkpoint_stall.sh')
    parser.add_argument('--bin', default=os.path.join(root, 'build', 'release', 'bin'))
    parser.add_argument('--task', default='question')
    parser.add_argument('--depths', default='6,10')
    parser.add_argument('--checkpoints', type=int, default=8)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--seeds', default='0')
    parser.add_argument('--dir', help='where checkpoints are written; the usual folder for temporary files when left out')
    args = parser.parse_args()
    args.bin = os.path.abspath(args.bin)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('checkpoint_stall: stopped'))
    print('| job | MB | checkpoints | step ms | stall ms | longest stall ms | write ms | step beside a write ms | stall / step |\n'
          '|---|---|---|---|---|---|---|---|---|', flush=True)
    return 0 if all([measure(args, depth) for depth in args.depths.split(',')]) else 1


if __name__ == '__main__':
    sys.exit(main())
