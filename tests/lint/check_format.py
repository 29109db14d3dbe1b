#!/usr/bin/env python3
"""Holds every C++ and protobuf file against the form that .clang-format describes.

    check_format.py ROOT [CLANG_FORMAT]     prints one line a fault; exit code 1 when there are any
    check_format.py --fix ROOT [CLANG_FORMAT]   brings the files into that form
"""
import os
import subprocess
import sys

ENDINGS = ('.cc', '.h', '.cu', '.cuh', '.proto')
TOP = ('proto', 'common', 'coordinator', 'worker', 'cli', 'tests', 'bench')
FILES_AT_ONCE = 64


def files(root):
    for top in TOP:
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in sorted(names):
                if name.endswith(ENDINGS):
                    yield os.path.join(folder, name)


def main():
    words = sys.argv[1:]
    fix = words[:1] == ['--fix']
    if fix:
        words = words[1:]
    if len(words) not in (1, 2):
        print(__doc__, file=sys.stderr)
        return 2
    root, program = words[0], words[1] if len(words) == 2 else 'clang-format'
    found = sorted(files(root))
    failed = False
    for first in range(0, len(found), FILES_AT_ONCE):
        options = ['-i'] if fix else ['--dry-run', '-Werror']
        done = subprocess.run([program, '--style=file', *options, *found[first:first + FILES_AT_ONCE]],
                              stderr=subprocess.PIPE, text=True)
        failed |= done.returncode != 0
        for line in done.stderr.splitlines():
            if ': error:' in line or done.returncode not in (0, 1):
                print(line)
    if failed:
        print('tests/lint/check_format.py --fix . brings the files into form')
    return 1 if failed or not found else 0


if __name__ == '__main__':
    sys.exit(main())
