#!/usr/bin/env python3
"""Prints a trainer's reports beside the published curves.

    fidelity_table.py PUBLISHED_CSV TASK:DEPTH=EVENTS_JSONL ...

One row a report step and metric: mean and each seed of ours; mean, standard deviation, smallest and largest of the published seeds. A row is gated
at step 3,000 and, for tense, at 6,000: the mean of our seeds must lie inside the published range. Exit code 1 when a gated row does not.
"""
import csv
import json
import sys

METRICS = ('id_accuracy', 'gen_accuracy', 't_score', 't_parseval')


def read_published(path):
    with open(path, newline='') as file:
        return {(row['task'], int(row['depth']), row['metric'], int(row['step'])): row for row in csv.DictReader(file)}


def read_reports(path):
    """{step: {metric: {seed: value}}}; where a run was continued the last report counts."""
    reports = {}
    with open(path) as file:
        for line in file:
            event = json.loads(line)
            if event['event'] != 'metrics':
                continue
            for name, value in event['values'].items():
                reports.setdefault(event['step'], {}).setdefault(name, {})[event['seed']] = value
    return reports


def gated(task, step):
    return step == 3000 or (task == 'tense' and step == 6000)


def print_rows(task, depth, reports, published):
    outside = 0
    for step in sorted(reports):
        for metric in METRICS:
            row = published.get((task, depth, metric, step))
            values = reports[step].get(metric)
            if row is None or values is None:
                continue
            mean = sum(values.values()) / len(values)
            inside = float(row['min']) <= mean <= float(row['max'])
            verdict = ('inside' if inside else 'OUTSIDE') if gated(task, step) else 'reported' + ('' if inside else ', outside')
            outside += gated(task, step) and not inside
            seeds = ' '.join(f'{values[seed]:.3f}' for seed in sorted(values))
            print(f'| {task} {depth} | {step:,} | {metric} | {mean:.3f} | {seeds} | {float(row["mean"]):.3f} ± {float(row["std"]):.3f} '
                  f'| {float(row["min"]):.3f} – {float(row["max"]):.3f} ({row["seeds"]}) | {verdict} |')
    return outside


def main():
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    published = read_published(sys.argv[1])
    print('| task, depth | step | metric | ours | each seed | published | range (seeds) | verdict |')
    print('|---|---|---|---|---|---|---|---|')
    outside = 0
    for argument in sys.argv[2:]:
        key, path = argument.split('=', 1)
        task, depth = key.split(':')
        outside += print_rows(task, int(depth), read_reports(path), published)
    if outside:
        print(f'{outside} gated rows lie outside the published range', file=sys.stderr)
    return 1 if outside else 0


if __name__ == '__main__':
    sys.exit(main())
