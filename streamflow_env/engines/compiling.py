"""How the kernels are compiled: without counted references, inlined where it is hot, and once for all constants.

A call from one compiled function to another hands over each array as seven numbers or more, and counts its references
up and down with locked instructions. An event is a handful of such calls with up to fourteen arrays each: together they
took more than half of its time (docs/performance.md). Kernels create no arrays and keep none, so `_nrt=False`, Numba's
option for code without its run-time, takes nothing away. The results are the same bits either way.

Numba compiles a function anew for each constant that a caller writes (`Literal[int](3)` is a type of its own), which is
half as many functions again and yields nothing: LLVM folds constants where it inlines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit
from numba import types as untyped_types

Function = TypeVar("Function", bound=Callable[..., Any])
_njit: Any = njit
"""Numba's own annotations leave `_nrt` out."""
types: Any = untyped_types


def inlined(function: Function) -> Function:
    """Compile a function into whoever calls it: what happens at nearly every event."""
    return _of_any_constant(_njit(cache=True, _nrt=False, forceinline=True)(function))


def kernel(function: Function) -> Function:
    """Compile a function by itself: what happens seldom, or is called from Python."""
    return _of_any_constant(_njit(cache=True, _nrt=False)(function))


def long_kernel(function: Function) -> Function:
    """A kernel that runs long enough to let other threads have Python meanwhile."""
    return _of_any_constant(_njit(cache=True, nogil=True, _nrt=False)(function))


def _of_any_constant(compiled: Any) -> Any:
    """Have callers that pass an integer constant share the form for integers."""
    get_call_template = getattr(compiled, "get_call_template", None)
    if get_call_template is not None:  # else Numba is switched off

        def of_types(args: Any, kws: Any) -> Any:
            return get_call_template(
                [types.unliteral(a) for a in args], {k: types.unliteral(a) for k, a in kws.items()}
            )

        compiled.get_call_template = of_types
    return compiled
