"""Scripts that work in a Debian tree of their own, with stand-ins for debootstrap and for entering the tree: nothing is installed."""
import glob
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
STAND_INS = {
    'id': 'echo "${USER_NUMBER:-0}"',
    'apt-get': 'echo apt-get "$@" >>"$CALLS"',
    # debootstrap --variant=.. --components=.. RELEASE TREE
    'debootstrap': 'echo debootstrap "$3" >>"$CALLS"; [ -z "${NO_NETWORK:-}" ] || { echo "cannot reach it" >&2; exit 1; }; mkdir -p "$4/etc"',
    # unshare --mount bash -euc SCRIPT inside TREE COMMAND ..
    'unshare': '[ "$2" = true ] || { shift 6; echo inside "$@" >>"$CALLS"; exit "${INSIDE:-0}"; }',
}


class DebianTree(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = holder.name
        for name, text in STAND_INS.items():
            path = os.path.join(self.folder, name)
            with open(path, 'w', encoding='utf-8') as file:
                file.write('#!/bin/sh\n' + text + '\n')
            os.chmod(path, 0o755)
        self.tree = os.path.join(self.folder, 'a tree')
        # The project whose files go into the tree, without most of them.
        self.project = os.path.join(self.folder, 'project')
        shutil.copytree(os.path.join(ROOT, 'scripts'), os.path.join(self.project, 'scripts'))
        for name in ('build/here', '.git/here', 'CMakeLists.txt'):
            path = os.path.join(self.project, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, 'w', encoding='utf-8'):
                pass

    def run_script(self, name, *arguments, **variables):
        calls = os.path.join(self.folder, 'calls')
        with open(calls, 'w', encoding='utf-8'):
            pass
        done = subprocess.run([os.path.join(self.project, 'scripts', name), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              check=False, env={'PATH': self.folder + ':' + os.environ['PATH'], 'CALLS': calls, **variables})
        with open(calls, encoding='utf-8') as file:
            return done, file.read()

    def test_the_product_is_built_in_a_tree_of_the_named_release(self):
        for release in ('bookworm', 'trixie'):
            tree = os.path.join(self.folder, release)
            done, calls = self.run_script('on_debian.sh', release, '--tree', tree, '-R', 'scheduler')
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(f'debootstrap {release}\n', calls)
            self.assertIn('deploy/install.sh', calls)
            self.assertTrue(calls.endswith(' on_debian -R scheduler\n'), calls)
            self.assertEqual(sorted(os.listdir(os.path.join(tree, 'src'))), ['CMakeLists.txt', 'scripts'])

    def test_a_tree_that_is_there_is_kept_and_takes_the_files_of_today(self):
        self.run_script('on_debian.sh', 'trixie', '--tree', self.tree)
        gone, built = os.path.join(self.tree, 'src', 'gone.cc'), os.path.join(self.tree, 'src', 'build', 'made')
        os.makedirs(os.path.dirname(built))
        for path in (gone, built):
            with open(path, 'w', encoding='utf-8'):
                pass
        done, calls = self.run_script('on_debian.sh', 'trixie', '--tree', self.tree)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn('debootstrap', calls)
        self.assertNotIn('apt-get', calls)
        self.assertFalse(os.path.exists(gone))
        self.assertTrue(os.path.exists(built))

    def test_a_failure_in_the_tree_is_the_scripts_own(self):
        self.run_script('on_debian.sh', 'trixie', '--tree', self.tree)
        self.assertEqual(self.run_script('on_debian.sh', 'trixie', '--tree', self.tree, INSIDE='1')[0].returncode, 1)

    def test_a_tree_of_another_release_is_refused(self):
        self.run_script('on_debian.sh', 'bookworm', '--tree', self.tree)
        for script in (['on_debian.sh', 'trixie'], ['libtorch2.sh']):
            done, calls = self.run_script(*script, '--tree', self.tree)
            self.assertEqual((done.returncode, calls), (1, ''))
            self.assertIn('holds bookworm, and not trixie; name another folder', done.stderr)

    def test_a_folder_with_other_files_is_refused_and_left_alone(self):
        os.mkdir(self.tree)
        mine = os.path.join(self.tree, 'mine')
        with open(mine, 'w', encoding='utf-8') as file:
            file.write('mine')
        done, calls = self.run_script('on_debian.sh', 'trixie', '--tree', self.tree)
        self.assertEqual((done.returncode, calls), (1, ''))
        self.assertIn('neither empty nor a tree', done.stderr)
        self.assertEqual(os.listdir(self.tree), ['mine'])

    def test_a_tree_that_was_broken_off_is_made_again(self):
        done, _ = self.run_script('on_debian.sh', 'trixie', '--tree', self.tree, NO_NETWORK='1')
        self.assertEqual(done.returncode, 1)
        self.assertIn('needs the network', done.stderr)
        done, calls = self.run_script('on_debian.sh', 'trixie', '--tree', self.tree)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('debootstrap trixie', calls)

    def test_a_user_without_root_is_told_so(self):
        done, calls = self.run_script('on_debian.sh', 'trixie', '--tree', self.tree, USER_NUMBER='1000')
        self.assertEqual((done.returncode, calls), (1, ''))
        self.assertIn('as root', done.stderr)
        self.assertFalse(os.path.exists(self.tree))

    def test_another_release_and_a_missing_folder_are_refused(self):
        for arguments in ((), ('sid',), ('trixie', '--tree')):
            done, calls = self.run_script('on_debian.sh', *arguments)
            self.assertEqual((done.returncode, calls), (2, ''), arguments)
            self.assertNotEqual(done.stderr, '')


class EveryScript(unittest.TestCase):
    def test_it_has_no_fault_of_syntax(self):
        scripts = [path for folder in ('bench', 'deploy', 'scripts', 'tests')
                   for path in glob.glob(os.path.join(ROOT, folder, '**', '*.sh'), recursive=True)]
        self.assertGreater(len(scripts), 10)
        done = subprocess.run(['bash', '-c', 'status=0; for script; do bash -n "$script" || status=1; done; exit $status', 'check', *scripts],
                              stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ''))

    def test_those_that_need_a_tree_say_with_help_how_they_are_called(self):
        for name in ('bundle.sh', 'bundle_check.sh', 'cuda_build.sh', 'libtorch2.sh', 'on_debian.sh', 'package_check.sh'):
            done = subprocess.run([os.path.join(ROOT, 'scripts', name), '--help'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  check=False, env={'PATH': os.environ['PATH']})
            self.assertEqual((done.returncode, done.stderr), (0, ''), name)
            self.assertIn('scripts/' + name, done.stdout)
            self.assertNotIn('set -e', done.stdout)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
