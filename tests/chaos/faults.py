"""The faults. Each looks for a target, strikes, and tells the schedule how it heals.

A fault is a function (chaos, rng) that returns what it did in words, or None when there is nothing to strike right now. What it draws from
`rng` is fixed by the schedule's seed; what is there to be struck is not.
"""
import glob
import os
import signal

from cluster import LEASE_SECONDS
from daemons import ProcessRef, jobs_of_trainer, trainers_of
from wal import Wal, is_checkpointed

FAULTS = {}  # name -> function
NEEDS_SMALL_DISK = {'checkpoint-disk-full', 'database-disk-full'}


def fault(name):
    def register(function):
        FAULTS[name] = function
        return function
    return register


def past_lease(rng):
    return LEASE_SECONDS + rng.uniform(0.5, 2.5)


def pick_worker(chaos, rng, accept=lambda worker: True):
    workers = [worker for worker in chaos.cluster.workers if worker.idle() and accept(worker)]
    return rng.choice(workers) if workers else None


def pick_trainer(chaos, rng, accept=lambda worker, jobs: True):
    """(worker, pidfd, job ids), or None."""
    found = []
    for worker in chaos.cluster.workers:
        if worker.idle():
            found += [(worker, pid, jobs) for pid in trainers_of(worker.process.pid) if (jobs := jobs_of_trainer(pid))]
    found = [(worker, pid, jobs) for worker, pid, jobs in found if accept(worker, jobs)]
    if not found:
        return None
    worker, pid, jobs = rng.choice(found)
    try:
        process = ProcessRef(pid)
    except ProcessLookupError:
        return None
    return worker, process, jobs


# ---- trainers


@fault('trainer-kill')
def kill_trainer(chaos, rng):
    # A crash is charged, and the charge goes with the next step forward. Only jobs without a charge are struck, so that chance does not end
    # one; and always on the same worker, because dying at one step on different workers is what a job is quarantined for.
    def uncharged(worker, jobs):
        known = {int(job['id']): job for job in chaos.jobs()}
        return worker.pinned and all(job in known and not known[job]['failures'] and known[job]['attempts'] > chaos.attempts_at_kill.get(job, 0)
                                     for job in jobs)
    target = pick_trainer(chaos, rng, uncharged)
    if target is None:
        return None
    worker, process, jobs = target
    known = {int(job['id']): job for job in chaos.jobs()}
    process.signal(signal.SIGKILL)
    process.close()
    for job in jobs:
        chaos.attempts_at_kill[job] = known[job]['attempts']
    chaos.trainer_kills += len(jobs)
    return f'kill -9 of the trainer of jobs {jobs} on {worker.worker_name}'


@fault('trainer-term')
def terminate_trainer(chaos, rng):
    target = pick_trainer(chaos, rng)
    if target is None:
        return None
    worker, process, jobs = target
    process.signal(signal.SIGTERM)
    process.close()
    return f'SIGTERM to the trainer of jobs {jobs} on {worker.worker_name}'


@fault('trainer-freeze')
def freeze_trainer(chaos, rng):
    seconds = past_lease(rng)
    target = pick_trainer(chaos, rng)
    if target is None:
        return None
    worker, process, jobs = target
    process.signal(signal.SIGSTOP)

    def thaw():
        process.signal(signal.SIGCONT)
        process.close()
    chaos.later(seconds, thaw)
    return f'the trainer of jobs {jobs} on {worker.worker_name} stands still for {seconds:.1f} s'


# ---- workers


@fault('worker-kill')
def kill_worker(chaos, rng):
    pause = rng.choice([0, rng.uniform(0, 1), past_lease(rng)])
    worker = pick_worker(chaos, rng)
    if worker is None:
        return None
    worker.hold(chaos.now() + pause)
    worker.kill()
    return f'kill -9 of {worker.worker_name}, back after {pause:.1f} s'


@fault('worker-term')
def terminate_worker(chaos, rng):
    pause = rng.choice([0, rng.uniform(0, 3)])
    worker = pick_worker(chaos, rng)
    if worker is None:
        return None
    worker.hold(chaos.now() + pause)
    worker.terminate(chaos.now())
    return f'SIGTERM to {worker.worker_name}, back after {pause:.1f} s'


@fault('worker-freeze')
def freeze_worker(chaos, rng):
    """A suspended machine: worker and trainers stand still past the lease, then go on as if nothing had been."""
    seconds = past_lease(rng)
    with_trainers = rng.random() < 0.5
    worker = pick_worker(chaos, rng)
    if worker is None:
        return None
    chaos.freeze(worker, seconds, trainers_of(worker.process.pid) if with_trainers else [])
    return f'{worker.worker_name}{" and its trainers stand" if with_trainers else " stands"} still for {seconds:.1f} s'


@fault('worker-move')
def move_worker(chaos, rng):
    worker = pick_worker(chaos, rng, lambda worker: not worker.pinned)
    if worker is None:
        return None
    old = worker.worker_name
    worker.kill()
    worker.move()
    return f'the machine of {old} is lost with its disk; {worker.worker_name} takes its place'


