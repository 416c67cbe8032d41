"""One number of the observation, and functions that make the usual kinds of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from streamflow_env.environment.readings import Count, Percentile, Ratio, Reading
from streamflow_env.environment.sequential_sum import sequential_sum
from streamflow_env.system import System

SERVICE_P95_HIGH_S = 60.0
"""Highest 95th percentile of a service's sojourn time in the observation: users have given up by then. Assumed."""
SURGE = 100.0
"""Highest rate in the observation, in normal rates: 3 times the load, 4 times by retries, and room. Assumed."""
NS = 1e9

Scale = Literal["linear", "log", "control", "sin", "cos"]


@dataclass(frozen=True)
class Field:
    """One number of the observation. Its value is in `unit`, in [low, high]; `scale` says how it is encoded.

    `knee` is where a log scale turns from linear to logarithmic. `whole`: it is a count and decodes to a whole number.
    """

    name: str
    unit: str
    low: float
    high: float
    scale: Scale
    meaning: str
    reading: Reading | None = None
    knee: float = 1.0
    whole: bool = False

    @property
    def formula(self) -> str:
        """How it is computed from the telemetry, for the documentation."""
        if self.reading is not None:
            return self.reading.formula
        return "controls" if self.scale == "control" else "episode"


@dataclass(frozen=True)
class RecordReader:
    """Makes the readings of one row of a telemetry record: of one service, one call, or one class and priority."""

    record: Literal["services", "classes", "calls"]
    row: int

    def counts(self, *fields: str, weight: float = 1.0) -> tuple[Count, ...]:
        return tuple(Count(self.record, self.row, field, weight) for field in fields)

    def gauge(self, field: str) -> Ratio:
        return Ratio(self.counts(field))

    def per_s(self, field: str) -> Ratio:
        return Ratio(self.counts(field, weight=NS), per_ns=True)

    def ratio(self, above: tuple[str, ...], below: tuple[str, ...], empty: float = 0.0) -> Ratio:
        return Ratio(self.counts(*above), self.counts(*below), empty=empty)

    def mean_s(self, total_ns: str, of: tuple[str, ...]) -> Ratio:
        return Ratio(self.counts(total_ns), self.counts(*of, weight=NS))


def share(name: str, meaning: str, reading: Ratio) -> Field:
    """A fraction in [0, 1], on a linear scale."""
    return Field(name, "fraction", 0.0, 1.0, "linear", meaning, reading)


def small_count(name: str, unit: str, high: float, meaning: str, reading: Ratio) -> Field:
    """A whole number on a linear scale."""
    return Field(name, unit, 0.0, high, "linear", meaning, reading, whole=True)


def gauge(name: str, unit: str, high: float, meaning: str, reading: Ratio) -> Field:
    """A whole number on a log scale."""
    return Field(name, unit, 0.0, high, "log", meaning, reading, knee=10.0, whole=True)


def rate(system: System, name: str, meaning: str, reading: Ratio) -> Field:
    """A rate per second on a log scale."""
    normal = normal_rps(system)
    return Field(name, "1/s", 0.0, SURGE * normal, "log", meaning, reading, knee=normal / 30)


def p95(row: int, name: str) -> Field:
    """The 95th percentile of a service's sojourn time, on a log scale."""
    reading = Percentile("sojourn", (row,), 0.95)
    return Field(f"{name}.p95_s", "s", 0.0, SERVICE_P95_HIGH_S, "log", "sojourn time", reading, knee=0.05)


def normal_rps(system: System) -> float:
    """First attempts per second at normal load, at least 1. Rates are scaled by it."""
    return max(1.0, sequential_sum(request_class.normal_rate_rps for request_class in system.classes.values()))


def is_controlled(system: System, of: str, parameter: str) -> bool:
    """Whether a control sets `parameter` of `of`."""
    return any(control.of == of and control.parameter == parameter for control in system.controls)


def highest(system: System, of: str, parameter: str, default: float) -> float:
    """The highest value that `parameter` of `of` can have, by default or by its control; at least 1."""
    controlled = [c.high for c in system.controls if c.of == of and c.parameter == parameter]
    return float(max([1.0, default, *controlled]))
