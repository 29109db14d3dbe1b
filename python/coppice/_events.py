"""Events of a program: JSON lines for a worker."""

from __future__ import annotations

import errno
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

MAX_MESSAGE = 2000  # characters


class Events:
    """Where a program says what it does. Called from several threads."""

    def refused(self, message: str) -> None:
        raise NotImplementedError

    def start(self, members: Sequence[Tuple[int, int]], steps: int, provenance: Mapping[str, Any],
              parameters: Optional[int]) -> None:
        raise NotImplementedError

    def progress(self, members: Sequence[Tuple[int, int]], steps_per_second: float, activity: int) -> None:
        raise NotImplementedError

    def metrics(self, seed: int, step: int, values: Mapping[str, float]) -> None:
        raise NotImplementedError

    def checkpoint(self, seed: int, step: int, path: Path) -> None:
        raise NotImplementedError

    def done(self, seed: int, step: int) -> None:
        raise NotImplementedError

    def failed(self, seed: int, step: int, kind: str, message: str) -> None:
        raise NotImplementedError

    def preempted(self, seed: int, step: int) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """No event follows."""


class JsonEvents(Events):
    """One JSON object a line, on a descriptor that nothing else in the process writes to.

    ``on_lost`` is called once when a line cannot be written, with True if the reader has gone.
    """

    def __init__(self, descriptor: int = 1) -> None:
        self.on_lost: Callable[[bool], None] = lambda gone: None
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._lost = False

    def take_stdout(self) -> None:
        """Events go on to where the standard output went. What the process prints from now on goes to stderr."""
        sys.stdout.flush()
        self._descriptor = os.dup(1)  # not inherited by programs that this process starts
        os.dup2(2, 1)
        reconfigure = getattr(sys.stdout, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(line_buffering=True)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)

    def refused(self, message: str) -> None:
        self._write({"event": "refused", "message": message[:MAX_MESSAGE]})

    def start(self, members: Sequence[Tuple[int, int]], steps: int, provenance: Mapping[str, Any],
              parameters: Optional[int]) -> None:
        event: Dict[str, Any] = {"event": "start", "protocol": 1, "version": provenance["coppice"], "provenance": provenance,
                                 "members": _members(members), "steps": steps}
        if parameters is not None:
            event["parameters"] = parameters
        self._write(event)

    def progress(self, members: Sequence[Tuple[int, int]], steps_per_second: float, activity: int) -> None:
        self._write({"event": "progress", "members": _members(members), "steps_per_second": steps_per_second,
                     "activity": activity})

    def metrics(self, seed: int, step: int, values: Mapping[str, float]) -> None:
        self._write({"event": "metrics", "seed": seed, "step": step, "values": dict(values)})

    def checkpoint(self, seed: int, step: int, path: Path) -> None:
        self._write({"event": "checkpoint", "seed": seed, "step": step, "path": str(path)})

    def done(self, seed: int, step: int) -> None:
        self._write({"event": "done", "seed": seed, "step": step})

    def failed(self, seed: int, step: int, kind: str, message: str) -> None:
        self._write({"event": "failed", "seed": seed, "step": step, "kind": kind, "message": message[:MAX_MESSAGE]})

    def preempted(self, seed: int, step: int) -> None:
        self._write({"event": "preempted", "seed": seed, "step": step})

    def _write(self, event: Mapping[str, Any]) -> None:
        data = (json.dumps(event, allow_nan=False) + "\n").encode("ascii")
        with self._lock:
            if self._lost:
                return
            try:
                while data:
                    data = data[os.write(self._descriptor, data):]
                return
            except OSError as error:
                self._lost = True
                gone = error.errno == errno.EPIPE
                if not gone:
                    print(f"coppice: events cannot be written: {error.strerror}", file=sys.stderr, flush=True)
        self.on_lost(gone)

    def _forked(self) -> None:
        # A helper process must keep neither the pipe open nor the lock closed.
        self._lock = threading.Lock()
        self._lost = True
        os.close(self._descriptor)


def _members(members: Sequence[Tuple[int, int]]) -> List[Dict[str, int]]:
    return [{"seed": seed, "step": step} for seed, step in members]
