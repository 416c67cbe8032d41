"""The cache: entries by user with a TTL, and bulk invalidations that sweep over the keys at a rate."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np
import simpy
from numpy.typing import NDArray

from streamflow_env.engines.draws.hashing import INVALIDATED_KEY, SERVICE_TIME, TTL
from streamflow_env.engines.draws.sweeps import sweep_multiplier, sweep_position
from streamflow_env.engines.reference.service import UnlimitedService, Visit
from streamflow_env.engines.reference.simulation import DurationDraw, Simulation, Waiting
from streamflow_env.engines.telemetry import MISS, OK
from streamflow_env.engines.warm import INVALID, ttl_ns
from streamflow_env.episode import ChangeKind
from streamflow_env.system import Cache as CacheConfig
from streamflow_env.system.controls import Parameter

if TYPE_CHECKING:
    from streamflow_env.engines.reference.attempt import Attempt

KEY = 1_000_000_000
"""One key in the units of a sweep's progress: a rate of 1 key/s reaches one unit in 1 ns."""


class Sweep:
    """The running bulk invalidation of the first `limit` of `num_keys` keys, in the order of `sweep_position`."""

    def __init__(self, num_keys: int, rate: int | None) -> None:
        self.start_ns = INVALID
        self.limit = 0
        self.rate = rate
        self.num_keys = num_keys
        self._multiplier = sweep_multiplier(num_keys)
        self._progress = 0
        self._advanced_at_ns = 0

    @property
    def reached(self) -> int:
        """The number of keys reached so far."""
        return self._progress // KEY

    @property
    def is_running(self) -> bool:
        return self.reached < self.limit

    def position(self, key: Any) -> Any:
        """When the sweep comes to `key` (or to each of an array of keys)."""
        return sweep_position(key, self._multiplier, self.num_keys)

    def advance(self, now_ns: int) -> int:
        """Go on until now; the number of keys newly reached."""
        before = self.reached
        end = self.limit * KEY
        passed_ns, self._advanced_at_ns = now_ns - self._advanced_at_ns, now_ns
        self._progress = end if self.rate is None else min(end, self._progress + passed_ns * self.rate)
        return self.reached - before

    def restart(self, now_ns: int, limit: int) -> None:
        """A new bulk invalidation, advanced until now; what an unfinished one had yet to do is not forgotten."""
        self.limit = max(limit, self.limit) if self.is_running else limit
        self.start_ns = now_ns
        self._progress = 0


class Cache(UnlimitedService):
    """A cache with one entry per user, filled at first with a copy of `entries` (dtype ENTRY, shape (num_users,))."""

    def __init__(self, sim: Simulation, index: int, config: CacheConfig, entries: NDArray[Any]) -> None:
        super().__init__(sim, index)
        self._config = config
        self._lookup_time = DurationDraw.of(config.lookup_time)
        self._written_ns: NDArray[np.int64] = entries["written_ns"].copy()
        self._expires_ns: NDArray[np.int64] = entries["expires_ns"].copy()
        self._quality: NDArray[np.int64] = entries["quality_milli"].copy()
        rate = config.invalidation_rate_keys_per_s
        self._sweep = Sweep(len(entries), None if rate is None else int(rate))

    # A request

    def lookup(self, attempt: Attempt, step: int) -> Generator[simpy.Event, None, bool]:
        """Look the user's key up; whether it was found."""
        visit = yield from self._serve(attempt, step)
        hit = self._is_valid(attempt.user)
        if hit:
            self._count_hit(attempt.user)
            attempt.quality = attempt.quality * int(self._quality[attempt.user]) // 1000
        self.complete(visit, OK if hit else MISS)
        return hit

    def fill(self, attempt: Attempt, step: int) -> Waiting:
        """Write the answer under the user's key."""
        visit = yield from self._serve(attempt, step)
        now, user = self.sim.now, attempt.user
        lives_ns = int(ttl_ns(attempt.u(TTL, step), self._config.ttl_s, self._config.ttl_jitter_fraction))
        self._written_ns[user] = now
        self._expires_ns[user] = now + lives_ns
        self._quality[user] = attempt.quality
        self.counts["fills"] += 1
        self.complete(visit)

    def _serve(self, attempt: Attempt, step: int) -> Generator[simpy.Event, None, Visit]:
        self.counts["arrivals"] += 1
        self.in_flight.add(1)
        visit = Visit(attempt, step)
        yield from attempt.pause(self._lookup_time.ns(attempt.u(SERVICE_TIME, step), self.slowdown), step)
        self.in_flight.add(-1)
        return visit

    def invalidate(self, attempt: Attempt, step: int) -> None:
        """The entries that a new item touches have never been."""
        for j in range(self._config.keys_per_item):
            key = int(attempt.u(INVALIDATED_KEY, step, j) * self._sweep.num_keys)
            self._expires_ns[key] = INVALID
        self.counts["invalidated"] += self._config.keys_per_item

    # Entries

    def _is_valid(self, key: int) -> bool:
        if self._expires_ns[key] <= self.sim.now:
            return False
        self._advance_sweep()
        swept = self._written_ns[key] < self._sweep.start_ns and self._sweep.position(key) < self._sweep.reached
        return not swept

    def _count_hit(self, key: int) -> None:
        written_ns = int(self._written_ns[key])
        self.counts["hits"] += 1
        self.counts["age_ns"] += self.sim.now - written_ns
        if written_ns < self._sweep.start_ns and self._sweep.position(key) < self._sweep.limit:
            self.counts["stale_hits"] += 1

    # Bulk invalidation

    def change(self, kind: ChangeKind, value: float) -> None:
        if kind == "invalidate_fraction":
            self._begin_sweep(value)
        else:
            super().change(kind, value)

    def _begin_sweep(self, fraction: float) -> None:
        self._advance_sweep()
        sweep = self._sweep
        swept = sweep.position(np.arange(sweep.num_keys)) < sweep.reached
        self._expires_ns[swept & (self._written_ns < sweep.start_ns)] = INVALID
        sweep.restart(self.sim.now, int(fraction * sweep.num_keys))
        self._advance_sweep()

    def _advance_sweep(self) -> None:
        self.counts["invalidated"] += self._sweep.advance(self.sim.now)

    def put_in_force(self, parameter: Parameter, value: float | None) -> None:
        if parameter == "invalidation_rate_keys_per_s":
            self._advance_sweep()
            self._sweep.rate = None if value is None else int(value)
            self._advance_sweep()
        else:
            super().put_in_force(parameter, value)

    def measure(self) -> dict[str, int]:
        self._advance_sweep()
        counts = super().measure()
        counts["sweep_backlog"] = self._sweep.limit - self._sweep.reached
        return counts