@fault('worker-requeue')
def requeue_worker(chaos, rng):
    """A cluster loses sight of a machine and starts its worker again elsewhere. Then the machine comes back: two processes of one name."""
    seconds = rng.choice([rng.uniform(0.2, 1), past_lease(rng)])
    worker = pick_worker(chaos, rng)
    if worker is None:
        return None
    chaos.cut_off(worker.requeue(), worker, seconds)
    return f'{worker.worker_name} is started again elsewhere; its process before is back after {seconds:.1f} s'


@fault('drain')
def drain_worker(chaos, rng):
    seconds = rng.uniform(0.5, 3)
    worker = pick_worker(chaos, rng)
    if worker is None or not chaos.command(['drain', worker.worker_name, '--preempt']):
        return None
    name = worker.worker_name
    # A drain is kept by the coordinator until it is undone; there may be none to hear it right now.
    chaos.until(lambda: chaos.command(['drain', name, '--undo']), after=seconds, at_most=60)
    return f'{name} is drained for {seconds:.1f} s, its jobs preempted'


@fault('pause')
def pause_sweep(chaos, rng):
    seconds = rng.uniform(0.5, 2)
    if not chaos.command(['pause', chaos.sweep]):
        return None
    sweep = chaos.sweep
    chaos.until(lambda: chaos.command(['resume', sweep]), after=seconds, at_most=60)
    return f'the sweep is paused for {seconds:.1f} s'


# ---- the coordinator


@fault('coordinator-kill')
def kill_coordinator(chaos, rng):
    pause = rng.choice([0, rng.uniform(0, 1), past_lease(rng)])
    if not chaos.cluster.coordinator.idle():
        return None
    chaos.cluster.coordinator.hold(chaos.now() + pause)
    chaos.cluster.coordinator.kill()
    return f'kill -9 of the coordinator, back after {pause:.1f} s'


@fault('coordinator-term')
def terminate_coordinator(chaos, rng):
    pause = rng.choice([0, rng.uniform(0, 3)])
    if not chaos.cluster.coordinator.idle():
        return None
    chaos.cluster.coordinator.hold(chaos.now() + pause)
    chaos.cluster.coordinator.terminate(chaos.now())
    return f'SIGTERM to the coordinator, back after {pause:.1f} s'


@fault('coordinator-freeze')
def freeze_coordinator(chaos, rng):
    seconds = past_lease(rng)
    if not chaos.cluster.coordinator.idle():
        return None
    chaos.freeze(chaos.cluster.coordinator, seconds, [])
    return f'the coordinator stands still for {seconds:.1f} s'


# ---- the network


def disturb_network(chaos, rng, seconds, function, *args):
    """One worker's connection, or everyone's; returns whose."""
    workers = list(chaos.cluster.workers)
    if rng.random() < 0.7:
        workers = [rng.choice(workers)]
    for worker in workers:
        chaos.cluster.network.do(getattr(worker.relay, function), *args)
        chaos.later(seconds, lambda relay=worker.relay: chaos.cluster.network.do(relay.heal))
    return ', '.join(worker.worker_name for worker in workers)


@fault('network-cut')
def cut_network(chaos, rng):
    seconds = rng.choice([rng.uniform(0.2, 1), past_lease(rng)])
    return f'network of {disturb_network(chaos, rng, seconds, "cut")} cut for {seconds:.1f} s'


@fault('network-stall')
def stall_network(chaos, rng):
    seconds = past_lease(rng)
    return f'network of {disturb_network(chaos, rng, seconds, "stall")} silent for {seconds:.1f} s'


@fault('network-delay')
def delay_network(chaos, rng):
    seconds, delay = rng.uniform(1, 4), rng.uniform(0.05, 0.5)
    return f'network of {disturb_network(chaos, rng, seconds, "slow", delay)} {delay:.2f} s late for {seconds:.1f} s'


@fault('network-tear')
def tear_network(chaos, rng):
    after = rng.choice([rng.randrange(1, 2000), rng.randrange(2000, 400_000)])
    return f'network of {disturb_network(chaos, rng, 3, "tear", after)} breaks after {after} more bytes'


# ---- disks


@fault('checkpoint-disk-full')
def fill_checkpoint_disk(chaos, rng):
    disk, longer = chaos.cluster.checkpoints, rng.uniform(0, 1)
    if disk.full:
        return None
    sizes = {worker: worker.log_size() for worker in chaos.cluster.workers}
    disk.fill()

    def noticed():
        return any(worker.log_says('No space left', since) for worker, since in sizes.items())
    chaos.until(noticed, then=lambda: chaos.later(longer, disk.free), at_most=10)
    return f'the checkpoint disk is full until {longer:.1f} s after a worker said so'


@fault('database-disk-full')
def fill_database_disk(chaos, rng):
    disk, longer = chaos.cluster.database, rng.uniform(0, 2)
    if disk.full:
        return None
    coordinator, since = chaos.cluster.coordinator, chaos.cluster.coordinator.log_size()
    disk.fill()
    chaos.note_database_full()
    chaos.until(lambda: coordinator.log_says('free some space', since), then=lambda: chaos.later(longer, disk.free), at_most=10)
    return f'the database disk is full until {longer:.1f} s after the coordinator said so'


