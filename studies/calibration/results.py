"""What the calibration found: each required figure on several seeds, whether it is as required, and its table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from studies.calibration.situations import ABOVE_ZERO, Requirement
from studies.common.markdown import table
from studies.common.seeded import SeededFigure, number

HEAD = (
    "situation", "measure", "required", "seen: mean", "lowest to highest seed", "95 % of the mean",
    "first seed: compiled, reference", "",
)  # fmt: skip


@dataclass(frozen=True)
class RequirementResult(SeededFigure):
    """The figure of one requirement on every seed; `reference` is None where the reference engine did not run."""

    situation: str
    requirement: Requirement
    seen: tuple[float, ...]
    reference: float | None = None

    @property
    def num_in_range(self) -> int:
        """Seeds whose figure is as required."""
        return sum(self.requirement.low <= value <= self.requirement.high for value in self.seen)

    @property
    def passes(self) -> bool:
        """Whether enough seeds are in the range, and the engines agree."""
        num_needed = math.ceil(self.requirement.share * len(self.seen) - 1e-9)
        return self.num_in_range >= num_needed and self.engines_agree

    @property
    def is_impossible(self) -> bool:
        """Whether it is not met because it contradicts other requirements. Such a result does not count."""
        return bool(self.requirement.contradicts) and self.engines_agree and not self.passes

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the mean over the seeds; None with one seed, or where a figure is infinite."""
        half = self.half_interval
        return None if math.isinf(half) else (self.mean - half, self.mean + half)


def markdown(results: Sequence[RequirementResult]) -> Iterator[str]:
    """The results as the lines of a Markdown table."""
    yield from table(HEAD, map(_cells, results))


def _cells(result: RequirementResult) -> tuple[str, ...]:
    return (
        result.situation, result.requirement.measure, _required(result.requirement), number(result.mean),
        f"{number(min(result.seen))} to {number(max(result.seen))}", _interval(result), _engines(result),
        _verdict(result),
    )  # fmt: skip


def _required(requirement: Requirement) -> str:
    if requirement.low == requirement.high:
        text = number(requirement.low)
    elif math.isinf(requirement.high):
        text = "above 0" if requirement.low == ABOVE_ZERO else f"at least {number(requirement.low)}"
    elif requirement.low == 0.0:
        text = f"at most {number(requirement.high)}"
    else:
        text = f"{number(requirement.low)} to {number(requirement.high)}"
    where = "" if requirement.share == 1.0 else f", in {round(10 * requirement.share)} seeds of 10"
    return f"{text} {requirement.unit}".strip() + where


def _interval(result: RequirementResult) -> str:
    return " to ".join(map(number, result.interval)) if result.interval else "–"


def _engines(result: RequirementResult) -> str:
    if result.reference is None:
        return f"{number(result.seen[0])}, –"
    sign = "=" if result.engines_agree else "≠"
    return f"{number(result.seen[0])} {sign} {number(result.reference)}"


def _verdict(result: RequirementResult) -> str:
    if result.passes:
        return "met"
    if result.is_impossible:
        return f"cannot be met: contradicts {result.requirement.contradicts}"
    reason = "" if result.engines_agree else " (the engines differ)"
    return f"**not met**{reason}"
