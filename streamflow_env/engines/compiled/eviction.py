"""Bounded memory of a cache: which entry gives way to a new one, and what a smaller memory drops."""

from __future__ import annotations

from typing import Any

from streamflow_env.engines.cache_entries import remove, victim
from streamflow_env.engines.compiled.service import touch
from streamflow_env.engines.compiling import inlined, kernel


@inlined
def new_position(w: Any, s: Any, entries: Any, index: Any, r: Any, number: int) -> int:
    if s.entries < s.memory_entries:
        s.entries += 1
        return int(s.entries - 1)
    slot = victim(entries, s.entries_at, s.entries, s.samples, r.key, r.attempt, number, w.now)
    forget(s, entries, index, slot, w.now)
    return slot


@inlined
def forget(s: Any, entries: Any, index: Any, slot: int, now: int) -> None:
    entry = entries[s.entries_at + slot]
    if entry.expires_ns > now:
        s.evicted += 1
    remove(entries, s.entries_at, index, s.index_at, s.index_bits, entry.key)


@kernel
def set_memory(s: Any, entries: Any, index: Any, now: int, memory_entries: int) -> None:
    """Set for how many entries there is room; those in the slots beyond are given up."""
    touch(now, s)
    s.memory_entries = memory_entries
    while s.entries > memory_entries:
        s.entries -= 1
        forget(s, entries, index, s.entries, now)
