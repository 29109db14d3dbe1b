#!/usr/bin/env python3
"""Checks what the compiler does not: the dependency rule between folders, walls around heavy libraries,
registration of every test, the size of test files and tests, where time may be read, and words that have given way
to others (docs/glossary.md).

    check_tree.py ROOT         prints one line a violation; exit code 1 when there are any
    check_tree.py --self-test  proves on a made-up tree that each rule finds its violation
"""
import os
import re
import sys
import tempfile

SOURCE = ('.cc', '.h', '.cu', '.cuh', '.proto')
TOP = ('proto', 'common', 'coordinator', 'worker', 'cli', 'tests', 'bench')

# folder -> folders of the project it may include from (itself is always allowed; "gen" is generated protobuf code).
ALLOWED = {
    'common/base': (),
    'common/launcher': (),
    'common/settings': ('common/base',),
    'common/rpc': ('common/base', 'gen'),
    'common/spec': ('common/base', 'common/settings', 'gen'),
    'coordinator/core': ('common/base', 'coordinator/pools'),
    'coordinator/pools': ('common/base',),
    'coordinator/store': ('common/base', 'coordinator/core', 'coordinator/pools'),
    'coordinator/security': ('common/base',),
    'coordinator/service': ('common/base', 'common/rpc', 'common/spec', 'coordinator/security', 'coordinator/core',
                            'coordinator/pools', 'coordinator/store', 'gen'),
    'coordinator/commands': ('common/base', 'common/rpc', 'coordinator/security', 'coordinator/core', 'coordinator/store',
                             'coordinator/pools', 'coordinator/service'),
    'coordinator': ('common/base', 'common/rpc', 'common/spec', 'coordinator/core', 'coordinator/store',
                    'coordinator/service', 'coordinator/commands', 'coordinator/security', 'gen'),
    'worker/program': ('common/base',),
    'worker/daemon': ('common/base', 'common/rpc', 'common/settings', 'worker/program', 'gen'),
    # The trainer's folders, from the lowest to main.cc and its helpers in the folder itself.
    'worker/trainer/base': ('common/base',),
    'worker/trainer/tasks': ('common/base',),
    'worker/trainer/config': ('common/base', 'common/settings', 'worker/trainer/tasks'),
    'worker/trainer/model': ('common/base', 'worker/trainer/base'),
    'worker/trainer/checkpoint': ('common/base', 'worker/trainer/base', 'worker/trainer/config', 'worker/trainer/model'),
    'worker/trainer/probes': ('common/base', 'worker/trainer/base', 'worker/trainer/tasks', 'worker/trainer/model'),
    'worker/trainer/train': ('common/base', 'worker/trainer/base', 'worker/trainer/tasks', 'worker/trainer/config',
                             'worker/trainer/model', 'worker/trainer/checkpoint', 'worker/trainer/probes'),
    'worker/trainer/stacked': ('common/base', 'worker/trainer/base', 'worker/trainer/tasks', 'worker/trainer/config',
                               'worker/trainer/model', 'worker/trainer/checkpoint', 'worker/trainer/train'),
    'worker/trainer/cuda': ('common/base', 'worker/trainer/stacked'),
    'worker/trainer': ('common/base', 'common/settings', 'worker/trainer/base', 'worker/trainer/tasks',
                       'worker/trainer/config', 'worker/trainer/train', 'worker/trainer/cuda'),
    'cli': ('common/base', 'common/rpc', 'common/settings', 'common/spec', 'worker/program', 'gen'),
}

# (what an include looks like, folders where it may stand, name for the message)
WALLS = (
    (re.compile(r'#include [<"](torch|ATen|c10|caffe2)/'), ('worker/trainer', 'tests/worker/trainer', 'bench'), 'LibTorch'),
    (re.compile(r'#include [<"]sqlite3\.h'), ('coordinator/store', 'tests/coordinator/store'), 'SQLite'),
    (re.compile(r'#include [<"](grpcpp|grpc)/'),
     ('common/rpc', 'coordinator/service', 'coordinator/main.cc', 'worker/daemon', 'cli', 'tests', 'bench'), 'gRPC'),
    (re.compile(r'#include [<"]openssl/'), ('coordinator/security', 'common/rpc/tls_at_exit.cc', 'tests/coordinator/security'), 'OpenSSL'),
    (re.compile(r'#include [<"]yaml-cpp/'), ('cli', 'tests/cli'), 'yaml-cpp'),
)

TIME = re.compile(r'sleep_for|sleep_until|\bSleepFor\(|absl::Now\(|(system|steady)_clock::now|\b(usleep|nanosleep|sleep)\(')
TIME_FREE = ('common/base', 'bench')

