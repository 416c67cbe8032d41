"""Invalidation of cache entries: key by key, or all users' entries in a sweep at a rate."""

from __future__ import annotations

from typing import Any

from streamflow_env.engines.cache_entries import FREE, INVALID, find
from streamflow_env.engines.compiled.records import KEY
from streamflow_env.engines.compiled.requests import draw
from streamflow_env.engines.compiled.state import State
from streamflow_env.engines.compiling import inlined, kernel
from streamflow_env.engines.draws.hashing import INVALIDATED_KEY
from streamflow_env.engines.draws.sweeps import sweep_position


@inlined
def reached(s: Any, now: int) -> int:
    """How many keys the running sweep has reached."""
    if s.sweep_rate == 0:
        return s.sweep_limit
    return min(s.sweep_limit, (s.sweep_units + (now - s.sweep_at) * s.sweep_rate) // KEY)


@kernel
def settle_sweep(s: Any, now: int) -> None:
    """Bring the sweep's progress up to `now` and count the keys that it has reached since the last time."""
    most = s.sweep_limit * KEY
    s.sweep_units = most if s.sweep_rate == 0 else min(most, s.sweep_units + (now - s.sweep_at) * s.sweep_rate)
    s.sweep_at = now
    keys = s.sweep_units // KEY
    s.invalidated += keys - s.sweep_counted
    s.sweep_counted = keys
    s.sweep_backlog = s.sweep_limit - keys


@kernel
def begin_sweep(s: Any, entries: Any, now: int, num_users: int, fraction: float) -> None:
    """Begin a bulk invalidation of a share of the users' keys. It takes over what a running sweep has left."""
    settle_sweep(s, now)
    done = s.sweep_counted
    for position in range(s.entries):
        entry = entries[s.entries_at + position]
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


@kernel
def invalidate_item(state: State, s: Any, r: Any, number: int, num_users: int) -> None:
    """A new item invalidates the entries of some users, drawn for it."""
    for j in range(s.keys_per_item):
        key = int(draw(r, INVALIDATED_KEY, number, j) * num_users)
        position = find(state.entries, s.entries_at, state.key_index, s.index_at, s.index_bits, key)
        if position != FREE:
            state.entries[s.entries_at + position].expires_ns = INVALID
    s.invalidated += s.keys_per_item
