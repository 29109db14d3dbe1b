"""Reads and steers sweeps.

::

    from coppice.client import Client

    client = Client()                                     # the access file, as the command line finds it
    client.submit("sweep.yaml")
    client.wait("demo")
    table = client.metrics("demo", names=["gen_accuracy"])   # a pandas DataFrame, if pandas is there
    best = max(client.jobs("demo"), key=lambda job: job.latest["gen_accuracy"])
    weights = client.arrays(best)                         # of its newest checkpoint

The client runs the program ``coppice`` and reads its JSON. It needs that program (in PATH, or named)
and no Python package: a gRPC client in Python would need grpcio and protobuf, compiled for each
Python, with stubs that fit one range of their versions. The program already has what access takes:
access files, TLS, tokens, retries and deadlines, and clear errors. A call costs its start, about 20
ms, and rows of metrics are read as they come.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Union

from coppice import _safetensors

__all__ = ["Checkpoint", "Client", "CoppiceError", "Job", "Sweep", "read_safetensors"]

Value = Union[str, int, float]
Where = Mapping[str, Union[Value, Sequence[Value]]]
JobLike = Union["Job", str, int]
PathLike = Union[str, "os.PathLike[str]"]

read_safetensors = _safetensors.read

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_FLAGS = {"task": "--task", "depth": "--depth", "seed": "--seed"}


class CoppiceError(RuntimeError):
    """What the program said. ``exit_code`` is 2 for wrong usage or a bad spec, else 1."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclasses.dataclass(frozen=True)
class Sweep:
    """A sweep. ``message`` holds the whole of proto/coppice/v1's SweepSummary."""

    name: str
    jobs: int
    counts: Dict[str, int]  # by state: pending, running, succeeded, failed, cancelled
    paused: bool
    priority: int
    steps_done: int
    steps_total: int
    eta_seconds: float  # negative: unknown
    message: Dict[str, Any] = dataclasses.field(repr=False)

    @property
    def ended(self) -> bool:
        return self.counts["pending"] == 0 and self.counts["running"] == 0

    @property
    def succeeded(self) -> bool:
        return self.counts["succeeded"] == self.jobs

    @property
    def note(self) -> str:
        return str(self.message.get("note", ""))

    @property
    def tags(self) -> List[str]:
        return [str(tag) for tag in self.message.get("tags", ())]


