#!/usr/bin/env python3
"""Checks the documents: links, file names, test names, commands, line length and old words.

    check_docs.py ROOT [--bin DIR]   prints one line a fault; exit code 1 when there are any
    check_docs.py --self-test        proves on a made-up tree that each rule finds its fault

The flags of a program are those that stand in its sources. With --bin they are those that the built
programs print with --help, so that a flag of another subcommand is found too.
"""
import argparse
import glob
import os
import re
import subprocess
import sys
import tempfile

from document import Page, commands_in, documents, read

TOP = ('.ci', 'bench', 'cli', 'cmake', 'common', 'coordinator', 'deploy', 'docs', 'examples', 'proto', 'python',
       'scripts', 'tests', 'worker')

MAX_LINE = 100

# (what an old word looks like, the word in its place, documents that may use it)
OLD_WORDS = (
    (re.compile(r'\bepochs?\b(?!-N)', re.I), 'attempt number (an epoch is a pass over the training data)',
     ('docs/glossary.md', 'docs/science.md', 'docs/trainer-protocol.md', 'docs/python.md')),
    (re.compile(r'\bfencing (number|token)\b', re.I), 'attempt number', ('docs/glossary.md',)),
    (re.compile(r'\bcore::Transaction\b|core/transaction\.'), 'core::CommandContext', ()),
    (re.compile(r'\bstore::Database\b|store/database\.'), 'store::Connection', ()),
    (re.compile(r'\bstore::Query\b'), 'store::Statement', ()),
    (re.compile(r'store/checkpointer\.|(?<!Wal)\bCheckpointer\b'), 'WalCheckpointer', ()),
    (re.compile(r'\b(Ripen|NextRipe)\b'), 'PromoteDelayed, NextDelayed', ()),
    (re.compile(r'\b(Ear|EarHandle)\b'), 'Subscriber', ()),
)
# An epoch in the field's sense, whatever the document.
FIELDS_EPOCH = re.compile(r'\(seed, epoch\)|epoch is a pass|an epoch of|each epoch|per epoch')

# program -> folders whose sources name its flags and subcommands
PROGRAMS = {
    'coppice': ('cli', 'common/rpc', 'common/base'),
    'coppice-coordinator': ('coordinator/main.cc', 'coordinator/commands', 'common/base'),
    'coppice-worker': ('worker/daemon', 'common/rpc', 'common/base'),
    'coppice-trainer': ('worker/trainer', 'common/settings', 'common/base'),
}
EVERYWHERE = {'--help', '-h', '--version'}
# The trainer looks at its first word itself.
SUBCOMMANDS_BY_HAND = {'coppice-trainer': {'data', 'measure'}}

# A word with a part that stands for something else is no path.
PLACEHOLDER = re.compile(r'[<>$=\[\]|]|\.\.\.|\b[A-Z]{3,}\b(?!\.md)')
LINK = re.compile(r'!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)')


def check_links(root, relative, page, pages):
    for number, text in page.paragraphs():
        for target in LINK.findall(re.sub(r'`[^`]*`', '', text)):
            if re.match(r'[a-z]+:', target):
                continue
            path, _, anchor = target.partition('#')
            place = os.path.normpath(os.path.join(os.path.dirname(relative), path)) if path else relative
            if not os.path.exists(os.path.join(root, place)):
                yield f'{relative}:{number}: the link {target} leads to no file'
            elif anchor and place.endswith('.md'):
                if place not in pages:
                    pages[place] = Page(read(root, place))
                if anchor not in pages[place].anchors:
                    yield f'{relative}:{number}: {place} has no heading #{anchor}'


def expand(path):
    """a.{h,cc} and a.* as glob patterns."""
    match = re.search(r'\{([^{}]*)\}', path)
    if not match:
        return [path]
    return [found for part in match.group(1).split(',')
            for found in expand(path[:match.start()] + part + path[match.end():])]


def check_paths(root, relative, page):
    diagrams = [(number, line) for number, line, language in page.lines if language == 'mermaid']
    for number, code in list(page.codes()) + diagrams:
        for word in re.sub(r'[()]|<br/>', ' ', code).split():
            word = word.rstrip('.,;:').removeprefix('./')
            head, slash, rest = word.partition('/')
            if not slash or head not in TOP or PLACEHOLDER.search(word):
                continue
            word = word.split('#')[0].split('::')[0]
            if any(not glob.glob(os.path.join(root, pattern)) for pattern in expand(word)):
                yield f'{relative}:{number}: there is no {word}'


