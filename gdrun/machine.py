"""This machine: all that gdrun reads in Linux's way, with what stands for it on macOS. No other module does."""

from __future__ import annotations

import os
import platform
import re
from contextlib import suppress
from pathlib import Path

_CPU_CHARACTERS = 4096
"""The first core's lines of /proc/cpuinfo: all of a large machine's take milliseconds."""


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str | None:
    """Return the processor's name, or else its architecture."""
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        if match := re.search(r"^model name\s*:\s*(.+)$", file.read(_CPU_CHARACTERS), re.MULTILINE):
            return match[1].strip()
    return platform.machine() or None


def memory_bytes() -> int:
    """Return how much memory there is."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def available_bytes() -> int:
    """Return the memory that this process can have: what is free, within its control group's limit.

    Half of all memory where the system does not say what is free (macOS).
    """
    free = memory_bytes() // 2
    with suppress(OSError, StopIteration, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
    with suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
        free = min(free, max(limit, 0))
    return free


def kernel_id() -> str:
    """Return what two processes have in common that run under one kernel: its own id, or else the machine's name.

    Machines and containers may share a name, and one may have changed its name.
    """
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return platform.node()


def num_nvidia_gpus() -> int:
    """Return how many GPUs the NVIDIA driver lists; to ask TensorFlow would take them."""
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
