"""The cache: entries of users' and items' keys with a TTL, in bounded memory, and bulk invalidations."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Literal

import simpy
from numpy.typing import NDArray

from streamflow_env.engines.draws.hashing import EVICTED, INVALIDATED_KEY, SERVICE_TIME, TTL
from streamflow_env.engines.reference.deferred import Job
from streamflow_env.engines.reference.memory import Entry, Memory
from streamflow_env.engines.reference.service import UnlimitedService, Visit
from streamflow_env.engines.reference.simulation import DurationDraw, Level, Simulation, Waiting
from streamflow_env.engines.reference.sweep import Sweep
from streamflow_env.engines.telemetry import MISS, OK
from streamflow_env.engines.warm_start import INVALID, ttl_ns
from streamflow_env.episode import ChangeKind
from streamflow_env.system import Cache as CacheConfig

if TYPE_CHECKING:
    from streamflow_env.engines.reference.attempt import Attempt

KeyOf = Literal["user", "item"]
"""Whose key a step is about: user u is key u, item i is key `num_users` + i."""
LOOKUPS: dict[KeyOf, str] = {"user": "lookups", "item": "item_lookups"}
HITS: dict[KeyOf, str] = {"user": "hits", "item": "item_hits"}


class Cache(UnlimitedService):
    """A cache, filled at first with a copy of `entries` (dtype ENTRY, shape (used,))."""

    def __init__(self, sim: Simulation, index: int, config: CacheConfig, num_users: int, entries: NDArray[Any]) -> None:
        super().__init__(sim, index)
        self.config: CacheConfig = config
        self._num_users = num_users
        self._lookup_time = DurationDraw.of(config.lookup_time)
        self._memory = Memory(config.memory_entries, config.eviction_samples, entries)
        self._room = Level(sim, config.memory_entries)
        self._sweep = Sweep(num_users, config.invalidation_rate_keys_per_s)

    # A request

    def lookup(self, attempt: Attempt, step: int, of: KeyOf) -> Generator[simpy.Event, None, bool]:
        """Look a key up; whether it was found."""
        visit = yield from self._serve(attempt, step)
        self.counts[LOOKUPS[of]] += 1
        entry = self._memory.find(self._key(attempt, of))
        hit = entry is not None and self._is_valid(entry)
        if hit:
            assert entry is not None
            self._count_hit(entry, of)
            entry.used_ns = self.sim.now
            attempt.take_from_cache(entry.quality_milli)
        else:
            attempt.missed_ns[of] = self.sim.now
        self.complete(visit, OK if hit else MISS)
        return hit

    def fill(self, attempt: Attempt, step: int, of: KeyOf) -> Waiting:
        """Write the answer under a key. A user's may be enriched later; what is known of an item is always whole."""
        visit = yield from self._serve(attempt, step)
        now, key = self.sim.now, self._key(attempt, of)
        self.counts["fills"] += 1
        self.counts["duplicate_fills"] += self._is_duplicate(attempt, of)
        lives_ns = int(ttl_ns(attempt.u(TTL, step), self.config.ttl_s, self.config.ttl_jitter_fraction))
        entry = Entry(key, now, now + lives_ns, now, attempt.quality if of == "user" else 1000)
        self.counts["evicted"] += self._memory.put(entry, now, lambda j: attempt.u(EVICTED, step, j))
        self.complete(visit)
        if of == "user" and attempt.deferred_to is not None:
            attempt.deferred_to.enqueue(Job(self, key, now, attempt.potential))
            attempt.deferred_to = None

    def _serve(self, attempt: Attempt, step: int) -> Generator[simpy.Event, None, Visit]:
        self.counts["arrivals"] += 1
        self.busy.add(1)
        visit = Visit(attempt, step)
        yield from attempt.pause(self._lookup_time.ns(attempt.u(SERVICE_TIME, step), self.slowdown), step)
        self.busy.add(-1)
        return visit

    def _key(self, attempt: Attempt, of: KeyOf) -> int:
        return attempt.user if of == "user" else self._num_users + attempt.item

    def invalidate(self, attempt: Attempt, step: int) -> None:
        """The entries that a new item touches have never been."""
        for j in range(self.config.keys_per_item):
            entry = self._memory.find(int(attempt.u(INVALIDATED_KEY, step, j) * self._num_users))
            if entry is not None:
                entry.expires_ns = INVALID
        self.counts["invalidated"] += self.config.keys_per_item

    # Entries

    def _is_valid(self, entry: Entry) -> bool:
        if entry.expires_ns <= self.sim.now:
            return False
        self._advance_sweep()
        return not self._sweep.has_invalidated(entry.key, entry.written_ns)

    def _count_hit(self, entry: Entry, of: KeyOf) -> None:
        self.counts[HITS[of]] += 1
        self.counts["age_ns"] += self.sim.now - entry.written_ns
        self.counts["stale_hits"] += self._sweep.will_invalidate(entry.key, entry.written_ns)

    def _is_duplicate(self, attempt: Attempt, of: KeyOf) -> bool:
        """Whether somebody else has written the entry since the attempt missed it."""
        entry = self._memory.find(self._key(attempt, of))
        if entry is None or of not in attempt.missed_ns:
            return False
        return entry.expires_ns > self.sim.now and entry.written_ns > attempt.missed_ns[of]

    # What a deferred ask needs

    def is_waiting_for(self, job: Job) -> bool:
        """Whether the entry for which `job` asks is still there, and still of use."""
        entry = self._entry_of(job)
        return entry is not None and entry.expires_ns > self.sim.now

    def enrich(self, job: Job) -> bool:
        """The answer for `job` has come; whether its entry was still there to be made as good as it can be."""
        entry = self._entry_of(job)
        if entry is None:
            return False
        entry.quality_milli = job.potential
        return True

    def _entry_of(self, job: Job) -> Entry | None:
        entry = self._memory.find(job.key)
        return entry if entry is not None and entry.written_ns == job.written_ns else None

    # Bulk invalidation

    def change(self, kind: ChangeKind, value: float) -> None:
        if kind == "invalidate_fraction":
            self._begin_sweep(value)
        else:
            super().change(kind, value)

    def _begin_sweep(self, fraction: float) -> None:
        self._advance_sweep()
        for entry in self._memory.slots:
            if self._sweep.has_invalidated(entry.key, entry.written_ns):
                entry.expires_ns = INVALID
        self._sweep.restart(self.sim.now, int(fraction * self._num_users))
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
        """From now on there is room for so many entries; those that find no room any more are evicted."""
        self.counts["evicted"] += self._memory.resize(num_entries, self.sim.now)
        self._room.add(num_entries - self._room.value)

    def measure(self) -> dict[str, int]:
        self._advance_sweep()
        counts = super().measure()
        counts["memory_ns"] = self._room.collect()
        counts["entries"] = len(self._memory.slots)
        counts["sweep_backlog"] = self._sweep.limit - self._sweep.reached
        return counts
