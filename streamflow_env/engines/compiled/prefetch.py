"""Memory asked for ahead: of many cells, or of a fleet, little is in the processor's caches when it is due.

A hint changes no result: it may name memory that is not needed, or is not there.
"""

from __future__ import annotations

from typing import Any, Final

from llvmlite import ir
from numba import config, types
from numba.extending import intrinsic

from streamflow_env.engines.cache_entries import FREE, home_of
from streamflow_env.engines.compiling import inlined

LINE: Final = 64
"""Bytes of a cache line."""
INDEX_AHEAD: Final = 16
ENTRY_AHEAD: Final = 8
"""So many arrivals ahead a user's place in the cache's index is asked for, and then the entry that it names."""


def _fetch_row(typing_context: Any, array: Any, row: Any) -> Any:
    """Ask for a row of an array: its first three cache lines at most."""

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
    """What is left of it where Numba is switched off."""


fetch_row: Any = _nothing if getattr(config, "DISABLE_JIT") else intrinsic(_fetch_row)  # noqa: B009 - untyped in numba


@inlined
def fetch_ahead(w: Any, services: Any, entries: Any, index: Any, arrivals: Any) -> None:
    """Ask for what the users who come soon will look up in the first cache."""
    if w.first_cache < 0:
        return
    s = services[w.first_cache]
    soon = w.next_arrival + INDEX_AHEAD
    if soon < arrivals.size and arrivals[soon].user >= 0:
        fetch_row(index, s.index_at + home_of(arrivals[soon].user, s.index_bits))
    soon = w.next_arrival + ENTRY_AHEAD
    if soon < arrivals.size and arrivals[soon].user >= 0:
        slot = index[s.index_at + home_of(arrivals[soon].user, s.index_bits)]
        if slot != FREE:
            fetch_row(entries, s.entries_at + slot)
