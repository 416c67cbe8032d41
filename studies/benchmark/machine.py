"""On what it was measured: processor, memory, system, versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Final

PACKAGES: Final = ("numpy", "numba", "gymnasium", "torch", "stable-baselines3", "simpy", "ciw")


def machine() -> dict[str, str]:
    """By what it is."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores, {len(os.sched_getaffinity(0))} of them to use",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": platform.platform(),
        "Python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "streamflow-env": _version("streamflow-env"),
    }


def _processor() -> str:
    """The name that Linux gives it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
