"""Invalidation of cache entries: the keys that a new item affects, and bulk invalidation as a sweep over all users.

A sweep invalidates users' keys one after the other, at a rate. Without a rate it invalidates all of them at once.
"""

from __future__ import annotations

from collections.abc import Iterable

from streamflow_env.engines.draws.sweeps import sweep_multiplier, sweep_position
from streamflow_env.engines.reference.eviction import Entry, Memory
from streamflow_env.engines.warm_start import INVALID

KEY = 1_000_000_000
"""One key, in the units in which a sweep counts its progress. A rate of 1 key/s adds 1 unit each ns."""


def invalidate_keys(memory: Memory, keys: Iterable[int]) -> None:
    """Invalidate the entries of `keys`, where they exist."""
    for key in keys:
        entry = memory.find(key)
        if entry is not None:
            entry.expires_ns = INVALID


class Sweep:
    """A bulk invalidation of the first `limit` of `num_keys` keys, in the order of `sweep_position`.

    `rate` is in keys/s; None means all at once. A cache has one sweep object, and starts it again for each incident.
    """

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
        """The number of keys that the sweep has reached."""
        return self._progress // KEY

    @property
    def is_running(self) -> bool:
        return self.reached < self.limit

    def has_invalidated(self, key: int, written_ns: int) -> bool:
        """Whether the sweep has reached this entry. Call `advance` first."""
        return self._concerns(key, written_ns) and self._position(key) < self.reached

    def will_invalidate(self, key: int, written_ns: int) -> bool:
        """Whether the sweep has reached this entry, or will reach it."""
        return self._concerns(key, written_ns) and self._position(key) < self.limit

    def _concerns(self, key: int, written_ns: int) -> bool:
        return key < self.num_keys and written_ns < self.start_ns

    def _position(self, key: int) -> int:
        return int(sweep_position(key, self._multiplier, self.num_keys))

    def advance(self, now_ns: int) -> int:
        """Continue the sweep until `now_ns`; the number of keys that it reached since the last call."""
        before = self.reached
        end = self.limit * KEY
        passed_ns, self._advanced_at_ns = now_ns - self._advanced_at_ns, now_ns
        self._progress = end if self.rate is None else min(end, self._progress + passed_ns * self.rate)
        return self.reached - before

    def start(self, now_ns: int, fraction: float, entries: Iterable[Entry]) -> None:
        """Start again with a `fraction` of all keys. Call `advance` first.

        What the last sweep has reached stays invalid. If it was still running, the new one covers its keys too.
        """
        for entry in entries:
            if self.has_invalidated(entry.key, entry.written_ns):
                entry.expires_ns = INVALID
        limit = int(fraction * self.num_keys)
        self.limit = max(limit, self.limit) if self.is_running else limit
        self.start_ns = now_ns
        self._progress = 0
