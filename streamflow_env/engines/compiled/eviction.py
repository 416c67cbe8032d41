"""Bounded memory of a cache: which entries give way to a new one, and to a smaller memory."""

from __future__ import annotations

from typing import Any

from streamflow_env.engines.cache_entries import insert, remove, victim
from streamflow_env.engines.compiled.service import touch
from streamflow_env.engines.compiled.state import State
from streamflow_env.engines.compiling import inlined, kernel
from streamflow_env.engines.draws.hashing import EVICTED, MEMORY, NUM_PURPOSES, draw_index, stream_key


@inlined
def new_position(state: State, s: Any, r: Any, number: int) -> int:
    """A position for a new entry: a free one, or that of the entry which gives way."""
    w = state.world[0]
    if s.entries < s.memory_entries:
        s.entries += 1
        return int(s.entries - 1)
    first = draw_index(EVICTED, r.attempt, number, 0)
    position = victim(state.entries, s.entries_at, s.entries, s.samples, r.key, first, NUM_PURPOSES, w.now)
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
def set_memory(state: State, s: Any, index: int, memory_entries: int) -> None:
    """Set for how many entries a cache has memory. While it has more, sampled ones give way, as to a new entry.

    `index` is the cache's row among the services.
    """
    w = state.world[0]
    touch(w.now, s)
    s.memory_entries = memory_entries
    key = stream_key(w.seed, MEMORY, index)
    while s.entries > memory_entries:
        first = s.eviction_number * s.samples
        s.eviction_number += 1
        position = victim(state.entries, s.entries_at, s.entries, s.samples, key, first, 1, w.now)
        forget(state, s, position, w.now)
        s.entries -= 1
        if position < s.entries:
            move(state, s, s.entries, position)


@kernel
def move(state: State, s: Any, old: int, new: int) -> None:
    """Move the entry at position `old` to position `new`, which no key has any more."""
    entry = state.entries[s.entries_at + old]
    remove(state.entries, s.entries_at, state.key_index, s.index_at, s.index_bits, entry.key)
    target = state.entries[s.entries_at + new]
    target.written_ns = entry.written_ns
    target.expires_ns = entry.expires_ns
    target.used_ns = entry.used_ns
    target.key = entry.key
    target.quality_milli = entry.quality_milli
    insert(state.key_index, s.index_at, s.index_bits, entry.key, new)
