"""A check of the validation: a figure on several seeds and what it must be; and the table of checks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from studies.common.markdown import table
from studies.common.seeded import SeededFigure, number

HEAD = ("what", "measure", "expected", "from", "seen: mean", "seeds", "first seed: compiled, reference", "")


@dataclass(frozen=True)
class Check(SeededFigure):
    """One figure on every seed, against `expected`, or where that is None against the bounds `low` and `high`.

    Against an expected figure a check passes when the 99.9 % interval of the seeds' mean holds it (a page has about a
    hundred checks). The interval must also be narrow, to either side at most `precision` of the expected figure, so
    that a wrong figure is found. Against bounds every seed must be within them. `reference` is the reference engine's
    figure on the first seed, which must be equal to the last bit; None where it did not run. `source` says where the
    expected figure is from.
    """

    confidence: ClassVar[float] = 0.999
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
    def is_as_expected(self) -> bool:
        """Whether the compiled engine's figure is right."""
        if not np.isfinite(self.seen).all():
            return self.expected is None and self.low <= min(self.seen) and max(self.seen) <= self.high
        if self.expected is None:
            return all(self.low <= value <= self.high for value in self.seen)
        half = self.half_interval
        return abs(self.mean - self.expected) <= half <= self.precision * abs(self.expected)

    @property
    def passes(self) -> bool:
        """Whether the figure is right and the engines agree."""
        return self.is_as_expected and self.engines_agree


def markdown(checks: Sequence[Check]) -> Iterator[str]:
    """The checks as the lines of a Markdown table."""
    yield from table(HEAD, map(_cells, checks))


def _cells(check: Check) -> tuple[str, ...]:
    sign = "–" if check.reference is None else f"{'=' if check.engines_agree else '≠'} {number(check.reference)}"
    unit = "" if check.low == check.high == math.inf else check.unit
    return (
        check.section, check.measure, f"{_expected(check)} {unit}".strip(), check.source, _seen(check),
        str(len(check.seen)), f"{number(check.seen[0])} {sign}", "right" if check.passes else "**wrong**",
    )  # fmt: skip


def _seen(check: Check) -> str:
    """The mean with its interval; against bounds the mean with the lowest and the highest seed."""
    if check.expected is not None:
        half = f" ± {number(check.half_interval)}" if 0 < check.half_interval < math.inf else ""
        return f"{number(check.mean)}{half}"
    low, high = number(min(check.seen)), number(max(check.seen))
    return low if low == high else f"{number(check.mean)} ({low} to {high})"


def _expected(check: Check) -> str:
    if check.expected is not None:
        return number(check.expected)
    if check.low == check.high:
        return number(check.low)
    if math.isinf(check.high):
        return f"at least {number(check.low)}"
    return f"at most {number(check.high)}" if math.isinf(check.low) else f"{number(check.low)} to {number(check.high)}"
