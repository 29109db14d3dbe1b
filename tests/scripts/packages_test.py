"""deploy/install.sh asks apt for the packages of the Debian on which it runs, and knows which it does not know."""
import os
import subprocess
import tempfile
import unittest

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'deploy', 'install.sh')
# Nothing is installed but python3.
DPKG_QUERY = '#!/bin/sh\n[ "$3" = python3 ] && echo "install ok installed"\n'
APT_GET = '#!/bin/sh\necho "$@" >>"$ASKED"\n'


class Packages(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = holder.name
        for name, text in (('dpkg-query', DPKG_QUERY), ('apt-get', APT_GET), ('sudo', '#!/bin/sh\nexec "$@"\n')):
            path = os.path.join(self.folder, name)
            with open(path, 'w', encoding='utf-8') as file:
                file.write(text)
            os.chmod(path, 0o755)
        self.asked = os.path.join(self.folder, 'asked')

    def install(self, release, *arguments):
        path = os.path.join(self.folder, 'os-release')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(release)
        done = subprocess.run([SCRIPT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                              env={'PATH': self.folder + ':' + os.environ['PATH'], 'ASKED': self.asked, 'COPPICE_OS_RELEASE': path})
        asked = []
        if os.path.exists(self.asked):
            with open(self.asked, encoding='utf-8') as file:
                asked = file.read().split()
            os.remove(self.asked)
        return done, asked

    def test_each_debian_gets_its_own_libraries(self):
        for release, own, other in (('12', 'libtorch1.13', 'libtorch2.6'), ('13', 'libtorch2.6', 'libtorch1.13')):
            done, asked = self.install(f'ID=debian\nVERSION_ID="{release}"\n')
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(own, asked)
            self.assertIn('libtorch-dev', asked)
            self.assertNotIn(other, asked)
            self.assertNotIn('python3', asked)

    def test_running_needs_no_compiler(self):
        done, asked = self.install('ID=debian\nVERSION_ID="13"\n', '--run')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('libssl3t64', asked)
        self.assertNotIn('g++', asked)

    def test_another_system_is_told_of_the_bundle_and_nothing_is_installed(self):
        for release in ('ID=ubuntu\nVERSION_ID="24.04"\n', 'ID=debian\n', 'ID=fedora\nVERSION_ID=41\n'):
            done, asked = self.install(release)
            self.assertEqual((done.returncode, asked), (1, []))
            self.assertIn('bundle', done.stderr)


if __name__ == '__main__':
    unittest.main()
