"""Numbers and tables as the page writes them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from streamflow_agents.evaluation.statistics import Estimate
from studies.common.markdown import table


def signed(found: Estimate, factor: float = 1.0, decimals: int = 1) -> str:
    """`+3.1 [+2.0, +4.2]`; the value alone where there is no interval."""
    value, low, high = (factor * x for x in (found.value, found.low, found.high))
    if math.isnan(low):
        return f"{value:+.{decimals}f}"
    return f"{value:+.{decimals}f} [{low:+.{decimals}f}, {high:+.{decimals}f}]"


def natural(value: float) -> str:
    """A setting, three digits."""
    return f"{round(value)}" if abs(value) >= 100 else f"{value:.3g}"


def figures(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> Iterator[str]:
    """A table of figures, of which only the first `left` columns are flush left, and an empty line."""
    yield from table(head, rows, left)
    yield ""
