"""The systemd units verify, are closed as far as they promise, and fit the programs that they start.

    units_test.py ROOT BIN

systemd's own checks are skipped where systemd-analyze is missing; CI installs it.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT, BIN = sys.argv[1:3]
UNITS = os.path.join(ROOT, 'deploy', 'systemd')
SYSTEM = ('coppice-coordinator.service', 'coppice-worker.service')
USER = tuple(os.path.join('user', name) for name in SYSTEM)
WORKERS = ('coppice-worker.service', 'user/coppice-worker.service')
# The exit codes of docs/workers.md.
ASKED_FOR = {'75', '76', '77', '78', '81'}
NOT_AGAIN = {'2', '79', '80'}
# Ten times what systemd-analyze prints. What is left: the network, and the GPUs of a worker.
EXPOSURE = {'coppice-coordinator.service': 17, 'coppice-worker.service': 20}
ANALYZE = shutil.which('systemd-analyze')
needs_systemd = unittest.skipUnless(ANALYZE, 'systemd-analyze is missing (Debian package systemd)')


def settings(name):
    """All `Key=value` lines, as key -> list of values."""
    found = {}
    with open(os.path.join(UNITS, name), encoding='utf-8') as file:
        for line in file:
            match = re.match(r'([A-Za-z]+)=(.*)$', line)
            if match:
                found.setdefault(match.group(1), []).append(match.group(2))
    return found


def seconds(text):
    return float(re.fullmatch(r'(\d+)s?', text).group(1))


def help_of(program):
    return subprocess.run([os.path.join(BIN, program), '--help'], check=True, stdout=subprocess.PIPE, text=True,
                          env={'HOME': '/nonexistent'}).stdout


class Units(unittest.TestCase):
    def test_programs_take_the_flags_of_their_units(self):
        for name in SYSTEM + USER:
            words = settings(name)['ExecStart'][0].split()
            text = help_of(os.path.basename(words[0]))
            for flag in [word for word in words if word.startswith('--')]:
                self.assertRegex(text, rf'(?m)^ *{flag}\b', f'{name}: {flag}')

    def test_a_worker_that_was_replaced_or_refused_is_not_started_again(self):
        for name in WORKERS:
            unit = settings(name)
            self.assertEqual(unit['Restart'], ['on-failure'], name)
            self.assertEqual(set(unit['RestartPreventExitStatus'][0].split()), NOT_AGAIN, name)

    def test_an_end_that_was_asked_for_is_no_failure(self):
        for name in WORKERS:
            self.assertEqual(set(settings(name)['SuccessExitStatus'][0].split()), ASKED_FOR, name)

    def test_a_worker_has_its_grace_and_some_seconds_to_stop(self):
        grace = seconds(re.search(r'for checkpoints \(default: (\w+)\)', ' '.join(help_of('coppice-worker').split())).group(1))
        for name in WORKERS:
            unit = settings(name)
            self.assertGreaterEqual(seconds(unit['TimeoutStopSec'][0]), grace + 10, name)
            self.assertEqual(unit['KillMode'], ['mixed'], f'{name}: the daemon stops its trainers itself')

    def test_limits_are_set_in_every_unit(self):
        for name in SYSTEM + USER:
            unit = settings(name)
            for key in ('MemoryMax', 'LimitNOFILE', 'TasksMax', 'UMask', 'NoNewPrivileges'):
                self.assertIn(key, unit, name)
            self.assertEqual(unit['StartLimitIntervalSec'], ['0'], f'{name}: five failures would end it for good')

    def test_no_unit_holds_a_secret(self):
        for name in SYSTEM + USER:
            for key, values in settings(name).items():
                for value in values:
                    self.assertNotRegex(value, r'(?i)(--token |COPPICE_TOKEN=|password)', f'{name}: {key}')
        self.assertRegex(settings(WORKERS[0])['LoadCredential'][0], r'^access\.json:/')


@needs_systemd
class Systemd(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def unit_for_this_build(self, name, change=lambda text: text):
        """A copy that names the programs of this build, and no file that only an installed one has."""
        with open(os.path.join(UNITS, name), encoding='utf-8') as file:
            text = change(file.read())
        text = re.sub(r'(/usr/local|%h/\.local)/bin/', BIN + '/', text)
        text = re.sub(r'(?m)^Documentation=.*\n', '', text)
        path = os.path.join(self.folder.name, os.path.basename(name))
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        return path

    def verify(self, name, **kwargs):
        manager = ['--user'] if name.startswith('user/') else []
        environment = dict(os.environ, HOME=self.folder.name, XDG_RUNTIME_DIR=self.folder.name)
        done = subprocess.run([ANALYZE, *manager, '--man=no', '--recursive-errors=no', 'verify',
                               self.unit_for_this_build(name, **kwargs)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
        return done.returncode, done.stdout

    def exposure(self, name, **kwargs):
        return subprocess.run([ANALYZE, 'security', '--offline=true', f'--threshold={EXPOSURE[name]}', '--no-pager',
                               self.unit_for_this_build(name, **kwargs)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def test_systemd_finds_no_fault(self):
        for name in SYSTEM + USER:
            code, output = self.verify(name)
            self.assertEqual((code, output), (0, ''), name)

    def test_systemd_would_find_a_fault(self):
        code, output = self.verify(SYSTEM[0], change=lambda text: text.replace('KillMode=mixed', 'KillMode=gently'))
        self.assertIn('gently', output, code)

    def test_the_units_are_closed(self):
        for name in SYSTEM:
            done = self.exposure(name)
            self.assertEqual(done.returncode, 0, done.stdout)

    def test_an_open_unit_would_be_found(self):
        done = self.exposure(SYSTEM[1], change=lambda text: text.replace('CapabilityBoundingSet=\n', ''))
        self.assertNotEqual(done.returncode, 0)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