# (an old word, the word in its place, where the old one may still stand)
OLD_WORDS = (
    # A pass over the training set is an epoch. A former database and former folders have the old name.
    (re.compile(r'epoch', re.I), 'attempt',
     ('worker/trainer/train/permutation.h', 'worker/trainer/train/permutation.cc', 'tests/worker/trainer',
      'coordinator/store/schema.cc', 'tests/coordinator/store/migration_test.cc', 'common/base/file_names.h',
      'common/base/file_names.cc', 'tests/common/base/file_names_test.cc')),
    (re.compile(r'\bEar(Handle)?\b'), 'Subscriber', ()),
    (re.compile(r'\b(Ripen|NextRipe)\b'), 'PromoteDelayed, NextDelayed', ()),
    (re.compile(r'store/(database|checkpointer)\.h'), 'store/connection.h, store/wal_checkpointer.h', ()),
    (re.compile(r'core/transaction\.h'), 'core/command_context.h', ()),
    (re.compile(r'\b(ripe_order_|heard_at|heard_ms)\b'), 'by_eligible_time_, seen_at, seen_ms', ()),
    (re.compile(r'\bTurned\b'), 'Transpose', ()),
    (re.compile(r'\bby_hand_?\b'), 'standalone', ()),
    (re.compile(r'\b(FusedOps|TrainingOps|OperationOps)\b'), 'ModelOps, StackedOps', ()),
    (re.compile(r'\baccelerator', re.I), 'device', ()),
    (re.compile(r'\b(k(Stop)?Look(?!Up)\w*|NextLook\w*|LookAt\w*|Untold)\b'), 'check, poll or scan', ('worker',)),
    (re.compile(r'\b(told_|k\w+Told|By\w*Told\w*)(?!\w)'), 'reported or listed', ()),
)
NOT_OLD = re.compile(r'time_since_epoch')

# Lines of a test file, and of one test in it.
MAX_TEST_FILE = 500
MAX_TEST = 80
TEST = re.compile(r'TEST(_F|_P)?\(')

INCLUDE = re.compile(r'#include "([^"]+)"')


def files(root):
    for top in TOP:
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in sorted(names):
                if name.endswith(SOURCE):
                    path = os.path.join(folder, name)
                    yield os.path.relpath(path, root), path


def under(path, prefix):
    return path == prefix or path.startswith(prefix + '/')


def module_of(path):
    best = None
    for module in ALLOWED:
        if under(path, module) and (best is None or len(module) > len(best)):
            best = module
    return best


def target_of(include):
    return 'gen' if include.startswith('coppice/') else module_of(include)


def unlisted_folders(root):
    """Folders of the trainer that the table lacks: their includes would count as those of main.cc."""
    top = os.path.join(root, 'worker/trainer')
    for name in sorted(os.listdir(top)) if os.path.isdir(top) else ():
        folder = f'worker/trainer/{name}'
        if os.path.isdir(os.path.join(top, name)) and folder not in ALLOWED:
            yield f'{folder}: not in the table of folders (tests/lint/check_tree.py)'


def cycle_in(allowed):
    """A folder that may depend on itself by way of others; None: there is no cycle."""
    finished = set()

    def visit(module, path):
        if module in path:
            return ' -> '.join(path[path.index(module):] + [module])
        if module in finished:
            return None
        for target in allowed.get(module, ()):
            found = visit(target, path + [module])
            if found:
                return found
        finished.add(module)
        return None

    return next(filter(None, (visit(module, []) for module in allowed)), None)


def strip_comment(line):
    return line.split('//', 1)[0]


def check_file(relative, text):
    module = module_of(relative)
    for number, line in enumerate(text.splitlines(), 1):
        where = f'{relative}:{number}'
        for pattern, allowed, name in WALLS:
            if pattern.search(line) and not any(under(relative, prefix) for prefix in allowed):
                yield f'{where}: includes {name} outside of {", ".join(allowed)}'
        if module is not None:
            match = INCLUDE.search(line)
            target = target_of(match.group(1)) if match else None
            if target is not None and target != module and target not in ALLOWED[module]:
                yield f'{where}: {module} may not depend on {target}'
        code = strip_comment(line)
        if TIME.search(code) and not relative.startswith('tests/') and not any(under(relative, p) for p in TIME_FREE):
            yield f'{where}: reads the time or sleeps; take a Clock (common/base/clock.h)'
        for old, new, allowed in OLD_WORDS:
            if old.search(NOT_OLD.sub('', line)) and not any(under(relative, prefix) for prefix in allowed):
                yield f'{where}: an old word; write {new}'


