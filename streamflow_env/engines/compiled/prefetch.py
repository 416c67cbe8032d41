"""Prefetching: the processor is asked for memory before it is used, since of many cells little is in its caches.

A prefetch changes no result. It may name memory that is not needed, or that does not exist.
"""

from __future__ import annotations

from typing import Any, Final

from llvmlite import ir
from numba import config, types
from numba.extending import intrinsic

from streamflow_env.engines.cache_entries import FREE, home_of
from streamflow_env.engines.compiled.state import State
from streamflow_env.engines.compiling import inlined

LINE: Final = 64
"""Bytes of a cache line."""
INDEX_AHEAD: Final = 16
ENTRY_AHEAD: Final = 8
"""A user's place in the cache's index is prefetched so many arrivals ahead, and the entry that it names so many."""


def _fetch_row(typing_context: Any, array: Any, row: Any) -> Any:
    """Prefetch a row of an array, at most its first three cache lines."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        found = context.make_array(signature.args[0])(context, builder, arguments[0])
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        function = builder.module.declare_intrinsic(
            "llvm.prefetch", (byte,), ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        )
        offset = builder.mul(arguments[1], builder.extract_value(found.strides, 0))
        start = builder.bitcast(found.data, byte)
        for line in range(min(3, -(-_row_bytes(context, signature.args[0]) // LINE))):
            place = builder.gep(start, [builder.add(offset, ir.Constant(offset.type, LINE * line))])
            builder.call(function, [place, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64), build


def _row_bytes(context: Any, array: Any) -> int:
    size = int(context.get_abi_sizeof(context.get_data_type(array.dtype)))
    return size if array.ndim == 1 else 4 * LINE


def _nothing(array: Any, row: Any) -> None:
    """Does nothing, in place of `fetch_row` where Numba is switched off."""


fetch_row: Any = _nothing if getattr(config, "DISABLE_JIT") else intrinsic(_fetch_row)  # noqa: B009 - untyped in numba


@inlined
def fetch_ahead(state: State, arrivals: Any) -> None:
    """Prefetch what the users of the next arrivals will look up in the first cache."""
    w = state.world[0]
    if w.first_cache < 0:
        return
    s = state.services[w.first_cache]
    soon = w.next_arrival + INDEX_AHEAD
    if soon < arrivals.size and arrivals[soon].user >= 0:
        fetch_row(state.key_index, s.index_at + home_of(arrivals[soon].user, s.index_bits))
    soon = w.next_arrival + ENTRY_AHEAD
    if soon < arrivals.size and arrivals[soon].user >= 0:
        position = state.key_index[s.index_at + home_of(arrivals[soon].user, s.index_bits)]
        if position != FREE:
            fetch_row(state.entries, s.entries_at + position)