# ---- damaged files


def damage(path, rng, truncate):
    size = os.path.getsize(path)
    if truncate:
        os.truncate(path, rng.randrange(size))
        return f'cut to {os.path.getsize(path)} of {size} bytes'
    offset = rng.randrange(size)
    with open(path, 'r+b') as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1 << rng.randrange(8)]))
    return f'a bit flipped at byte {offset} of {size}'


def damage_checkpoint(chaos, rng, truncate):
    """Damages what a running job would resume from, the newest or the newest two, and kills its worker so that it must resume."""
    both = rng.random() < 0.3
    jobs = [job for job in chaos.jobs() if job['state'] == 'RUNNING' and job['checkpoint_step'] > 0]
    rng.shuffle(jobs)
    for job in jobs:
        folder = os.path.join(chaos.cluster.checkpoints.path, chaos.sweep, str(job['id']), 'attempt-*', 'step-*.safetensors')
        files = sorted(glob.glob(folder), key=lambda path: os.path.basename(path), reverse=True)[:2 if both else 1]
        if not files:
            continue
        what = []
        for path in files:
            try:
                what.append(f'{os.path.relpath(path, chaos.cluster.checkpoints.path)} {damage(path, rng, truncate)}')
            except (FileNotFoundError, ValueError):  # retention was faster
                pass
        for worker in chaos.cluster.workers:
            if worker.worker_name == job['worker'] and worker.idle():
                worker.kill()
        chaos.damaged_checkpoints += len(what)
        return f'{"; ".join(what)}; {job["worker"]} killed' if what else None
    return None


@fault('checkpoint-flip')
def flip_checkpoint(chaos, rng):
    return damage_checkpoint(chaos, rng, truncate=False)


@fault('checkpoint-truncate')
def truncate_checkpoint(chaos, rng):
    return damage_checkpoint(chaos, rng, truncate=True)


def damage_spool(chaos, rng, how):
    worker = pick_worker(chaos, rng, lambda worker: worker.spools())
    if worker is None:
        return None
    worker.kill()
    spools = worker.spools()
    if not spools:
        return None
    path = rng.choice(spools)
    name = f'{worker.worker_name} killed, spool {os.path.basename(path)}'
    if os.path.getsize(path) == 0:
        return None
    return f'{name} {how(path)}'


@fault('spool-torn')
def tear_spool(chaos, rng):
    """What a crash can do: the last write arrived in part, or something else in its place."""
    def tear(path):
        size = os.path.getsize(path)
        if rng.random() < 0.5:
            os.truncate(path, max(0, size - rng.randrange(1, 60)))
            return 'lost its last bytes'
        with open(path, 'ab') as file:
            file.write(rng.randbytes(rng.randrange(1, 60)))
        return 'got a torn record at its end'
    return damage_spool(chaos, rng, tear)


@fault('spool-flip')
def flip_spool(chaos, rng):
    return damage_spool(chaos, rng, lambda path: damage(path, rng, truncate=False))


@fault('wal-torn')
def tear_wal(chaos, rng):
    """What a crash can do to SQLite's log: something behind the last commit."""
    coordinator = chaos.cluster.coordinator
    if not coordinator.idle() or chaos.cluster.database.full:
        return None
    coordinator.kill()
    if not os.path.exists(chaos.cluster.wal):
        return None
    return f'the coordinator killed, in its write-ahead log {Wal(chaos.cluster.wal).tear(chaos.cluster.wal, rng)}'


def crash_with_log(chaos, newest):
    """Kills the coordinator; its log, if that holds much more than the newest so many commits and none of them anywhere else."""
    coordinator, path = chaos.cluster.coordinator, chaos.cluster.wal
    if not coordinator.idle() or chaos.cluster.database.full or not os.path.exists(path) or len(Wal(path).commits) < newest + 40:
        return None
    coordinator.kill()
    log = Wal(path)
    return log if len(log.commits) >= newest + 40 and not is_checkpointed(path[:-len('wal')] + 'shm') else None


@fault('wal-lost-commits')
def lose_commits(chaos, rng):
    """What was acknowledged is gone, and nothing tells: what the workers know of it must bring it back."""
    newest = rng.randrange(1, 20)
    log = crash_with_log(chaos, newest)
    if log is None:
        return None
    chaos.on_commits_lost()
    return f'the coordinator killed, {log.cut(chaos.cluster.wal, newest)}'


@fault('wal-flip')
def flip_wal(chaos, rng):
    """The coordinator must refuse what SQLite would pass over, and go on once a person accepts the loss."""
    newest = rng.randrange(2, 20)
    log = crash_with_log(chaos, newest)
    if log is None:
        return None
    what = log.flip(chaos.cluster.wal, rng, newest)
    chaos.on_commits_lost()
    chaos.accept_data_loss()
    return f'the coordinator killed, in its write-ahead log {what}'