def registered_tests(root):
    """Names in CMake files, and files of tests: a name may be put together from a file's."""
    text, files = '', set()
    for top in ('tests', 'bench'):
        for folder, _, names in os.walk(os.path.join(root, top)):
            files.update(name.rsplit('.', 1)[0] for name in names if re.search(r'_test\.(cc|py)$', name))
            if 'CMakeLists.txt' in names:
                text += read(root, os.path.relpath(os.path.join(folder, 'CMakeLists.txt'), root))
    return text, files


def check_tests(relative, page, registered):
    text, files = registered
    for number, name in page.codes():
        if not re.fullmatch(r'\w+_test', name):
            continue
        parts = name.split('_')
        ends = ['_'.join(parts[i:]) for i in range(len(parts) - 1)]
        if not re.search(r'\b' + name + r'\b', text) and not any(end in files for end in ends):
            yield f'{relative}:{number}: there is no test {name}'


class Program:
    """The flags and subcommands of one program, from its sources or from --help."""

    def __init__(self, root, name, binary=None):
        self.flags, self.subcommands = set(EVERYWHERE), set(SUBCOMMANDS_BY_HAND.get(name, ()))
        self.known = False
        self.helped = {}
        for place in PROGRAMS[name]:
            for text in sources(os.path.join(root, place)):
                self.known = True
                for literal in re.findall(r'"((?:[^"\\]|\\.)*)"', text):
                    self.flags.update(re.findall(r'(?:^|[,\s])(--?[a-zA-Z][\w-]*)', literal))
                # The name may stand in a table beside the call.
                if 'add_subcommand(' in text:
                    self.subcommands.update(re.findall(r'"([a-z][a-z-]*)"', text))
        if binary is not None and os.path.exists(binary):
            self.binary = binary
        else:
            self.binary = None

    def flags_of(self, words):
        """Of the subcommand that `words` (without flags) lead to."""
        if self.binary is None:
            return self.flags
        path = []
        flags = self.help_flags(path)
        for word in words:
            if word not in self.subcommands:
                break
            path.append(word)
            flags |= self.help_flags(path)
        return flags

    def help_flags(self, path):
        key = tuple(path)
        if key not in self.helped:
            answer = subprocess.run([self.binary, *path, '--help'], capture_output=True, text=True, timeout=20)
            self.helped[key] = set(re.findall(r'(?:^|[,\s])(--?[a-zA-Z][\w-]*)', answer.stdout)) | EVERYWHERE
        return set(self.helped[key])


def sources(place):
    if os.path.isfile(place):
        paths = [place]
    else:
        paths = [os.path.join(folder, name) for folder, _, names in os.walk(place)
                 for name in sorted(names) if name.endswith(('.cc', '.h'))]
    for path in paths:
        with open(path, encoding='utf-8') as file:
            yield file.read()


def check_commands(root, relative, page, programs):
    for number, text, inline in commands_in(page):
        for part in re.split(r'&&|\|\||[;|]|\$\(|<\(', text):
            words = part.replace(')', ' ').replace('"', ' ').replace("'", ' ').split()
            while words and (words[0] in ('source', 'exec', 'sudo', 'env', 'nohup') or '=' in words[0]):
                words.pop(0)
            if not words:
                continue
            where = f'{relative}:{number}: '
            path = words[0].removeprefix('./')
            if not inline and path.partition('/')[0] in TOP and '/' in path:
                if not os.path.exists(os.path.join(root, path)):
                    yield where + f'there is no {path} to run'
                continue
            name = os.path.basename(words[0])
            # `coppice/checkpoint.py` is no program, `build/release/bin/coppice` is one.
            if name not in programs or ('/' in path and 'bin' not in path.split('/')):
                continue
            program = programs[name]
            if not program.known:
                continue
            plain = [word for word in words[1:] if not word.startswith('-')]
            if name == 'coppice' and plain and re.fullmatch(r'[a-z][a-z-]*', plain[0]) and len(words) > 1 \
                    and not words[1].startswith('-') and plain[0] not in program.subcommands:
                yield where + f'{name} has no command {plain[0]}'
                continue
            flags = program.flags_of(plain)
            for word in words[1:]:
                if word == '--':
                    break
                flag = word.strip('[].,').split('=')[0]
                if re.fullmatch(r'--?[a-zA-Z][\w-]*', flag) and flag not in flags:
                    shown = f' by {program.binary} --help' if program.binary else ''
                    yield where + f'{name} has no flag {flag}{shown}'


