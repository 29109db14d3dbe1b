"""A program of a user's own in plain Python, with a switch for each fault: switched_program.py [FAULT].

It "trains" two numbers by gradient descent with momentum and noise. The noise is a function of seed
and step, so a resumed run gives the same bits.
"""
import json
import math
import os
import random
import signal
import subprocess
import sys
import time

FAULT = sys.argv[1] if len(sys.argv) > 1 else ''
STOP = []


def say(**event):
    print(json.dumps(event), flush=True)


def save(folder, step, state):
    if FAULT == 'checkpoint_outside':
        folder = os.path.dirname(os.path.dirname(folder))
    path = os.path.join(folder, 'saved' if FAULT == 'one_name' else 'saved-%d' % step)
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, 'state.json'), 'w', encoding='utf-8') as file:
        json.dump(state, file)
    say(event='checkpoint', seed=MEMBER['seed'], step=step, path=path)


def restore(member):
    if 'resume' not in member or FAULT == 'resume_ignored':
        return 0, [1.0, -1.0], [0.0, 0.0]
    with open(os.path.join(member['resume'], 'state.json'), encoding='utf-8') as file:
        state = json.load(file)
    # A fault that is often made: the optimizer's state is not saved.
    momentum = [0.0, 0.0] if FAULT == 'values_differ' else state['momentum']
    return member['resume_step'], state['weights'], momentum


def report(step, weights):
    if FAULT == 'metrics_missing' and step == 2 * REPORT:
        return
    loss = math.fsum(weight * weight for weight in weights)
    if FAULT == 'nan' and step >= 2 * REPORT:
        loss = float('nan')
    say(event='metrics', seed=MEMBER['seed'], step=step, values={'loss': loss, 'steps_per_second': time.monotonic()})
    if FAULT == 'steps_backwards' and step >= 2 * REPORT:
        say(event='metrics', seed=MEMBER['seed'], step=REPORT, values={'loss': loss})


def train(start, weights, momentum):
    saved = start
    for step in range(start + 1, STEPS + 1):
        noise = random.Random(MEMBER['seed'] * 1_000_003 + step)
        for i, weight in enumerate(weights):
            momentum[i] = 0.9 * momentum[i] - RATE * (2 * weight + noise.gauss(0, 0.1))
            weights[i] = weight + momentum[i]
        if PAUSE:
            time.sleep(PAUSE)
        if step % REPORT == 0 or step == STEPS:
            report(step, weights)
        last = step == STEPS
        due = step % CHECKPOINT == 0 or last or STOP
        if due and not (last and FAULT == 'no_last_checkpoint'):
            save(MEMBER['checkpoint_dir'], step, {'weights': weights, 'momentum': momentum})
            saved = step
        if last:
            say(event='done', seed=MEMBER['seed'], step=step)
        elif STOP:
            say(event='preempted', seed=MEMBER['seed'], step=saved)
            sys.exit(75)


with open(os.environ['COPPICE_RUN_SPEC'], encoding='utf-8') as spec_file:
    SPEC = json.load(spec_file)
RUN = SPEC['run']
MEMBER = SPEC['members'][0]
STEPS, REPORT, CHECKPOINT = RUN['train']['steps'], RUN['report']['every'], RUN['checkpoint']['every']
RATE = RUN['settings']['learning_rate']
PAUSE = RUN['settings'].get('pause', 0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if FAULT == 'ignores_sigterm' else lambda *_: STOP.append(True))
if FAULT == 'prints':
    print('round 1 of 10')
if FAULT == 'leaves_children':
    subprocess.Popen(['sleep', '1000'], stdout=subprocess.DEVNULL, start_new_session=True)
BEGIN, WEIGHTS, MOMENTUM = restore(MEMBER)
if FAULT != 'no_start':
    say(event='start', protocol=1, members=[{'seed': MEMBER['seed'], 'step': BEGIN}], steps=STEPS)
train(BEGIN, WEIGHTS, MOMENTUM)
if FAULT == 'wrong_exit_code':
    sys.exit(3)
