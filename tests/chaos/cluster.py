"""A deployment on loopback that faults strike: a coordinator, workers behind relays, the disks they write to, and a supervisor for all."""
import json
import os
import shutil
import socket
import subprocess
import threading
import time

from daemons import Daemon, wait_for
from disks import Disk

LEASE_SECONDS = 2.0


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Worker(Daemon):
    """A worker daemon, the relay it reaches the coordinator through, and its state folder."""

    def __init__(self, cluster, index, flags):
        self.index = index
        self.shared = flags.get('shared', True)
        self.pinned = flags.get('pinned', False)  # it keeps its machine, see faults.move_worker
        self._cluster = cluster
        self._flags = flags
        self._machine = 0
        self._requeued = 0
        self.relay = cluster.network.relay(cluster.port) if flags.get('relay', True) else None
        super().__init__(f'worker-{index}', os.path.join(cluster.folder, f'worker-{index}.log'))
        self._set_machine()

    def _set_machine(self):
        suffix = '' if self._machine == 0 else f'-moved-{self._machine}'
        self.worker_name = f'w{self.index}{suffix}'
        requeued = '' if self._requeued == 0 else f'-requeued-{self._requeued}'
        self.state = os.path.join(self._cluster.folder, f'state-{self.worker_name}{requeued}')
        port = self.relay.port if self.relay else self._cluster.port
        self.argv = [self._cluster.binary('coppice-worker'), '--insecure', '--coordinator', f'127.0.0.1:{port}', '--name',
                     self.worker_name, '--state-dir', self.state, '--slots', str(self._flags.get('slots', 1)), '--pack', str(self._flags.get('pack', 1)),
                     '--threads', '1']
        if self._flags.get('programs'):
            self.argv.append('--programs')
        if self.shared:
            self.argv += ['--checkpoint-dir', self._cluster.checkpoints.path]

    def move(self):
        """Another machine takes its place: another name, an empty disk."""
        shutil.rmtree(self.state, ignore_errors=True)
        self._machine += 1
        self._set_machine()

    def requeue(self):
        """The next start is on another machine under the same name, with the state of neither. Returns the process before, which goes on
        and is the caller's now."""
        before, self.process = self.process, None
        self._requeued += 1
        self._set_machine()
        return before

    def spools(self):
        folder = os.path.join(self.state, 'spool')
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        return [os.path.join(folder, name) for name in names if name.endswith('.spool')]


class Watcher:
    """Asks for the state of a sweep's jobs again and again, on a thread of its own, so that a coordinator that is away holds nothing up."""

    def __init__(self, cluster, sweep):
        self._cluster = cluster
        self._sweep = sweep
        self._stop = threading.Event()
        self._jobs = []
        self._thread = threading.Thread(target=self._run, name='watcher', daemon=True)
        self._thread.start()

    def jobs(self):
        """As `coppice jobs --json` told them last."""
        return self._jobs

    def ended(self):
        return bool(self._jobs) and all(job['state'] not in ('PENDING', 'RUNNING') for job in self._jobs)

    def stop(self):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._stop.wait(0.2):
            try:
                self._jobs = self._cluster.cli_json(['jobs', self._sweep, '--json'], timeout=3)['jobs']
            except (subprocess.SubprocessError, ValueError, OSError):
                pass


class Cluster:
    """Owned and called by one thread. Everything that it starts is ended by `stop`, by pid."""

    def __init__(self, bin_dir, folder, network, layout):
        self.folder = folder
        self.network = network
        self.port = free_port()
        self._bin_dir = bin_dir
        os.makedirs(folder)
        self.database = Disk(os.path.join(folder, 'database'), 24)
        self.checkpoints = Disk(os.path.join(folder, 'checkpoints'), 48)
        self.wal = os.path.join(self.database.path, 'coppice.db-wal')
        self.coordinator = Daemon('coordinator', os.path.join(folder, 'coordinator.log'))
        port_file = os.path.join(folder, 'port')
        self.coordinator.refusal = 'start once with --accept-data-loss'
        self.coordinator.argv = [
            self.binary('coppice-coordinator'), '--insecure', '--data-dir', self.database.path, '--checkpoint-dir', self.checkpoints.path,
            '--listen', f'127.0.0.1:{self.port}', '--port-file', port_file, '--lease', f'{LEASE_SECONDS:.0f}s', '--heartbeat', '300ms']
        self.coordinator.start()
        wait_for(lambda: os.path.exists(port_file), 300, 'coordinator')
        self.workers = [Worker(self, index, flags) for index, flags in enumerate(layout)]
        for worker in self.workers:
            worker.start()

    def binary(self, name):
        return os.path.join(self._bin_dir, name)

    @property
    def daemons(self):
        return [self.coordinator] + self.workers

    def tick(self):
        now = time.monotonic()
        for daemon in self.daemons:
            daemon.tick(now)

    def cli(self, args, timeout=120):
        return subprocess.run([self.binary('coppice'), '--insecure', '--coordinator', f'127.0.0.1:{self.port}'] + args, capture_output=True, text=True,
                              timeout=timeout, check=False)

    def cli_text(self, args, timeout=120):
        """Standard output of a command that succeeds; ChildProcessError with what it said otherwise."""
        result = self.cli(args, timeout)
        if result.returncode != 0:
            raise ChildProcessError(f'coppice {" ".join(args)}: {result.stderr.strip()}')
        return result.stdout

    def cli_json(self, args, timeout=120):
        return json.loads(self.cli_text(args, timeout))

    def submit(self, spec):
        path = os.path.join(self.folder, 'sweep.yaml')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(spec)
        self.cli_text(['submit', path])

    def stop(self, keep_at=None):
        """Ends every process. The files are kept, where asked for, also those on disks that are unmounted now; otherwise removed."""
        for daemon in self.daemons:
            daemon.kill()
        for disk in (self.database, self.checkpoints):
            disk.free()
        if keep_at:
            shutil.copytree(self.folder, keep_at)
        for disk in (self.database, self.checkpoints):
            disk.unmount()
        shutil.rmtree(self.folder)
