"""Reasons to stop from outside: the clock, and SIGINT, SIGTERM, SIGHUP and SIGUSR1."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any, TypeVar

Result = TypeVar("Result")

PATIENCE_SECONDS = 0.5
"""A call may take so long after a stop was requested."""
_POLL_SECONDS = 0.05


def time_limit(seconds: float | None) -> Callable[[], bool]:
    """Return a function that says whether `schedule.stop.seconds`, counted from now, are over; None: they never are."""
    began = time.monotonic()
    return lambda: seconds is not None and time.monotonic() - began > seconds


class Abandoned(Exception):
    """A stop was requested, and the call did not return in time; its thread is left behind."""


class StopRequests:
    """While the block runs, the first of the signals is noted in `signal`; another one, or a second Ctrl-C, ends the
    process.

    A SIGHUP that is ignored stays so: that is how `nohup` lets a run outlive its terminal. Batch systems send SIGUSR1
    some time before they kill a job. When SLURM preempts one, its SIGTERM comes twice within milliseconds, from the
    node and from srun, so that the same again is no second request. Within another one, what that has noted counts. In
    threads other than the main one nothing is changed, since Python runs signal handlers in the main one only.
    """

    _innermost: StopRequests | None = None

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, Any] = {}
        self._outer: StopRequests | None = None

    def __enter__(self) -> StopRequests:
        if threading.current_thread() is threading.main_thread():
            self._outer, StopRequests._innermost = StopRequests._innermost, self
            self.signal = self._outer.signal if self._outer else None
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
                if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if StopRequests._innermost is self:
            StopRequests._innermost = self._outer
        for number, handler in self._before.items():
            # None: the handler before was not Python's, and cannot be put back from here.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Return `function(*arguments)`, called in a thread: Python runs no signal handler while the main thread is in
        compiled code.

        Raises:
            Abandoned: a stop was requested and the call took longer than PATIENCE_SECONDS from then on. The process
                then has to end without waiting for the thread.
        """
        if not self._before:
            return function(*arguments)
        outcome: list[Any] = []
        done = threading.Event()

        def work() -> None:
            try:
                outcome.append((True, function(*arguments)))
            except BaseException as error:
                outcome.append((False, error))
            done.set()

        threading.Thread(target=work, daemon=True).start()
        while not done.wait(_POLL_SECONDS) and self.signal is None:
            pass
        if not done.wait(PATIENCE_SECONDS):
            raise Abandoned
        worked, result = outcome[0]
        if not worked:
            raise result
        return result

    def calls_on(self, device: str) -> Callable[..., Any]:
        """Return a function that calls compiled code as `call` does, on a device."""
        import tensorflow as tf

        def on_device(function: Callable[..., Any], *arguments: Any) -> Any:
            # The device is a setting of the thread.
            with tf.device(device):
                return function(*arguments)

        return partial(self.call, on_device)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        for each in self._before:
            signal.signal(each, signal.SIG_IGN if each == number != signal.SIGINT else signal.SIG_DFL)
