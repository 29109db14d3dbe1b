"""A program that runs without a coordinator: its flags, its folder, what it prints."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import sys
from pathlib import Path
from typing import IO, Any, Dict, List, Mapping, Optional, Sequence, Tuple

from coppice import _job, _saving, _settings
from coppice._events import Events

KEPT = 2  # checkpoints of each seed


class PrintedEvents(Events):
    """Prints lines for people, and keeps the metrics of each seed in metrics.jsonl of its folder."""

    def __init__(self, members: Sequence[_job.JobMember], lock: Optional[int] = None) -> None:
        self._lock = lock
        self._folders = {member.seed: member.folder for member in members}
        self._several = len(members) > 1
        self._files: Dict[int, IO[str]] = {}
        self._steps = 0
        self._rate = ""

    def refused(self, message: str) -> None:
        print(f"{program_name()}: error: {message}", file=sys.stderr)

    def start(self, members: Sequence[Tuple[int, int]], steps: int, provenance: Mapping[str, Any],
              parameters: Optional[int]) -> None:
        self._steps = steps
        for seed, step in members:
            begin = f"goes on from step {step}" if step else "starts"
            print(f"seed {seed} {begin}: {steps} steps, in {self._folders[seed]}", flush=True)
            self._files[seed] = _rows_up_to(self._folders[seed] / "metrics.jsonl", step)

    def progress(self, members: Sequence[Tuple[int, int]], steps_per_second: float, activity: int) -> None:
        self._rate = f"  ({steps_per_second:.3g} steps/s)"

    def metrics(self, seed: int, step: int, values: Mapping[str, float]) -> None:
        self._files[seed].write(json.dumps({"step": step, "values": dict(values)}) + "\n")
        self._files[seed].flush()
        words = "  ".join(f"{name} {value:.6g}" for name, value in values.items())
        print(f"{self._prefix(seed)}step {step}/{self._steps}  {words}{self._rate}", flush=True)

    def checkpoint(self, seed: int, step: int, path: Path) -> None:
        for _, old in _saving.checkpoints_in(path.parent)[:-KEPT]:
            _saving.remove(old)

    def done(self, seed: int, step: int) -> None:
        print(f"{self._prefix(seed)}done at step {step}", flush=True)

    def failed(self, seed: int, step: int, kind: str, message: str) -> None:
        print(f"{program_name()}: error: seed {seed} failed at step {step} ({kind}): {message}", file=sys.stderr, flush=True)

    def preempted(self, seed: int, step: int) -> None:
        print(f"{self._prefix(seed)}stopped; the same command goes on from step {step}", flush=True)

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _prefix(self, seed: int) -> str:
        return f"seed {seed}  " if self._several else ""


def program_name() -> str:
    return os.path.basename(sys.argv[0]) or "program"


def read_flags(defaults: Mapping[str, _settings.Scalar], *, steps: Optional[int], seeds: Sequence[int], report_every: int,
               checkpoint_every: int, argv: Sequence[str]) -> _job.Job:
    """The job that the command line describes. Raises Refused; --help ends the process."""
    flags = _parser(defaults, steps, seeds, report_every, checkpoint_every).parse_args(list(argv))
    given: Dict[str, object] = {}
    for text in flags.set:
        name, equals, value = text.partition("=")
        if not equals:
            raise _job.Refused(f"--set {text}: write --set name=value")
        given[name] = _settings.parse(defaults, name, value)
    values = _settings.resolve(defaults, given)
    if flags.steps is None:
        raise _job.Refused("the number of steps is missing; give --steps N, or `steps` in the call of start")
    for name in ("steps", "report_every", "checkpoint_every"):
        if not 1 <= getattr(flags, name) <= _job.MAX_STEPS:
            raise _job.Refused(f"--{name.replace('_', '-')} is a whole number from 1 to {_job.MAX_STEPS}")
    lock, members = _members(Path(flags.out).absolute(), _seeds(flags.seed), values, flags.steps)
    return _job.Job(steps=flags.steps, report_every=flags.report_every, checkpoint_every=flags.checkpoint_every,
                    threads=flags.threads or _job.cores(), device=flags.device or _device(), settings=given, members=members,
                    events=PrintedEvents(members, lock))


def _parser(defaults: Mapping[str, _settings.Scalar], steps: Optional[int], seeds: Sequence[int], report_every: int,
            checkpoint_every: int) -> argparse.ArgumentParser:
    settings = "\n".join(f"  {name}={json.dumps(value)}" for name, value in defaults.items())
    parser = argparse.ArgumentParser(description="Trains. Called again, it goes on from the newest checkpoint.",
                                     epilog=f"settings and their defaults:\n{settings or '  none'}",
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting; may be repeated")
    parser.add_argument("--seed", default=",".join(map(str, seeds)), help="one seed, or several as 0,1,2 [%(default)s]")
    parser.add_argument("--steps", type=int, default=steps, help="the last step [%(default)s]")
    parser.add_argument("--report-every", type=int, default=report_every, help="steps between reports [%(default)s]")
    parser.add_argument("--checkpoint-every", type=int, default=checkpoint_every, help="steps between checkpoints [%(default)s]")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads [all]")
    parser.add_argument("--device", default="", help="cpu or cuda [cuda where torch sees one]")
    parser.add_argument("--out", default="coppice-run", help="folder for checkpoints and metrics [%(default)s]")
    return parser


def _device() -> str:
    torch = sys.modules.get("torch")
    return "cuda" if torch is not None and torch.cuda.is_available() else "cpu"


def _seeds(text: str) -> List[int]:
    try:
        seeds = [int(part) for part in text.split(",")]
    except ValueError:
        seeds = []
    if not seeds or len(set(seeds)) != len(seeds) or not all(0 <= seed <= _job.MAX_SEED for seed in seeds):
        raise _job.Refused(f"--seed is a whole number from 0 to {_job.MAX_SEED}, or several different ones as 0,1,2")
    return seeds


def _members(out: Path, seeds: Sequence[int], values: Mapping[str, _settings.Scalar],
             steps: int) -> Tuple[int, List[_job.JobMember]]:
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = _lock(out)
        return lock, [_member(out / f"seed-{seed}", seed, values, steps) for seed in seeds]
    except OSError as error:
        raise _job.Refused(f"the folder {out} cannot be used: {error}") from None


def _lock(out: Path) -> int:
    descriptor = os.open(out / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return descriptor
    except BlockingIOError:
        os.close(descriptor)
        raise _job.Refused(f"another process trains in {out}; name another folder with --out") from None


def _member(folder: Path, seed: int, values: Mapping[str, _settings.Scalar], steps: int) -> _job.JobMember:
    folder.mkdir(exist_ok=True)
    about = folder / "settings.json"
    if about.exists():
        _compare(about, values)
    elif any(not name.startswith(".") for name in os.listdir(folder)):
        raise _job.Refused(f"{folder} holds other files; name another folder with --out")
    else:
        _write(about, json.dumps(dict(values), indent=1) + "\n")
    found = _saving.checkpoints_in(folder)
    if not found:
        return _job.JobMember(seed, folder, None, 0)
    step, path = found[-1]
    if step > steps:
        raise _job.Refused(f"{folder} has come to step {step} already, beyond --steps {steps}; name another folder with --out")
    return _job.JobMember(seed, folder, path, step)


def _compare(about: Path, values: Mapping[str, _settings.Scalar]) -> None:
    try:
        before = json.loads(about.read_text(encoding="utf-8"))
    except ValueError:
        raise _job.Refused(f"{about} is damaged; name another folder with --out") from None
    for name in sorted(set(before) | set(values)):
        if before.get(name) != values.get(name):
            raise _job.Refused(f"{about.parent} holds a run with {name} {before.get(name)!r}, and this one has {values.get(name)!r}; "
                               "name another folder with --out")


def _rows_up_to(path: Path, step: int) -> IO[str]:
    """Opens the metrics of a seed for more, without the rows that will come again."""
    kept = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                break  # the process was killed while it wrote
            if row["step"] > step:
                break
            kept.append(line + "\n")
    _write(path, "".join(kept))
    return open(path, "a", encoding="utf-8")


def _write(path: Path, text: str) -> None:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, path)
