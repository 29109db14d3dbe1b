"""What a soak found, as a table for people and for docs."""
import collections
import dataclasses

@dataclasses.dataclass
class Round:
    number: int
    struck: list
    rows: int        # compared
    lost: int        # metric values that are missing or differ
    seconds: float
    attempts: int
    violations: list

    def line(self):
        verdict = 'all results equal the undisturbed run\'s' if not self.violations else f'{len(self.violations)} VIOLATIONS'
        return (f'round {self.number}: {len(self.struck)} faults, {self.attempts} attempts, {self.rows} rows compared, '
                f'{self.seconds:.0f} s: {verdict}')


def table(rounds):
    """A Markdown table: fault, how often it struck, in how many rounds, rows compared in them, what was lost."""
    times, in_rounds, rows, lost = (collections.Counter() for _ in range(4))
    for one in rounds:
        times.update(one.struck)
        for name in set(one.struck):
            in_rounds[name] += 1
            rows[name] += one.rows
            lost[name] += one.lost
    lines = ['| fault | tried | rounds | rows compared | values lost or changed |', '|---|---|---|---|---|']
    for name in sorted(times):
        lines.append(f'| {name} | {times[name]} | {in_rounds[name]} | {rows[name]} | {lost[name]} |')
    failed = sum(1 for one in rounds if one.violations)
    lines.append(f'| all | {sum(times.values())} | {len(rounds)} | {sum(one.rows for one in rounds)} | {sum(one.lost for one in rounds)} |')
    lines.append('')
    lines.append(f'{len(rounds)} rounds, {failed} with violations; {sum(one.attempts for one in rounds)} attempts at '
                 f'{sum(one.seconds for one in rounds):.0f} s')
    return '\n'.join(lines)
