"""The cache: lookups and fills of entries, which have a key of a user or an item, a TTL and a quality.

`eviction` has its memory, `invalidation` its invalidations.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray

from streamflow_env.engines.draws.distributions import to_ns
from streamflow_env.engines.draws.hashing import (
    EVICTED,
    INVALIDATED_KEY,
    MEMORY,
    SERVICE_TIME,
    TTL,
    stream_key,
    uniform,
)
from streamflow_env.engines.reference.eviction import Entry, Memory
from streamflow_env.engines.reference.invalidation import Sweep, invalidate_keys
from streamflow_env.engines.reference.protocols import KeyOf, Request
from streamflow_env.engines.reference.service import UnlimitedService, Visit
from streamflow_env.engines.reference.simulation import DurationDraw, Level, Simulation, Waiting
from streamflow_env.engines.telemetry import MISS, OK
from streamflow_env.engines.warm_start import ttl_ns
from streamflow_env.episode import ChangeKind
from streamflow_env.system import Cache as CacheConfig

LOOKUPS: dict[KeyOf, str] = {"user": "lookups", "item": "item_lookups"}
HITS: dict[KeyOf, str] = {"user": "hits", "item": "item_hits"}


class Cache(UnlimitedService):
    """A cache. It starts with a copy of `entries` (dtype ENTRY, shape (num_entries,))."""

    def __init__(self, sim: Simulation, index: int, config: CacheConfig, num_users: int, entries: NDArray[Any]) -> None:
        super().__init__(sim, index)
        self.config: CacheConfig = config
        self._num_users = num_users
        self._lookup_time = DurationDraw.of(config.lookup_time)
        self._memory = Memory(config.memory_entries, config.eviction_samples, entries)
        self._room = Level(sim, config.memory_entries)
        self._fresh_ns = int(to_ns(config.fresh_s))
        self._memory_key = np.uint64(stream_key(sim.seed, MEMORY, index))
        self._sweep = Sweep(num_users, config.invalidation_rate_keys_per_s)

    # Steps

    def lookup(self, attempt: Request, step: int, of: KeyOf) -> Generator[simpy.Event, None, bool]:
        """Look up the key of the user or the item; whether there is a valid entry."""
        visit = yield from self._serve(attempt, step)
        self.counts[LOOKUPS[of]] += 1
        entry = self._memory.find(self._key(attempt, of))
        hit = entry is not None and self._is_valid(entry)
        if hit:
            assert entry is not None
            self._count_hit(entry, of)
            entry.used_ns = self.sim.now
            attempt.use_entry(entry.quality_milli)
        else:
            attempt.missed_ns[of] = self.sim.now
        self.complete(visit, OK if hit else MISS)
        return hit

    def fill(self, attempt: Request, step: int, of: KeyOf) -> Waiting:
        """Write the answer under the key of the user or the item.

        A user's entry has the quality of the answer, and may be enriched later. An item's has full quality.
        """
        visit = yield from self._serve(attempt, step)
        now, key = self.sim.now, self._key(attempt, of)
        self.counts["fills"] += 1
        self.counts["duplicate_fills"] += self._is_duplicate(attempt, of)
        lives_ns = int(ttl_ns(attempt.u(TTL, step), self.config.ttl_s, self.config.ttl_jitter_fraction))
        entry = Entry(key, now, now + lives_ns, now, attempt.quality if of == "user" else 1000)
        self.counts["evicted"] += self._memory.put(entry, now, lambda j: attempt.u(EVICTED, step, j))
        self.complete(visit)
        if of == "user" and attempt.deferred_to is not None:
            attempt.deferred_to.enqueue(self, key, now, attempt.potential)
            attempt.deferred_to = None

    def _serve(self, attempt: Request, step: int) -> Generator[simpy.Event, None, Visit]:
        self.counts["arrivals"] += 1
        self.busy.add(1)
        visit = Visit(attempt, step)
        yield from attempt.pause(self._lookup_time.ns(attempt.u(SERVICE_TIME, step), self.slowdown), step)
        self.busy.add(-1)
        return visit

    def _key(self, attempt: Request, of: KeyOf) -> int:
        return attempt.user if of == "user" else self._num_users + attempt.item

    def invalidate(self, attempt: Request, step: int) -> None:
        """Invalidate the entries of the users' keys that a new item affects."""
        keys = [int(attempt.u(INVALIDATED_KEY, step, j) * self._num_users) for j in range(self.config.keys_per_item)]
        invalidate_keys(self._memory, keys)
        self.counts["invalidated"] += len(keys)

    # Entries

    def _is_valid(self, entry: Entry) -> bool:
        if entry.expires_ns <= self.sim.now:
            return False
        self._advance_sweep()
        return not self._sweep.has_invalidated(entry.key, entry.written_ns)

    def _count_hit(self, entry: Entry, of: KeyOf) -> None:
        self.counts[HITS[of]] += 1
        if of == "user":
            self.counts["hit_quality_milli"] += entry.quality_milli
        age_ns = self.sim.now - entry.written_ns
        self.counts["age_ns"] += age_ns
        self.counts["excess_age_ns"] += max(0, age_ns - self._fresh_ns)
        self.counts["stale_hits"] += self._sweep.will_invalidate(entry.key, entry.written_ns)

    def _is_duplicate(self, attempt: Request, of: KeyOf) -> bool:
        """Whether another attempt has written the entry since this one missed it."""
        entry = self._memory.find(self._key(attempt, of))
        if entry is None or of not in attempt.missed_ns:
            return False
        return entry.expires_ns > self.sim.now and entry.written_ns > attempt.missed_ns[of]

    # What a deferred queue uses

    def is_useful(self, key: int, written_ns: int) -> bool:
        """Whether the entry of `key` that was written at `written_ns` is still there and has not expired."""
        entry = self._entry(key, written_ns)
        return entry is not None and entry.expires_ns > self.sim.now

    def enrich(self, key: int, written_ns: int, quality_milli: int) -> bool:
        """Give the entry of `key` that was written at `written_ns` this quality. False if it is no longer there."""
        entry = self._entry(key, written_ns)
        if entry is None:
            return False
        entry.quality_milli = quality_milli
        return True

    def _entry(self, key: int, written_ns: int) -> Entry | None:
        entry = self._memory.find(key)
        return entry if entry is not None and entry.written_ns == written_ns else None

    # Bulk invalidation

    def change(self, kind: ChangeKind, value: float) -> None:
        if kind == "invalidate_fraction":
            self._start_sweep(value)
        else:
            super().change(kind, value)

    def _start_sweep(self, fraction: float) -> None:
        self._advance_sweep()
        self._sweep.start(self.sim.now, fraction, self._memory.entries)
        self._advance_sweep()

    def _advance_sweep(self) -> None:
        self.counts["invalidated"] += self._sweep.advance(self.sim.now)

    # Controls and telemetry

    def set_invalidation_rate(self, keys_per_s: int | None) -> None:
        """From now on a bulk invalidation proceeds at this rate; None: all keys at once."""
        self._advance_sweep()
        self._sweep.rate = keys_per_s
        self._advance_sweep()

    def set_memory(self, num_entries: int) -> None:
        """From now on there is room for so many entries; what finds no room any more is evicted."""
        evicted = self._memory.resize(num_entries, self.sim.now, lambda n: uniform(self._memory_key, n))
        self.counts["evicted"] += evicted
        self._room.add(num_entries - self._room.value)

    def measure(self) -> dict[str, int]:
        self._advance_sweep()
        counts = super().measure()
        counts["memory_ns"] = self._room.collect()
        counts["entries"] = len(self._memory.entries)
        counts["sweep_backlog"] = self._sweep.limit - self._sweep.reached
        return counts
