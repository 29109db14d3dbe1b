#!/usr/bin/env python3
"""Makes and checks files of gold parses, from the grammar of the two language tasks alone.

    make_parses.py [--seed S] [--each N] [--out FILE]   writes N random sentences for each of the 30 combinations of subject and object,
                                                        for each task (default: 5, into more_parses.json beside this script)
    make_parses.py --check FILE...                      parses every sentence of FILE and compares trees and brackets

The sentences are declaratives without the final period: for question with auxiliaries, for tense in the past.

    S   = NP VP
    NP  = Det N | Det N Prep Det N | Det N RC             plain | prep | src_i, src_t, orc
    RC  = Rel V_i | Rel V_t Det N | Rel Det N V_t         src_i | src_t | orc; no recursion
    VP  = V_i | V_t NP
    V   = Aux Verb in question, the past form in tense

Gold trees are binary: S = [NP VP]; plain = [Det N]; prep = [[Det N] [Prep [Det N]]]; NP with RC = [[Det N] RC];
RC = [Rel VP], for an orc [Rel [[Det N] V]]. Question: V_i = [Aux Verb], VP = [Aux [Verb NP]]. Tense: V_i = the verb alone,
VP = [Verb NP]. An NP without more than Det N is not wrapped again, so no node has one child.
Brackets are the spans [first word, last word] of all nodes of two or more words, the whole sentence included, sorted.

The generator builds each tree together with its sentence, and the parser reads the words alone; the two must agree on
every sentence before anything is written.
"""
import argparse
import json
import os
import random
import sys

DET = 'the some my your our her'.split()
SINGULAR = 'newt orangutan peacock quail raven salamander tyrannosaurus unicorn vulture walrus xylophone yak zebra'.split()
PLURAL = [noun + ('es' if noun.endswith('s') else 's') for noun in SINGULAR]
INTRANSITIVE = 'giggle smile sleep swim wait move change read eat'.split()
TRANSITIVE = 'entertain amuse high_five applaud confuse admire accept remember comfort'.split()
PAST_INTRANSITIVE = 'giggled smiled slept swam waited moved changed read ate'.split()
PAST_TRANSITIVE = 'entertained amused high_fived applauded confused admired accepted remembered comforted'.split()
AUX = {'sg': ['does', "doesn't"], 'pl': ['do', "don't"]}
PREP = 'around near with upon by behind above below'.split()
REL = 'who that'.split()

SUBJECTS = ('plain', 'prep', 'src_i', 'src_t', 'orc')
OBJECTS = ('none',) + SUBJECTS


# ---------------------------------------------------------------------------------------------------------------------
# Trees


def leaves(tree):
    return [tree] if isinstance(tree, str) else leaves(tree[0]) + leaves(tree[1])


def brackets(tree):
    spans = []

    def visit(node, start):
        if isinstance(node, str):
            return start + 1
        end = visit(node[1], visit(node[0], start))
        spans.append([start, end - 1])
        return end

    visit(tree, 0)
    return sorted(spans)


# ---------------------------------------------------------------------------------------------------------------------
# The generator


class Generator:
    def __init__(self, task, rng):
        self.task = task
        self.rng = rng

    def simple(self):
        """[Det N] and its number."""
        number = self.rng.choice(['sg', 'pl'])
        return [self.rng.choice(DET), self.rng.choice(SINGULAR if number == 'sg' else PLURAL)], number

    def verb_phrase(self, number, transitive, object_tree=None):
        """With `object_tree` None a transitive verb stands without its object, as in an orc."""
        if self.task == 'question':
            verb = self.rng.choice(TRANSITIVE if transitive else INTRANSITIVE)
            return [self.rng.choice(AUX[number]), verb if object_tree is None else [verb, object_tree]]
        verb = self.rng.choice(PAST_TRANSITIVE if transitive else PAST_INTRANSITIVE)
        return verb if object_tree is None else [verb, object_tree]

    def noun_phrase(self, kind):
        """The tree and the number of its head."""
        head, number = self.simple()
        if kind == 'plain':
            return head, number
        if kind == 'prep':
            return [head, [self.rng.choice(PREP), self.simple()[0]]], number
        rel = self.rng.choice(REL)
        if kind == 'src_i':
            return [head, [rel, self.verb_phrase(number, False)]], number
        if kind == 'src_t':
            return [head, [rel, self.verb_phrase(number, True, self.simple()[0])]], number
        inner, inner_number = self.simple()
        return [head, [rel, [inner, self.verb_phrase(inner_number, True)]]], number

    def sentence(self, subject, obj):
        tree, number = self.noun_phrase(subject)
        if obj == 'none':
            return [tree, self.verb_phrase(number, False)]
        return [tree, self.verb_phrase(number, True, self.noun_phrase(obj)[0])]


