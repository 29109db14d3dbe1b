"""A Slurm on this machine, in a folder of its own: munged, slurmctld and several slurmd, on ports that were free.

Three partitions share the nodes: jobs of `high` preempt those of `low`, which are requeued after a grace time, and those of `cancelled`,
which Slurm ends for good. Each node has four GPUs that
are none. Everything that was started is ended by pid.
"""
import argparse
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time

PROGRAMS = ('munged', 'slurmctld', 'slurmd', 'sbatch', 'squeue', 'scontrol', 'scancel', 'srun', 'setpriv')
NODE_CPUS = 8
GRACE_SECONDS = 8

CONF = '''ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,sched_min_interval=100000
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
ReturnToService=2
KillWait=8
SlurmdTimeout=10
InactiveLimit=0
MinJobAge=600
{nodes}
PartitionName=low Nodes=ALL Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime={grace} MaxTime=UNLIMITED State=UP
PartitionName=cancelled Nodes=ALL PriorityTier=1 PreemptMode=CANCEL GraceTime=0 MaxTime=UNLIMITED State=UP
PartitionName=high Nodes=ALL PriorityTier=10 PreemptMode=OFF MaxTime=UNLIMITED State=UP
'''


def missing_programs():
    """Names of what has to be installed first; empty when the cluster can be started."""
    return [name for name in PROGRAMS if shutil.which(name, path=os.environ.get('PATH', '') + ':/usr/sbin:/sbin') is None]


