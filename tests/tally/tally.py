#!/usr/bin/env python3
"""Runs tests and counts them over all that one command runs (tally.sh is its caller). Results are lines of JSON in the file that
COPPICE_TALLY names, so that what ran before a failure, a crash or an interrupt is counted.

    tally.py ctest STAGE [ARGUMENT ...]      runs ctest; counts each test, and as one failure a run that ends without results
    tally.py build STAGE COMMAND ...         runs a command that is no test: counts nothing, or one failure
    tally.py add STAGE NAME passed|failed|skipped
    tally.py sum [--status N]                prints what failed and was skipped, and as its last line "N passed, N failed"

`ctest` runs nothing where its arguments select no test. `ctest` and `build` end with 0 or 1. `sum` ends with 1 if anything failed,
if nothing ran, or if the command that it is the end of ended with another status N than 0; that counts as a failure where there
is none.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml

PASSED, FAILED, SKIPPED = 'passed', 'failed', 'skipped'


def add(stage, name, result, why=''):
    line = json.dumps({'stage': stage, 'name': name, 'result': result, 'why': why})
    with open(os.environ['COPPICE_TALLY'], 'a') as out:
        out.write(line + '\n')


def result_of(case):
    """A test that did not run, or of which every part was skipped, has not passed. What ctest could not start has failed."""
    status = case.get('status')
    if status == 'disabled':
        return SKIPPED, 'disabled'
    if status == 'notrun':
        skipped = case.find('skipped')
        why = skipped.get('message', '') if skipped is not None else ''
        return (SKIPPED if why.startswith('SKIP_') else FAILED), why or 'not run'
    if status != 'run':
        return FAILED, ''
    output = case.findtext('system-out') or ''
    if '[  PASSED  ] 0 tests.' in output and '[  SKIPPED ]' in output:
        return SKIPPED, 'all of it was skipped'
    return PASSED, ''


def add_results(stage, path, status):
    """Whether all is well."""
    try:
        cases = [(case.get('name'), *result_of(case)) for case in xml.parse(path).getroot().iter('testcase')]
    except (OSError, xml.ParseError) as error:
        add(stage, 'ctest', FAILED, 'it ended with %d and wrote no results: %s' % (status, error))
        return False
    for name, result, why in cases:
        add(stage, name, result, why)
    failed = any(result == FAILED for _, result, _ in cases)
    if status != 0 and not failed:
        add(stage, 'ctest', FAILED, 'it ended with %d, and no test of it failed' % status)
    return status == 0 and not failed


def selects_tests(arguments):
    listing = subprocess.run(['ctest', '-N', *arguments], stdout=subprocess.PIPE, text=True)
    return listing.returncode != 0 or re.search(r'^Total Tests: 0$', listing.stdout, re.MULTILINE) is None


def status_of(command):
    """The exit status; 128 + N after death by signal N. A terminal's interrupt reaches the command too, and its results count."""
    process = subprocess.Popen(command)
    while True:
        try:
            status = process.wait()
            return status if status >= 0 else 128 - status
        except KeyboardInterrupt:
            continue


def run_ctest(stage, arguments):
    if not selects_tests(arguments):
        return 0
    print('==== %s' % stage, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'results.xml')
        # The end of a test's output says whether anything in it ran.
        status = status_of(['ctest', '--output-on-failure', '--output-junit', path, '--test-output-truncation', 'head',
                            '--test-output-size-passed', '16384', *arguments])
        well = add_results(stage, path, status)
    return 0 if well else 1


def run_build(stage, command):
    try:
        status = status_of(command)
    except OSError as error:
        print(error, file=sys.stderr)
        status = 127
    if status != 0:
        add(stage, ' '.join(command), FAILED, 'it ended with %d' % status)
    return 0 if status == 0 else 1


def print_sum(status):
    with open(os.environ['COPPICE_TALLY']) as lines:
        rows = [json.loads(line) for line in lines]
    counts = {result: sum(row['result'] == result for row in rows) for result in (PASSED, FAILED, SKIPPED)}
    for result in (SKIPPED, FAILED):
        for row in rows:
            if row['result'] == result:
                print('%s: %s: %s%s' % (result, row['stage'], row['name'], ' (%s)' % row['why'] if row['why'] else ''))
    if status != 0 and counts[FAILED] == 0:
        print('failed: the command ended early, with status %d' % status)
        counts[FAILED] = 1
    elif counts[PASSED] + counts[FAILED] == 0:
        print('no test was run')
        status = 1
    print('%d passed, %d failed' % (counts[PASSED], counts[FAILED]), flush=True)
    return 1 if status != 0 or counts[FAILED] > 0 else 0


def main(words):
    if len(words) >= 2 and words[0] == 'ctest':
        return run_ctest(words[1], words[2:])
    if len(words) >= 3 and words[0] == 'build':
        return run_build(words[1], words[2:])
    if len(words) == 4 and words[0] == 'add' and words[3] in (PASSED, FAILED, SKIPPED):
        add(*words[1:])
        return 0
    if words == ['sum']:
        return print_sum(0)
    if len(words) == 3 and words[:2] == ['sum', '--status'] and words[2].isdigit():
        return print_sum(int(words[2]))
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