@dataclasses.dataclass(frozen=True)
class Job:
    """A job. ``point`` is its place on all axes but seed, outermost first. ``message`` holds the whole Job."""

    id: int
    sweep: str
    point: Dict[str, Value]
    seed: int
    state: str  # pending, running, succeeded, failed, cancelled
    step: int
    steps: int
    worker: str
    reason: str
    checkpoint_step: int
    latest: Dict[str, float]  # the newest value of each metric
    message: Dict[str, Any] = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A committed checkpoint of a job."""

    step: int
    bytes: int
    digest: str  # XXH3-128
    current: bool


class Client:
    """A coordinator.

    ``access`` names an access file, ``coordinator`` an address; without them, the environment and
    the account's own access file decide, as for the command line (docs/security.md). ``binary`` is
    the program, ``coppice`` in PATH by default.

    ``where`` in the calls below selects jobs: ``{"task": "question", "seed": [0, 1]}``. It names
    axes of the sweep, each with a value or a list.
    """

    def __init__(self, access: Optional[PathLike] = None, coordinator: Optional[str] = None, binary: Optional[PathLike] = None) -> None:
        found = shutil.which(os.fspath(binary) if binary is not None else "coppice")
        if found is None:
            raise FileNotFoundError(f"there is no program {binary or 'coppice'}; put it in PATH, or name it: Client(binary=...)")
        self._command = [found]
        if access is not None:
            self._command += ["--access", os.fspath(access)]
        if coordinator is not None:
            self._command += ["--coordinator", coordinator]

    def sweeps(self) -> List[Sweep]:
        return [_sweep(message) for message in self._json(["list"])["sweeps"]]

    def sweep(self, name: str) -> Sweep:
        return _sweep(self._json(["status", _target(name)])["sweep"])

    def submit(self, spec: Union[PathLike, Mapping[str, Any]], dry_run: bool = False) -> Optional[Sweep]:
        """Hands in a sweep: the path of a YAML file, or its content as a mapping.

        The same spec again changes nothing. With ``dry_run`` nothing is stored; the result is the
        sweep of that name, or None.
        """
        flags = ["--dry-run"] if dry_run else []
        if isinstance(spec, Mapping):
            answer = self._json(["submit", "-", *flags], text=json.dumps(spec))
        else:
            answer = self._json(["submit", os.path.abspath(os.fspath(spec)), *flags])
        return _sweep(answer["sweep"]) if answer.get("sweep") else None

    def spec(self, sweep: str) -> str:
        """A sweep's spec as YAML, which ``submit`` takes as a file."""
        return self._check(["spec", _target(sweep)]).stdout

    def extend(self, sweep: str, spec: Optional[Union[PathLike, Mapping[str, Any]]] = None, settings: Optional[Mapping[str, Value]] = None,
               axes: Optional[Where] = None, dry_run: bool = False) -> Dict[str, Any]:
        """Gives a sweep more points, seeds or steps (docs/sweep-spec.md).

        ``spec`` is that of the whole sweep as it shall be, as in ``submit``. Without one, the
        sweep's own spec is the start: ``extend("demo", settings={"train.steps": 4000},
        axes={"seed": range(10, 20)})``. The values of ``axes`` come to those that an axis has. The
        result is proto/coppice/v1's SweepExtension. With ``dry_run`` nothing is changed.
        """
        flags = [flag for name, value in (settings or {}).items() for flag in ("--set", f"{name}={_spec_text(value)}")]
        for axis, chosen in (axes or {}).items():
            values = [chosen] if isinstance(chosen, (str, int, float)) else list(chosen)
            flags += ["--axis", f"{axis}={','.join(map(_spec_text, values))}"]
        flags += ["--dry-run"] if dry_run else []
        if isinstance(spec, Mapping):
            answer = self._json(["extend", _target(sweep), "-", *flags], text=json.dumps(spec))
        else:
            file = [] if spec is None else [os.path.abspath(os.fspath(spec))]
            answer = self._json(["extend", _target(sweep), *file, *flags])
        extension: Dict[str, Any] = answer["extension"]
        return extension

    def wait(self, *sweeps: str, timeout: Optional[float] = None) -> List[Sweep]:
        """Waits until every job of these sweeps has ended. TimeoutError after ``timeout`` seconds.

        Failed jobs are no exception: look at ``succeeded`` of the result.
        """
        flags = [] if timeout is None else ["--timeout", f"{timeout:.3f}s"]
        begin = time.monotonic()
        done = self._run(["wait", *map(_target, sweeps), *flags, "--json"])
        if done.stdout:
            return [_sweep(message) for message in json.loads(done.stdout)["sweeps"]]
        if timeout is not None and done.returncode == 1 and time.monotonic() - begin >= timeout:
            raise TimeoutError(_text(done.stderr))
        raise _error(done)

    def jobs(self, sweep: str, where: Optional[Where] = None, states: Sequence[str] = ()) -> List[Job]:
        return [_job(message) for message in self._json(["jobs", _target(sweep), *self._where(sweep, where), *_states(states)])["jobs"]]

    def metrics(self, sweep: str, where: Optional[Where] = None, names: Sequence[str] = (), from_step: int = 0) -> Any:
        """The reported rows: a pandas DataFrame if pandas is installed, else a list of dicts (``rows``)."""
        rows = list(self.rows(sweep, where, names, from_step))
        try:
            pandas: Any = importlib.import_module("pandas")
        except ImportError:
            return rows
        return pandas.DataFrame(rows)

    def rows(self, sweep: str, where: Optional[Where] = None, names: Sequence[str] = (),
             from_step: int = 0) -> Iterator[Dict[str, Any]]:
        """Each reported row: the axes, ``seed``, ``step``, and the metrics by name. In the order of jobs and steps."""
        command = ["metrics", _target(sweep), "--jsonl", *self._where(sweep, where), *(flag for name in names for flag in ("--name", name))]
        if from_step:
            command += ["--from-step", str(from_step)]
        with tempfile.TemporaryFile("w+") as errors:
            with subprocess.Popen([*self._command, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                                  encoding="utf-8") as process:
                assert process.stdout is not None
                for line in process.stdout:
                    message = json.loads(line)
                    yield {**_point(message), "seed": message["seed"], "step": message["row"]["step"], **_values(message["row"]["values"])}
                code = process.wait()
            if code != 0:
                errors.seek(0)
                raise CoppiceError(_text(errors.read()), code)

    def checkpoints(self, job: JobLike) -> List[Checkpoint]:
        """The committed checkpoints of a job, the newest first."""
        return [Checkpoint(int(message["step"]), int(message["bytes"]), message["digest"], message["current"])
                for message in self._json(["checkpoint", "list", _job_target(job)])["checkpoints"]]

    def fetch(self, job: JobLike, path: PathLike, step: Optional[int] = None, replace: bool = False) -> Path:
        """Brings a checkpoint here, held against its size and digest. The current one, or that of ``step``."""
        command = ["checkpoint", "fetch", _job_target(job), "--output", os.path.abspath(os.fspath(path))]
        command += [] if step is None else ["--step", str(step)]
        self._check([*command, *(["--force"] if replace else [])])
        return Path(path)

    def arrays(self, job: JobLike, step: Optional[int] = None) -> Dict[str, Any]:
        """The tensors of a checkpoint by name: arrays of numpy, or Array without it.

        For checkpoints in the safetensors format, such as the trainer's. ``fetch`` brings any.
        """
        with tempfile.TemporaryDirectory(prefix="coppice-") as folder:
            return read_safetensors(self.fetch(job, Path(folder) / "checkpoint", step))[0]

    def logs(self, job: JobLike) -> str:
        """What the newest attempt with a log wrote to its standard error."""
        return self._check(["logs", _job_target(job)]).stdout

    def why(self, job: JobLike) -> List[str]:
        """Why a job is in its state, the most important reason first."""
        return list(self._json(["why", _job_target(job)])["reasons"])

    def cancel(self, sweep: str, where: Optional[Where] = None, states: Sequence[str] = ()) -> int:
        """Ends jobs that have not ended, and says how many."""
        return int(self._json(["cancel", _target(sweep), *self._where(sweep, where), *_states(states)])["cancelled"])

    def retry(self, sweep: str, where: Optional[Where] = None, states: Sequence[str] = ()) -> int:
        """Puts failed and cancelled jobs back in line, and says how many."""
        return int(self._json(["retry", _target(sweep), *self._where(sweep, where), *_states(states)])["retried"])

    def pause(self, sweep: str) -> None:
        """Lets a sweep's jobs save a checkpoint and wait."""
        self._check(["pause", _target(sweep)])

    def resume(self, sweep: str) -> None:
        """Lets a paused sweep go on."""
        self._check(["resume", _target(sweep)])

    def note(self, sweep: str, text: str) -> None:
        """Replaces the note of a sweep. An empty text removes it."""
        self._check(["note", _target(sweep), "--", text] if text else ["note", _target(sweep), "--clear"])

    def tag(self, sweep: str, add: Sequence[str] = (), remove: Sequence[str] = ()) -> List[str]:
        """Changes the tags of a sweep, and returns those that it has then."""
        changes = [*(f"+{tag}" for tag in add), *(f"-{tag}" for tag in remove)]
        self._check(["tag", _target(sweep), "--", *changes])
        return self.sweep(sweep).tags

    def delete(self, sweep: str) -> None:
        """Deletes a sweep that has ended, with its jobs, metrics, logs and checkpoints. It cannot be undone."""
        self._check(["delete", _target(sweep), "--yes"])

    def _where(self, sweep: str, where: Optional[Where]) -> List[str]:
        flags: List[str] = []
        for axis, chosen in (where or {}).items():
            values = [chosen] if isinstance(chosen, (str, int, float)) else list(chosen)
            if not values:
                raise ValueError(f"where names no value of the axis {axis}")
            names = ",".join(self._value_name(sweep, axis, value) for value in values)
            flags += [_FLAGS[axis], names] if axis in _FLAGS else ["--where", f"{axis}={names}"]
        return flags

    def _value_name(self, sweep: str, axis: str, value: Value) -> str:
        """The text of a value in names and filters. A number may be written in several ways; the sweep's own counts."""
        if isinstance(value, float):
            groups = self._json(["status", _target(sweep)])["groups"]
            names = {entry["value"] for group in groups for entry in group.get("point", ()) if entry["axis"] == axis}
            for name in names:
                if _NUMBER.fullmatch(name) and float(name) == value:
                    return str(name)
        return str(value)

    def _json(self, command: Sequence[str], text: Optional[str] = None) -> Any:
        return json.loads(self._check([*command, "--json"], text).stdout)

    def _check(self, command: Sequence[str], text: Optional[str] = None) -> subprocess.CompletedProcess[str]:
        done = self._run(command, text)
        if done.returncode != 0:
            raise _error(done)
        return done

    def _run(self, command: Sequence[str], text: Optional[str] = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self._command, *command], input=text or "", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              encoding="utf-8", check=False)


