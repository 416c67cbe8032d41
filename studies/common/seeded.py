"""A figure that was measured on several seeds: its mean, the interval of the mean, and whether the engines agree."""

from __future__ import annotations

import math
from typing import ClassVar, Final

import numpy as np

from streamflow_agents.evaluation.statistics import student_quantile

MOST_DEGREES: Final = 30
"""More degrees of freedom count as so many, as in a printed table. The interval is then a little too wide."""


class SeededFigure:
    """What dataclasses of a figure on several seeds share. They have the fields `seen` and `reference`.

    Attributes:
        seen: the compiled engine's figure on each seed.
        reference: the reference engine's figure on the first seed; None: it did not run.
        confidence: of the interval of the mean.
    """

    confidence: ClassVar[float] = 0.95
    seen: tuple[float, ...]
    reference: float | None

    @property
    def mean(self) -> float:
        """The mean over the seeds."""
        return float(np.mean(self.seen))

    @property
    def half_interval(self) -> float:
        """Half of Student's interval of the mean; infinite with one seed, or where a figure is not finite."""
        if len(self.seen) < 2 or not np.isfinite(self.seen).all():
            return math.inf
        spread = float(np.std(self.seen, ddof=1))
        return tabulated_quantile(self.confidence, len(self.seen) - 1) * spread / math.sqrt(len(self.seen))

    @property
    def engines_agree(self) -> bool:
        """Whether the reference engine gave exactly the compiled engine's figure, or did not run."""
        return self.reference is None or self.reference == self.seen[0]


def tabulated_quantile(confidence: float, degrees_of_freedom: int) -> float:
    """The two-sided quantile of Student's t, with four digits as printed tables have it."""
    return float(f"{student_quantile(confidence, min(degrees_of_freedom, MOST_DEGREES)):.4g}")


def number(value: float) -> str:
    """Four digits, or a whole number where that is longer; infinity is `never`."""
    if not math.isfinite(value):
        return "never" if value > 0 else str(value)
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
