"""Sums that are the same bits on every Python: from 3.12 on, `sum` adds floats with a correction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Addend = TypeVar("Addend", float, NDArray[np.float64])


def sequential_sum(values: Iterable[Addend]) -> Addend:
    """The sum of `values`, numbers or arrays of one shape, added one after the other and rounded each time."""
    total: Addend = 0.0  # type: ignore[assignment]
    for value in values:
        total = total + value
    return total
