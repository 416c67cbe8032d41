"""Numbers as the page writes them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from streamflow_agents.evaluation.statistics import Estimate


def signed(found: Estimate, factor: float = 1.0, decimals: int = 1) -> str:
    """`+3.1 [+2.0, +4.2]`; the value alone where there is no interval."""
    value, low, high = (factor * x for x in (found.value, found.low, found.high))
    if math.isnan(low):
        return f"{value:+.{decimals}f}"
    return f"{value:+.{decimals}f} [{low:+.{decimals}f}, {high:+.{decimals}f}]"


def natural(value: float) -> str:
    """A setting, three digits."""
    return f"{round(value)}" if abs(value) >= 100 else f"{value:.3g}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> Iterator[str]:
    """A Markdown table, its first `left` columns flush left."""
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * left + "---:|" * (len(head) - left)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def listed(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