# ---------------------------------------------------------------------------------------------------------------------
# The parser: recursive descent; one word of lookahead decides everything, since no word is in two classes


class Parser:
    def __init__(self, task, words):
        self.task = task
        self.words = words
        self.at = 0

    def next_in(self, *classes):
        return self.at < len(self.words) and any(self.words[self.at] in c for c in classes)

    def take(self, *classes):
        if not self.next_in(*classes):
            raise ValueError(f'word {self.at} of "{" ".join(self.words)}" does not fit the grammar')
        self.at += 1
        return self.words[self.at - 1]

    def simple(self):
        return [self.take(DET), self.take(SINGULAR, PLURAL)]

    def verb_phrase(self, parse_object):
        """`parse_object` reads what follows a transitive verb; None where nothing does, and then only such a verb fits."""
        question = self.task == 'question'
        transitive, intransitive = (TRANSITIVE, INTRANSITIVE) if question else (PAST_TRANSITIVE, PAST_INTRANSITIVE)
        aux = self.take(AUX['sg'], AUX['pl']) if question else None
        if parse_object is None:
            phrase = self.take(transitive)
        elif self.next_in(intransitive):
            phrase = self.take(intransitive)
        else:
            verb = self.take(transitive)
            phrase = [verb, parse_object()]
        return [aux, phrase] if question else phrase

    def noun_phrase(self):
        head = self.simple()
        if self.next_in(PREP):
            return [head, [self.take(PREP), self.simple()]]
        if not self.next_in(REL):
            return head
        rel = self.take(REL)
        if self.next_in(DET):
            inner = self.simple()
            return [head, [rel, [inner, self.verb_phrase(None)]]]
        return [head, [rel, self.verb_phrase(self.simple)]]

    def sentence(self):
        subject = self.noun_phrase()
        tree = [subject, self.verb_phrase(self.noun_phrase)]
        if self.at != len(self.words):
            raise ValueError(f'"{" ".join(self.words)}" goes on after a whole sentence')
        return tree


def parse(task, sentence):
    return Parser(task, sentence.split()).sentence()


# ---------------------------------------------------------------------------------------------------------------------


def make(seed, each):
    golden = {}
    for task in ('question', 'tense'):
        generator = Generator(task, random.Random(f'{task} {seed}'))
        seen, entries = set(), []
        for subject in SUBJECTS:
            for obj in OBJECTS:
                count = 0
                while count < each:
                    tree = generator.sentence(subject, obj)
                    sentence = ' '.join(leaves(tree))
                    if sentence in seen:
                        continue
                    if parse(task, sentence) != tree:
                        raise AssertionError(f'generator and parser disagree: {sentence}')
                    seen.add(sentence)
                    entries.append({'sentence': sentence, 'tree': tree, 'brackets': brackets(tree)})
                    count += 1
        golden[task] = entries
    return golden


def write(golden, path):
    with open(path, 'w', encoding='utf-8') as file:
        tasks = [f'"{task}": [\n' + ',\n'.join(json.dumps(entry) for entry in entries) + '\n]' for task, entries in golden.items()]
        file.write('{\n' + ',\n'.join(tasks) + '\n}\n')
    print(f'{path}: {sum(map(len, golden.values()))} sentences, {os.path.getsize(path)} bytes')


def check(path):
    with open(path, encoding='utf-8') as file:
        golden = json.load(file)
    wrong = 0
    for task, entries in golden.items():
        for entry in entries:
            tree = parse(task, entry['sentence'])
            if tree != entry['tree'] or brackets(tree) != entry['brackets']:
                print(f'{path}: {task}: "{entry["sentence"]}" parses to {json.dumps(tree)}')
                wrong += 1
    print(f'{path}: {sum(map(len, golden.values()))} sentences, {wrong} differ')
    return wrong == 0


def main():
    parser = argparse.ArgumentParser(description='Makes and checks files of gold parses.')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--each', type=int, default=5)
    parser.add_argument('--out', default=os.path.join(os.path.dirname(os.path.abspath(__file__)), 'more_parses.json'), metavar='FILE')
    parser.add_argument('--check', nargs='+', default=[], metavar='FILE')
    args = parser.parse_args()
    if args.check:
        return 0 if all([check(path) for path in args.check]) else 1
    write(make(args.seed, args.each), args.out)
    return 0


if __name__ == '__main__':
    sys.exit(main())
