"""Bulk invalidation: a sweep over the users' keys that goes on at a rate, or is over at once."""

from __future__ import annotations

from streamflow_env.engines.draws.sweeps import sweep_multiplier, sweep_position
from streamflow_env.engines.warm_start import INVALID

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

    def has_invalidated(self, key: int, written_ns: int) -> bool:
        """Whether an entry of that time, advanced until now, has been reached."""
        return self._concerns(key, written_ns) and self._position(key) < self.reached

    def will_invalidate(self, key: int, written_ns: int) -> bool:
        """Whether an entry of that time has been, or is yet to be, reached."""
        return self._concerns(key, written_ns) and self._position(key) < self.limit

    def _concerns(self, key: int, written_ns: int) -> bool:
        return key < self.num_keys and written_ns < self.start_ns

    def _position(self, key: int) -> int:
        return int(sweep_position(key, self._multiplier, self.num_keys))

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
