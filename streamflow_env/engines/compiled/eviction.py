"""Bounded memory of a cache: which entry gives way to a new one, and what a smaller memory drops."""

from __future__ import annotations

from typing import Any

from streamflow_env.engines.cache_entries import remove, victim
from streamflow_env.engines.compiled.service import touch
from streamflow_env.engines.compiled.state import State
from streamflow_env.engines.compiling import inlined, kernel


@inlined
def new_position(state: State, s: Any, r: Any, number: int) -> int:
    """A position for a new entry: a free one, or that of the entry which gives way."""
    w = state.world[0]
    if s.entries < s.memory_entries:
        s.entries += 1
        return int(s.entries - 1)
    position = victim(state.entries, s.entries_at, s.entries, s.samples, r.key, r.attempt, number, w.now)
    forget(state, s, position, w.now)
    return position


@inlined
def forget(state: State, s: Any, position: int, now: int) -> None:
    """Remove the entry at `position` from the index. A valid entry counts as evicted."""
    entry = state.entries[s.entries_at + position]
    if entry.expires_ns > now:
        s.evicted += 1
    remove(state.entries, s.entries_at, state.key_index, s.index_at, s.index_bits, entry.key)


@kernel
def set_memory(state: State, s: Any, now: int, memory_entries: int) -> None:
    """Set for how many entries a cache has memory. The entries at higher positions are dropped."""
    touch(now, s)
    s.memory_entries = memory_entries
    while s.entries > memory_entries:
        s.entries -= 1
        forget(state, s, s.entries, now)
