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

from numba import config as untyped_config
from numba import njit
from numba import types as untyped_types

from streamflow_env.engines.kernel_cache import kernel_folder

Function = TypeVar("Function", bound=Callable[..., Any])
_njit: Any = njit
"""Numba's own annotations leave `_nrt` out."""
types: Any = untyped_types
config: Any = untyped_config


def inlined(function: Function) -> Function:
    """Compile a function into whoever calls it: what happens at nearly every event."""
    return _of_any_constant(_compiled(function, _nrt=False, forceinline=True))


def kernel(function: Function) -> Function:
    """Compile a function by itself: what happens seldom, or is called from Python."""
    return _of_any_constant(_compiled(function, _nrt=False))


def long_kernel(function: Function) -> Function:
    """A kernel that runs long enough to let other threads have Python meanwhile."""
    return _of_any_constant(_compiled(function, nogil=True, _nrt=False))


def with_run_time(function: Function) -> Function:
    """Compile a function that makes arrays: it needs Numba's run-time. It lets other threads have Python meanwhile."""
    compiled: Function = _compiled(function, nogil=True)
    return compiled


def _compiled(function: Callable[..., Any], **options: Any) -> Any:
    """Have Numba compile `function` when it is first called, and cache it where `kernel_cache` says.

    Numba decides where a function is cached when the function is declared. So its setting is changed only meanwhile:
    the functions of other packages are cached where they always were.
    """
    folder = None if config.DISABLE_JIT else kernel_folder(config.CACHE_DIR)
    if folder is None:
        return _njit(**options)(function)
    before, config.CACHE_DIR = config.CACHE_DIR, str(folder)
    try:
        return _njit(cache=True, **options)(function)
    finally:
        config.CACHE_DIR = before


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
