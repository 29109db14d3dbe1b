#!/usr/bin/env python3
"""Checks that a file includes what it uses of the precompiled headers (cmake/PrecompiledHeaders.cmake). With these the
compiler does not notice a missing include.

    check_includes.py ROOT         prints one line a missing header; exit code 1 when there are any
    check_includes.py --self-test  proves on a made-up tree that it finds one

A header counts when the file or a header of the project that it includes, near or far, names it.
"""
import os
import re
import sys
import tempfile

TOP = ('common', 'coordinator', 'worker', 'cli', 'tests', 'bench')

# (what a file uses, one of the headers that give it)
USES = [(re.compile(use), re.compile(header)) for use, header in (
    (r'\bstd::(sort|stable_sort|min|max|clamp|find|find_if|any_of|all_of|none_of|count_if|lower_bound|upper_bound|fill|'
     r'transform|copy|remove_if|reverse|max_element|min_element|equal|partition|nth_element)\(', r'algorithm'),
    (r'\bstd::function\b', r'functional'),
    (r'\bstd::(multi)?map\b', r'map'),
    (r'\bstd::(unique_ptr|shared_ptr|weak_ptr|make_unique|make_shared|enable_shared_from_this)\b', r'memory'),
    (r'\bstd::(optional|nullopt|make_optional)\b', r'optional'),
    (r'\bstd::(multi)?set\b', r'set'),
    (r'\bstd::(string|to_string)\b', r'string'),
    (r'\bstd::(move|pair|exchange|make_pair|swap|forward|declval)\b', r'utility'),
    (r'\bstd::vector\b', r'vector'),
    (r'\babsl::flat_hash_map\b', r'absl/container/flat_hash_map\.h'),
    (r'\babsl::flat_hash_set\b', r'absl/container/flat_hash_set\.h'),
    (r'\babsl::Status\b', r'absl/status/status(or)?\.h'),
    (r'\babsl::StatusOr\b', r'absl/status/statusor\.h'),
    (r'\babsl::(StartsWith|EndsWith|StrContains|EqualsIgnoreCase)\b', r'absl/strings/match\.h'),
    (r'\babsl::(StrCat|StrAppend)\b', r'absl/strings/str_cat\.h'),
    (r'\babsl::(StrFormat|StrAppendFormat|FPrintF)\b', r'absl/strings/str_format\.h'),
    (r'\babsl::StrJoin\b', r'absl/strings/str_join\.h'),
    (r'\babsl::(Mutex|MutexLock|CondVar)\b|\bABSL_GUARDED_BY\b', r'absl/synchronization/mutex\.h|absl/base/thread_annotations\.h'),
    (r'\babsl::(Time|Duration|Milliseconds|Seconds|ToUnixMillis|InfiniteFuture)\b', r'absl/time/(time|clock)\.h'),
    (r'\bspdlog::', r'spdlog/.*'),
    (r'\bgrpc::', r'grpcpp/.*|.*\.grpc\.pb\.h'),
    (r'\bv1::\w', r'coppice/v1/.*'),
    (r'\bCLI::', r'CLI/.*'),
    (r'\bnlohmann::', r'nlohmann/.*'),
    (r'\b(TEST|TEST_F|TEST_P)\(|\bEXPECT_\w+\(|\bASSERT_\w+\(', r'g(test|mock)/.*'),
    (r'\bat::(Tensor|empty|zeros)\b', r'(ATen|torch)/.*'),
)]

INCLUDE = re.compile(r'^#include [<"]([^>"]+)[>"]', re.M)
# Comments, and what stands in quotes.
NOT_CODE = re.compile(r'//[^\n]*|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"', re.S)
# `namespace CLI {` in a header declares something of it, which needs no header.
DECLARES = re.compile(r'^namespace (\w+) \{', re.M)


class Tree:
    def __init__(self, root):
        self.root = root
        self.far = {}

    def text(self, path):
        with open(os.path.join(self.root, path), encoding='utf-8') as file:
            return file.read()

    def included(self, path):
        """All headers that `path` names, and those that headers of the project name for it."""
        if path not in self.far:
            self.far[path] = set()  # ends a cycle
            found = set(INCLUDE.findall(self.text(path)))
            for header in list(found):
                if os.path.exists(os.path.join(self.root, header)):
                    found |= self.included(header)
            self.far[path] = found
        return self.far[path]

    def check(self, path):
        code = NOT_CODE.sub('""', self.text(path))
        declared = {name + '::' for name in DECLARES.findall(code)}
        headers = self.included(path)
        for use, header in USES:
            match = use.search(code)
            if match and match.group(0) not in declared and not any(header.fullmatch(name) for name in headers):
                yield f'{path}: uses {match.group(0)} and includes no {header.pattern}'


def check(root):
    tree = Tree(root)
    found = []
    for top in TOP:
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in sorted(names):
                if name.endswith(('.cc', '.h')):
                    found += tree.check(os.path.relpath(os.path.join(folder, name), root))
    return found


def self_test():
    made_up = {
        'cli/a.cc': '#include "cli/a.h"\nstd::vector<int> F() { return {}; }\n',
        'cli/a.h': '#include <vector>\n',
        'cli/b.cc': '// std::map is not used\nconst char* text = "std::set";\n',
        'cli/c.cc': '#include <vector>\nstd::optional<int> F();\n',
        'cli/e.h': 'namespace CLI {\nclass App;\n}\nvoid F(CLI::App* app);\n',
        'cli/d.cc': 'void F() { spdlog::info("{}", 1); }\n',
    }
    with tempfile.TemporaryDirectory() as root:
        for path, text in made_up.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), 'w', encoding='utf-8') as file:
                file.write(text)
        found = check(root)
    expected = ['cli/c.cc: uses std::optional and includes no optional',
                'cli/d.cc: uses spdlog:: and includes no spdlog/.*']
    return [] if found == expected else [f'expected {expected}, got {found}']


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
