"""The package as a whole: its wheel, its types, that it needs nothing but the standard library.

    package_test.py          runs in any Python; what pip or mypy has to do is skipped where they are missing
"""

import ast
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.realpath(os.path.join(HERE, '..', '..', 'python'))
sys.path.insert(0, SOURCE)
import build_backend  # noqa: E402

OPTIONAL = {'coppice_model.py': {'torch'}}


def has(*command):
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


class Wheel(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        # pip may write beside the sources.
        self.source = os.path.join(self.folder, 'source')
        shutil.copytree(SOURCE, self.source, ignore=shutil.ignore_patterns('__pycache__', '.mypy_cache', 'build', '*.egg-info'))

    def python(self, code, path):
        run = subprocess.run([sys.executable, '-c', code], cwd=self.folder, env={'PATH': os.environ['PATH'], 'PYTHONPATH': path},
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(run.returncode, 0, run.stdout)
        return run.stdout.strip()

    def test_the_same_sources_give_the_same_wheel(self):
        found = []
        for name in ('a', 'b'):
            os.mkdir(os.path.join(self.folder, name))
            wheel = build_backend.build_wheel(os.path.join(self.folder, name))
            with open(os.path.join(self.folder, name, wheel), 'rb') as file:
                found.append(file.read())
        self.assertEqual(found[0], found[1])

    def test_record_names_every_file_with_its_digest(self):
        path = os.path.join(self.folder, build_backend.build_wheel(self.folder))
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            record = archive.read([name for name in names if name.endswith('/RECORD')][0]).decode().splitlines()
            self.assertEqual([line.split(',')[0] for line in record], names)
            for line in record[:-1]:
                name, digest, size = line.split(',')
                data = archive.read(name)
                self.assertEqual((digest, int(size)), ('sha256=' + build_backend.digest(data), len(data)))
        for name in ('coppice/program.py', 'coppice/py.typed', 'coppice_model.py'):
            self.assertIn(name, names)

    @unittest.skipUnless(has(sys.executable, '-m', 'pip', '--version'), 'no pip here')
    def test_pip_builds_and_installs_it_without_a_network(self):
        pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check']
        offline = dict(os.environ, PIP_NO_INDEX='1', PIP_BREAK_SYSTEM_PACKAGES='1', PIP_ROOT_USER_ACTION='ignore', PIP_NO_CACHE_DIR='1')
        for command in (['wheel', '--no-deps', '--no-build-isolation', '-w', self.folder, self.source],
                        ['install', '--no-deps', '--target', self.folder + '/site', f'{self.folder}/coppice-{build_backend.version()}-py3-none-any.whl']):
            run = subprocess.run([*pip, *command], env=offline, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self.assertEqual(run.returncode, 0, run.stdout)
        self.assertEqual(self.python('import coppice.program, coppice; print(coppice.__version__, coppice.__file__)', self.folder + '/site'),
                         f'{build_backend.version()} {self.folder}/site/coppice/__init__.py')

    def test_the_source_archive_builds_the_same_wheel(self):
        archive = build_backend.build_sdist(self.folder)
        shutil.unpack_archive(os.path.join(self.folder, archive), self.folder)
        unpacked = os.path.join(self.folder, archive[:-len('.tar.gz')])
        name = self.python('import build_backend; print(build_backend.build_wheel("."))', unpacked)
        with open(os.path.join(self.folder, name), 'rb') as one:
            os.mkdir(os.path.join(self.folder, 'direct'))
            with open(os.path.join(self.folder, 'direct', build_backend.build_wheel(self.folder + '/direct')), 'rb') as other:
                self.assertEqual(one.read(), other.read())


class Sources(unittest.TestCase):
    def test_they_need_the_standard_library_alone(self):
        standard = getattr(sys, 'stdlib_module_names', None)
        if standard is None:
            self.skipTest('this Python does not know its own modules')
        for name, data in build_backend.sources().items():
            if not name.endswith('.py'):
                continue
            imported = set()
            for node in ast.walk(ast.parse(data, feature_version=(3, 9))):  # and Python 3.9 reads them
                if isinstance(node, ast.Import):
                    imported |= {alias.name.split('.')[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    imported.add(node.module.split('.')[0])
            self.assertEqual(imported - standard - {'coppice'} - OPTIONAL.get(name, set()), set(), name)

    def test_types_hold(self):
        mypy = [python for python in (sys.executable, '/usr/bin/python3') if has(python, '-m', 'mypy', '--version')]
        if not mypy:
            self.skipTest('no mypy here (Debian: apt install mypy)')
        with tempfile.TemporaryDirectory() as folder:
            with open(folder + '/use.py', 'w') as file:
                file.write('from dataclasses import dataclass\nfrom coppice import program\n'
                           '@dataclass\nclass S:\n    rate: float = 1.0\n'
                           'with program.start(S, steps=3) as run:\n    reveal_type(run.settings.rate)\n'
                           '    for step in run.steps():\n        reveal_type(step)\n'
                           'with program.start({"rate": 1.0}, steps=3) as other:\n    run.settings.width\n')
            run = subprocess.run([mypy[0], '-m', 'mypy', '--strict', '--python-version', '3.9', '--no-error-summary', '--cache-dir', folder,
                                  SOURCE + '/coppice', folder + '/use.py'], cwd=folder, env=dict(os.environ, MYPYPATH=SOURCE),
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        lines = [line.split('use.py:')[-1] for line in run.stdout.splitlines()]
        self.assertEqual(lines, ['7: note: Revealed type is "builtins.float"', '9: note: Revealed type is "builtins.int"',
                                 '11: error: "S" has no attribute "width"  [attr-defined]'])


if __name__ == '__main__':
    unittest.main()
