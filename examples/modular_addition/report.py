"""Shows how late each setting generalizes: accuracy over steps, by train fraction and weight decay.

    python3 report.py METRICS.csv --out DIR

METRICS.csv is the one that `coppice local` leaves in its run folder, or that `coppice export` writes.
DIR gets grokking.svg and lateness.csv, and the table is printed. Needs the standard library alone.
"""

import argparse
import csv
import math
import os
import statistics
import sys

KNOWN, GENERALIZES = 0.99, 0.95  # train and validation accuracy
COLORS = ("#999999", "#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#d55e00")  # told apart by the color-blind, too
PANEL, HEIGHT, MARGIN = 230, 190, 46


def read(path):
    """(train fraction, weight decay) -> seed -> [(step, train accuracy, validation accuracy)]."""
    curves = {}
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                point = float(row["train_fraction"]), float(row["weight_decay"])
                values = int(row["step"]), float(row["train_accuracy"]), float(row["val_accuracy"])
            except KeyError as missing:
                sys.exit(f"report: {path} has no column {missing}; it has to hold the metrics of sweep.yaml")
            curves.setdefault(point, {}).setdefault(int(row["seed"]), []).append(values)
    if not curves:
        sys.exit(f"report: {path} holds no row yet")
    return {point: {seed: sorted(rows) for seed, rows in seeds.items()} for point, seeds in sorted(curves.items())}


def first(rows, column, level):
    """The first step at which the accuracy in this column is at the level; infinite: never."""
    return next((row[0] for row in rows if row[column] >= level), math.inf)


def lateness(seeds):
    """Medians over seeds: the step at which the training pairs are known, and that of generalization."""
    return [statistics.median(first(rows, column, level) for rows in seeds.values()) for column, level in ((1, KNOWN), (2, GENERALIZES))]


def number(value):
    return "never" if math.isinf(value) else f"{value:g}"


def write_table(curves, path):
    fractions = sorted({fraction for fraction, _ in curves})
    decays = sorted({decay for _, decay in curves})
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["train_fraction", "weight_decay", "seeds", "known_at_step", "generalizes_at_step"])
        for (fraction, decay), seeds in curves.items():
            table.writerow([fraction, decay, len(seeds), *map(number, lateness(seeds))])
    print(f"median step at which {GENERALIZES:.0%} of the unseen sums are right (in parentheses: {KNOWN:.0%} of the training sums)\n")
    print("weight decay".ljust(14) + "".join(f"train {fraction:g}".rjust(16) for fraction in fractions))
    for decay in decays:
        cells = []
        for fraction in fractions:
            known, late = lateness(curves[fraction, decay]) if (fraction, decay) in curves else (math.inf, math.inf)
            cells.append(f"{number(late)} ({number(known)})".rjust(16))
        print(f"{decay:g}".ljust(14) + "".join(cells))


def mean_curve(seeds, column):
    """[(step, mean, least, greatest)] of the steps that all seeds have reported."""
    values = [{row[0]: row[column] for row in rows} for rows in seeds.values()]
    steps = sorted(set.intersection(*map(set, values)))
    return [(step, statistics.fmean(at), min(at), max(at)) for step in steps for at in [[seed[step] for seed in values]]]


def panel(curves, fraction, colors, left, last):
    """One panel: dashed lines for training pairs, solid ones with the range of the seeds for unseen pairs."""
    begin = min(row[0] for seeds in curves.values() for rows in seeds.values() for row in rows)

    def x(step):
        return left + PANEL * math.log(step / begin) / (math.log(last / begin) or 1)

    def y(accuracy):
        return MARGIN + HEIGHT * (1 - accuracy)

    out = [f'<rect x="{left}" y="{MARGIN}" width="{PANEL}" height="{HEIGHT}" fill="none" stroke="#666"/>',
           f'<text x="{left + PANEL / 2}" y="{MARGIN - 10}" text-anchor="middle">train fraction {fraction:g}</text>']
    step = begin
    while step <= last:
        out.append(f'<text x="{x(step):.1f}" y="{MARGIN + HEIGHT + 16}" text-anchor="middle" font-size="10">{step}</text>')
        step *= 4
    for decay, color in colors.items():
        seeds = curves.get((fraction, decay))
        if seeds is None:
            continue
        rows = mean_curve(seeds, 2)
        around = [(step, high) for step, _, _, high in rows] + [(step, low) for step, _, low, _ in reversed(rows)]
        out.append(f'<polygon fill="{color}" fill-opacity="0.2" points="{points(around, x, y)}"/>')
        out.append(f'<polyline fill="none" stroke="{color}" stroke-width="2" points="{points(rows, x, y)}"/>')
        out.append(f'<polyline fill="none" stroke="{color}" stroke-dasharray="3 3" points="{points(mean_curve(seeds, 1), x, y)}"/>')
    return out


def points(rows, x, y):
    return " ".join(f"{x(row[0]):.1f},{y(row[1]):.1f}" for row in rows)


def write_figure(curves, path):
    fractions = sorted({fraction for fraction, _ in curves})
    colors = {decay: COLORS[number % len(COLORS)] for number, decay in enumerate(sorted({decay for _, decay in curves}))}
    last = max(row[0] for seeds in curves.values() for rows in seeds.values() for row in rows)
    width, height = MARGIN + len(fractions) * (PANEL + 16) + 120, 2 * MARGIN + HEIGHT + 12
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
           '<rect width="100%" height="100%" fill="white"/>']
    for share in (0, 0.5, 1):
        out.append(f'<text x="{MARGIN - 6}" y="{MARGIN + HEIGHT * (1 - share) + 4}" text-anchor="end" font-size="10">{share:g}</text>')
    for index, fraction in enumerate(fractions):
        out += panel(curves, fraction, colors, MARGIN + index * (PANEL + 16), last)
    right = MARGIN + len(fractions) * (PANEL + 16)
    out.append(f'<text x="{right}" y="{MARGIN + 10}">weight decay</text>')
    for index, (decay, color) in enumerate(colors.items()):
        y = MARGIN + 30 + 18 * index
        out.append(f'<path d="M{right} {y - 4}h22" stroke="{color}" stroke-width="2"/><text x="{right + 28}" y="{y}">{decay:g}</text>')
    out.append(f'<text x="{MARGIN}" y="{height - 14}">step (logarithmic); accuracy on unseen pairs, mean and range of the seeds; '
               "dashed: on training pairs</text></svg>")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(out) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("metrics", help="the CSV file")
    parser.add_argument("--out", default=".", help="folder for the figure and the table [%(default)s]")
    flags = parser.parse_args()
    try:
        curves = read(flags.metrics)
        os.makedirs(flags.out, exist_ok=True)
        write_table(curves, os.path.join(flags.out, "lateness.csv"))
        write_figure(curves, os.path.join(flags.out, "grokking.svg"))
    except OSError as error:
        sys.exit(f"report: {error}")
    print(f"\nfigure: {os.path.join(flags.out, 'grokking.svg')}")


if __name__ == "__main__":
    main()
