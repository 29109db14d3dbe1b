"""Signals that ask a program to end."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType
from typing import Any, Callable, Dict, Optional

EXIT_PREEMPTED = 75
EXIT_INTERRUPTED = 130

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_SECOND_INTERRUPT_SECONDS = 2.0


class StopRequests:
    """Whether somebody has asked for the end.

    Before ``begin`` there is nothing to save: a signal ends the process at once, by SystemExit(75),
    after a call of ``on_early``. After it, any number of signals is one request. After ``finish``
    the next one ends the process.
    """

    def __init__(self, on_early: Callable[[], None] = lambda: None) -> None:
        self.requested = False
        self._on_early: Optional[Callable[[], None]] = on_early
        self._exit_code: Optional[int] = EXIT_PREEMPTED
        self._interrupted_at: Optional[float] = None
        self._process = os.getpid()
        self._previous: Dict[int, Any] = {}

    def install(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("a program starts in its main thread, which gets the signals")
        for number in _SIGNALS:
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # under nohup
            self._previous[number] = signal.signal(number, self._on_signal)

    def restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def begin(self) -> None:
        self._on_early = None
        self._exit_code = None

    def finish(self, exit_code: int) -> None:
        self._exit_code = exit_code

    def _on_signal(self, number: int, frame: Optional[FrameType]) -> None:
        if os.getpid() != self._process:  # a forked helper
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        now = time.monotonic()
        if number == signal.SIGINT:
            if self._interrupted_at is None:
                self._interrupted_at = now
            elif now - self._interrupted_at >= _SECOND_INTERRUPT_SECONDS:
                os._exit(EXIT_INTERRUPTED)
        self.requested = True
        if self._on_early is not None:
            on_early, self._on_early = self._on_early, None
            on_early()
        if self._exit_code is not None:
            raise SystemExit(self._exit_code)
