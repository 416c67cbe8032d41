"""Sums that are the same bits on every Python: from 3.12 on, `sum` adds floats with a correction."""

from __future__ import annotations

from collections.abc import Iterable


def add(values: Iterable[float]) -> float:
    """`values` added one after the other, each time rounded."""
    total = 0.0
    for value in values:
        total += value
    return total