def free_ports(count):
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(('127.0.0.1', 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def wait_for(condition, timeout, what, interval=0.1):
    """Returns what the condition does once that is true; TimeoutError naming `what`."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f'no {what} within {timeout:.0f} s')
        time.sleep(interval)


class SlurmCluster:
    """Owned and called by one thread. `stop` ends it all."""

    def __init__(self, folder, nodes=3):
        self.folder = folder
        self.nodes = [f'n{index}' for index in range(1, nodes + 1)]
        self._host = socket.gethostname().split('.')[0]
        self._processes = {}
        self.environment = dict(os.environ, SLURM_CONF=os.path.join(folder, 'slurm.conf'),
                                PATH=os.environ.get('PATH', '') + ':/usr/sbin:/sbin')
        for name in [key for key in self.environment if key.startswith(('SLURM_JOB', 'SLURM_STEP', 'SBATCH_', 'COPPICE_'))]:
            del self.environment[name]
        self._write_files()

    def start(self):
        munge = os.path.join(self.folder, 'munge')
        self._start('munged', ['munged', '--foreground', '--force', f'--socket={munge}/socket', f'--key-file={munge}/key',
                               f'--pid-file={munge}/pid', f'--seed-file={munge}/seed', f'--log-file={munge}/log'])
        wait_for(lambda: os.path.exists(f'{munge}/socket'), 10, 'socket of munged')
        self.start_controller('-c')
        for node in self.nodes:
            self.start_node(node)
        wait_for(lambda: self._idle_nodes() == len(self.nodes), 60, f'idle nodes: {self.node_states()}')

    def start_node(self, node):
        self._start(node, ['slurmd', '-D', '-N', node])

    def start_controller(self, *flags):
        """With what it has stored, unless -c is among the flags."""
        self._start('slurmctld', ['slurmctld', '-D', *flags])

    def kill_controller(self):
        """slurmctld is gone at once; the jobs run on."""
        self._kill('slurmctld')

    def kill_node(self, node):
        """The node's slurmd is gone at once; the jobs' own processes live on."""
        self._kill(node)

    def stop(self):
        if 'slurmctld' in self._processes:
            self.call(['scancel', '--user', self._user()], check=False)
            try:
                wait_for(lambda: not self.queue(), 20, 'empty queue', 0.2)
            except (TimeoutError, ChildProcessError):
                pass
        for process in reversed(list(self._processes.values())):
            process.terminate()
        for process in reversed(list(self._processes.values())):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()
        for pid in self._left_over():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def call(self, argv, check=True, timeout=60, environment=None):
        """Standard output of one of Slurm's commands; ChildProcessError with what it said where it fails."""
        done = subprocess.run(argv, env={**self.environment, **(environment or {})}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=timeout, cwd=self.folder, check=False)
        if check and done.returncode != 0:
            raise ChildProcessError(f'{" ".join(argv)}: {done.stderr.strip() or done.stdout.strip()}')
        return done.stdout

    def sbatch(self, *words, environment=None):
        """The job's id."""
        return self.call(['sbatch', '--parsable', *words], environment=environment).strip().split(';')[0]

    def queue(self):
        """Job id (an array's task as 7_4) -> state."""
        lines = self.call(['squeue', '--noheader', '--array', '-o', '%i|%T']).split()
        return dict(line.split('|') for line in lines)

    def job(self, job):
        """What scontrol shows of a job: name -> value."""
        words = self.call(['scontrol', '-o', 'show', 'job', job]).split()
        return dict(word.split('=', 1) for word in words if '=' in word)

    def node_states(self):
        return self.call(['sinfo', '--noheader', '--Node', '--partition=low', '-o', '%N %T'], check=False).split('\n')

    def log_of(self, job):
        path = os.path.join(self.folder, f'slurm-{job}.out')
        if not os.path.exists(path):
            return ''
        with open(path, encoding='utf-8', errors='replace') as file:
            return file.read()

    def _write_files(self):
        os.makedirs(os.path.join(self.folder, 'munge'), mode=0o711)
        os.makedirs(os.path.join(self.folder, 'state'))
        with open(os.path.join(self.folder, 'munge/key'), 'wb') as key:
            os.fchmod(key.fileno(), 0o600)
            key.write(os.urandom(128))
        ports = free_ports(len(self.nodes) + 1)
        lines, gres = [], []
        for node, port in zip(self.nodes, ports[1:]):
            lines.append(f'NodeName={node} NodeHostname={self._host} NodeAddr=127.0.0.1 Port={port} CPUs={NODE_CPUS} Gres=gpu:4 State=UNKNOWN')
            os.makedirs(os.path.join(self.folder, f'spool-{node}'))
        for gpu in range(4):
            os.symlink('/dev/null', os.path.join(self.folder, f'gpu{gpu}'))  # Slurm takes a device alone
            gres.append(f'Name=gpu File={self.folder}/gpu{gpu}')
        self._write('gres.conf', '\n'.join(gres) + '\n')
        if self._version() >= 23:  # the one before does not know the word
            self._write('cgroup.conf', 'CgroupPlugin=disabled\n')
        self._write('slurm.conf', CONF.format(host=self._host, ctld_port=ports[0], user=self._user(), folder=self.folder,
                                              nodes='\n'.join(lines), grace=GRACE_SECONDS))

    def _write(self, name, text):
        with open(os.path.join(self.folder, name), 'w', encoding='utf-8') as file:
            file.write(text)

    def _version(self):
        # "slurm-wlm 22.05.8"
        done = subprocess.run(['slurmctld', '-V'], env=self.environment, stdout=subprocess.PIPE, text=True, check=True)
        return int(done.stdout.split()[1].split('.')[0])

    @staticmethod
    def _user():
        return pwd.getpwuid(os.getuid()).pw_name

    def _start(self, name, argv):
        with open(os.path.join(self.folder, f'{name}.out'), 'ab') as out:
            self._processes[name] = subprocess.Popen(['setpriv', '--pdeathsig', 'KILL', '--'] + argv, env=self.environment,
                                                     stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self.folder,
                                                     start_new_session=True)

    def _kill(self, name):
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def _idle_nodes(self):
        return sum(line.endswith(' idle') for line in self.node_states())

    def _left_over(self):
        """Pids of what jobs left behind: their environment names this folder's slurm.conf."""
        mark = self.folder.encode() + b'/'
        found = []
        for entry in os.listdir('/proc'):
            if not entry.isdigit() or int(entry) == os.getpid():
                continue
            try:
                with open(f'/proc/{entry}/environ', 'rb') as file:
                    ours = b'SLURM_CONF=' + mark in file.read()
            except OSError:
                continue
            if ours:
                found.append(int(entry))
        return found


def main():
    """Keeps one for people to try things on: `python3 slurm_cluster.py FOLDER`, until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=os.path.abspath, help='for its files; made, and removed at the end; with root, every user may submit')
    parser.add_argument('--nodes', type=int, default=3)
    options = parser.parse_args()
    missing = missing_programs()
    if missing:
        sys.exit(f'{", ".join(missing)}: not installed')
    os.mkdir(options.folder)
    cluster = SlurmCluster(options.folder, options.nodes)
    try:
        cluster.start()
        print(f'export SLURM_CONF={options.folder}/slurm.conf', flush=True)
        ends = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, ends)
        signal.sigwait(ends)
    finally:
        cluster.stop()
        shutil.rmtree(options.folder)


if __name__ == '__main__':
    main()
