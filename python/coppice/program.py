"""Turns a training loop into a program that a sweep can run.

::

    from coppice import program

    with program.start(settings={"learning_rate": 1e-3, "width": 128}, steps=10_000) as run:
        model = Model(run.settings.width, seed=run.seed)
        run.load(model.load)                      # only where the run resumes
        for step in run.steps(save=model.save):   # saves checkpoints where they are due
            loss = model.train_step(step, run.settings.learning_rate)
            if run.should_report(step):
                run.report(loss=loss, accuracy=model.accuracy())

Under a worker (docs/programs.md) settings, seed, steps and intervals come from the sweep, and events
go to the worker. What the script prints goes to its log. Without a worker the same script runs alone:
``python3 train.py --set width=64 --seed 1 --out DIR`` (``--help`` shows all flags) prints what it
reports, keeps ``DIR/seed-1/metrics.jsonl`` and resumes from the newest checkpoint in DIR.

SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2 ask for the end: the step in progress ends, a checkpoint
is saved, and the process ends with exit code 75. The same run goes on from there later. So that both
give the same numbers, a step must be a function of its number, the seed and what was saved: save the
optimizer and every random generator with the model, or seed a generator for each step.

Import this module before slow ones such as torch: from then on a signal is a request, not a crash.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType
from typing import (Any, Callable, ClassVar, Dict, Generic, Iterator, List, Mapping, Optional, Protocol, Sequence, Type, TypeVar, cast,
                    overload)

from coppice import _job, _settings, _standalone
from coppice._engine import EXIT_FAILED, EXIT_REFUSED, Engine
from coppice._events import Events, JsonEvents
from coppice._member import Failed, Member
from coppice._settings import Scalar, Settings
from coppice._signals import EXIT_PREEMPTED, StopRequests

__all__ = ["EXIT_FAILED", "EXIT_PREEMPTED", "EXIT_REFUSED", "Failed", "Member", "Pack", "Run", "Scalar", "Settings", "start",
           "start_pack"]

S = TypeVar("S")


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[Dict[str, Any]]


D = TypeVar("D", bound=_Dataclass)


class _Process(Generic[S]):
    """What a run and a pack share. Used as a context manager; leaving the block ends the process unless all is done."""

    _engine: Engine
    _settings_value: S

    @property
    def settings(self) -> S:
        """The settings: attributes and keys, or an instance of the dataclass that start got."""
        return self._settings_value

    @property
    def threads(self) -> int:
        """CPU threads that the process may use, for torch.set_num_threads."""
        return self._engine.job.threads

    @property
    def device(self) -> str:
        """"cpu" or "cuda"."""
        return self._engine.job.device

    @property
    def report_every(self) -> int:
        return self._engine.job.report_every

    @property
    def checkpoint_every(self) -> int:
        return self._engine.job.checkpoint_every

    @property
    def should_stop(self) -> bool:
        """Whether the end was asked for. The loop ends by itself; a long evaluation may look here."""
        return self._engine.requests.requested

    def keep_alive(self) -> None:
        """Shows the worker that the program works, within a step that takes long, such as an evaluation."""
        self._engine.activity += 1

    def set_parameters(self, count: int) -> None:
        """The number of the model's parameters, for the record. Before the loop."""
        self._engine.parameters = count

    def _leave(self, error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        code = self._engine.finish(error, trace)
        if code is not None:
            raise SystemExit(code)


class Run(Member, _Process[S]):
    """A run of one seed."""

    def __init__(self, engine: Engine, place: _job.JobMember, settings: S) -> None:
        Member.__init__(self, engine, place)
        self._settings_value = settings

    def __enter__(self) -> Run[S]:
        self._engine.enter()
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self._leave(error, trace)

    def steps(self, save: Optional[Callable[[Path], object]] = None) -> Iterator[int]:
        """The numbers of the steps that are left. Ends early when the end is asked for.

        With ``save``, checkpoints are saved by ``save(path)`` after the body of each step where one is
        due. Without it, call ``checkpoint`` where ``should_checkpoint(step)`` is true.
        """
        def save_member(member: Member) -> None:
            member.checkpoint(cast(Callable[[Path], object], save))

        for _ in self._engine.rounds(None if save is None else save_member):
            yield self._step


class Pack(_Process[S]):
    """Several seeds that one process trains together."""

    def __init__(self, engine: Engine, settings: S) -> None:
        self._engine = engine
        self._settings_value = settings

    def __enter__(self) -> Pack[S]:
        self._engine.enter()
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self._leave(error, trace)

    @property
    def members(self) -> List[Member]:
        return list(self._engine.members)

    def steps(self, save: Optional[Callable[[Member, Path], object]] = None) -> Iterator[List[Member]]:
        """In each round, the members that take a step; ``member.step`` is its number.

        Members may stand at different steps, because each resumes from its own checkpoint. One that
        has ended, done or failed, is not in later rounds.
        """
        def save_member(member: Member) -> None:
            write = cast(Callable[[Member, Path], object], save)
            member.checkpoint(lambda path: write(member, path))

        return self._engine.rounds(None if save is None else save_member)


@overload
def start(settings: Mapping[str, Scalar] = ..., *, steps: Optional[int] = ..., seed: int = ..., report_every: int = ...,
          checkpoint_every: int = ..., argv: Optional[Sequence[str]] = ...) -> Run[Settings]: ...


@overload
def start(settings: Type[D], *, steps: Optional[int] = ..., seed: int = ..., report_every: int = ...,
          checkpoint_every: int = ..., argv: Optional[Sequence[str]] = ...) -> Run[D]: ...


@overload
def start(settings: D, *, steps: Optional[int] = ..., seed: int = ..., report_every: int = ...,
          checkpoint_every: int = ..., argv: Optional[Sequence[str]] = ...) -> Run[D]: ...


def start(settings: Any = Settings({}), *, steps: Optional[int] = None, seed: int = 0, report_every: int = 100,
          checkpoint_every: int = 1000, argv: Optional[Sequence[str]] = None) -> Run[Any]:
    """Starts a run of one seed, to be used in a ``with`` statement.

    ``settings`` has the names, types and defaults: a mapping, or a dataclass with defaults (then
    ``run.settings`` is one, and typed). A name or type that it lacks is refused, with exit code 2.

    The other arguments hold where no worker is: the last step, the seed, the steps between reports
    and between checkpoints, and the command line (default: ``sys.argv[1:]``; give a list, if the
    script has flags of its own).
    """
    engine, values = _start(settings, steps, [seed], report_every, checkpoint_every, argv, is_pack=False)
    run = Run(engine, engine.job.members[0], values)
    engine.members = [run]
    return run


@overload
def start_pack(settings: Mapping[str, Scalar] = ..., *, steps: Optional[int] = ..., seeds: Sequence[int] = ...,
               report_every: int = ..., checkpoint_every: int = ..., argv: Optional[Sequence[str]] = ...) -> Pack[Settings]: ...


@overload
def start_pack(settings: Type[D], *, steps: Optional[int] = ..., seeds: Sequence[int] = ..., report_every: int = ...,
               checkpoint_every: int = ..., argv: Optional[Sequence[str]] = ...) -> Pack[D]: ...


@overload
def start_pack(settings: D, *, steps: Optional[int] = ..., seeds: Sequence[int] = ..., report_every: int = ...,
               checkpoint_every: int = ..., argv: Optional[Sequence[str]] = ...) -> Pack[D]: ...


def start_pack(settings: Any = Settings({}), *, steps: Optional[int] = None, seeds: Sequence[int] = (0,), report_every: int = 100,
               checkpoint_every: int = 1000, argv: Optional[Sequence[str]] = None) -> Pack[Any]:
    """Starts a process that trains several seeds at once (``program.pack`` in the spec). Else as ``start``."""
    engine, values = _start(settings, steps, seeds, report_every, checkpoint_every, argv, is_pack=True)
    engine.members = [Member(engine, place) for place in engine.job.members]
    return Pack(engine, values)


def _start(settings: Any, steps: Optional[int], seeds: Sequence[int], report_every: int, checkpoint_every: int,
           argv: Optional[Sequence[str]], is_pack: bool) -> Any:
    defaults = _settings.defaults_of(settings)
    global _started
    spec = _job.own_spec()
    if spec is not None and _started:
        raise RuntimeError("a worker's process has one run; start was called before")
    _started = True
    events: Events = _standalone.PrintedEvents([])
    if spec is not None:
        events = _early_events
        _early_events.take_stdout()
    requests = StopRequests(_say_preempted)
    requests.install()
    try:
        if spec is not None:
            job = _job.read_spec(spec, events)
        else:
            job = _standalone.read_flags(defaults, steps=steps, seeds=seeds, report_every=report_every,
                                         checkpoint_every=checkpoint_every, argv=sys.argv[1:] if argv is None else argv)
        if not is_pack and len(job.members) > 1:
            raise _job.Refused(f"this program trains one seed and got {len(job.members)}; use program.start_pack, or pack: 1")
        values = _settings.filled(settings, _settings.resolve(defaults, job.settings))
    except (_job.Refused, _settings.SettingsError) as error:
        events.refused(str(error))
        raise SystemExit(EXIT_REFUSED) from None
    return Engine(job, requests, is_pack, None), values


def _say_preempted() -> None:
    """Tells the worker of a request to end that came before the first step."""
    spec = _job.own_spec()
    for seed, step in _job.starts_of(spec) if spec is not None else ():
        _early_events.preempted(seed, step)


_started = False
_early_events = JsonEvents()

if _job.own_spec() is not None:
    StopRequests(_say_preempted).install()
