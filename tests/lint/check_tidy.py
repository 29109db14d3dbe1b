#!/usr/bin/env python3
"""Runs clang-tidy with the tree's .clang-tidy on the C++ files that a change touches.

    check_tidy.py ROOT [--build DIR] [--base REV] [--files N] [--seconds N] [--jobs N] [--tool PROGRAM]
    check_tidy.py --self-test

--build    a configured build, for its compile_commands.json (ROOT/build/release)
--base     the change is all since REV, with what is not committed (the merge base with origin/main; where that is the
           last commit itself, the commit before it)
--files    the most files (40): the program's own before those of tests and benches
--seconds  the most time (300)

The last lines say what was checked, and what was left and why. Exit code 1 on a finding, 2 where it cannot run.
"""
import argparse
import concurrent.futures
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

# A file of CMake that includes the files of a group.
GROUP = re.compile(r'/Unity/unity_\d+_cxx\.cxx$')
# Warnings of GCC that Clang does not know.
GCC_ONLY = re.compile(r'-W(no-)?(restrict|maybe-uninitialized|stringop-overflow|invalid-pch)$')


def git(root, *words):
    done = subprocess.run(['git', '-C', root, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def find_base(root):
    head = git(root, 'rev-parse', 'HEAD')
    base = git(root, 'merge-base', 'origin/main', 'HEAD')
    if base is None or base == head:
        base = git(root, 'rev-parse', '--verify', '-q', 'HEAD~1')
    return base


def changed_sources(root, base):
    """(the changed files that a compiler is called for, the changed headers); a header brings the file of its name."""
    listed = git(root, 'diff', '--name-only', '--diff-filter=d', base, '--', '*.cc', '*.h')
    if listed is None:
        return None
    untracked = git(root, 'ls-files', '--others', '--exclude-standard', '--', '*.cc', '*.h') or ''
    names = set(listed.split() + untracked.split())
    headers = sorted(name for name in names if name.endswith('.h'))
    names |= {name[:-2] + '.cc' for name in headers}
    sources = sorted((name for name in names if name.endswith('.cc') and os.path.exists(os.path.join(root, name))),
                     key=lambda name: (name.startswith(('tests/', 'bench/')), name))
    return sources, headers


def clang_command(entry, folder):
    """The call for one file without what GCC alone knows. A precompiled header is read as the text that it was made from."""
    words = shlex.split(entry['command']) if 'command' in entry else entry['arguments']
    kept, i = [], 0
    while i < len(words):
        if words[i] == '-include' and words[i + 1].endswith('cmake_pch.hxx'):
            text = os.path.join(folder, str(abs(hash(words[i + 1]))) + '.hxx')
            if os.path.exists(words[i + 1]):
                with open(words[i + 1]) as source, open(text, 'w') as out:
                    out.write(source.read())
                kept += ['-include', text]
            i += 2
            continue
        if not GCC_ONLY.match(words[i]):
            kept.append(words[i])
        i += 1
    # Before the compiler stand the cache and its settings.
    start = next((n for n, word in enumerate(kept) if re.search(r'(c\+\+|g\+\+|clang\+\+)(-\d+)?$', word)), 0)
    return kept[start:]


def entries_by_file(build):
    """The build's compile commands. A file that is compiled in a group gets the command of its group."""
    with open(os.path.join(build, 'compile_commands.json')) as file:
        listed = json.load(file)
    entries = {}
    for entry in listed:
        path = os.path.realpath(os.path.join(entry['directory'], entry['file']))
        entries[path] = entry
        if not GROUP.search(path) or not os.path.exists(path):
            continue
        with open(path) as group:
            members = re.findall(r'^#include "(.+)"$', group.read(), re.M)
        words = shlex.split(entry['command']) if 'command' in entry else entry['arguments']
        for member in members:
            swapped = [member if word == entry['file'] else word for word in words]
            entries[os.path.realpath(member)] = {'directory': entry['directory'], 'file': member, 'arguments': swapped}
    return entries


def database_for(root, build, names, folder):
    """Writes the compile commands of these files; returns those that have one."""
    entries = entries_by_file(build)
    chosen, rows = [], []
    for name in names:
        entry = entries.get(os.path.realpath(os.path.join(root, name)))
        if entry is not None:
            chosen.append(name)
            rows.append({'directory': entry['directory'], 'file': entry['file'], 'arguments': clang_command(entry, folder)})
    with open(os.path.join(folder, 'compile_commands.json'), 'w') as out:
        json.dump(rows, out)
    return chosen


def check_one(tool, root, folder, header_filter, name, end):
    """(name, output, status); status None: there was no time."""
    left = end - time.monotonic()
    if left <= 0:
        return name, '', None
    try:
        done = subprocess.run([tool, '--quiet', '-p', folder, '--warnings-as-errors=*', '--header-filter=' + header_filter,
                               os.path.join(root, name)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=left)
    except subprocess.TimeoutExpired:
        return name, '', None
    output = done.stdout
    if done.returncode != 0 and ': error:' not in output:
        output += done.stderr
    return name, output, done.returncode


def run(options):
    base = options.base or find_base(options.root)
    if base is None:
        print('tidy: checked nothing: there is no commit to compare with; name one with --base')
        return 0
    changed = changed_sources(options.root, base)
    if changed is None:
        print(f'tidy: {base} is not a commit of this repository')
        return 2
    names, headers = changed
    # An unchanged header's findings are not this change's.
    header_filter = '/(' + '|'.join(re.escape(name) for name in headers) + ')$' if headers else '^$'
    build = options.build or os.path.join(options.root, 'build/release')
    if names and not os.path.exists(os.path.join(build, 'compile_commands.json')):
        print(f'tidy: no {build}/compile_commands.json; configure the build first')
        return 2
    if shutil.which(options.tool) is None:
        print(f'tidy: no {options.tool}; install it (deploy/install.sh does so)')
        return 2
    found = 0
    end = time.monotonic() + options.seconds
    with tempfile.TemporaryDirectory() as folder:
        built = database_for(options.root, build, names, folder) if names else []
        chosen = built[:options.files]
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            results = list(pool.map(lambda name: check_one(options.tool, options.root, folder, header_filter, name, end),
                                    chosen))
    for _, output, status in results:
        if status:
            found += 1
            print(output.rstrip())
    checked = [name for name, _, status in results if status is not None]
    late = [name for name, _, status in results if status is None]
    print(f'tidy: checked {len(checked)} of {len(names)} files changed since {base[:12]}; findings in {found}')
    for why, left in (('not in this build', [name for name in names if name not in built]),
                      (f'more than {options.files} files', built[options.files:]),
                      (f'no time within {options.seconds:g} s', late)):
        if left:
            print(f'tidy: left {len(left)} ({why}): {", ".join(left[:5])}{", ..." if len(left) > 5 else ""}')
    return 1 if found else 0


STAND_IN = '''#!/usr/bin/env python3
import sys, time
text = open(sys.argv[-1]).read()
if 'SLOW' in text:
    time.sleep(60)
if 'BAD' in text:
    print(sys.argv[-1] + ':1:1: error: bad [bad]')
sys.exit('BAD' in text)
'''


def self_test():
    with tempfile.TemporaryDirectory() as root:
        def write(name, text):
            path = os.path.join(root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, 'w') as out:
                out.write(text)
            return path

        def commit():
            for words in (['add', '-A'], ['-c', 'user.name=t', '-c', 'user.email=t@example', 'commit', '-q', '-m', 'x']):
                subprocess.run(['git', '-C', root, *words], check=True)

        def call(*words):
            done = subprocess.run([sys.executable, __file__, root, '--tool', tool, *words], stdout=subprocess.PIPE, text=True)
            return done.returncode, done.stdout

        subprocess.run(['git', 'init', '-q', root], check=True)
        tool = write('tool', STAND_IN)
        os.chmod(tool, 0o755)
        names = ('old.cc', 'good.cc', 'head.cc', 'tests/late.cc', 'slow.cc')
        group = write('build/release/x.dir/Unity/unity_0_cxx.cxx', ''.join(
            f'/* NOLINTNEXTLINE */\n#include "{os.path.join(root, name)}"\n' for name in names[:2]))
        write('build/release/compile_commands.json', json.dumps(
            [{'directory': root, 'file': group, 'command': f'c++ -c {group}'}] +
            [{'directory': root, 'file': os.path.join(root, name), 'command': f'c++ -c {name}'} for name in names[2:]]))
        write('old.cc', 'BAD')
        write('head.cc', 'BAD')
        write('head.h', '')
        commit()
        yield 'no base', call() == (0, 'tidy: checked nothing: there is no commit to compare with; name one with --base\n')
        yield 'a wrong base', call('--base', 'gone')[0] == 2
        write('good.cc', '')
        write('unbuilt.cc', 'BAD')
        commit()
        code, text = call()
        yield 'only the change is checked', code == 0 and 'checked 1 of 2' in text and 'not in this build): unbuilt.cc' in text
        write('head.h', '// changed')
        code, text = call()
        yield 'a header stands for its file', code == 1 and 'head.cc:1:1' in text
        code, text = call('--base', 'HEAD~1', '--files', '1')
        yield 'what is left is named', 'more than 1 files): head.cc' in text
        write('slow.cc', 'SLOW')
        write('tests/late.cc', 'BAD')
        code, text = call('--seconds', '2', '--jobs', '1')
        yield 'time ends it', 'no time within 2 s): slow.cc, tests/late.cc' in text


def main():
    if sys.argv[1:] == ['--self-test']:
        failed = [name for name, well in self_test() if not well]
        for name in failed:
            print(f'rule not proven: {name}')
        return 1 if failed else 0
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('root')
    parser.add_argument('--build')
    parser.add_argument('--base')
    parser.add_argument('--files', type=int, default=40)
    parser.add_argument('--seconds', type=float, default=300)
    parser.add_argument('--jobs', type=int, default=os.cpu_count())
    parser.add_argument('--tool', default='clang-tidy')
    return run(parser.parse_args())


if __name__ == '__main__':
    sys.exit(main())
