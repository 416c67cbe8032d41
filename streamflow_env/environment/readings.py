"""How numbers are computed from a telemetry: ratios of counters, and percentiles of histograms.

A `Ratio` names its counters by record, row and field. A `Readings` holds many readings as index arrays and evaluates
them together in a few array operations.
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

from streamflow_env.engines.fleet import FleetTelemetry
from streamflow_env.engines.telemetry import (
    CALL_FIELDS,
    CLASS_FIELDS,
    HEADER,
    NUM_BUCKETS,
    SERVICE_FIELDS,
    Telemetry,
    bucket_middle_s,
    percentile_buckets,
)
from streamflow_env.episode import PRICE_FACTORS, USUAL_PRICES, PriceOf
from streamflow_env.system import System

PriceFactors = tuple[float, float, float] | NDArray[np.float64]
MIDDLES_S: Final = bucket_middle_s(np.arange(NUM_BUCKETS))
"""Middle of each histogram bucket in seconds, shape (NUM_BUCKETS,)."""

FIELDS: Final = {
    "services": tuple(SERVICE_FIELDS),
    "classes": tuple(CLASS_FIELDS),
    "calls": tuple(CALL_FIELDS),
}
HISTOGRAMS: Final = ("sojourn", "response")
NUM_PRIORITIES: Final = 2


@dataclass(frozen=True)
class Count:
    """`weight` times counter `field` of row `row` of a record; class c's priority p is row 2 · c + p.

    `price` says whose price it is part of: an episode may have factors of prices.
    """

    record: Literal["services", "classes", "calls"]
    row: int
    field: str
    weight: float = 1.0
    price: PriceOf | None = None

    def times(self, factor: float) -> Count:
        """The same counter, weighing `factor` times as much."""
        return Count(self.record, self.row, self.field, self.weight * factor, self.price)


@dataclass(frozen=True)
class Ratio:
    """Sum of counts / sum of counts. Without a denominator: the sum itself. `per_ns`: the sum / the interval in ns.

    `empty` is the value where the denominator is not above 0.
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
    """Many readings that are evaluated together, for one interval or for the intervals of many cells."""

    def __init__(self, system: System, readings: Sequence[Reading]) -> None:
        self._starts = _record_starts(system)
        self._num = len(readings)
        ratios = [reading for reading in readings if isinstance(reading, Ratio)]
        self._ratio_places = _places(readings, lambda reading: isinstance(reading, Ratio))
        self._above = _Sums([self._indices(ratio.numerator) for ratio in ratios])
        self._below = _Sums([self._denominator(ratio) for ratio in ratios])
        self._empty = np.array([ratio.empty for ratio in ratios], dtype=np.float64)
        self._percentiles = [p for p in (_Percentiles(readings, name) for name in HISTOGRAMS) if len(p.places)]

    def evaluate(
        self, telemetry: Telemetry | FleetTelemetry, price_factors: PriceFactors = USUAL_PRICES
    ) -> NDArray[np.float64]:
        """Every reading in order, percentiles in s; shape (num_readings,), of a fleet (num_cells, num_readings).

        `price_factors` are those of `Episode`, shape (3,), or of a fleet (num_cells, 3).
        """
        counts = telemetry.counts
        factors = np.asarray(price_factors, dtype=np.float64)
        above, below = self._above.of(counts, factors), self._below.of(counts, factors)
        ratios = np.divide(above, below, out=np.zeros_like(above) + self._empty, where=below > 0)
        if not self._percentiles:
            return ratios
        values = np.empty((*counts.shape[:-1], self._num))
        values[..., self._ratio_places] = ratios
        for percentiles in self._percentiles:
            values[..., percentiles.places] = percentiles.of(telemetry)
        return values

    def _indices(self, counts: tuple[Count, ...]) -> list[_Pick]:
        return [
            (
                self._starts[c.record] + c.row * len(FIELDS[c.record]) + FIELDS[c.record].index(c.field),
                c.weight,
                c.price,
            )
            for c in counts
        ]

    def _denominator(self, ratio: Ratio) -> list[_Pick]:
        if ratio.per_ns:
            return [(_DURATION, 1.0, None)]
        return [(_ONE, 1.0, None)] if ratio.denominator is None else self._indices(ratio.denominator)


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
    """`build` with a memory: it runs once for each system object, and its result is kept as long as the system."""
    remembered: dict[int, Built] = {}

    @functools.wraps(build)
    def built(system: System) -> Built:
        key = id(system)
        if key not in remembered:
            remembered[key] = build(system)
            weakref.finalize(system, remembered.pop, key, None)
        return remembered[key]

    return built


