"""A row of the calibration: a figure on several seeds, whether it is as required, and its line of the table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from studies.calibration.situations import ABOVE_ZERO, Requirement

STUDENT_975: Final = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""97.5 % quantile of Student's t at 1, 2, … 30 degrees of freedom; with more, the last is a little too wide."""


@dataclass(frozen=True)
class Row:
    """One figure on every seed; `reference` is the reference engine's on the first seed, None where it did not run."""

    situation: str
    need: Requirement
    seen: tuple[float, ...]
    reference: float | None = None

    @property
    def num_in_range(self) -> int:
        """Seeds whose figure is as required."""
        return sum(self.need.low <= value <= self.need.high for value in self.seen)

    @property
    def engines_agree(self) -> bool:
        """Whether the reference engine, where it ran, gave exactly the compiled engine's figure."""
        return self.reference is None or self.reference == self.seen[0]

    @property
    def passes(self) -> bool:
        """Whether enough seeds are in the range, and the engines agree."""
        return self.num_in_range >= math.ceil(self.need.share * len(self.seen) - 1e-9) and self.engines_agree

    @property
    def is_impossible(self) -> bool:
        """Whether it is not met and cannot be, for it contradicts others: it does not count."""
        return bool(self.need.contradicts) and self.engines_agree and not self.passes

    @property
    def mean(self) -> float:
        return float(np.mean(self.seen))

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % t-interval of the mean over seeds; None of one seed, or where a figure is infinite."""
        if len(self.seen) < 2 or not np.isfinite(self.seen).all():
            return None
        quantile = STUDENT_975[min(len(self.seen) - 1, len(STUDENT_975)) - 1]
        half = quantile * float(np.std(self.seen, ddof=1)) / math.sqrt(len(self.seen))
        return self.mean - half, self.mean + half


def markdown(rows: Sequence[Row]) -> Iterator[str]:
    """The rows as the lines of a Markdown table."""
    yield (
        "| situation | measure | required | seen: mean | lowest to highest seed | 95 % of the mean "
        "| first seed: compiled, reference | |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for row in rows:
        cells = (
            row.situation, row.need.measure, _required(row.need), number(row.mean),
            f"{number(min(row.seen))} to {number(max(row.seen))}", _interval(row), _engines(row), _verdict(row),
        )  # fmt: skip
        yield f"| {' | '.join(cells)} |"


def number(value: float) -> str:
    """Four digits, or a whole number where that is longer."""
    if not math.isfinite(value):
        return "never" if value > 0 else str(value)
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def _required(need: Requirement) -> str:
    if need.low == need.high:
        text = number(need.low)
    elif math.isinf(need.high):
        text = "above 0" if need.low == ABOVE_ZERO else f"at least {number(need.low)}"
    elif need.low == 0.0:
        text = f"at most {number(need.high)}"
    else:
        text = f"{number(need.low)} to {number(need.high)}"
    where = "" if need.share == 1.0 else f", in {round(10 * need.share)} seeds of 10"
    return f"{text} {need.unit}".strip() + where


def _interval(row: Row) -> str:
    return " to ".join(map(number, row.interval)) if row.interval else "–"


def _engines(row: Row) -> str:
    if row.reference is None:
        return f"{number(row.seen[0])}, –"
    sign = "=" if row.engines_agree else "≠"
    return f"{number(row.seen[0])} {sign} {number(row.reference)}"


def _verdict(row: Row) -> str:
    if row.passes:
        return "met"
    if row.is_impossible:
        return f"cannot be: contradicts {row.need.contradicts}"
    reason = "" if row.engines_agree else " (the engines differ)"
    return f"**not met**{reason}"
