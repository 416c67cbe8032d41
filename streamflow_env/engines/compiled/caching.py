"""The cache's entries and their invalidation, key by key or in a sweep at a rate."""

from __future__ import annotations

from typing import Any

from numba import njit

from streamflow_env.engines.compiled.layout import KEY
from streamflow_env.engines.compiled.services import draw
from streamflow_env.engines.draws.hashing import INVALIDATED_KEY, TTL
from streamflow_env.engines.draws.sweeps import sweep_position
from streamflow_env.engines.warm import INVALID, ttl_ns


@njit(cache=True)
def reached(s: Any, now: int) -> int:
    """How many keys the running sweep has reached."""
    if s.sweep_rate == 0:
        return s.sweep_limit
    return min(s.sweep_limit, (s.sweep_units + (now - s.sweep_at) * s.sweep_rate) // KEY)


@njit(cache=True)
def settle_sweep(s: Any, now: int) -> None:
    """Write the sweep's progress down and count the keys it has reached since the last time."""
    most = s.sweep_limit * KEY
    s.sweep_units = most if s.sweep_rate == 0 else min(most, s.sweep_units + (now - s.sweep_at) * s.sweep_rate)
    s.sweep_at = now
    keys = s.sweep_units // KEY
    s.invalidated += keys - s.sweep_counted
    s.sweep_counted = keys
    s.sweep_backlog = s.sweep_limit - keys


@njit(cache=True)
def begin_sweep(s: Any, entries: Any, now: int, num_users: int, fraction: float) -> None:
    """A bulk invalidation of a share of the keys."""
    settle_sweep(s, now)
    done = s.sweep_counted
    for key in range(num_users):
        entry = entries[s.entries_at + key]
        if entry.written_ns < s.sweep_start and sweep_position(key, s.multiplier, num_users) < done:
            entry.expires_ns = INVALID
    limit = int(fraction * num_users)
    if done < s.sweep_limit:
        limit = max(limit, s.sweep_limit)
    s.sweep_start = now
    s.sweep_limit = limit
    s.sweep_units = 0
    s.sweep_counted = 0
    settle_sweep(s, now)


@njit(cache=True)
def look_up(s: Any, entries: Any, r: Any, now: int, num_users: int) -> bool:
    """Whether the user's entry is valid; counts and takes its quality if so."""
    entry = entries[s.entries_at + r.user]
    if entry.expires_ns <= now:
        return False
    if entry.written_ns < s.sweep_start:
        position = sweep_position(r.user, s.multiplier, num_users)
        if position < reached(s, now):
            return False
        if position < s.sweep_limit:
            s.stale_hits += 1
    s.hits += 1
    s.age_ns += now - entry.written_ns
    r.quality_milli = r.quality_milli * entry.quality_milli // 1000
    return True


@njit(cache=True)
def write(s: Any, entries: Any, r: Any, now: int, number: int) -> None:
    """Write the user's entry."""
    s.fills += 1
    entry = entries[s.entries_at + r.user]
    entry.written_ns = now
    entry.expires_ns = now + ttl_ns(draw(r, TTL, number, 0), s.ttl_s, s.ttl_jitter)
    entry.quality_milli = r.quality_milli


@njit(cache=True)
def invalidate_item(s: Any, entries: Any, r: Any, number: int, num_users: int) -> None:
    """The entries that one new item touches become invalid."""
    for j in range(s.keys_per_item):
        key = int(draw(r, INVALIDATED_KEY, number, j) * num_users)
        entries[s.entries_at + key].expires_ns = INVALID
    s.invalidated += s.keys_per_item