def check_registration(root, relative):
    if not relative.endswith('_test.cc'):
        return
    folder = os.path.dirname(relative)
    while folder.startswith('tests'):
        lists = os.path.join(root, folder, 'CMakeLists.txt')
        inside = os.path.relpath(relative, folder)
        if os.path.exists(lists):
            with open(lists, encoding='utf-8') as file:
                if re.search(r'\b' + re.escape(inside) + r'\b', file.read()):
                    return
        folder = os.path.dirname(folder)
    yield f'{relative}: no CMakeLists.txt names it, so it never runs'


def check_size(relative, text):
    if not relative.startswith('tests/'):
        return
    lines = text.splitlines()
    if len(lines) > MAX_TEST_FILE:
        yield f'{relative}: {len(lines)} lines; a test file has at most {MAX_TEST_FILE}: split it by subject'
    begun = None
    for number, line in enumerate(lines, 1):
        if TEST.match(line):
            begun = number
        elif line == '}' and begun is not None:
            if number - begun + 1 > MAX_TEST:
                yield f'{relative}:{begun}: a test of {number - begun + 1} lines; at most {MAX_TEST}'
            begun = None


def check(root):
    found = list(unlisted_folders(root))
    if cycle_in(ALLOWED):
        found.append(f'the table of folders has a cycle: {cycle_in(ALLOWED)}')
    for relative, path in files(root):
        with open(path, encoding='utf-8') as file:
            text = file.read()
        found += check_file(relative, text)
        found += check_size(relative, text)
        found += check_registration(root, relative)
    return found


def places(relative, line):
    """True if the violation is that of the file, or of its folder."""
    return line.startswith((f'{relative}:', f'{os.path.dirname(relative)}:'))


def self_test():
    planted = {
        'worker/daemon/a.cc': ('#include <torch/torch.h>', 'LibTorch'),
        'coordinator/core/b.cc': ('#include <sqlite3.h>', 'SQLite'),
        'coordinator/core/c.h': ('#include "coppice/v1/sweep.pb.h"', 'may not depend on gen'),
        'worker/trainer/d.cc': ('#include "common/rpc/status.h"', 'may not depend on common/rpc'),
        'worker/trainer/model/d.cc': ('#include "worker/trainer/stacked/device_batch.h"',
                                      'worker/trainer/model may not depend on worker/trainer/stacked'),
        'worker/trainer/new/d.cc': ('', 'not in the table of folders'),
        'cli/e.cc': ('#include "coordinator/core/types.h"', 'may not depend on coordinator/core'),
        'common/spec/f.cc': ('auto t = absl::Now();', 'reads the time'),
        'tests/cli/lost_test.cc': ('TEST(A, B) {}', 'never runs'),
        'tests/cli/long.h': ('int a;\n' * 501, 'lines; a test file'),
        'tests/cli/long_test.cc': ('TEST(A, B) {\n' + '\n' * 79 + '}', 'a test of 81 lines'),
        'coordinator/core/g.cc': ('// the epoch of a lease', 'an old word; write attempt'),
        'coordinator/service/h.cc': ('constexpr int kLookEvery = 1;', 'an old word; write check'),
        'coordinator/core/i.cc': ('int told_ = 0;', 'an old word; write reported'),
    }
    clean = {
        'cli/g.cc': '#include "common/rpc/channel.h"\n// sleep(1) in a comment\n',
        'worker/trainer/stacked/d.cc': '#include "worker/trainer/model/transformer.h"',
        'tests/cli/kept_test.cc': 'TEST(A, B) {}',
        'worker/trainer/train/permutation.h': '// an epoch is a pass over the data',
        'tests/cli/CMakeLists.txt': 'coppice_test(kept SRCS kept_test.cc long_test.cc)',
        'tests/cli/short.cc': 'TEST(A, B) {\n' + '\n' * 78 + '}\nint A() {\n' + '\n' * 90 + '}',
    }
    with tempfile.TemporaryDirectory() as root:
        for relative, text in [(k, v[0]) for k, v in planted.items()] + list(clean.items()):
            path = os.path.join(root, relative)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, 'w', encoding='utf-8') as file:
                file.write(text + '\n')
        found = check(root)
    for relative, (_, message) in planted.items():
        hits = [line for line in found if places(relative, line) and message in line]
        if len(hits) != 1:
            return [f'rule not proven: {relative} should give "{message}", got {found}']
    extra = [line for line in found if not any(places(relative, line) for relative in planted)]
    if cycle_in({'a': ('b',), 'b': ('c',), 'c': ('b',)}) != 'b -> c -> b':
        return ['rule not proven: a cycle in the table of folders']
    return [f'false alarm: {line}' for line in extra]


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    found = self_test() if sys.argv[1] == '--self-test' else check(sys.argv[1])
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
