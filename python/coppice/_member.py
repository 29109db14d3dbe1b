"""One seed of a program."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, Mapping, Optional

from coppice import _job, _saving

if TYPE_CHECKING:
    from coppice._engine import Engine

MAX_VALUES = 1000
MAX_NAME = 128  # bytes
KINDS = ("nan", "checkpoint", "data", "out_of_memory", "disk", "internal")


class Failed(Exception):
    """The run has failed, and its worker knows. It passes through the ``with`` block."""


class Member:
    """One seed: where it stands, what it reports and saves.

    A program with one seed has it as its ``Run``; in a pack these are ``pack.members``.
    """

    def __init__(self, engine: Engine, place: _job.JobMember) -> None:
        self._engine = engine
        self._place = place
        self._step = place.step          # the last step that was begun
        self._completed = place.step
        self._reported = place.step
        self._saved = place.step         # the step of the newest checkpoint, or the start
        self._ended = False

    @property
    def seed(self) -> int:
        return self._place.seed

    @property
    def resume(self) -> Optional[Path]:
        """The checkpoint from which the run goes on: the file or folder that was saved. None: from the start."""
        return self._place.resume

    @property
    def checkpoint_dir(self) -> Path:
        return self._place.folder

    @property
    def step(self) -> int:
        """The step that is under way; before the first one, the step of ``resume``, or 0."""
        return self._step

    @property
    def last_step(self) -> int:
        return self._engine.job.steps

    def should_report(self, step: Optional[int] = None) -> bool:
        """Whether a report is due at this step (default: the present one)."""
        step = self._step if step is None else step
        return not self._ended and (step % self._engine.job.report_every == 0 or step == self.last_step)

    def report(self, values: Optional[Mapping[str, Any]] = None, **more: Any) -> None:
        """Reports numbers of the present step. At other steps than those of reports it does nothing.

        Numbers are Python's, or have ``item()`` as those of torch and numpy. One that is not finite
        ends the run as failed (kind nan): it raises Failed; in a pack the other members go on.
        """
        if not self.should_report():
            return
        self._check_under_way("report")
        if self._reported == self._step:
            raise ValueError(f"step {self._step} was reported before")
        numbers = _numbers({**(values or {}), **more})
        for name, number in numbers.items():
            if not math.isfinite(number):
                self.fail(f"{name} is {number} at step {self._step}", kind="nan")
                return
        self._engine.job.events.metrics(self.seed, self._step, numbers)
        self._engine.activity += 1
        self._reported = self._step

    def should_checkpoint(self, step: Optional[int] = None) -> bool:
        """Whether a checkpoint is due at this step: by the interval, at the last step, or when asked to end."""
        step = self._step if step is None else step
        if self._ended or step == self._saved:
            return False
        return step % self._engine.job.checkpoint_every == 0 or step == self.last_step or self._engine.requests.requested

    def checkpoint(self, save: Callable[[Path], object]) -> None:
        """Calls ``save(path)``, which writes a file or a folder there, and makes it the run's checkpoint.

        It appears whole or not at all, and is durable when this returns. Call it after the report of
        the step. If a checkpoint of the step exists, nothing happens.
        """
        if self._ended or self._step == self._saved:
            return
        self._check_under_way("checkpoint")
        if self.should_report() and self._reported != self._step:
            raise ValueError(f"step {self._step} is to be reported before its checkpoint")
        with self._engine.at_fault(self, "disk"):
            path = _saving.save_durably(self._place.folder, self._step, save)
            self._saved = self._step
            self._engine.activity += 1
            self._engine.job.events.checkpoint(self.seed, self._step, path)

    def load(self, load: Callable[[Path], object]) -> bool:
        """Calls ``load(path)`` if the run resumes, and says whether it does.

        An exception in it ends the run as failed because of its checkpoint.
        """
        if self.resume is None:
            return False
        with self._engine.at_fault(self, "checkpoint"):
            load(self.resume)
        return not self._ended

    def fail(self, message: str, kind: str = "internal") -> None:
        """Ends the seed as failed. Raises Failed; in a pack it returns, and the other members go on."""
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is no kind of failure; there are {', '.join(KINDS)}")
        self._end_failed(kind, message)
        if not self._engine.is_pack:
            raise Failed(message)

    def _end_failed(self, kind: str, message: str) -> None:
        if not self._ended:
            self._ended = True
            self._engine.job.events.failed(self.seed, self._step, kind, message)
            self._engine.any_failed = True

    def _end_preempted(self) -> None:
        self._ended = True
        self._engine.job.events.preempted(self.seed, self._saved)
        self._engine.any_preempted = True

    def _end_step(self) -> None:
        """The loop's body has ended. Checks that it did what is due, and ends the member at its last step."""
        if self._ended:
            return
        if self.should_report() and self._reported != self._step:
            raise RuntimeError(f"step {self._step} is one of the report steps, and nothing was reported: call report(...) "
                               "where should_report(step) is true")
        self._completed = self._step
        if self._step == self.last_step:
            if self._saved != self._step:
                raise RuntimeError(f"the last step, {self._step}, has no checkpoint: call checkpoint(save) where "
                                   "should_checkpoint(step) is true, or give steps(save=...)")
            self._ended = True
            self._engine.job.events.done(self.seed, self._step)

    def _check_under_way(self, what: str) -> None:
        if self._step == self._completed:
            raise RuntimeError(f"{what} belongs into the loop over steps()")


def _numbers(values: Mapping[str, Any]) -> Dict[str, float]:
    if not 1 <= len(values) <= MAX_VALUES:
        raise ValueError(f"a report has 1 to {MAX_VALUES} values, not {len(values)}")
    numbers = {}
    for name, value in values.items():
        if not name or len(name) > MAX_NAME or not all("!" <= character <= "~" for character in name):
            raise ValueError(f"{name!r} is no name of a metric: 1 to {MAX_NAME} visible ASCII characters, no space")
        if not isinstance(value, (int, float)) and hasattr(value, "item"):
            value = value.item()
        if not isinstance(value, (int, float)):
            raise TypeError(f"the metric {name} is a {type(value).__name__}; it has to be a number")
        numbers[name] = float(value)
    return numbers
