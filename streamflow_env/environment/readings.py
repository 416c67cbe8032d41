"""How numbers are read off a telemetry: ratios of counters, and percentiles of histograms, all at once.

A `Ratio` is said in words of the telemetry (record, row, field); a `Readings` holds many of them as index arrays and
evaluates them together in a few array operations.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines.telemetry import (
    CALL_FIELDS,
    CLASS_FIELDS,
    NUM_BUCKETS,
    SERVICE_FIELDS,
    Telemetry,
    bucket_middle_s,
)
from streamflow_env.system import System

MIDDLES_S: Final = bucket_middle_s(np.arange(NUM_BUCKETS))
"""Middle of each histogram bucket in seconds, shape (NUM_BUCKETS,)."""

FIELDS: Final = {
    "services": tuple(SERVICE_FIELDS),
    "classes": tuple(CLASS_FIELDS),
    "calls": tuple(CALL_FIELDS),
}
NUM_PRIORITIES: Final = 2


@dataclass(frozen=True)
class Count:
    """`weight` times counter `field` of row `row` of a record; class c's priority p is row 2 · c + p."""

    record: Literal["services", "classes", "calls"]
    row: int
    field: str
    weight: float = 1.0

    def times(self, factor: float) -> Count:
        """The same counter, weighing `factor` times as much."""
        return Count(self.record, self.row, self.field, self.weight * factor)


@dataclass(frozen=True)
class Ratio:
    """Sum of counts / sum of counts. No denominator: the sum itself; `per_ns`: the sum by the interval's ns.

    `empty` is the value where the denominator is not above 0: nothing to count.
    """

    numerator: tuple[Count, ...]
    denominator: tuple[Count, ...] | None = None
    per_ns: bool = False
    empty: float = 0.0

    @property
    def formula(self) -> str:
        """The ratio in words of the telemetry, rows left out, for the documentation."""
        if self.per_ns:
            return f"{_sum_formula(self.numerator)} / interval"
        if self.denominator is None:
            return _sum_formula(self.numerator)
        return f"{_sum_formula(self.numerator)} / {_sum_formula(self.denominator)}"


@dataclass(frozen=True)
class Percentile:
    """A percentile of the sojourn times of services, or of the response times of classes and priorities `rows`."""

    histogram: Literal["sojourn", "response"]
    rows: tuple[int, ...]
    fraction: float

    @property
    def formula(self) -> str:
        """The percentile in words, for the documentation."""
        return f"percentile {100 * self.fraction:g} of {self.histogram}"


Reading = Ratio | Percentile


class Readings:
    """Many readings, evaluated together."""

    def __init__(self, system: System, readings: Sequence[Reading]) -> None:
        self._starts = _record_starts(system)
        ratios = [reading for reading in readings if isinstance(reading, Ratio)]
        percentiles = [reading for reading in readings if isinstance(reading, Percentile)]
        self._order = np.argsort([*_places(readings, Ratio), *_places(readings, Percentile)])
        above = [self._indices(ratio.numerator) for ratio in ratios]
        self._sums = _Sums(above + [self._denominator(ratio) for ratio in ratios])
        self._empty = np.array([ratio.empty for ratio in ratios], dtype=np.float64)
        self._percentiles = _Percentiles(percentiles) if percentiles else None

    def evaluate(self, telemetry: Telemetry) -> NDArray[np.float64]:
        """Every reading of `telemetry` in order, percentiles in s; shape (num_readings,)."""
        above, below = self._sums.of(_flat(telemetry)).reshape(2, -1)
        ratios = np.divide(above, below, out=self._empty.copy(), where=below > 0)
        if self._percentiles is None:
            return ratios
        return np.concatenate((ratios, self._percentiles.of(telemetry)))[self._order]

    def _indices(self, counts: tuple[Count, ...]) -> list[tuple[int, float]]:
        return [
            (self._starts[c.record] + c.row * len(FIELDS[c.record]) + FIELDS[c.record].index(c.field), c.weight)
            for c in counts
        ]

    def _denominator(self, ratio: Ratio) -> list[tuple[int, float]]:
        if ratio.per_ns:
            return [(_DURATION, 1.0)]
        return [(_ONE, 1.0)] if ratio.denominator is None else self._indices(ratio.denominator)


def service_counts(system: System, kind: type[Any] | UnionType, *fields: str, weight: float = 1.0) -> tuple[Count, ...]:
    """The counters `fields` of every service of a kind, or of several `A | B`."""
    rows = [row for row, service in enumerate(system.services.values()) if isinstance(service, kind)]
    return tuple(Count("services", row, field, weight) for field in fields for row in rows)


def class_counts(
    system: System,
    *fields: str,
    weight: float = 1.0,
    priority: int | None = None,
    kind: Literal["interactive", "background"] = "interactive",
) -> tuple[Count, ...]:
    """The counters `fields` of every request class of a kind, of one priority or of both."""
    priorities = range(NUM_PRIORITIES) if priority is None else (priority,)
    classes = [index for index, request_class in enumerate(system.classes.values()) if request_class.kind == kind]
    rows = [NUM_PRIORITIES * index + p for index in classes for p in priorities]
    return tuple(Count("classes", row, field, weight) for field in fields for row in rows)