def check_form(relative, page):
    for number, line in page.prose():
        visible = re.sub(r'\]\([^)]*\)', ']()', line)
        if len(visible) > MAX_LINE and not line.lstrip().startswith('|'):
            yield f'{relative}:{number}: {len(visible)} columns; at most {MAX_LINE}'
        for pattern, better, allowed in OLD_WORDS:
            rest = FIELDS_EPOCH.sub('', line)
            match = pattern.search(rest)
            if match and relative not in allowed:
                yield f'{relative}:{number}: "{match.group(0)}" is an old word; say {better}'


def check(root, binaries=None):
    pages, found = {}, []
    registered = registered_tests(root)
    programs = {name: Program(root, name, binaries and os.path.join(binaries, name)) for name in PROGRAMS}
    for relative in documents(root):
        page = pages.setdefault(relative, Page(read(root, relative)))
        found += check_links(root, relative, page, pages)
        found += check_paths(root, relative, page)
        found += check_tests(relative, page, registered)
        found += check_commands(root, relative, page, programs)
        found += check_form(relative, page)
    return found


GOOD = '''# A page

See [the other](docs/other.md#a-heading-with-code), [here](#a-page) and `cli/app.cc`, `cli/app.*`,
`cli/{app,main}.cc`. `app_test`, `e2e_app_test` and `core/short.h` are known or none of ours. An
epoch is a pass over the data.

```sh
coppice list --all          # a comment with --nonsense
FLAG=1 build/release/bin/coppice list --all \\
  --all
cli/run.sh && coppice list | head
source <(coppice list)
```

| a table may have a line that is much longer than anything else, since a cell cannot be broken | yes |
|---|---|
'''


def self_test():
    tree = {
        'README.md': GOOD,
        'docs/other.md': '# Other\n\n## A heading, with `code`\n',
        'cli/app.cc': 'app.add_subcommand("list", "x"); app.add_flag("--all", all); f("-o,--output");',
        'cli/main.cc': '',
        'cli/run.sh': '',
        'tests/CMakeLists.txt': 'coppice_test(app_test SRCS app_test.cc)',
        'tests/app_test.cc': '',
    }
    planted = {
        'a.md': ('[gone](docs/gone.md)', 'leads to no file'),
        'b.md': ('[there](docs/other.md#nowhere)', 'no heading #nowhere'),
        'c.md': ('It lies in `cli/gone.cc`.', 'there is no cli/gone.cc'),
        'd.md': ('Run `gone_test`.', 'no test gone_test'),
        'e.md': ('```sh\ncoppice list --gone\n```', 'no flag --gone'),
        'f.md': ('```sh\ncoppice vanish\n```', 'no command vanish'),
        'g.md': ('```sh\ndeploy/gone.sh\n```', 'no deploy/gone.sh to run'),
        'h.md': ('word ' * 21, 'columns'),
        'i.md': ('A stale epoch is refused.', 'old word'),
        'j.md': ('`core::Transaction` was its name.', 'old word'),
        'k.md': ('Say `coppice list --gone` then.', 'no flag --gone'),
        'm.md': ('See [a link that\ngoes on](docs/gone.md).', 'leads to no file'),
        'n.md': ('Say `coppice list\n--gone` then.', 'no flag --gone'),
        'l.md': ('```mermaid\nparticipant A as cli/gone.cc\n```', 'there is no cli/gone.cc'),
    }
    with tempfile.TemporaryDirectory() as root:
        for relative, text in list(tree.items()) + [(k, v[0]) for k, v in planted.items()]:
            path = os.path.join(root, relative)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, 'w', encoding='utf-8') as file:
                file.write(text + '\n')
        found = check(root)
    wrong = []
    for relative, (_, message) in planted.items():
        hits = [line for line in found if line.startswith(relative + ':')]
        if len(hits) != 1 or message not in hits[0]:
            wrong.append(f'rule not proven: {relative} should give "{message}", got {hits}')
    wrong += [f'false alarm: {line}' for line in found if line.split(':')[0] not in planted]
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('root', nargs='?', help='folder of the source tree')
    parser.add_argument('--bin', help='folder of built programs, whose --help is asked')
    parser.add_argument('--self-test', action='store_true')
    arguments = parser.parse_args()
    if not arguments.self_test and arguments.root is None:
        parser.error('give the folder of the source tree, or --self-test')
    found = self_test() if arguments.self_test else check(arguments.root, arguments.bin)
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
