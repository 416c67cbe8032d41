"""How the kernels are compiled: without counted references, and inlined where it is hot.

A call from one compiled function to another hands over each array as seven numbers or more, and counts its references
up and down with locked instructions. An event is a handful of such calls with up to fourteen arrays each: together they
took more than half of its time (docs/performance.md). Kernels create no arrays and keep none, so `_nrt=False`, Numba's
option for code without its run-time, takes nothing away. The results are the same bits either way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])
_njit: Any = njit
"""Numba's own annotations leave `_nrt` out."""


def inlined(function: Function) -> Function:
    """Compile a function into whoever calls it: what happens at nearly every event."""
    compiled: Function = _njit(cache=True, _nrt=False, forceinline=True)(function)
    return compiled


def kernel(function: Function) -> Function:
    """Compile a function by itself: what happens seldom, or is called from Python."""
    compiled: Function = _njit(cache=True, _nrt=False)(function)
    return compiled


def long_kernel(function: Function) -> Function:
    """A kernel that runs long enough to let other threads have Python meanwhile."""
    compiled: Function = _njit(cache=True, nogil=True, _nrt=False)(function)
    return compiled
