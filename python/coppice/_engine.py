"""The run of a process from its start to its exit code."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import threading
import time
import traceback
from types import TracebackType
from typing import Any, Callable, Dict, Iterator, List, Optional

import coppice
from coppice import _job, _saving
from coppice._events import JsonEvents
from coppice._member import Failed, Member
from coppice._signals import EXIT_PREEMPTED, StopRequests

EXIT_FAILED = 1
EXIT_REFUSED = 2

_FIRST_PROGRESS_SECONDS = 0.5
_LAST_PROGRESS_SECONDS = 2.0


class Engine:
    """Runs the members of a process: their start, their rounds of steps, their end."""

    def __init__(self, job: _job.Job, requests: StopRequests, is_pack: bool, parameters: Optional[int]) -> None:
        self.job = job
        self.requests = requests
        self.is_pack = is_pack
        self.members: List[Member] = []
        self.activity = 0
        self.any_failed = False
        self.any_preempted = False
        self.parameters = parameters
        self._entered = False
        self._started = False
        self._rounds = 0
        self._fault: Optional[str] = None
        self._output_failed = False
        self._over = threading.Event()
        self._progress: Optional[threading.Thread] = None
        if isinstance(job.events, JsonEvents):
            job.events.on_lost = self._on_lost

    def enter(self) -> None:
        self._entered = True

    @contextlib.contextmanager
    def at_fault(self, member: Member, kind: str) -> Iterator[None]:
        """An exception in the block is of this kind, and the fault of this member. A pack goes on without it."""
        self._fault = kind
        try:
            yield
        except Exception as error:
            if not self.is_pack:
                raise
            traceback.print_exc()
            member._end_failed(_kind(error, kind), _message(error))
        self._fault = None

    def rounds(self, save: Optional[Callable[[Member], None]]) -> Iterator[List[Member]]:
        """The members that take a step, round by round. After the body ``save`` is called for those that are due."""
        self._begin()
        had_chance = False  # to save after the request to end
        while True:
            active = [member for member in self.members if not member._ended]
            if not active:
                return
            if self.requests.requested and (had_chance or all(member._saved == member._step for member in active)):
                return
            had_chance = self.requests.requested
            for member in active:
                member._step += 1
            yield active
            for member in active:
                if save is not None and member.should_checkpoint():
                    save(member)
                member._end_step()
            self._rounds += 1

    def finish(self, error: Optional[BaseException], trace: Optional[TracebackType]) -> Optional[int]:
        """Ends the members. Returns the exit code, or None if the process goes on as it would have."""
        nothing_begun = not self._started
        self.requests.begin()
        self._over.set()
        if self._progress is not None:
            self._progress.join()
        live = [member for member in self.members if not member._ended]
        if nothing_begun and self.requests.requested and isinstance(error, SystemExit):
            self.job.events.close()
            return EXIT_PREEMPTED
        if error is not None and not isinstance(error, Failed):
            if not live:
                self.job.events.close()
                self.requests.finish(0)
                return None  # everything is done; the exception is the script's own affair
            traceback.print_exception(type(error), error, trace)
        self._end_members(live, error)
        self.job.events.close()
        if not isinstance(self.job.events, JsonEvents):
            self.requests.restore()
        code = EXIT_PREEMPTED if self.any_preempted else EXIT_FAILED if self.any_failed else 0
        code = EXIT_FAILED if self._output_failed else code
        self.requests.finish(code)
        sys.stdout.flush()
        sys.stderr.flush()
        return code or None

    def _end_members(self, live: List[Member], error: Optional[BaseException]) -> None:
        for member in live:
            if error is not None and (self._fault is not None or not self._may_be_the_request()):
                member._end_failed(_kind(error, self._fault), _message(error))
            elif self.requests.requested:
                member._end_preempted()
            elif not self._started:
                member._end_failed("internal", "the program ended without a step; it has to loop over steps()")
            else:
                member._end_failed("internal", f"the loop ended at step {member._step} of {self.job.steps}")

    def _may_be_the_request(self) -> bool:
        # The signal reaches every process of the group. A helper that it ended gives an exception
        # here. An exception with another cause comes again after the resume.
        return self.requests.requested and self._started

    def _begin(self) -> None:
        if not self._entered:
            raise RuntimeError("steps() belongs into the `with` block of start")
        if self._started:
            raise RuntimeError("steps() can be used once")
        self._fault = None
        self.requests.begin()
        self._started = True
        starting = [(member.seed, member._step) for member in self.members if not member._ended]
        if not starting:
            return
        self.job.events.start(starting, self.job.steps, self._provenance(), self.parameters)
        for member in self.members:
            if not member._ended and member._step == self.job.steps:  # resumed from its last checkpoint
                member._ended = True
                self.job.events.done(member.seed, member._step)
        self._progress = threading.Thread(target=self._report_progress, name="coppice-progress", daemon=True)
        self._progress.start()

    def _provenance(self) -> Dict[str, Any]:
        provenance = {"program": os.path.basename(sys.argv[0]), "coppice": coppice.__version__,
                      "python": platform.python_version(), "device": self.job.device, "threads": self.job.threads,
                      "pack_width": len(self.members)}
        torch = sys.modules.get("torch")
        if torch is not None:
            provenance["torch"] = str(getattr(torch, "__version__", ""))
        return provenance

    def _report_progress(self) -> None:
        pause = _FIRST_PROGRESS_SECONDS
        before, rounds = time.monotonic(), self._rounds
        while not self._over.wait(pause):
            now, done = time.monotonic(), self._rounds
            steps = [(member.seed, member._completed) for member in self.members if not member._ended]
            if steps:
                self.job.events.progress(steps, (done - rounds) / (now - before), self.activity)
            before, rounds = now, done
            pause = min(1.5 * pause, _LAST_PROGRESS_SECONDS)

    def _on_lost(self, reader_gone: bool) -> None:
        self._output_failed = not reader_gone
        self.requests.requested = True


def _kind(error: BaseException, fault: Optional[str]) -> str:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out_of_memory"
    if isinstance(error, FloatingPointError):
        return "nan"
    if fault is None or isinstance(error, _saving.SaveError):
        return "internal"
    return "internal" if fault == "disk" and not isinstance(error, OSError) else fault


def _message(error: BaseException) -> str:
    """The exception in one line, with the place in the script."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, SystemExit):
        text = f"the program called exit({error.code!r}) before its last step"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)
              if os.path.dirname(os.path.abspath(frame.filename)) != os.path.dirname(os.path.abspath(__file__))]
    place = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    return " ".join(text.split())[:500] + place
