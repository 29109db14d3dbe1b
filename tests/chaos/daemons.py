"""The processes under test: started, signalled and watched by pid, and gone when the harness is.

A daemon is started below `setpriv --pdeathsig KILL`, so that even a harness that is killed leaves none behind; a worker's trainers are
tied to their worker in the same way by the worker itself.
"""
import json
import os
import re
import signal
import subprocess
import time


class ProcessRef:
    """One process by pidfd: a signal never reaches another process that got the same number later."""

    def __init__(self, pid):
        self.pid = pid
        self._fd = os.pidfd_open(pid)  # ProcessLookupError when it is gone

    def signal(self, number):
        try:
            signal.pidfd_send_signal(self._fd, number)
            return True
        except ProcessLookupError:
            return False

    def close(self):
        os.close(self._fd)


class Daemon:
    """A program that a supervisor keeps running: `tick` starts it again once it is down and `held_until` is past."""

    def __init__(self, name, log):
        self.name = name
        self.log = log
        self.argv = []
        self.next_arguments = []  # for the next start alone
        self.refusal = None  # what it says when it ends because a person has to decide something
        self.process = None
        self.held_until = 0.0
        self.frozen = False
        self.starts = 0
        self.leaving_since = None  # it was told to leave by SIGTERM
        self.exits = []  # (exit code or minus signal, 'killed', 'terminated', 'early' or 'by itself', when)
        self._ended_by = 'by itself'
        self._log_at_start = 0

    def start(self):
        self._log_at_start = self.log_size()
        with open(self.log, 'ab') as out:
            self.process = subprocess.Popen(['setpriv', '--pdeathsig', 'KILL', '--'] + self.argv + self.next_arguments,
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        self.next_arguments = []
        self.starts += 1
        self.frozen = False
        self.leaving_since = None
        self._ended_by = 'by itself'

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def idle(self):
        """Alive, and no fault has hold of it."""
        return self.alive() and not self.frozen and self.leaving_since is None

    def tick(self, now):
        if self.process is not None and self.process.poll() is not None:
            self._note_end(now)
        if self.process is None and now >= self.held_until:
            self.start()

    def kill(self):
        if self.alive():
            self._ended_by = 'killed'
            self.process.kill()
            self.process.wait()

    def terminate(self, now):
        self.leaving_since = now
        self._ended_by = 'terminated' if self.log_size() > self._log_at_start else 'early'
        self.process.terminate()

    def _note_end(self, now):
        if self._ended_by == 'terminated' and self.refusal and self.log_says(self.refusal, self._log_at_start):
            self._ended_by = 'by itself'  # the signal came when it was on its way out
        self.exits.append((self.process.returncode, self._ended_by, now))
        self.process = None
        self.leaving_since = None
        if self._ended_by == 'by itself':
            self.hold(now + 0.3)  # whatever it is, not in a tight loop

    def hold(self, until):
        self.held_until = max(self.held_until, until)

    def log_size(self):
        return os.path.getsize(self.log) if os.path.exists(self.log) else 0

    def log_says(self, text, since=0):
        if not os.path.exists(self.log):
            return False
        with open(self.log, 'rb') as file:
            file.seek(since)
            return text.encode() in file.read()


def trainers_of(worker_pid):
    """Pids of the live trainers below a worker."""
    found = []
    for entry in os.listdir('/proc'):
        if not entry.isdigit():
            continue
        try:
            with open(f'/proc/{entry}/stat', encoding='utf-8', errors='replace') as file:
                text = file.read()
        except OSError:
            continue
        rest = text[text.rfind(')') + 2:].split()
        if rest[0] != 'Z' and int(rest[1]) == worker_pid and spec_of(int(entry)):
            found.append(int(entry))
    return sorted(found)


def spec_of(pid):
    """Path of the run spec of a trainer or of a program that trains; None for any other process, and for one that is gone."""
    try:
        with open(f'/proc/{pid}/cmdline', 'rb') as file:
            argv = file.read().decode(errors='replace').split('\0')
        with open(f'/proc/{pid}/environ', 'rb') as file:
            environment = dict(entry.split('=', 1) for entry in file.read().decode(errors='replace').split('\0') if '=' in entry)
    except OSError:
        return None
    if '--spec' in argv[:-1]:
        return argv[argv.index('--spec') + 1]
    return environment.get('COPPICE_RUN_SPEC')


def jobs_of_trainer(pid):
    """The ids of the jobs that a trainer trains, from its run spec; empty when it is gone."""
    path = spec_of(pid)
    if path is None:
        return []
    try:
        with open(path, encoding='utf-8') as file:
            members = json.load(file)['members']
    except (OSError, ValueError):
        return []
    # .../JOB/attempt-N, and for a program a folder in that.
    return [int(re.search(r'/(\d+)/attempt-\d+(/|$)', member['checkpoint_dir']).group(1)) for member in members]


def wait_for(condition, timeout, what, interval=0.05):
    """Raises TimeoutError naming `what`."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f'no {what} within {timeout:.0f} s')
        time.sleep(interval)
