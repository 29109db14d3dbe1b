"""A bundle runs with nothing of a system but its kernel, wherever it lies.

    bundle_test.py BUILD_FOLDER
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

BUILD = os.path.abspath(sys.argv[1])
HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
PROGRAMS = ('coppice', 'coppice-coordinator', 'coppice-worker', 'coppice-trainer')
SWEEP = """
name: bare
tasks: [tense]
depths: [1]
seeds: 0-1
model: {d_model: 16, heads: 2, d_ff: 32}
train: {steps: 40, batch_size: 4, learning_rate: 1e-3, warmup_steps: 10}
data: {train: 100, val: 20, test: 20, gen: 20}
report: {every: 20, decode_sentences: 4, probes: {sentences: 10}}
checkpoint: {every: 20}
"""


def run(command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=100, **more)


def may_make_trees():
    return os.geteuid() == 0 and run(['unshare', '--mount', 'true']).returncode == 0


class Bundle(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.holder = tempfile.TemporaryDirectory(prefix='bare tree: ')
        cls.tree = cls.holder.name
        for name in ('proc', 'dev', 'tmp', 'my: place'):
            os.mkdir(os.path.join(cls.tree, name))
        with open(os.path.join(cls.tree, 'tmp', 'bare.yaml'), 'w', encoding='utf-8') as file:
            file.write(SWEEP)
        place = os.path.join(cls.tree, 'my: place')
        done = run([os.path.join(SOURCE, 'scripts', 'bundle.sh'), '--build', BUILD, '--folder', '--out', place])
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        cls.bundle, = (os.path.join(place, name) for name in os.listdir(place))

    @classmethod
    def tearDownClass(cls):
        cls.holder.cleanup()

    def program(self, name='coppice'):
        return os.path.join(self.bundle, 'bin', name)

    def copied(self):
        """A bundle that a test may damage: the client alone."""
        folder = tempfile.mkdtemp(dir=self.tree)
        self.addCleanup(shutil.rmtree, folder)
        for name in ('bin', 'lib/coppice'):
            os.makedirs(os.path.join(folder, name))
        os.link(self.program(), os.path.join(folder, 'bin', 'coppice'))
        for name in os.listdir(os.path.join(self.bundle, 'lib', 'coppice')):
            if not name.startswith(('libtorch', 'libopenblas', 'libdnnl')):
                os.link(os.path.join(self.bundle, 'lib', 'coppice', name), os.path.join(folder, 'lib', 'coppice', name))
        return folder

    def inside(self, program, *arguments):
        """A command in a tree that holds the bundle, /proc, /dev and /tmp, on a kernel of 2016."""
        shown = '/' + os.path.relpath(self.program(program), self.tree)
        enter = ('mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"; old=$2; tree=$1; shift 2; '
                 'exec "$PYTHON" "$old" env -i HOME=/tmp PATH=/usr/sbin:/usr/bin chroot "$tree" "$@"')
        return ['env', 'PYTHON=' + sys.executable, 'unshare', '--mount', 'bash', '-euc', enter, 'inside', self.tree,
                os.path.join(HERE, 'old_kernel.py'), shown, *arguments]

    @unittest.skipUnless(may_make_trees(), 'needs root, and permission to mount')
    def test_a_sweep_runs_to_its_end_in_a_tree_that_holds_nothing_else(self):
        command = self.inside('coppice', 'local', '/tmp/bare.yaml', '--dir', '/tmp/run', '--keep-running')
        local = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(local.stdout.close)
        said = []
        try:
            for line in local.stdout:
                said.append(line)
                if 'goes on' in line:
                    break
            self.assertIn('goes on', said[-1] if said else '', ''.join(said))
            fetched = run(self.inside('coppice', '--access', '/tmp/run/access.json', 'checkpoint', 'fetch', 'bare/tense/1/0',
                                      '-o', '/tmp/last.safetensors'))
            self.assertEqual(fetched.returncode, 0, fetched.stderr)
        finally:
            local.send_signal(signal.SIGINT)
            said += local.stdout.readlines()
            code = local.wait(60)
        self.assertEqual(code, 0, ''.join(said))
        self.assertGreater(os.path.getsize(os.path.join(self.tree, 'tmp', 'last.safetensors')), 1000)

    def test_every_program_starts_and_ignores_the_callers_libraries(self):
        for name in PROGRAMS:
            done = run([self.program(name), '--version'], env={'HOME': self.tree, 'LD_LIBRARY_PATH': BUILD})
            self.assertEqual((done.returncode, done.stderr), (0, ''), name)

    def test_no_library_comes_from_the_system(self):
        for name in PROGRAMS:
            listed = run([self.program(name), '--version'], env={'HOME': self.tree, 'LD_TRACE_LOADED_OBJECTS': '1'})
            paths = [line.split(' => ')[1].rsplit(' (', 1)[0] for line in listed.stdout.splitlines() if ' => ' in line]
            self.assertGreater(len(paths), 10, listed.stderr)
            self.assertEqual([path for path in paths if not path.startswith(self.bundle)], [], name)

    def test_a_program_finds_the_others_by_its_own_path(self):
        linked = os.path.join(self.tree, 'tmp', 'client')
        os.symlink(self.program(), linked)
        self.assertEqual(run([linked, '--version']).returncode, 0)
        command = [self.program('coppice-coordinator'), '--data-dir', os.path.join(self.tree, 'tmp', 'data'), '--listen', '127.0.0.1:0']
        daemon = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={'HOME': self.tree})
        self.addCleanup(daemon.stdout.close)
        try:
            self.assertTrue(daemon.stdout.readline())
            of = f'/proc/{daemon.pid}/'
            self.assertEqual(os.readlink(of + 'exe'), self.program('coppice-coordinator'))
            with open(of + 'cmdline', encoding='utf-8') as file:
                self.assertEqual(file.read().split('\0')[:-1], command)
            with open(of + 'comm', encoding='utf-8') as file:
                self.assertEqual(file.read(), 'coppice-coordinator'[:15] + '\n')
        finally:
            daemon.terminate()
            daemon.communicate(timeout=60)

    def test_arguments_and_environment_arrive_whole(self):
        words = ['a b', '', '$ORIGIN', 'x' * 100_000]
        for count in (1, 2, 3, 4):
            done = run([self.program(), 'completion', *words[:count]], env={'HOME': self.tree, 'LONG': 'y' * 100_000})
            self.assertEqual(done.returncode, 2)
            self.assertIn(words[0], done.stderr)

    def test_a_missing_or_damaged_loader_is_told_with_a_remedy(self):
        folder = self.copied()
        program = os.path.join(folder, 'bin', 'coppice')
        loader = os.path.join(folder, 'lib', 'coppice', 'ld-linux-x86-64.so.2')
        self.assertEqual(run([program, '--version']).returncode, 0)
        os.remove(loader)
        for contents in (None, b'', b'\x7fELF' + b'\0' * 4000):
            if contents is not None:
                with open(loader, 'wb') as file:
                    file.write(contents)
            done = run([program, '--version'])
            self.assertEqual(done.returncode, 127)
            self.assertIn(loader, done.stderr)
            self.assertIn('unpack the archive again', done.stderr)

    def test_each_library_has_its_licence(self):
        licenses = os.path.join(self.bundle, 'share', 'licenses')
        with open(os.path.join(licenses, 'packages.txt'), encoding='utf-8') as file:
            lines = file.read().splitlines()
        told = {name for line in lines for name in line.rsplit(': ', 1)[1].split()}
        carried = set(os.listdir(os.path.join(self.bundle, 'lib', 'coppice'))) - set(PROGRAMS)
        self.assertEqual(told, carried)
        for line in lines:
            if not line.startswith('not of a package'):
                self.assertTrue(os.path.getsize(os.path.join(licenses, line.split()[0], 'copyright')))


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
