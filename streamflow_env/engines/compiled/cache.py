"""Caches: lookups and fills of entries, by the key of a user or of an item."""

from __future__ import annotations

from typing import Any

from streamflow_env.engines.cache_entries import FREE, INVALID, find, insert
from streamflow_env.engines.compiled.deferred import enqueue
from streamflow_env.engines.compiled.event_queue import wait
from streamflow_env.engines.compiled.eviction import new_position
from streamflow_env.engines.compiled.invalidation import reached
from streamflow_env.engines.compiled.records import CACHE, FILL, FILLED, LOOKED_UP, LOOKUP, NEXT_STEP
from streamflow_env.engines.compiled.requests import draw, item_of
from streamflow_env.engines.compiled.service import complete, log_visit, set_duration, touch
from streamflow_env.engines.compiled.state import State
from streamflow_env.engines.compiling import inlined
from streamflow_env.engines.draws.distributions import duration_ns, to_ns
from streamflow_env.engines.draws.hashing import SERVICE_TIME, TTL
from streamflow_env.engines.draws.sweeps import sweep_multiplier, sweep_position
from streamflow_env.engines.telemetry import MISS, OK
from streamflow_env.engines.warm_start import ttl_ns
from streamflow_env.system import Cache


def lay_out_cache(record: Any, cache: Cache, num_users: int) -> None:
    """Write `cache`, without its entries, to its record."""
    record["kind"] = CACHE
    record["multiplier"] = sweep_multiplier(num_users)
    record["keys_per_item"] = cache.keys_per_item
    record["memory_entries"] = cache.memory_entries
    record["samples"] = cache.eviction_samples
    record["sweep_start"] = INVALID
    record["sweep_rate"] = int(cache.invalidation_rate_keys_per_s or 0)
    record["ttl_s"] = cache.ttl_s
    record["ttl_jitter"] = cache.ttl_jitter_fraction
    record["fresh_ns"] = to_ns(cache.fresh_s)
    set_duration(record, cache.lookup_time)


@inlined
def visit_cache(state: State, s: Any, r: Any, slot: int, step: Any) -> bool:
    """Begin a lookup or a fill, which takes a short time."""
    w = state.world[0]
    s.arrivals += 1
    touch(w.now, s)
    s.busy += 1
    s.in_flight += 1
    r.arrived_ns = w.now
    delay = duration_ns(draw(r, SERVICE_TIME, step.number, 0), s.family, s.a, s.b, s.slowdown)
    return wait(state, r, slot, delay, step.number, LOOKED_UP if step.op == LOOKUP else FILLED)


@inlined
def served_by_cache(state: State, r: Any, step: Any) -> None:
    """End a lookup, and go on behind its steps for a miss if it was a hit; or end a fill."""
    w = state.world[0]
    s = state.services[step.service]
    touch(w.now, s)
    s.busy -= 1
    s.in_flight -= 1
    complete(s, state.hists, step.service, w.now - r.arrived_ns)
    outcome = OK
    r.pc += 1
    if step.op == FILL:
        write(state, s, r, step.number, step.is_item)
        if r.deferred >= 0 and step.is_item == 0:
            enqueue(state, r.deferred, step.service, r.user, r.potential_milli)
            r.deferred = -1
    elif look_up(state, s, r, step.is_item):
        r.source = 1 if r.source == 0 else r.source
        r.pc = step.jump
    else:
        r.source = 2 if r.source == 0 else r.source
        outcome = MISS
    r.phase = NEXT_STEP
    log_visit(state, r, step.number, 0, step.service, r.arrived_ns, r.arrived_ns, outcome)


@inlined
def key_of(w: Any, r: Any, is_item: int) -> int:
    """The key of the request's user, or of its item."""
    return w.num_users + item_of(w, r) if is_item == 1 else r.user


@inlined
def look_up(state: State, s: Any, r: Any, is_item: int) -> bool:
    """Whether the key has a valid entry. A hit takes over the entry's quality; a miss notes its time."""
    w = state.world[0]
    if is_item == 1:
        s.item_lookups += 1
    else:
        s.lookups += 1
    position = find(state.entries, s.entries_at, state.key_index, s.index_at, s.index_bits, key_of(w, r, is_item))
    if position == FREE or not _is_valid(w, s, state.entries[s.entries_at + position], is_item):
        if is_item == 1:
            r.item_missed_ns = w.now
        else:
            r.missed_ns = w.now
        return False
    entry = state.entries[s.entries_at + position]
    if is_item == 1:
        s.item_hits += 1
    else:
        s.hits += 1
        s.hit_quality_milli += entry.quality_milli
        if entry.written_ns < s.sweep_start and sweep_position(entry.key, s.multiplier, w.num_users) < s.sweep_limit:
            s.stale_hits += 1
    age_ns = w.now - entry.written_ns
    s.age_ns += age_ns
    s.excess_age_ns += max(0, age_ns - s.fresh_ns)
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
def write(state: State, s: Any, r: Any, number: int, is_item: int) -> None:
    """Write the key's entry: over the one that it has, or at a new position."""
    w = state.world[0]
    s.fills += 1
    key = key_of(w, r, is_item)
    position = find(state.entries, s.entries_at, state.key_index, s.index_at, s.index_bits, key)
    if position == FREE:
        position = new_position(state, s, r, number)
        state.entries[s.entries_at + position].key = key
        insert(state.key_index, s.index_at, s.index_bits, key, position)
    else:
        entry = state.entries[s.entries_at + position]
        missed_ns = r.item_missed_ns if is_item == 1 else r.missed_ns
        if entry.expires_ns > w.now and entry.written_ns > missed_ns:
            s.duplicate_fills += 1
    entry = state.entries[s.entries_at + position]
    entry.written_ns = w.now
    entry.used_ns = w.now
    entry.expires_ns = w.now + ttl_ns(draw(r, TTL, number, 0), s.ttl_s, s.ttl_jitter)
    entry.quality_milli = 1000 if is_item == 1 else r.quality_milli
