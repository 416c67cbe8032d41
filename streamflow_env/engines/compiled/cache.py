"""The cache's entries in their slots, and their invalidation, key by key or in a sweep at a rate.

`index` finds a key's slot (`engines/slots.py`).
"""

from __future__ import annotations

from typing import Any

from streamflow_env.engines.cache_entries import FREE, INVALID, find, insert, remove, victim
from streamflow_env.engines.compiled.records import KEY
from streamflow_env.engines.compiled.services import draw, touch
from streamflow_env.engines.compiling import inlined, kernel
from streamflow_env.engines.draws.distributions import popular_key
from streamflow_env.engines.draws.hashing import INVALIDATED_KEY, ITEM, TTL, draw_index, uniform
from streamflow_env.engines.draws.sweeps import sweep_position
from streamflow_env.engines.warm_start import ttl_ns


@inlined
def item_of(w: Any, r: Any) -> int:
    """The item that a request is about."""
    if r.item < 0:
        r.item = popular_key(uniform(r.key, draw_index(ITEM, 0, 0, 0)), w.num_items, w.item_exponent)
    return int(r.item)


@inlined
def key_of(w: Any, r: Any, is_item: int) -> int:
    """The key of the request's user, or of its item."""
    return w.num_users + item_of(w, r) if is_item == 1 else r.user


@inlined
def reached(s: Any, now: int) -> int:
    """How many keys the running sweep has reached."""
    if s.sweep_rate == 0:
        return s.sweep_limit
    return min(s.sweep_limit, (s.sweep_units + (now - s.sweep_at) * s.sweep_rate) // KEY)


@kernel
def settle_sweep(s: Any, now: int) -> None:
    """Write the sweep's progress down and count the keys it has reached since the last time."""
    most = s.sweep_limit * KEY
    s.sweep_units = most if s.sweep_rate == 0 else min(most, s.sweep_units + (now - s.sweep_at) * s.sweep_rate)
    s.sweep_at = now
    keys = s.sweep_units // KEY
    s.invalidated += keys - s.sweep_counted
    s.sweep_counted = keys
    s.sweep_backlog = s.sweep_limit - keys


@kernel
def begin_sweep(s: Any, entries: Any, now: int, num_users: int, fraction: float) -> None:
    """A bulk invalidation of a share of the users' keys."""
    settle_sweep(s, now)
    done = s.sweep_counted
    for slot in range(s.entries):
        entry = entries[s.entries_at + slot]
        is_swept = entry.key < num_users and entry.written_ns < s.sweep_start
        if is_swept and sweep_position(entry.key, s.multiplier, num_users) < done:
            entry.expires_ns = INVALID
    limit = int(fraction * num_users)
    if done < s.sweep_limit:
        limit = max(limit, s.sweep_limit)
    s.sweep_start = now
    s.sweep_limit = limit
    s.sweep_units = 0
    s.sweep_counted = 0
    settle_sweep(s, now)


@inlined
def look_up(w: Any, s: Any, entries: Any, index: Any, r: Any, is_item: int) -> bool:
    """Whether the key's entry is valid; counts and takes its quality if so, and else remembers when it was missed."""
    if is_item == 1:
        s.item_lookups += 1
    else:
        s.lookups += 1
    slot = find(entries, s.entries_at, index, s.index_at, s.index_bits, key_of(w, r, is_item))
    if slot == FREE or not _is_valid(w, s, entries[s.entries_at + slot], is_item):
        if is_item == 1:
            r.item_missed_ns = w.now
        else:
            r.missed_ns = w.now
        return False
    entry = entries[s.entries_at + slot]
    if is_item == 1:
        s.item_hits += 1
    else:
        s.hits += 1
        if entry.written_ns < s.sweep_start and sweep_position(entry.key, s.multiplier, w.num_users) < s.sweep_limit:
            s.stale_hits += 1
    s.age_ns += w.now - entry.written_ns
    entry.used_ns = w.now
    r.quality_milli = r.quality_milli * entry.quality_milli // 1000
    r.potential_milli = r.potential_milli * entry.quality_milli // 1000
    return True


@inlined
def _is_valid(w: Any, s: Any, entry: Any, is_item: int) -> bool:
    if entry.expires_ns <= w.now:
        return False
    if is_item == 1 or entry.written_ns >= s.sweep_start:
        return True
    return sweep_position(entry.key, s.multiplier, w.num_users) >= reached(s, w.now)


@inlined
def write(w: Any, s: Any, entries: Any, index: Any, r: Any, number: int, is_item: int) -> None:
    """Write the key's entry, in its slot, in a new one, or in that of a victim."""
    s.fills += 1
    key = key_of(w, r, is_item)
    slot = find(entries, s.entries_at, index, s.index_at, s.index_bits, key)
    if slot == FREE:
        slot = _new_slot(w, s, entries, index, r, number)
        entries[s.entries_at + slot].key = key
        insert(index, s.index_at, s.index_bits, key, slot)
    else:
        entry = entries[s.entries_at + slot]
        missed_ns = r.item_missed_ns if is_item == 1 else r.missed_ns
        if entry.expires_ns > w.now and entry.written_ns > missed_ns:
            s.duplicate_fills += 1
    entry = entries[s.entries_at + slot]
    entry.written_ns = w.now
    entry.used_ns = w.now
    entry.expires_ns = w.now + ttl_ns(draw(r, TTL, number, 0), s.ttl_s, s.ttl_jitter)
    entry.quality_milli = 1000 if is_item == 1 else r.quality_milli


@inlined
def _new_slot(w: Any, s: Any, entries: Any, index: Any, r: Any, number: int) -> int:
    if s.entries < s.memory_entries:
        s.entries += 1
        return int(s.entries - 1)
    slot = victim(entries, s.entries_at, s.entries, s.samples, r.key, r.attempt, number, w.now)
    _forget(s, entries, index, slot, w.now)
    return slot


@inlined
def _forget(s: Any, entries: Any, index: Any, slot: int, now: int) -> None:
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
        _forget(s, entries, index, s.entries, now)


@kernel
def invalidate_item(s: Any, entries: Any, index: Any, r: Any, number: int, num_users: int) -> None:
    """The users' entries that one new item touches become invalid."""
    for j in range(s.keys_per_item):
        key = int(draw(r, INVALIDATED_KEY, number, j) * num_users)
        slot = find(entries, s.entries_at, index, s.index_at, s.index_bits, key)
        if slot != FREE:
            entries[s.entries_at + slot].expires_ns = INVALID
    s.invalidated += s.keys_per_item
