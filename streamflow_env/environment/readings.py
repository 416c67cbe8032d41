"""How numbers are read off a telemetry: ratios of counters, and percentiles of histograms, all at once.

A `Ratio` is said in words of the telemetry (record, row, field); a `Readings` holds many of them as index arrays and
evaluates them together in a few array operations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

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


@dataclass(frozen=True)
class Ratio:
    """Sum of counts / sum of counts. No denominator: the sum itself; `per_ns`: the sum by the interval's ns.

    `empty` is the value where the denominator is not above 0: nothing to count.
    """

    numerator: tuple[Count, ...]
    denominator: tuple[Count, ...] = ()
    per_ns: bool = False
    empty: float = 0.0

    @property
    def formula(self) -> str:
        """The ratio in words of the telemetry, rows left out, for the documentation."""
        above = _sum_formula(self.numerator)
        if self.per_ns:
            return f"{above} / interval"
        return f"{above} / ({_sum_formula(self.denominator)})" if self.denominator else above


@dataclass(frozen=True)
class Percentile:
    """A percentile of the sojourn times of service `row`, or of the response times of class and priority `row`."""

    histogram: Literal["sojourn", "response"]
    row: int
    fraction: float

    @property
    def formula(self) -> str:
        """The percentile in words, for the documentation."""
        return f"percentile {100 * self.fraction:g} of {self.histogram}"


Reading = Ratio | Percentile


class Readings:
    """Many readings, evaluated together."""

    def __init__(self, system: System, readings: list[Reading]) -> None:
        self._starts = _record_starts(system)
        ratios = [reading for reading in readings if isinstance(reading, Ratio)]
        percentiles = [reading for reading in readings if isinstance(reading, Percentile)]
        self._order = np.argsort([*_places(readings, Ratio), *_places(readings, Percentile)])
        self._above = _Sums([self._indices(ratio.numerator) for ratio in ratios])
        self._below = _Sums([self._denominator(ratio) for ratio in ratios])
        self._empty = np.array([ratio.empty for ratio in ratios], dtype=np.float64)
        sources = sorted(
            dict.fromkeys((p.histogram, p.row) for p in percentiles), key=lambda source: source[0] == "response"
        )
        self._sojourn_rows = np.array([row for name, row in sources if name == "sojourn"], dtype=np.intp)
        self._response_rows = np.array([row for name, row in sources if name == "response"], dtype=np.intp)
        self._histogram = np.array([sources.index((p.histogram, p.row)) for p in percentiles], dtype=np.intp)
        self._fractions = np.array([p.fraction for p in percentiles], dtype=np.float64)

    def evaluate(self, telemetry: Telemetry) -> NDArray[np.float64]:
        """Every reading of `telemetry` in order, percentiles in s; shape (num_readings,)."""
        raw = _flat(telemetry)
        below = self._below.of(raw)
        ratios = np.divide(self._above.of(raw), below, out=self._empty.copy(), where=below > 0)
        response = telemetry.response.reshape(-1, NUM_BUCKETS)
        histograms = np.concatenate((telemetry.sojourn[self._sojourn_rows], response[self._response_rows]))
        percentiles = percentiles_s(histograms, self._histogram, self._fractions)
        return np.concatenate((ratios, percentiles))[self._order]

    def _indices(self, counts: tuple[Count, ...]) -> list[tuple[int, float]]:
        return [
            (self._starts[c.record] + c.row * len(FIELDS[c.record]) + FIELDS[c.record].index(c.field), c.weight)
            for c in counts
        ]

    def _denominator(self, ratio: Ratio) -> list[tuple[int, float]]:
        if ratio.per_ns:
            return [(_DURATION, 1.0)]
        return self._indices(ratio.denominator) or [(_ONE, 1.0)]


def percentiles_s(
    histograms: NDArray[np.integer], rows: NDArray[np.intp], fractions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """For each i the duration of rank ceil(fractions[i] · n) of histogram rows[i], in s; 0 where nothing was counted.

    `histograms` has shape (num_histograms, NUM_BUCKETS). One cumulated sum over all of them, one search.
    """
    cumulated = np.cumsum(histograms)
    ends = cumulated[NUM_BUCKETS - 1 :: NUM_BUCKETS]
    before = np.concatenate((_ZERO, ends[:-1]))[rows]
    totals = ends[rows] - before
    ranks = np.maximum(1, np.ceil(fractions * totals).astype(np.int64))
    buckets = np.searchsorted(cumulated, before + ranks) - rows * NUM_BUCKETS
    return np.where(totals > 0, MIDDLES_S[np.minimum(buckets, NUM_BUCKETS - 1)], 0.0)


def _places(readings: list[Reading], kind: type[Reading]) -> list[int]:
    return [place for place, reading in enumerate(readings) if isinstance(reading, kind)]


_ONE, _DURATION, _HEADER = 0, 1, 2
_ZERO = np.zeros(1, dtype=np.int64)


class _Sums:
    """Sums of weighted picks out of a flat vector, each of at least one pick."""

    def __init__(self, picks: list[list[tuple[int, float]]]) -> None:
        self._index = np.array([index for pick in picks for index, _ in pick], dtype=np.intp)
        self._weight = np.array([weight for pick in picks for _, weight in pick], dtype=np.float64)
        self._offset = np.cumsum([0] + [len(pick) for pick in picks[:-1]])

    def of(self, raw: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(np.add.reduceat(raw[self._index] * self._weight, self._offset), dtype=np.float64)


def _flat(telemetry: Telemetry) -> NDArray[np.int64]:
    """[1, interval in ns, services, classes, calls], flattened in the order of the fields."""
    header = np.array([1, telemetry.end_ns - telemetry.start_ns], dtype=np.int64)
    return np.concatenate((header, *(as_matrix(getattr(telemetry, name)).ravel() for name in FIELDS)))


def as_matrix(records: NDArray[Any]) -> NDArray[np.int64]:
    """Records of int64 counters as a matrix, shape (num_records, num_fields)."""
    return np.ascontiguousarray(records).view(np.int64).reshape(-1, len(records.dtype.names or ()))


def _record_starts(system: System) -> dict[str, int]:
    services = _HEADER + len(system.services) * len(SERVICE_FIELDS)
    classes = services + len(system.classes) * NUM_PRIORITIES * len(CLASS_FIELDS)
    return {"services": _HEADER, "classes": services, "calls": classes}


def _sum_formula(counts: tuple[Count, ...]) -> str:
    """The fields with their signs; factors that only change the unit are left out."""
    signed = dict.fromkeys(("- " if c.weight < 0 else "+ ") + c.field for c in counts)
    return " ".join(signed).removeprefix("+ ")
