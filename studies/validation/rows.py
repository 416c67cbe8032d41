"""A row of the validation: a figure on several seeds, what it must be, and its line of the table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from studies.calibration.rows import number

STUDENT_9995: Final = (
    636.6, 31.60, 12.92, 8.610, 6.869, 5.959, 5.408, 5.041, 4.781, 4.587, 4.437, 4.318, 4.221, 4.140, 4.073,
    4.015, 3.965, 3.922, 3.883, 3.850, 3.819, 3.792, 3.768, 3.745, 3.725, 3.707, 3.690, 3.674, 3.659, 3.646,
)  # fmt: skip
"""99.95 % quantile of Student's t at 1, 2, … 30 degrees of freedom; with more, the last is a little too wide."""


@dataclass(frozen=True)
class Row:
    """One figure on every seed, against `expected`, or where that is None against the bounds `low` and `high`.

    Against an expected figure a row passes when the 99.9 % t-interval of the seeds' mean holds it (a page has about a
    hundred rows) and is narrow: to either side no wider than `precision` of it, so that a wrong figure cannot hide.
    Against bounds every seed must be within. `reference` is the reference engine's figure on the first seed, which must
    be equal to the last bit; None where it did not run. `source` says where the expected figure is from.
    """

    section: str
    measure: str
    unit: str
    seen: tuple[float, ...]
    source: str
    expected: float | None = None
    precision: float = 0.03
    low: float = -math.inf
    high: float = math.inf
    reference: float | None = None

    @property
    def engines_agree(self) -> bool:
        return self.reference is None or self.reference == self.seen[0]

    @property
    def mean(self) -> float:
        return float(np.mean(self.seen))

    @property
    def half_interval(self) -> float:
        """Half of the 99.9 % t-interval of the mean over the seeds; infinite of one seed, or where a figure is."""
        if len(self.seen) < 2 or not np.isfinite(self.seen).all():
            return math.inf
        quantile = STUDENT_9995[min(len(self.seen) - 1, len(STUDENT_9995)) - 1]
        return quantile * float(np.std(self.seen, ddof=1)) / math.sqrt(len(self.seen))

    @property
    def is_as_expected(self) -> bool:
        """Whether the figure is right, whatever the reference engine says."""
        if not np.isfinite(self.seen).all():
            return self.expected is None and self.low <= min(self.seen) and max(self.seen) <= self.high
        if self.expected is None:
            return all(self.low <= value <= self.high for value in self.seen)
        half = self.half_interval
        return abs(self.mean - self.expected) <= half <= self.precision * abs(self.expected)

    @property
    def passes(self) -> bool:
        return self.is_as_expected and self.engines_agree


def markdown(rows: Sequence[Row]) -> Iterator[str]:
    """The rows as the lines of a Markdown table."""
    yield "| what | measure | expected | from | seen: mean | seeds | first seed: compiled, reference | |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in rows:
        sign = "–" if row.reference is None else f"{'=' if row.engines_agree else '≠'} {number(row.reference)}"
        unit = "" if row.low == row.high == math.inf else row.unit
        cells = (
            row.section, row.measure, f"{_expected(row)} {unit}".strip(), row.source, _seen(row),
            str(len(row.seen)), f"{number(row.seen[0])} {sign}", "right" if row.passes else "**wrong**",
        )  # fmt: skip
        yield f"| {' | '.join(cells)} |"


def _seen(row: Row) -> str:
    """The mean with its interval; against bounds the mean with the lowest and the highest seed."""
    if row.expected is not None:
        half = f" ± {number(row.half_interval)}" if 0 < row.half_interval < math.inf else ""
        return f"{number(row.mean)}{half}"
    low, high = number(min(row.seen)), number(max(row.seen))
    return low if low == high else f"{number(row.mean)} ({low} to {high})"


def _expected(row: Row) -> str:
    if row.expected is not None:
        return number(row.expected)
    if row.low == row.high:
        return number(row.low)
    if math.isinf(row.high):
        return f"at least {number(row.low)}"
    return f"at most {number(row.high)}" if math.isinf(row.low) else f"{number(row.low)} to {number(row.high)}"
