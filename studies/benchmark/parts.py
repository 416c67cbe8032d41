"""The parts of the benchmark, in order, and a run of some or all of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Final

from streamflow_env.errors import ConfigError
from studies.benchmark.machine import machine
from studies.benchmark.results import Measurement, Part, Results, Target

PARTS: Final = ("engines", "tandem", "cells", "growth", "overhead", "training", "startup")
"""Modules of this package, each with `measure(quick)`."""


def measure_parts(only: Sequence[str], quick: bool, log: Callable[[str], None]) -> Results:
    """Measure the parts in `only`, or all of them where it is empty. Raises ConfigError for an unknown part."""
    if unknown := sorted(set(only) - set(PARTS)):
        raise ConfigError(f"part {unknown[0]!r}: must be one of {', '.join(PARTS)}")
    parts = []
    for name in (part for part in PARTS if not only or part in only):
        parts.append(_measured(name, quick))
        log(f"{name}: {parts[-1].took_s:.0f} s")
    return Results(machine(), quick, tuple(parts))


def _measured(name: str, quick: bool) -> Part:
    load, moment, start = os.getloadavg()[0], time.strftime("%Y-%m-%d %H:%M"), time.perf_counter()
    measure: Callable[[bool], tuple[list[Measurement], list[Target], list[str]]] = import_module(
        f"studies.benchmark.{name}"
    ).measure
    measurements, targets, notes = measure(quick)
    took_s = time.perf_counter() - start
    return Part(name, tuple(measurements), tuple(targets), tuple(notes), moment, load, took_s)
