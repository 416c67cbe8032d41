"""What was measured, as plain data: samples of quantities, and targets. It can be written as JSON and read again."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from streamflow_env.errors import ConfigError


@dataclass(frozen=True)
class Sample:
    """One quantity, measured several times."""

    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def lowest(self) -> float:
        return min(self.values)

    @property
    def highest(self) -> float:
        return max(self.values)


@dataclass(frozen=True)
class Measurement:
    """What was measured of one thing: samples by the heading of their column."""

    label: str
    samples: dict[str, Sample]


@dataclass(frozen=True)
class Target:
    """What was aimed at: the median of `sample` at least, or at most, `bound`."""

    what: str
    bound: float
    at_least: bool
    sample: Sample

    @property
    def met(self) -> bool:
        median = self.sample.median
        return median >= self.bound if self.at_least else median <= self.bound


@dataclass(frozen=True)
class Part:
    """A part of the benchmark. `notes` are sentences for the page; `load` is the load average before it."""

    name: str
    measurements: tuple[Measurement, ...]
    targets: tuple[Target, ...]
    notes: tuple[str, ...]
    measured_at: str
    load: float
    took_s: float


@dataclass(frozen=True)
class Results:
    """A run on one machine. `quick`: a trial run, too short for its numbers to mean much."""

    machine: dict[str, str]
    quick: bool
    parts: tuple[Part, ...]


RESULTS: Final = "results.json"

_ADAPTER: Final = TypeAdapter(Results)


def to_json(results: Results) -> str:
    """The results as JSON."""
    return _ADAPTER.dump_json(results, indent=1).decode("utf-8") + "\n"


def read_results(path: Path) -> Results:
    """What an earlier run wrote. Raises ConfigError."""
    try:
        return _ADAPTER.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise ConfigError(f"{path}: cannot be read as results of a benchmark: {error}") from None


def merged(earlier: Results | None, now: Results, order: Sequence[str]) -> Results:
    """`now`, and the parts of an `earlier` run that `now` has not measured, in `order`."""
    parts = {part.name: part for part in (*(earlier.parts if earlier else ()), *now.parts)}
    quick = now.quick or (earlier is not None and earlier.quick and len(now.parts) < len(parts))
    return Results(now.machine, quick, tuple(parts[name] for name in order if name in parts))


def ratio(above: Sample, below: Sample) -> Sample:
    """`above` divided by `below`, round by round: both were measured in turn."""
    return Sample("x", tuple(a / b for a, b in zip(above.values, below.values, strict=True)))


def three_digits(value: float) -> str:
    """A number as people read it: three significant digits, thousands separated."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    rounded = float(f"{value:.3g}")
    digits = max(0, 2 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{digits}f}"
