"""The harness itself: that it sees what it is there to see, and that its faults do what they say."""
import os
import random
import socket
import sqlite3
import tempfile
import threading
import time
import unittest

import report
import schedule
import verdict
import wal
from daemons import Daemon, wait_for
from proxy import Network


def results(**changes):
    cells = {('question/1/0', 100, 'val_loss'): '0.5', ('question/1/0', 200, 'val_loss'): '0.25'}
    digests = {'question/1/0': (200, 'aa')}
    for name, value in changes.items():
        if name == 'digest':
            digests['question/1/0'] = value
        else:
            cells['question/1/0', int(name[1:]), 'val_loss'] = value
    return verdict.Results(cells, digests, 2)


class VerdictTest(unittest.TestCase):
    def test_equal_results_are_no_violation(self):
        self.assertEqual(verdict.compare(results(), results()), ([], 0))

    def test_one_last_digit_is_a_violation(self):
        found, lost = verdict.compare(results(s200='0.25000000000000006'), results())
        self.assertEqual(lost, 1)
        self.assertIn('step 200', found[0])

    def test_a_missing_and_a_surplus_row_are_violations(self):
        missing = results()
        del missing.cells['question/1/0', 100, 'val_loss']
        self.assertEqual(verdict.compare(missing, results())[1], 1)
        self.assertEqual(verdict.compare(results(s300='0.1'), results())[1], 1)

    def test_other_weights_are_a_violation(self):
        found, lost = verdict.compare(results(digest=(200, 'bb')), results())
        self.assertEqual((len(found), lost), (1, 0))


class FakeCluster:
    """Answers `coppice jobs` and `coppice show` for one job."""

    def __init__(self, events=('granted', 'succeeded'), state='SUCCEEDED', failures=0, attempts=()):
        self._job = {'id': '1', 'task': 'question', 'depth': 1, 'seed': 0, 'state': state, 'failures': failures, 'reason': 'some reason'}
        self._events = [{'type': event} for event in events]
        self._attempts = [{'number': str(i + 1), 'outcome': outcome, 'message': message} for i, (outcome, message) in enumerate(attempts)]

    def cli_json(self, args):
        if args[0] == 'jobs':
            return {'jobs': [self._job]}
        return {'job': self._job, 'events': self._events, 'attempts': self._attempts}


class BookTest(unittest.TestCase):
    def violations(self, trainer_kills=0, disk_was_full=False, **job):
        book = verdict.Book(FakeCluster(**job), 'sweep')
        book.check_charges(trainer_kills, disk_was_full, 0)
        return book.violations

    def test_a_job_that_succeeded_once_is_fine(self):
        self.assertEqual(self.violations(attempts=[('preempted', 'x'), ('expired', 'y'), ('succeeded', '')]), [])

    def test_a_job_that_ended_twice_or_never_is_not(self):
        self.assertTrue(self.violations(events=['succeeded', 'succeeded']))
        self.assertTrue(self.violations(events=['granted']))
        self.assertTrue(self.violations(state='FAILED', events=['failed']))

    def test_a_charge_needs_a_fault_that_explains_it(self):
        crash = [('failed', 'crashed: the trainer was killed by SIGKILL'), ('succeeded', '')]
        self.assertTrue(self.violations(attempts=crash))
        self.assertEqual(self.violations(attempts=crash, trainer_kills=1), [])
        self.assertTrue(self.violations(attempts=[('failed', 'crashed: the trainer was killed by SIGTERM')], trainer_kills=1))
        full = [('failed', 'disk: No space left on device'), ('succeeded', '')]
        self.assertTrue(self.violations(attempts=full))
        self.assertEqual(self.violations(attempts=full, disk_was_full=True), [])
        self.assertTrue(self.violations(failures=1))


class WalTest(unittest.TestCase):
    """On the log of a real database that a crash left."""

    COMMITS = 60

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        live, self.path = (os.path.join(folder.name, name) for name in ('live.db', 'crashed.db'))
        database = sqlite3.connect(live, isolation_level=None)
        database.execute('PRAGMA journal_mode = WAL')
        database.execute('PRAGMA wal_autocheckpoint = 0')
        database.execute('CREATE TABLE t (x)')
        for i in range(self.COMMITS):
            database.execute('INSERT INTO t VALUES (?)', (str(i) * 500,))
        for suffix in ('', '-wal', '-shm'):
            with open(live + suffix, 'rb') as source, open(self.path + suffix, 'wb') as target:
                target.write(source.read())
        database.close()
        self.log = wal.Wal(self.path + '-wal')

    def rows(self):
        database = sqlite3.connect(self.path)
        count = database.execute('SELECT count(*) FROM t').fetchone()[0]
        database.close()
        return count

    def test_every_commit_is_seen_and_none_is_checkpointed(self):
        self.assertGreaterEqual(len(self.log.commits), self.COMMITS)
        self.assertEqual(self.log.end, os.path.getsize(self.path + '-wal'))
        self.assertFalse(wal.is_checkpointed(self.path + '-shm'))

    def test_a_torn_end_costs_nothing(self):
        for seed in range(12):
            self.log.tear(self.path + '-wal', random.Random(seed))
            self.assertEqual(len(wal.Wal(self.path + '-wal').commits), len(self.log.commits))
        self.assertEqual(self.rows(), self.COMMITS)

    def test_a_cut_costs_what_it_says(self):
        self.log.cut(self.path + '-wal', 7)
        self.assertEqual(self.rows(), self.COMMITS - 7)

    def test_a_flipped_bit_costs_what_is_behind_it(self):
        self.log.flip(self.path + '-wal', random.Random(1), 5)
        self.assertEqual(self.rows(), self.COMMITS - 6)


