"""The containers' command lines run, with files as a kubelet mounts them: the coordinator becomes ready, its probe says so,
and a worker registers by its pod's name and ends within its grace.

    kubernetes_run_test.py ROOT BIN

The programs are those of this build, and folders lie in a temporary one. Skipped where kubectl is missing.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

from manifests import KUBECTL, arguments, flag, pods, render, seconds
from policy import SECRETS

ROOT, BIN = sys.argv[1:3]
PATIENCE = 60
POLL = 0.05


@unittest.skipUnless(KUBECTL, 'kubectl is missing')
class Containers(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = folder.name
        folder = os.path.join(ROOT, 'deploy', 'kubernetes')
        self.pods = {item['metadata']['name']: spec for item, spec in pods(render(os.path.join(folder, 'single-node')))}
        self.job = next(spec for item, spec in pods(render(os.path.join(folder, 'keda'))) if item['kind'] == 'ScaledJob')
        subprocess.run([os.path.join(BIN, 'coppice-coordinator'), 'init-tls', '--dir', self.path('/made'), '--client',
                        '--host', 'coppice-coordinator'], check=True, stdout=subprocess.DEVNULL, env={'HOME': self.root})
        for spec in self.pods.values():
            self.mount(spec)

    def path(self, path):
        return self.root + path

    def mount(self, spec):
        """The pod's volumes: a Secret's files are links to a folder beside them, a worker's and a coordinator's state differ."""
        volumes = {volume['name']: volume for volume in spec['volumes']}
        for place in spec['containers'][0]['volumeMounts']:
            folder = self.path(place['mountPath'])
            os.makedirs(folder, exist_ok=True)
            secret = volumes.get(place['name'], {}).get('secret')
            if not secret:
                continue
            os.mkdir(os.path.join(folder, '..1'), 0o755)
            os.symlink('..1', os.path.join(folder, '..data'))
            for name in SECRETS[secret['secretName']]:
                shutil.copy(os.path.join(self.path('/made'), name), os.path.join(folder, '..1', name))
                os.chmod(os.path.join(folder, '..1', name), secret['defaultMode'])
                os.symlink(os.path.join('..data', name), os.path.join(folder, name))

    def command(self, words, **replaced):
        """The words with this build's program and the paths in the temporary folder."""
        made = []
        for word in words:
            name, _, value = word.partition('=')
            if not word.startswith('--'):
                made.append(os.path.join(BIN, word) if word.startswith('coppice-') and not made else word)
                continue
            value = replaced.get(name[2:], self.path(value) if value.startswith('/') else value)
            made.append(f'{name}={value}' if value else name)
        return made

    def environment(self, container, **replaced):
        values = {entry['name']: entry.get('value', '') for entry in container.get('env', ())}
        values = {name: self.path(value) if value.startswith('/') else value for name, value in values.items()}
        return {'HOME': '/nonexistent', 'PATH': BIN + ':/usr/bin:/bin', 'KUBERNETES_SERVICE_HOST': '10.0.0.1', **values, **replaced}

    def start(self, command, environment):
        log = open(self.path('/log'), 'a', encoding='utf-8')
        self.addCleanup(log.close)
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

        def end():
            if process.poll() is None:
                process.kill()
            process.wait()
        self.addCleanup(end)
        return process

    def await_(self, what, process):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and process.poll() is None:
            found = what()
            if found:
                return found
            time.sleep(POLL)
        with open(self.path('/log'), encoding='utf-8') as log:
            self.fail(log.read())

    def start_coordinator(self):
        container = self.pods['coppice-coordinator']['containers'][0]
        words = arguments(container)
        self.assertRegex(flag(words, '--listen'), r'^0\.0\.0\.0:\d+$')
        port_file = self.path('/port')
        coordinator = self.start(self.command(words, listen='127.0.0.1:0') + ['--port-file', port_file],
                                 self.environment(container))
        self.await_(lambda: os.path.exists(port_file) and os.path.getsize(port_file), coordinator)
        with open(port_file, encoding='utf-8') as file:
            return coordinator, file.read().strip()

    def test_the_commands_run(self):
        coordinator, address = self.start_coordinator()
        container = self.pods['coppice-coordinator']['containers'][0]
        viewer = self.environment(container, COPPICE_COORDINATOR=address)
        for probe in ('startupProbe', 'readinessProbe', 'livenessProbe'):
            words = container[probe]['exec']['command']
            done = subprocess.run([os.path.join(BIN, words[0]), *words[1:]], env=viewer, stdout=subprocess.PIPE)
            self.assertEqual(done.returncode, 0, probe)

        pod = self.pods['coppice-worker']
        container = pod['containers'][0]
        port = address.rsplit(':', 1)[1]
        worker = self.start(self.command(arguments(container), coordinator='localhost:' + port, name='coppice-worker-x'),
                            self.environment(container, POD_NAME='coppice-worker-x'))
        workers = [os.path.join(BIN, 'coppice'), 'workers']
        seen = self.await_(lambda: re.search(r'coppice-worker-x .*', subprocess.run(
            workers, env=viewer, stdout=subprocess.PIPE, text=True).stdout), worker)
        self.assertIn('cpu', seen.group(0))
        worker.terminate()
        self.assertIn(worker.wait(timeout=seconds(flag(arguments(container), '--grace'))), (0, 75))
        coordinator.terminate()
        self.assertEqual(coordinator.wait(timeout=self.pods['coppice-coordinator']['terminationGracePeriodSeconds']), 0)
        # A probe of a coordinator that is gone fails.
        self.assertNotEqual(subprocess.run([os.path.join(BIN, 'coppice'), 'server'], env=viewer, timeout=PATIENCE,
                                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode, 0)

    def test_a_worker_of_a_job_succeeds_when_it_is_idle_and_gets_the_signal(self):
        _, address = self.start_coordinator()
        container = self.job['containers'][0]
        self.assertEqual(self.job['volumes'], self.pods['coppice-worker']['volumes'])

        def start(name, idle):
            words = self.command(arguments(container), coordinator='localhost:' + address.rsplit(':', 1)[1], name=name,
                                 device='cpu', **{'idle-exit': idle, 'state-dir': self.path('/state-' + name)})
            return self.start(words, self.environment(container, POD_NAME=name))
        self.assertEqual(start('idle', '200ms').wait(timeout=PATIENCE), 0)

        worker = start('asked', '5m')
        viewer = self.environment(self.pods['coppice-coordinator']['containers'][0], COPPICE_COORDINATOR=address)
        self.await_(lambda: 'asked' in subprocess.run([os.path.join(BIN, 'coppice'), 'workers'], env=viewer, text=True,
                                                      stdout=subprocess.PIPE).stdout, worker)
        worker.terminate()
        self.assertIn(worker.wait(timeout=PATIENCE), (0, 75))


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
