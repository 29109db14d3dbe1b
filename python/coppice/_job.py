"""The work of one process: its steps, its seeds, and where it reports."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from coppice import _events

PROTOCOL = 1
SPEC_VARIABLE = "COPPICE_RUN_SPEC"
OWNER_VARIABLE = "COPPICE_RUN_PROCESS"
MAX_STEPS = 999_999_999
MAX_SEED = 2**32 - 1


class Refused(ValueError):
    """The process was started in a way that it cannot run. Nothing was begun; exit code 2."""


@dataclasses.dataclass
class JobMember:
    seed: int
    folder: Path
    resume: Optional[Path]
    step: int  # of `resume`; 0 without it


@dataclasses.dataclass
class Job:
    steps: int
    report_every: int
    checkpoint_every: int
    threads: int
    device: str
    settings: Mapping[str, object]
    members: List[JobMember]
    events: _events.Events


def own_spec() -> Optional[str]:
    """The path of this process's run spec. None: it runs alone.

    Programs that a program starts inherit the variable, but the run is not theirs.
    """
    path = os.environ.get(SPEC_VARIABLE)
    if path is not None and os.environ.setdefault(OWNER_VARIABLE, str(os.getpid())) != str(os.getpid()):
        return None
    return path


def read_spec(path: str, events: _events.Events) -> Job:
    """The job that a worker's run spec describes. Raises Refused."""
    try:
        with open(path, encoding="utf-8") as file:
            spec = json.load(file)
    except (OSError, ValueError) as error:
        raise Refused(f"the run spec {path} cannot be read: {error}") from None
    spec = _object(spec, "the run spec")
    if spec.get("protocol") != PROTOCOL:
        raise Refused(f"the worker speaks protocol {spec.get('protocol')!r} and this package {PROTOCOL}; "
                      "install both from one release")
    run = _object(spec.get("run"), "run")
    steps = _whole(_object(run.get("train"), "run.train").get("steps"), "run.train.steps", 1, MAX_STEPS)
    report = _object(run.get("report"), "run.report")
    checkpoint = _object(run.get("checkpoint"), "run.checkpoint")
    members = spec.get("members")
    if not isinstance(members, list) or not members:
        raise Refused("`members` is no list of seeds in the run spec")
    job = Job(
        steps=steps,
        report_every=_whole(report.get("every"), "run.report.every", 1, MAX_STEPS),
        checkpoint_every=_whole(checkpoint.get("every"), "run.checkpoint.every", 1, MAX_STEPS),
        threads=_whole(spec.get("threads", 1), "threads", 1, 2**16),
        device=_text(spec.get("device", "cpu"), "device"),
        settings=_object(run.get("settings", {}), "run.settings"),
        members=[_member(_object(member, "a member"), steps) for member in members],
        events=events)
    if len({member.seed for member in job.members}) != len(job.members):
        raise Refused("a seed stands twice in `members` of the run spec")
    return job


def starts_of(path: str) -> List[Tuple[int, int]]:
    """The seeds of a worker's run spec and the steps at which they start; none if it cannot be read."""
    try:
        with open(path, encoding="utf-8") as file:
            return [(int(member["seed"]), int(member.get("resume_step", 0))) for member in json.load(file)["members"]]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return []


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _member(member: Dict[str, Any], steps: int) -> JobMember:
    folder = Path(_text(member.get("checkpoint_dir"), "checkpoint_dir"))
    seed = _whole(member.get("seed"), "seed", 0, MAX_SEED)
    if not folder.is_absolute():
        raise Refused(f"the checkpoint_dir of seed {seed} is no absolute path: {folder}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"the checkpoint_dir of seed {seed} cannot be made: {error}") from None
    if "resume" not in member:
        return JobMember(seed, folder, None, 0)
    resume = Path(_text(member["resume"], "resume"))
    return JobMember(seed, folder, resume, _whole(member.get("resume_step"), "resume_step", 0, steps))


def _object(value: object, name: str) -> Dict[str, Any]:
    if not isinstance(value, dict):
        raise Refused(f"`{name}` is no object in the run spec")
    return value


def _whole(value: object, name: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise Refused(f"`{name}` is no whole number from {low} to {high} in the run spec, but {value!r}")
    return value


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise Refused(f"`{name}` is no text in the run spec")
    return value