class RelayTest(unittest.TestCase):
    def setUp(self):
        self.network = Network()
        self.addCleanup(self.network.close)
        server = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(server.close)
        threading.Thread(target=self._echo, args=(server,), daemon=True).start()
        self.relay = self.network.relay(server.getsockname()[1])

    @staticmethod
    def _echo(server):
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=RelayTest._answer, args=(connection,), daemon=True).start()

    @staticmethod
    def _answer(connection):
        with connection:
            try:
                while data := connection.recv(4096):
                    connection.sendall(data)
            except OSError:
                pass

    def connect(self):
        client = socket.create_connection(('127.0.0.1', self.relay.port), timeout=10)
        self.addCleanup(client.close)
        return client

    def test_it_passes_on_and_back(self):
        client = self.connect()
        client.sendall(b'hello')
        self.assertEqual(client.recv(100), b'hello')

    def test_a_cut_ends_connections_and_refuses_new_ones_until_it_heals(self):
        client = self.connect()
        client.sendall(b'a')
        self.assertEqual(client.recv(1), b'a')
        self.network.do(self.relay.cut)
        with self.assertRaises(ConnectionError):
            self.assertNotEqual(client.recv(1), b'')
            raise ConnectionError('the connection ended without a reset')
        self.network.do(self.relay.heal)
        wait_for(self.talks, 10, 'connection after the network was healed')

    def talks(self):
        try:
            client = self.connect()
            client.sendall(b'b')
            return client.recv(1) == b'b'
        except OSError:
            return False

    def test_a_stall_is_silence_without_an_end(self):
        client = self.connect()
        client.sendall(b'a')
        self.assertEqual(client.recv(1), b'a')
        self.network.do(self.relay.stall)
        client.settimeout(0.3)
        client.sendall(b'c')
        with self.assertRaises(TimeoutError):
            client.recv(1)
        self.network.do(self.relay.heal)
        client.settimeout(10)
        self.assertEqual(client.recv(1), b'c')

    def test_a_tear_lets_through_what_it_says_and_no_more(self):
        client = self.connect()
        client.sendall(b'a')
        self.assertEqual(client.recv(1), b'a')
        self.network.do(self.relay.tear, 1000)
        client.sendall(b'd' * 5000)
        got = 0
        try:
            while data := client.recv(4096):
                got += len(data)
        except ConnectionError:
            pass
        self.assertLessEqual(got, 1000)


class DaemonTest(unittest.TestCase):
    def test_it_is_started_again_and_its_ends_are_told_apart(self):
        with tempfile.TemporaryDirectory() as folder:
            daemon = Daemon('sleeper', os.path.join(folder, 'log'))
            daemon.argv = ['sleep', '600']
            daemon.tick(time.monotonic())
            daemon.kill()
            daemon.tick(time.monotonic())
            self.assertTrue(daemon.idle())
            daemon.terminate(time.monotonic())
            daemon.process.wait()
            daemon.argv = ['sh', '-c', 'echo here; exec sleep 600']
            daemon.tick(time.monotonic())
            wait_for(lambda: daemon.log_says('here'), 60, 'word of the program')
            daemon.terminate(time.monotonic())
            daemon.process.wait()
            daemon.argv = ['false']
            daemon.tick(time.monotonic())
            daemon.process.wait()
            daemon.hold(time.monotonic() + 600)
            daemon.tick(time.monotonic())
            self.assertEqual([(code, cause) for code, cause, _ in daemon.exits], [(-9, 'killed'), (-15, 'early'), (-15, 'terminated'), (1, 'by itself')])
            self.assertFalse(daemon.alive())

    def test_a_signal_to_a_program_that_refuses_to_run_did_not_end_it(self):
        with tempfile.TemporaryDirectory() as folder:
            daemon = Daemon('refuser', os.path.join(folder, 'log'))
            daemon.refusal = 'decide first'
            daemon.argv = ['sh', '-c', 'echo "you must decide first"; exit 1']
            daemon.tick(time.monotonic())
            wait_for(lambda: daemon.log_says('decide first'), 60, 'word of the program')
            daemon.terminate(time.monotonic())
            daemon.process.wait()
            daemon.hold(time.monotonic() + 600)
            daemon.tick(time.monotonic())
            self.assertEqual([cause for _, cause, _ in daemon.exits], ['by itself'])


class ScheduleTest(unittest.TestCase):
    def test_a_seed_is_a_schedule(self):
        names = ['a', 'b', 'c', 'd']
        self.assertEqual(schedule.random_schedule(random.Random('1/2'), names, 3), schedule.random_schedule(random.Random('1/2'), names, 3))
        self.assertNotEqual(schedule.random_schedule(random.Random('1/2'), names, 3), schedule.random_schedule(random.Random('1/3'), names, 3))

    def test_the_table_says_what_was_lost(self):
        table = report.table([report.Round(1, ['a', 'b', 'a'], 100, 0, 1.0, 5, []), report.Round(2, ['a'], 100, 3, 1.0, 5, ['wrong'])])
        self.assertIn('| a | 3 | 2 | 200 | 3 |', table)
        self.assertIn('| b | 1 | 1 | 100 | 0 |', table)
        self.assertIn('2 rounds, 1 with violations', table)


if __name__ == '__main__':
    unittest.main()