def call_counts(system: System, kind: type[Any], *fields: str, weight: float = 1.0) -> tuple[Count, ...]:
    """The counters `fields` of the calls that interactive classes make to services of a kind."""
    made = system.calls_of("interactive")
    rows = [
        row
        for row, name in enumerate(system.calls)
        if name in made and isinstance(system.services[system.calls[name].to], kind)
    ]
    return tuple(Count("calls", row, field, weight) for field in fields for row in rows)


Built = TypeVar("Built")


def once_per_system(build: Callable[[System], Built]) -> Callable[[System], Built]:
    """`build`, remembering what it built for a system, known by identity, as long as that system lives."""
    remembered: dict[int, Built] = {}

    @functools.wraps(build)
    def built(system: System) -> Built:
        key = id(system)
        if key not in remembered:
            remembered[key] = build(system)
            weakref.finalize(system, remembered.pop, key, None)
        return remembered[key]

    return built


def percentiles_s(
    histograms: NDArray[np.integer], rows: NDArray[np.intp], fractions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """For each i the duration of rank ceil(fractions[i] · n) of histogram rows[i], in s; 0 where nothing was counted.

    `histograms` has shape (num_histograms, NUM_BUCKETS). One cumulated sum over all of them, one search.
    """
    cumulated = histograms.cumsum()
    bounds = np.concatenate((_ZERO, cumulated[NUM_BUCKETS - 1 :: NUM_BUCKETS]))
    before = bounds.take(rows)
    totals = bounds.take(rows + 1) - before
    ranks = np.maximum(1, np.ceil(fractions * totals).astype(np.int64))
    buckets = cumulated.searchsorted(before + ranks) - rows * NUM_BUCKETS
    return np.asarray(MIDDLES_S.take(buckets, mode="clip") * (totals > 0), dtype=np.float64)


def _places(readings: Sequence[Reading], kind: type[Reading]) -> list[int]:
    return [place for place, reading in enumerate(readings) if isinstance(reading, kind)]


_ONE, _DURATION, _HEADER = 0, 1, 2
_ZERO = np.zeros(1, dtype=np.int64)


class _Sums:
    """Sums of weighted picks out of a flat vector; a sum of nothing is 0."""

    def __init__(self, picks: list[list[tuple[int, float]]]) -> None:
        picks = [pick or [(_ONE, 0.0)] for pick in picks]
        self._index = np.array([index for pick in picks for index, _ in pick], dtype=np.intp)
        self._weight = np.array([weight for pick in picks for _, weight in pick], dtype=np.float64)
        self._offset = np.cumsum([0] + [len(pick) for pick in picks[:-1]])

    def of(self, raw: NDArray[np.int64]) -> NDArray[np.float64]:
        sums: NDArray[np.float64] = np.add.reduceat(raw.take(self._index) * self._weight, self._offset)
        return sums


class _Percentiles:
    """Percentiles of histograms, some of them sums over several rows."""

    def __init__(self, percentiles: list[Percentile]) -> None:
        sources = list(dict.fromkeys((p.histogram, p.rows) for p in percentiles))
        sources.sort(key=lambda source: source[0] == "response")
        self._sojourn = np.array([row for name, rows in sources if name == "sojourn" for row in rows], dtype=np.intp)
        self._response = np.array([row for name, rows in sources if name == "response" for row in rows], dtype=np.intp)
        self._starts = np.cumsum([0] + [len(rows) for _, rows in sources[:-1]])
        self._is_pooled = any(len(rows) > 1 for _, rows in sources)
        self._histogram = np.array([sources.index((p.histogram, p.rows)) for p in percentiles], dtype=np.intp)
        self._fractions = np.array([p.fraction for p in percentiles], dtype=np.float64)

    def of(self, telemetry: Telemetry) -> NDArray[np.float64]:
        response = telemetry.response.reshape(-1, NUM_BUCKETS)
        histograms = np.concatenate((telemetry.sojourn[self._sojourn], response[self._response]))
        if self._is_pooled:
            histograms = np.add.reduceat(histograms, self._starts, axis=0)
        return percentiles_s(histograms, self._histogram, self._fractions)


def _flat(telemetry: Telemetry) -> NDArray[np.int64]:
    """[1, interval in ns, services, classes, calls], flattened in the order of the fields."""
    header = np.array((1, telemetry.end_ns - telemetry.start_ns), dtype=np.int64)
    records = (telemetry.services, telemetry.classes, telemetry.calls)
    return np.concatenate((header, *(part.reshape(-1).view(np.int64) for part in records)))


def as_matrix(records: NDArray[Any]) -> NDArray[np.int64]:
    """Records of int64 counters as a matrix, shape (num_records, num_fields)."""
    return np.ascontiguousarray(records).view(np.int64).reshape(-1, len(records.dtype.names or ()))


def _record_starts(system: System) -> dict[str, int]:
    services = _HEADER + len(system.services) * len(SERVICE_FIELDS)
    classes = services + len(system.classes) * NUM_PRIORITIES * len(CLASS_FIELDS)
    return {"services": _HEADER, "classes": services, "calls": classes}


def _sum_formula(counts: tuple[Count, ...]) -> str:
    """The fields with their signs; factors that only change the unit are left out."""
    signed = dict.fromkeys(("- " if count.weight < 0 else "+ ") + count.field for count in counts)
    text = " ".join(signed).removeprefix("+ ")
    return f"({text})" if len(signed) > 1 else text
