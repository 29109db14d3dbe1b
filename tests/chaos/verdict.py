"""What must hold of a sweep that ended, whatever struck it: the undisturbed run's results to the last bit, and a book without a false entry."""
import csv
import io
import sqlite3

TIMING = {'sequences_per_second', 'probe_seconds'}  # every other column is a function of spec and seed
KEYS = ('task', 'depth', 'seed', 'step')
TERMINAL = {'succeeded', 'failed', 'cancelled'}


class Results:
    """`cells`: (task/depth/seed, step, metric) -> every digit as text. `digests`: job -> digest of its last checkpoint, so of its weights."""

    def __init__(self, cells, digests, rows):
        self.cells = cells
        self.digests = digests
        self.rows = rows


def job_name(job):
    if job.get('point'):
        return '/'.join([f'{place["axis"]}={place["value"]}' for place in job['point']] + [f'seed={job["seed"]}'])
    return f'{job["task"]}/{job["depth"]}/{job["seed"]}'


def read_results(cluster, sweep, with_digests=True):
    """Without digests where the bytes of a checkpoint are not a function of what is in it."""
    jobs = cluster.cli_json(['jobs', sweep, '--json'])['jobs']
    names = {job['id']: job_name(job) for job in jobs}
    cells, rows = {}, 0
    for row in csv.DictReader(io.StringIO(cluster.cli_text(['metrics', sweep, '--csv'], timeout=60))):
        rows += 1
        for name, value in row.items():
            if name not in TIMING and name not in KEYS and name != 'job_id':
                cells[names[row['job_id']], int(row['step']), name] = value
    digests = {}
    for job in jobs if with_digests else []:
        checkpoints = cluster.cli_json(['show', job['id'], '--json'])['checkpoints']
        digests[job_name(job)] = (checkpoints[0]['step'], checkpoints[0]['digest']) if checkpoints else None
    return Results(cells, digests, rows)


def compare(results, undisturbed):
    """(violations, how many cells are missing or differ)."""
    found = []
    for key in sorted(set(undisturbed.cells) | set(results.cells)):
        got, wanted = results.cells.get(key), undisturbed.cells.get(key)
        if got != wanted:
            found.append(f'{key[0]} step {key[1]} {key[2]}: {got}, undisturbed {wanted}')
    lost = len(found)
    for job, digest in undisturbed.digests.items():
        if results.digests.get(job) != digest:
            found.append(f'{job}: last checkpoint {results.digests.get(job)}, undisturbed {digest}')
    return found, lost


class Book:
    """What the events and attempts of a sweep's jobs say, held against what was done to it."""

    def __init__(self, cluster, sweep):
        self.violations = []
        self.attempts = 0
        self.charged = {}  # kind of failure -> attempts
        for job in cluster.cli_json(['jobs', sweep, '--json'])['jobs']:
            self._read(job_name(job), cluster.cli_json(['show', job['id'], '--json']))

    def _read(self, name, shown):
        job = shown['job']
        if job['state'] != 'SUCCEEDED':
            self.violations.append(f'{name} is {job["state"]}: {job["reason"]}')
        if job['failures']:
            self.violations.append(f'{name} ended with {job["failures"]} charges')
        ends = [event['type'] for event in shown['events'] if event['type'] in TERMINAL]
        if ends != ['succeeded']:
            self.violations.append(f'{name} has the terminal events {ends}')
        if any(event['type'] == 'retried' for event in shown['events']):
            self.violations.append(f'{name} needed a retry by hand')
        attempts = [int(attempt['number']) for attempt in shown['attempts']]
        if attempts != sorted(set(attempts)):
            self.violations.append(f'{name} has the attempts {attempts}')
        self.attempts += len(attempts)
        for attempt in shown['attempts']:
            if attempt['outcome'] == 'failed':
                kind = attempt['message'].split(':')[0]
                self.charged.setdefault(kind, []).append(f'{name}: {attempt["message"].splitlines()[0]}')

    def check_charges(self, trainer_kills, disk_was_full, checkpoints_damaged):
        """A charge is for what a fault did to a trainer, never for a preemption or a lost worker."""
        allowed = {'checkpoint': checkpoints_damaged}
        if disk_was_full:
            allowed['disk'] = 1 << 30
        unexplained = []
        for kind, messages in self.charged.items():
            if kind == 'crashed':
                kills = [message for message in messages if 'SIGKILL' in message]
                unexplained += [message for message in messages if message not in kills]
                messages, allowed[kind] = kills, trainer_kills
            if len(messages) > allowed.get(kind, 0):
                unexplained += messages
        self.violations += [f'charged without a reason: {message}' for message in unexplained]


def check_database(path):
    """Violations that SQLite itself finds in the file of a coordinator that has ended."""
    with sqlite3.connect(path) as database:
        said = [row[0] for row in database.execute('PRAGMA integrity_check')]
        broken = [] if said == ['ok'] else said
        open_attempts = database.execute("SELECT count(*) FROM attempts WHERE outcome = ''").fetchone()[0]
    database.close()
    return broken + ([f'{open_attempts} attempts are open after the end'] if open_attempts else [])
