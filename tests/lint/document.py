"""A Markdown document as check_docs.py reads it: lines, paragraphs, anchors, codes and commands."""
import os
import re

SKIPPED_FOLDERS = ('.git', 'build', 'gpu-deps', '.cache')
FENCE = re.compile(r'^\s*(```+|~~~+)\s*(\w*)')
SHELL = ('sh', 'bash', 'console', '')


def documents(root):
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in SKIPPED_FOLDERS)
        for name in sorted(names):
            if name.endswith('.md'):
                yield os.path.relpath(os.path.join(folder, name), root)


def read(root, relative):
    with open(os.path.join(root, relative), encoding='utf-8') as file:
        return file.read()


class Page:
    """A document's lines: (number, text, language of the code block or None)."""

    def __init__(self, text):
        self.lines = []
        self.anchors = set()
        fence, language, seen = None, None, {}
        for number, line in enumerate(text.splitlines(), 1):
            match = FENCE.match(line)
            if match and fence is None:
                fence, language = match.group(1)[0], match.group(2)
                self.lines.append((number, line, 'fence'))
                continue
            if match and fence == match.group(1)[0]:
                fence = None
                self.lines.append((number, line, 'fence'))
                continue
            self.lines.append((number, line, language if fence else None))
            if fence is None and re.match(r'#{1,6} ', line):
                slug = slug_of(line.lstrip('#').strip())
                count = seen.get(slug, 0)
                seen[slug] = count + 1
                self.anchors.add(slug if count == 0 else f'{slug}-{count}')
            if fence is None:
                self.anchors.update(re.findall(r'<a (?:id|name)="([^"]+)"', line))

    def prose(self):
        return [(number, line) for number, line, language in self.lines if language is None]

    def paragraphs(self):
        """(first line's number, text) of lines that follow each other: a link or a code may go over two."""
        first, held = None, []
        for number, line, language in self.lines + [(0, '', None)]:
            if language is None and line.strip():
                first = first or number
                held.append(line.strip())
            elif held:
                yield first, ' '.join(held)
                first, held = None, []

    def codes(self):
        """(first line's number of the paragraph, text) of each code in backticks."""
        for number, text in self.paragraphs():
            for code in re.findall(r'`([^`]+)`', text):
                yield number, code


def slug_of(heading):
    """The anchor that GitHub gives a heading."""
    heading = re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', heading)
    kept = re.sub(r'[^\w\- ]', '', heading.lower())
    return kept.replace(' ', '-')


def commands_in(page):
    """(number, words) of each command of a shell block, and of each backticked one."""
    for number, code in page.codes():
        yield number, code, True
    held = ''
    for number, line, language in page.lines:
        if language not in SHELL:
            held = ''
            continue
        line = held + line
        if line.endswith('\\'):
            held = line[:-1]
            continue
        held = ''
        yield number, re.sub(r'(^|\s)#.*', '', line), False
