"""That the last line of a run of tests counts what ran: over a real, small ctest tree and scripts that use it as the project's do."""
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TALLY = os.path.join(HERE, 'tally.py')

TREE = {
    'passes': ('exit 0', ''),
    'fails': ('exit 3', ''),
    'crashes': ('kill -SEGV $$', ''),
    'hangs': ('exec sleep 60', 'TIMEOUT 1'),
    'skips': ('exit 77', 'SKIP_RETURN_CODE 77'),
    'is_disabled': ('exit 0', 'DISABLED ON'),
    'skips_all_of_it': ("echo '[  PASSED  ] 0 tests.'; echo '[  SKIPPED ] 1 test, listed below:'", ''),
    'skips_a_part': ("echo '[  PASSED  ] 1 test.'; echo '[  SKIPPED ] 1 test, listed below:'", ''),
}


class TallyTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.tree = os.path.join(self.folder.name, 'tree')
        self.environment = {name: value for name, value in os.environ.items() if name != 'COPPICE_TALLY'}
        os.mkdir(self.tree)
        lines = ['add_test(is_missing "/nonexistent/program")']
        for name, (command, properties) in TREE.items():
            lines.append('add_test(%s /bin/sh -c "%s")' % (name, command.replace('$', '\\$')))
            lines.append('set_tests_properties(%s PROPERTIES LABELS small %s)' % (name, properties))
        with open(os.path.join(self.tree, 'CTestTestfile.cmake'), 'w') as out:
            out.write('\n'.join(lines) + '\n')

    def tearDown(self):
        self.folder.cleanup()

    def run_script(self, body):
        """(exit code, lines of stdout) of a script that sources tally.sh."""
        text = 'set -uo pipefail\n. %s/tally.sh\n%s\n' % (HERE, body.replace('TREE', '--test-dir ' + self.tree))
        done = subprocess.run(['bash', '-c', text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment)
        return done.returncode, done.stdout.splitlines()

    def test_every_way_to_fail_is_a_failure_and_what_did_not_run_has_not_passed(self):
        code, lines = self.run_script('tally ctest all TREE')
        self.assertEqual(lines[-1], '2 passed, 4 failed')
        self.assertEqual(code, 1)
        for name in ('fails', 'crashes', 'hangs', 'is_missing'):
            self.assertTrue(any(line.startswith('failed: all: %s' % name) for line in lines), name)
        for name in ('skips', 'is_disabled', 'skips_all_of_it'):
            self.assertTrue(any(line.startswith('skipped: all: %s' % name) for line in lines), name)

    def test_what_passes_ends_with_zero(self):
        code, lines = self.run_script("tally ctest one TREE -R '^passes$'")
        self.assertEqual((code, lines[-1]), (0, '1 passed, 0 failed'))

    def test_stages_are_summed_and_a_failed_one_does_not_end_the_run(self):
        code, lines = self.run_script("tally ctest one TREE -R '^(passes|fails)$'\n"
                                      "tally ctest two TREE -R '^skips_a_part$'\n"
                                      'tally add fuzz fuzz_spec passed\ntally add fuzz fuzz_spool failed')
        self.assertEqual((code, lines[-1]), (1, '3 passed, 2 failed'))

    def test_a_script_that_another_one_started_adds_to_its_count(self):
        inner = "bash -c '. %s/tally.sh; tally add inner test passed; exit 0'" % HERE
        code, lines = self.run_script('tally add outer test passed\n' + inner)
        self.assertEqual((code, lines), (0, ['2 passed, 0 failed']))

    def test_arguments_that_select_nothing_start_no_run(self):
        code, lines = self.run_script('tally ctest none TREE -L nosuch\ntally ctest one TREE -R passes')
        self.assertEqual((code, lines[-1]), (0, '1 passed, 0 failed'))
        self.assertFalse(any('No tests were found' in line for line in lines))
        self.assertFalse(any('none' in line for line in lines))

    def test_a_run_of_nothing_is_no_success(self):
        code, lines = self.run_script('tally ctest none TREE -L nosuch')
        self.assertEqual((code, lines[-1]), (1, '0 passed, 0 failed'))

    def test_a_build_that_fails_is_one_failure_and_one_that_works_is_none(self):
        code, lines = self.run_script('tally build release true\ntally build asan false || tally add asan more passed')
        self.assertEqual((code, lines[-1]), (1, '1 passed, 1 failed'))
        self.assertTrue(any(line.startswith('failed: asan: false') for line in lines))

    def test_a_script_that_ends_early_says_how_far_it_came(self):
        code, lines = self.run_script('tally add first test passed\nexit 7\ntally add second test passed')
        self.assertEqual((code, lines[-1]), (1, '1 passed, 1 failed'))

    def test_a_killed_ctest_is_a_failure(self):
        # As out of memory does it: the runner dies, and with it the results.
        fake = os.path.join(self.folder.name, 'bin')
        os.mkdir(fake)
        with open(os.path.join(fake, 'ctest'), 'w') as out:
            out.write('#!/bin/sh\n[ "$1" = -N ] && { echo "Total Tests: 3"; exit 0; }\nkill -KILL $$\n')
        os.chmod(os.path.join(fake, 'ctest'), 0o755)
        self.environment['PATH'] = fake + ':' + self.environment['PATH']
        code, lines = self.run_script('tally ctest all TREE')
        self.assertEqual((code, lines[-1]), (1, '0 passed, 1 failed'))
        self.assertTrue(any('it ended with 137' in line for line in lines))

    def test_an_interrupted_run_still_counts(self):
        code, lines = self.run_script("tally add before test passed\nkill -INT $$\nsleep 5\ntally add after test passed")
        self.assertEqual((code, lines[-1]), (1, '1 passed, 1 failed'))


if __name__ == '__main__':
    unittest.main(argv=[sys.argv[0], '-v'])
