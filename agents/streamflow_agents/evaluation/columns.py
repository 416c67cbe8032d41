"""The figures that tables show: how each is headed and written, declared once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamflow_agents.evaluation.episodes import RETURN
from streamflow_agents.evaluation.statistics import Estimate

MARK: Final = "*"
"""Stands beside a difference whose 95 % interval excludes 0."""


@dataclass(frozen=True)
class Column:
    """A figure, its heading, its decimals and a factor. `against`: its paired difference from the reference."""

    figure: str
    title: str
    num_decimals: int
    factor: float = 1.0
    against: bool = False

    def show(self, values: NDArray[np.float64]) -> str:
        """The mean of `values`, of any shape."""
        return f"{self.factor * float(values.mean()):.{self.num_decimals}f}"

    def texts(self, found: Estimate, num_seeds: int) -> tuple[str, str, str]:
        """The value, its interval, and half the interval's width; a decimal less from 100 on, and from 1000 on.

        A difference whose interval excludes 0 is marked with `MARK`.
        """
        size = abs(self.factor * found.value)
        decimals = max(0, self.num_decimals - (size >= 100) - (size >= 1000))
        sign = "+" if self.against else ""
        if num_seeds == 1:
            return f"{self.factor * found.value:{sign}.{decimals}f}", "one episode", ""
        value, low, high = (f"{self.factor * x:{sign}.{decimals}f}" for x in (found.value, found.low, found.high))
        mark = MARK if self.against and found.excludes_zero else ""
        return value + mark, f"[{low}, {high}]", f"±{self.factor * (found.high - found.low) / 2:.{decimals}f}"


SLA: Final = Column("sla_fraction", "SLA %", 1, 100)
ERRORS: Final = Column("error_fraction", "errors %", 2, 100)
P50: Final = Column("p50_s", "p50 ms", 0, 1000)
P95: Final = Column("p95_s", "p95 ms", 0, 1000)
P99: Final = Column("p99_s", "p99 ms", 0, 1000)
GOODPUT: Final = Column("goodput_rps", "goodput /s", 1)
COST: Final = Column("cost_per_hour", "cost /h", 1)
QUALITY: Final = Column("quality", "quality", 3)
STALE: Final = Column("stale_fraction", "stale %", 2, 100)
IN_CASCADE: Final = Column("in_cascade_fraction", "in cascade %", 1, 100)
RECOVERY: Final = Column("time_to_recover_s", "recovers in s", 0)
TOTAL_RETURN: Final = Column(RETURN, "return", 1)
RETURN_DIFFERENCE: Final = Column(RETURN, "Δ return", 1, against=True)
SLA_DIFFERENCE: Final = Column("sla_fraction", "Δ SLA, points", 1, 100, against=True)
