"""sbatch, squeue, scancel and scontrol in one program, for tests. An allocation is a process of this machine.

The module's folder is the cluster: jobs/ID.json is a job. Programs beside it with the names of Slurm's call its functions. While a
file `away` lies there, slurmctld is away.
"""
import fcntl
import json
import os
import subprocess
import sys
import time

FOLDER = os.path.dirname(os.path.abspath(__file__))
JOBS = os.path.join(FOLDER, 'jobs')


def path_of(job):
    return os.path.join(JOBS, '%s.json' % job)


def write(job):
    new = path_of(job['id']) + '.new.%d' % os.getpid()
    with open(new, 'w') as file:
        json.dump(job, file)
    os.replace(new, path_of(job['id']))


def read(job):
    with open(path_of(job)) as file:
        return json.load(file)


def all_jobs():
    ids = sorted(int(name[:-5]) for name in os.listdir(JOBS) if name.endswith('.json'))
    return [read(each) for each in ids]


def flag(args, name):
    return next((arg.split('=', 1)[1] for arg in args if arg.startswith(name + '=')), '')


def directive(script, name):
    lines = [line[len('#SBATCH '):] for line in script.splitlines() if line.startswith('#SBATCH --%s=' % name)]
    return lines[0].split('=', 1)[1].strip('"') if lines else ''


def seconds(text):
    days, _, clock = text.rpartition('-')
    total = 0
    for part in clock.split(':'):
        total = 60 * total + int(part)
    return total + 86400 * int(days or 0)


def sbatch(args):
    script = sys.stdin.read()
    if '--test-only' in args:
        return 0
    with open(os.path.join(FOLDER, 'lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        number = len(all_jobs()) + 1
        job = {'id': number, 'name': flag(args, '--job-name'), 'state': 'PENDING', 'start': 0, 'end': 0,
               'output': directive(script, 'output'), 'time': seconds(directive(script, 'time'))}
        write(job)
    with open(os.path.join(JOBS, '%d.sh' % number), 'w') as file:
        file.write(script)
    # The allocation lives on its own: neither sbatch nor the coordinator is its parent.
    subprocess.Popen([sys.executable, os.path.abspath(__file__), 'allocation', str(number)], stdin=subprocess.DEVNULL,
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    # A file of this name holds the answer back.
    while os.path.exists(os.path.join(FOLDER, 'hang')):
        time.sleep(0.05)
    print(number)
    return 0


def allocation(args):
    job = read(args[0])
    job.update(state='RUNNING', start=int(time.time()), end=int(time.time()) + job['time'], pid=os.getpid())
    write(job)
    environment = {'HOME': os.environ['HOME'], 'PATH': os.environ['PATH'], 'SLURM_JOB_ID': args[0],
                   'SLURM_CLUSTER_NAME': 'fake', 'SLURM_JOB_PARTITION': 'low', 'SLURMD_NODENAME': 'node1',
                   'SLURM_PROCID': '0', 'SLURM_NTASKS': '1', 'SLURM_CPUS_PER_TASK': '1',
                   'SLURM_JOB_END_TIME': str(job['end'])}
    with open(job['output'], 'a') as output:
        code = subprocess.call(['bash', os.path.join(JOBS, args[0] + '.sh')], env=environment, stdin=subprocess.DEVNULL,
                               stdout=output, stderr=output)
    job.update(state='COMPLETED' if code == 0 else 'FAILED', end=int(time.time()), code=code)
    write(job)
    return 0


def squeue(args):
    for job in all_jobs():
        reason = 'Priority' if job['state'] == 'PENDING' else 'None'
        print('|'.join(str(field) for field in (job['id'], job['id'], job['state'], reason, job['start'] or 'N/A',
                                                job['end'] or 'N/A', 'node1', job['name'])))
    return 0


def scancel(args):
    for number in (arg for arg in args if arg.isdigit()):
        job = read(number)
        if job['state'] == 'PENDING':
            job.update(state='CANCELLED', end=int(time.time()))
            write(job)
    return 0


def scontrol(args):
    if 'partition' in args:
        print('PartitionName=low State=UP MaxTime=1:00:00 DefaultTime=NONE GraceTime=60 PreemptMode=REQUEUE TotalCPUs=2 '
              'TotalNodes=1 Default=YES')
    elif 'config' in args:
        print('SLURM_VERSION           = 22.05.8\nKillWait                = 30 sec')
    elif 'job' in args:
        job = read(next(arg for arg in args if arg.isdigit()))
        print('JobId=%d JobName=%s JobState=%s Reason=None Restarts=0 ExitCode=%d:0 NodeList=node1'
              % (job['id'], job['name'], job['state'], job.get('code', 0)))
    return 0


def command(name):
    """The exit code of one of Slurm's programs, with this program's arguments."""
    if os.path.exists(os.path.join(FOLDER, 'away')):
        print('%s: error: Unable to contact slurm controller (connect failure)' % name, file=sys.stderr)
        return 1
    return {'sbatch': sbatch, 'squeue': squeue, 'scancel': scancel, 'scontrol': scontrol}[name](sys.argv[1:])


if __name__ == '__main__':
    sys.exit(allocation(sys.argv[2:]))
