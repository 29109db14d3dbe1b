"""scripts/test.sh over stand-ins for cmake, ctest and the fuzzers: that its last line counts every stage, whichever of them fails."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Each build has tests a and b, and c of the label serial; the release build has one of the label bits, tsan none of serial.
CTEST = '''#!/usr/bin/env python3
import os, re, sys
words = sys.argv[1:]
build = words[words.index('--test-dir') + 1].split('/')[-1]
names = {'a': '', 'b': 'bits' if build == 'release' else ''}
if build != 'tsan':
    names['c'] = 'serial'
if '-L' in words:
    names = {n: l for n, l in names.items() if re.search(words[words.index('-L') + 1], l)}
if '-LE' in words:
    names = {n: l for n, l in names.items() if not re.search(words[words.index('-LE') + 1], l)}
if '-N' in words:
    print('Total Tests: %d' % len(names))
    sys.exit(0)
with open(os.environ['CALLS'], 'a') as calls:
    calls.write('%s %s %s\\n' % (build, ''.join(names), os.environ.get('COPPICE_AVX2', '')))
if not names:
    print('No tests were found!!!')
failing = os.environ.get('FAILING', '').split()
failed = [n for n in names if build + '/' + n in failing]
with open(words[words.index('--output-junit') + 1], 'w') as out:
    out.write('<testsuite>')
    for n in names:
        out.write('<testcase name="%s" status="%s"/>' % (n, 'fail' if n in failed else 'run'))
    out.write('</testsuite>')
sys.exit(8 if failed else 0)
'''
CMAKE = '''#!/bin/sh
case "$*" in *"$FAILING_BUILD"*) [ -z "$FAILING_BUILD" ] || exit 1 ;; esac
'''


class TestCommandTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = self.folder.name
        for name in ('scripts/test.sh', 'scripts/lesser_cpus.sh', 'scripts/sanitizers.sh', 'tests/fuzz/run.sh', 'tests/tally/tally.sh',
                     'tests/tally/tally.py'):
            os.makedirs(os.path.dirname(os.path.join(self.root, name)), exist_ok=True)
            shutil.copy(os.path.join(ROOT, name), os.path.join(self.root, name))
        for name, text in {'path/cmake': CMAKE, 'path/ctest': CTEST, 'deploy/install.sh': '#!/bin/sh\n',
                           'tests/lint/check_tidy.py': '#!/bin/sh\n[ -z "$UNTIDY" ]\n', 'scripts/build.sh': '#!/bin/sh\ncmake --preset release\n', 'build/asan/bin/fuzz_one': '#!/bin/sh\n',
                           'build/asan/bin/fuzz_two': '#!/bin/sh\n[ -z "$FINDING" ]\n', 'tests/fuzz/one_fuzz.cc': '',
                           'tests/fuzz/two_fuzz.cc': ''}.items():
            path = os.path.join(self.root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, 'w') as out:
                out.write(text)
            os.chmod(path, 0o755)
        self.calls = self.root + '/calls'
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith('COPPICE_')}
        self.environment.update(PATH=self.root + '/path:' + os.environ['PATH'], CALLS=self.calls, FAILING='', FAILING_BUILD='', FINDING='', UNTIDY='')
        with open('/proc/cpuinfo') as info:
            words = set(info.read().split())
        self.lesser = sum(flag in words for flag in ('amx_tile', 'avx512f', 'avx2'))

    def tearDown(self):
        self.folder.cleanup()

    def run_command(self, *words, **environment):
        """(exit code, last line, all lines)"""
        done = subprocess.run([self.root + '/scripts/test.sh', *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env=dict(self.environment, **environment))
        lines = done.stdout.splitlines()
        return done.returncode, lines[-1], lines

    # Release 3, one of bits for each lesser CPU, asan 3, two fuzzers, tsan 2.
    def all_of_it(self):
        return 10 + self.lesser

    def test_the_last_line_counts_every_stage(self):
        code, last, lines = self.run_command()
        self.assertEqual((code, last), (0, '%d passed, 0 failed' % self.all_of_it()))
        self.assertEqual(sum(line.endswith(' passed, 0 failed') for line in lines), 1)
        self.assertFalse(any('No tests were found' in line for line in lines))

    def test_what_fails_in_one_stage_keeps_no_other_from_running(self):
        code, last, lines = self.run_command(FAILING='release/a asan/c tsan/b', FINDING='yes')
        self.assertEqual((code, last), (1, '%d passed, 4 failed' % (self.all_of_it() - 4)))
        for name in ('release: a', 'asan, one by one: c', 'tsan: b', 'fuzzers: fuzz_two'):
            self.assertIn('failed: ' + name, lines)

    def test_a_build_that_fails_counts_once_and_the_next_stage_runs(self):
        code, last, _ = self.run_command(FAILING_BUILD='--preset tsan')
        self.assertEqual((code, last), (1, '%d passed, 1 failed' % (self.all_of_it() - 2)))
        code, last, _ = self.run_command(FAILING_BUILD='--preset release')
        self.assertEqual((code, last), (1, '7 passed, 1 failed'))

    def test_a_finding_of_clang_tidy_counts_once(self):
        code, last, lines = self.run_command('release', UNTIDY='yes')
        self.assertEqual((code, last), (1, '%d passed, 1 failed' % (3 + self.lesser)))
        self.assertTrue(any(line.startswith('failed: clang-tidy on the change') for line in lines))

    def test_a_part_is_counted_too(self):
        self.assertEqual(self.run_command('release')[:2], (0, '%d passed, 0 failed' % (3 + self.lesser)))
        self.assertEqual(self.run_command('-L', 'serial')[:2], (0, '1 passed, 0 failed'))
        self.assertEqual(self.run_command('-L', 'nosuch')[:2], (1, '0 passed, 0 failed'))

    def test_the_tests_of_bits_run_again_as_lesser_cpus(self):
        self.run_command('release')
        with open(self.calls) as calls:
            lines = calls.read().splitlines()
        self.assertEqual(lines.count('release b off'), 1 if self.lesser else 0)


if __name__ == '__main__':
    unittest.main(argv=[sys.argv[0], '-v'])
