"""The warm state in which every episode starts: caches as the traffic before it left them, and nothing in flight.

It is computed once for each system and starting load, from first attempts alone. Each walks through the lookups of its
plan; one that finds no valid entry writes one at once. Both engines copy the same arrays.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines.cache_entries import ENTRY, FREE, INVALID, find, index_bits, insert, remove, victim
from streamflow_env.engines.compiling import kernel
from streamflow_env.engines.draws.arrivals import SECOND_NS, Arrivals
from streamflow_env.engines.draws.distributions import popular_key
from streamflow_env.engines.draws.hashing import (
    EVICTED,
    ITEM,
    NUM_PURPOSES,
    REQUESTS,
    TTL,
    draw_index,
    stream_key,
    uniform,
)
from streamflow_env.system import Cache, CallStep, LookupStep, Step, System

__all__ = ["ENTRY", "INVALID", "WarmState", "ttl_ns", "warm_state"]

HISTORY_SEED: Final = 2**62
"""Not the seed of any episode: else an episode would meet the same users again."""
LOAD_STEP: Final = 0.25
"""The starting load is rounded to a multiple of this share of the normal load: so there are few warm states."""

MINUTE_S: Final = 60
"""So much of the history is handled at a time."""


@dataclass(frozen=True)
class WarmState:
    """What an episode starts with.

    Attributes:
        entries: by name of the cache, its entries. dtype ENTRY, shape (num_entries,).
        users: users of the first attempts before time 0. Shape (num_attempts,).
        seconds: the whole second in which each came, ascending; -1 is the last. Shape (num_attempts,).
    """

    entries: dict[str, NDArray[Any]]
    users: NDArray[np.int32]
    seconds: NDArray[np.int32]


def warm_state(system: System, rates_rps: NDArray[np.float64]) -> WarmState:
    """The warm state of `system` for the load with which an episode begins, `rates_rps` of shape (num_classes,)."""
    normal = np.array([c.normal_rate_rps for c in system.classes.values()])
    interactive = np.array(system.interactive)
    usual = float(normal[interactive].sum())
    level = float(rates_rps[interactive].sum()) / usual if usual > 0 else 1.0
    return _warm_state(_Key(system), max(LOAD_STEP, round(level / LOAD_STEP) * LOAD_STEP))


class _Key:
    """A system as key of a cache: compared by identity, and kept alive."""

    def __init__(self, system: System) -> None:
        self.system = system

    def __hash__(self) -> int:
        return id(self.system)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.system is self.system


@functools.lru_cache(maxsize=16)
def _warm_state(key: _Key, level: float) -> WarmState:
    system = key.system
    caches = {name: s for name, s in system.services.items() if isinstance(s, Cache)}
    history_s = int(max([s.ttl_s * (1 + s.ttl_jitter_fraction) for s in caches.values()] + [system.users.lookback_s]))
    rates = level * np.array([[c.normal_rate_rps if c.kind == "interactive" else 0.0] for c in system.classes.values()])
    stream = Arrivals(HISTORY_SEED, rates, SECOND_NS, system.interactive, system.users)
    fillings = {name: _Filling(system, name, cache) for name, cache in caches.items()}
    users, seconds = [np.zeros(0, dtype=np.int32)], [np.zeros(0, dtype=np.int32)]
    for second in range(0, history_s, MINUTE_S):
        came = stream.until((second + MINUTE_S) * SECOND_NS)
        came = came[came["user"] >= 0]
        came["sent_ns"] -= _up(history_s, MINUTE_S) * SECOND_NS
        for filling in fillings.values():
            filling.walk(came)
        recent = came[came["sent_ns"] >= -system.users.lookback_s * SECOND_NS]
        users.append(recent["user"].copy())
        seconds.append((recent["sent_ns"] // SECOND_NS).astype(np.int32))
    entries = {name: filling.entries() for name, filling in fillings.items()}
    return WarmState(entries, np.concatenate(users), np.concatenate(seconds))


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


class _Filling:
    """Collects what first attempts leave in a cache, some at a time."""

    def __init__(self, system: System, name: str, cache: Cache) -> None:
        plans = [[*_lookups(c.plan, name, _Counter())] for c in system.classes.values()]
        self._first = np.cumsum([0, *map(len, plans)])
        self._steps = np.array([step for plan in plans for step in plan] or [(0, 0, 0)], dtype=np.int64)
        self._table = np.zeros(cache.memory_entries, dtype=ENTRY)
        self._bits = index_bits(cache.memory_entries)
        self._index = np.full(1 << self._bits, FREE, dtype=np.int32)
        users = system.users
        self._keys = (users.num_users, users.num_items, float(users.item_exponent))
        self._lives = (float(cache.ttl_s), float(cache.ttl_jitter_fraction))
        self._samples = cache.eviction_samples
        self._used = 0

    def walk(self, came: NDArray[Any]) -> None:
        """Add first attempts, in order of time and later than all before."""
        self._used = _remember(
            came, self._first, self._steps, self._table, self._index, self._bits, self._keys, self._lives,
            self._samples, self._used,
        )  # fmt: skip

    def entries(self) -> NDArray[Any]:
        """The entries, as an array that cannot be changed."""
        kept = self._table[: self._used].copy()
        kept.flags.writeable = False
        return kept


class _Counter:
    """Numbers the steps of a plan depth-first from 1."""

    def __init__(self) -> None:
        self.last = 0


def _lookups(plan: tuple[Step, ...], cache: str, count: _Counter) -> Iterator[tuple[int, int, int]]:
    """(number of the step, 1 if its key is the item's, how many lookups a hit skips) of each lookup in `cache`."""
    for step in plan:
        count.last += 1
        number = count.last
        if isinstance(step, CallStep):
            yield from _lookups(step.holding, cache, count)
        elif isinstance(step, LookupStep):
            nested = [*_lookups(step.on_miss, cache, count)]
            if step.lookup == cache:
                yield number, int(step.key == "item"), len(nested)
            yield from nested


@kernel
def ttl_ns(u: float, ttl_s: float, jitter_fraction: float) -> int:
    """Time to live of one entry: ttl · U(1 - jitter, 1 + jitter)."""
    return int(ttl_s * (1.0 + jitter_fraction * (2.0 * u - 1.0)) * 1e9)


@kernel
def _remember(
    came: Any, first: Any, steps: Any, table: Any, index: Any, bits: int, keys: Any, lives: Any, samples: int,
    used: int,
) -> int:  # fmt: skip
    """Walk through the lookups of every first attempt.

    There are `used` entries before. Returns how many there are after.
    """
    for arrival in came:
        now = arrival.sent_ns
        request = stream_key(HISTORY_SEED, REQUESTS, arrival.request)
        at, end = first[arrival.class_], first[arrival.class_ + 1]
        while at < end:
            number, is_item, nested = steps[at, 0], steps[at, 1], steps[at, 2]
            key = int(arrival.user)
            if is_item == 1:
                key = keys[0] + popular_key(uniform(request, draw_index(ITEM, 0, 0, 0)), keys[1], keys[2])
            position = find(table, 0, index, 0, bits, key)
            if position != FREE and table[position].expires_ns > now:
                table[position].used_ns = now
                at += 1 + nested
                continue
            if position == FREE:
                if used < table.size:
                    position = used
                    used += 1
                else:
                    position = victim(
                        table, 0, used, samples, request, draw_index(EVICTED, 0, number, 0), NUM_PURPOSES, now
                    )
                    remove(table, 0, index, 0, bits, table[position].key)
                table[position].key = key
                insert(index, 0, bits, key, position)
            entry = table[position]
            entry.written_ns = now
            entry.used_ns = now
            entry.expires_ns = now + ttl_ns(uniform(request, draw_index(TTL, 0, number, 0)), lives[0], lives[1])
            entry.quality_milli = 1000
            at += 1
    return used
