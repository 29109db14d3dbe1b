"""What `cmake --install` copies works where it was copied to, without the build folder's help.

    install_test.py CMAKE BUILD_FOLDER
"""
import os
import subprocess
import sys
import tempfile
import unittest

CMAKE, BUILD = sys.argv[1:3]


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.prefix = cls.folder.name
        subprocess.run([CMAKE, '--install', BUILD, '--prefix', cls.prefix], check=True, stdout=subprocess.DEVNULL)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_every_program_runs(self):
        for name in ('coppice', 'coppice-coordinator', 'coppice-worker', 'coppice-trainer'):
            done = subprocess.run([os.path.join(self.prefix, 'bin', name), '--version'], stdout=subprocess.PIPE, text=True,
                                  env={'HOME': self.prefix})
            self.assertEqual(done.returncode, 0, name)
            self.assertIn(name, done.stdout)

    def test_an_installed_sweep_is_planned(self):
        spec = os.path.join(self.prefix, 'share', 'coppice', 'sweeps', 'demo.yaml')
        done = subprocess.run([os.path.join(self.prefix, 'bin', 'coppice'), 'submit', spec, '--dry-run'],
                              stdout=subprocess.PIPE, text=True, env={'HOME': self.prefix})
        self.assertEqual(done.returncode, 0)
        self.assertIn('12 jobs', done.stdout)

    def test_licence_documents_and_module_are_there(self):
        for name in ('share/doc/coppice/LICENSE', 'share/doc/coppice/docs/security.md',
                     'share/coppice/python/coppice_model.py', 'share/coppice/python/coppice/program.py',
                     'share/coppice/python/coppice/py.typed', 'share/coppice/python/pyproject.toml',
                     'share/coppice/systemd/coppice-coordinator.service',
                     'share/coppice/systemd/user/coppice-worker.service'):
            self.assertTrue(os.path.exists(os.path.join(self.prefix, name)), name)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
