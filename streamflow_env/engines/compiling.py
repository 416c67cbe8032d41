"""How the kernels are compiled: without reference counts, inlined where they run often, once for all constants.

A call from one compiled function to another passes each array as seven numbers or more, and counts its references with
locked instructions. One event makes several such calls with up to fourteen arrays each. Together they took more than
half of the event's time (docs/reports/performance.md). Kernels neither create nor keep arrays, so they need no
reference counts: `_nrt=False` is Numba's option for code without its run-time. The results are the same bits with and
without it.

Numba compiles a function again for each constant that a caller passes (`Literal[int](3)` is a type). That adds half as
many functions and saves nothing, because LLVM folds constants where it inlines. So all integers share one form.
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
"""Untyped, because Numba's annotations lack `_nrt`."""
types: Any = untyped_types
config: Any = untyped_config


def inlined(function: Function) -> Function:
    """Compile a function into its callers. For functions that run at nearly every event."""
    return _of_any_constant(_compiled(function, _nrt=False, forceinline=True))


def kernel(function: Function) -> Function:
    """Compile a function by itself. For functions that run seldom, or that Python calls."""
    return _of_any_constant(_compiled(function, _nrt=False))


def long_kernel(function: Function) -> Function:
    """Compile a function that runs long: other Python threads run meanwhile."""
    return _of_any_constant(_compiled(function, nogil=True, _nrt=False))


def with_run_time(function: Function) -> Function:
    """Compile a function that creates arrays, and so needs Numba's run-time. Other Python threads run meanwhile."""
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
    """Make callers that pass an integer constant share the form for integers."""
    get_call_template = getattr(compiled, "get_call_template", None)
    if get_call_template is not None:  # else Numba is switched off

        def of_types(args: Any, kws: Any) -> Any:
            return get_call_template(
                [types.unliteral(a) for a in args], {k: types.unliteral(a) for k, a in kws.items()}
            )

        compiled.get_call_template = of_types
    return compiled