def _error(done: subprocess.CompletedProcess[str]) -> CoppiceError:
    return CoppiceError(_text(done.stderr), done.returncode)


def _text(stderr: str) -> str:
    prefix = "coppice: error: "
    text = stderr.strip()
    return text[len(prefix):] if text.startswith(prefix) else text


def _target(name: str) -> str:
    """A sweep's name or a job's path, which a flag cannot be mistaken for."""
    if not name or name.startswith("-"):
        raise ValueError(f"{name!r} is no name of a sweep or a job")
    return f"sweep:{name}" if name.isdecimal() else name


def _spec_text(value: Value) -> str:
    """A value as a spec writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _job_target(job: JobLike) -> str:
    if isinstance(job, Job):
        return f"job:{job.id}"
    return f"job:{job}" if isinstance(job, int) else _target(job)


def _states(states: Sequence[str]) -> List[str]:
    return [flag for state in states for flag in ("--state", state)]


def _number(text: str) -> Value:
    if not _NUMBER.fullmatch(text):
        return text
    return int(text) if text.isdecimal() else float(text)


def _point(message: Mapping[str, Any]) -> Dict[str, Value]:
    """The axes and values of a job or row. Values that are numbers become numbers."""
    if message.get("point"):
        return {entry["axis"]: _number(entry["value"]) for entry in message["point"]}
    return {"task": message["task"], "depth": message["depth"]} if message.get("task") else {}


def _values(values: Sequence[Mapping[str, Any]]) -> Dict[str, float]:
    return {entry["name"]: float(entry["value"]) for entry in values}


def _sweep(message: Dict[str, Any]) -> Sweep:
    return Sweep(name=message["name"], jobs=int(message["jobs"]), counts={state: int(count) for state, count in message["counts"].items()},
                 paused=message["paused"], priority=message["priority"], steps_done=int(message["steps_done"]),
                 steps_total=int(message["steps_total"]), eta_seconds=message["eta_seconds"], message=message)


def _job(message: Dict[str, Any]) -> Job:
    return Job(id=int(message["id"]), sweep=message["sweep"], point=_point(message), seed=message["seed"], state=message["state"].lower(),
               step=message["step"], steps=message["steps"], worker=message["worker"], reason=message["reason"],
               checkpoint_step=message["checkpoint_step"], latest=_values(message["latest"]), message=message)