def _places(readings: Sequence[Reading], chosen: Callable[[Reading], bool]) -> NDArray[np.intp]:
    return np.array([place for place, reading in enumerate(readings) if chosen(reading)], dtype=np.intp)


_ONE, _DURATION = 0, 1
_Pick = tuple[int, float, PriceOf | None]
"""Place of a counter, its weight, and whose price it is part of."""


class _Sums:
    """Weighted sums over chosen places of the last axis; a sum of nothing is 0."""

    def __init__(self, picks: list[list[_Pick]]) -> None:
        picks = [pick or [(_ONE, 0.0, None)] for pick in picks]
        self._index = np.array([index for pick in picks for index, _, _ in pick], dtype=np.intp)
        self._weight = np.array([weight for pick in picks for _, weight, _ in pick], dtype=np.float64)
        prices = [price for pick in picks for _, _, price in pick]
        self._priced = np.array([at for at, price in enumerate(prices) if price is not None], dtype=np.intp)
        self._price = np.array([PRICE_FACTORS.index(p) for p in prices if p is not None], dtype=np.intp)
        self._offset = np.cumsum([0] + [len(pick) for pick in picks])[: len(picks)]

    def of(self, counts: NDArray[np.int64], price_factors: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sums of each row of `counts`. The order of addition does not depend on the number of rows."""
        weighed = counts.take(self._index, axis=-1) * self._weight
        if len(self._priced):
            weighed[..., self._priced] *= price_factors[..., self._price]
        sums: NDArray[np.float64] = np.add.reduceat(weighed, self._offset, axis=-1)
        return sums


class _Percentiles:
    """Percentiles of one kind of histogram, some of them of sums over several rows."""

    def __init__(self, readings: Sequence[Reading], histogram: str) -> None:
        self.histogram = histogram
        self.places = _places(readings, lambda r: isinstance(r, Percentile) and r.histogram == histogram)
        mine = [r for r in readings if isinstance(r, Percentile) and r.histogram == histogram]
        sums = list(dict.fromkeys(percentile.rows for percentile in mine))
        self._rows = np.array([row for rows in sums for row in rows], dtype=np.int64)
        self._starts = np.cumsum([0] + [len(rows) for rows in sums])
        self._which = np.array([sums.index(percentile.rows) for percentile in mine], dtype=np.int64)
        self._fractions = np.array([percentile.fraction for percentile in mine], dtype=np.float64)

    def of(self, telemetry: Telemetry | FleetTelemetry) -> NDArray[np.float64]:
        """The percentiles in s, shape (num,), of a fleet (num_cells, num)."""
        is_sojourn = self.histogram == "sojourn"
        if isinstance(telemetry, FleetTelemetry):
            return self._seconds(telemetry.histograms, 0 if is_sojourn else telemetry.num_services)
        histograms = telemetry.sojourn if is_sojourn else telemetry.response
        return self._seconds(histograms.reshape(1, -1, NUM_BUCKETS), 0).reshape(-1)

    def _seconds(self, histograms: NDArray[np.int32], first: int) -> NDArray[np.float64]:
        found = percentile_buckets(histograms, self._rows + first, self._starts, self._which, self._fractions)
        return np.asarray(np.where(found >= 0, MIDDLES_S.take(found, mode="clip"), 0.0), dtype=np.float64)


def as_matrix(records: NDArray[Any]) -> NDArray[np.int64]:
    """Records of int64 counters as a matrix, shape (num_records, num_fields)."""
    return np.ascontiguousarray(records).view(np.int64).reshape(-1, len(records.dtype.names or ()))


def _record_starts(system: System) -> dict[str, int]:
    services = HEADER + len(system.services) * len(SERVICE_FIELDS)
    classes = services + len(system.classes) * NUM_PRIORITIES * len(CLASS_FIELDS)
    return {"services": HEADER, "classes": services, "calls": classes}


def _sum_formula(counts: tuple[Count, ...]) -> str:
    """The fields with their signs; factors that only change the unit are left out."""
    signed = dict.fromkeys(("- " if count.weight < 0 else "+ ") + count.field for count in counts)
    text = " ".join(signed).removeprefix("+ ")
    return f"({text})" if len(signed) > 1 else text
