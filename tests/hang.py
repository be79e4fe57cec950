"""A limit of time that only a hang reaches, on however busy a machine."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

HANG_SECONDS = 120


@contextmanager
def no_hang() -> Iterator[None]:
    """Raise TimeoutError where the block takes two minutes: work that is bounded takes a second or less."""

    def stop(number: int, frame: Any) -> None:
        raise TimeoutError(f"still at work after {HANG_SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(HANG_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
