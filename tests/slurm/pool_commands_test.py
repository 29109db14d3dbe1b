"""`coppice pool check --probe` and `coppice pool run` on a real Slurm: pool_commands_test.py --bin BUILD/bin [--out DIR] [NAME ...]"""
import json
import os
import signal
import subprocess

from deployment import Deployment, SlurmTest, check_work, run_tests
from slurm_cluster import wait_for


class PoolCommandsTest(SlurmTest):
    def add_pool(self, *words, worker=None):
        home = self.coppice.home
        self.coppice.cli('pool', 'add', 'low', '--partition', 'low', '--walltime', '10m', '--max-workers', '2', '--cpus', '8', '--grace', '8s',
                         '--idle-exit', '3s', '--pack', '1', '--worker', worker or os.path.join(self.options.bin, 'coppice-worker'),
                         # Slurm gives jobs the home of the password file, which all tests share.
                         '--worker-access', self.coppice.access, f'--worker-flag=--state-dir={home}/state', '--worker-flag=--threads=1', *words)

    def pool(self):
        return json.loads(self.coppice.cli('pool', 'show', 'low', '--all', '--json'))['pool']


class ProbeTest(PoolCommandsTest):
    def probe(self):
        """The lines of the report; the script of a submission comes before them."""
        printed = self.coppice.cli('pool', 'check', 'low', '--probe', '--probe-wait', '60s', check=False, timeout=240)
        return printed[printed.index('\n- partition low: '):]

    def test_a_probe_finds_a_node_well(self):
        self.add_pool()
        printed = self.probe()
        for topic in ('start', 'coordinator', 'clock', 'version', 'trainer', 'checkpoints'):
            self.assertIn(f'- ok: {topic}:', printed)
        self.assertNotIn('- failed:', printed)
        self.assertIn('the pool can work', printed)
        wait_for(lambda: not self.slurm.queue(), 30, 'end of the probe')
        self.assertEqual(self.pool()['allocations'], [], 'it is no allocation of the pool')

    def test_a_probe_says_why_a_node_is_of_no_use(self):
        self.add_pool(worker='/nowhere/coppice-worker')
        printed = self.probe()
        self.assertIn('- failed: node:', printed)
        self.assertIn('/nowhere/coppice-worker', printed, 'the end of the output')
        self.assertNotIn('the pool can work', printed)


class ClientDeployment(Deployment):
    """The coordinator's machine has no Slurm; the other programs' has."""
    flags = ('--slurm-by-client',)

    def coordinator_environment(self):
        return {**self.environment(), 'PATH': '/nowhere'}


class ClientTest(PoolCommandsTest):
    deployment = ClientDeployment

    def run_once(self):
        return self.coppice.cli('pool', 'run', '--once')

    def test_runs_by_cron_bring_a_sweep_to_its_end(self):
        self.add_pool()
        self.coppice.submit('cron', seeds=1, steps=3000)
        self.assertEqual(self.slurm.queue(), {}, 'nobody has run a command yet')
        wait_for(lambda: 'waits' in self.pool()['decision'], 30, 'word that the pool waits for a client')
        self.run_once()
        self.assertEqual(len(self.slurm.queue()), 2)
        self.run_once()
        self.assertEqual(len(self.slurm.queue()), 2, 'no second submit')
        self.coppice.wait_for_end('cron')
        check_work(self.coppice, 'cron', self)
        wait_for(lambda: not self.slurm.queue(), 60, 'end of the workers', 0.2)
        self.run_once()
        self.assertEqual([row['outcome'] for row in self.pool()['allocations']], ['completed'] * 2)

    def test_a_client_that_stays_serves_the_pools_until_it_is_stopped(self):
        self.add_pool()
        client = subprocess.Popen([os.path.join(self.options.bin, 'coppice'), 'pool', 'run'], env=self.coppice.environment(),
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(client.wait)
        self.addCleanup(client.kill)
        self.coppice.submit('client', seeds=1, steps=3000)
        self.coppice.wait_for_end('client')
        check_work(self.coppice, 'client', self)
        wait_for(lambda: all(row['state'] == 'ended' for row in self.pool()['allocations']), 60, 'ends of the workers', 0.2)
        with self.assertRaisesRegex(ChildProcessError, 'serves|runs'):
            self.run_once()
        client.send_signal(signal.SIGTERM)
        printed, _ = client.communicate(timeout=20)
        self.assertEqual(client.returncode, 0, printed)
        self.run_once()  # its place is free at once


if __name__ == '__main__':
    run_tests(__doc__)
