"""Admission control of the entry pool: a token bucket. A part of it is for premium users only."""

from __future__ import annotations

from streamflow_env.engines.reference.simulation import Simulation

TOKEN = 1_000_000_000
"""One admission, in the units of the bucket's level. A limit of 1 admission a second adds 1 unit each ns."""


class Admission:
    """Admits `limit` attempts a second, with a burst of one second's worth. None: admits all.

    Only premium users may use the last `reserve_fraction` of the bucket.
    """

    def __init__(self, sim: Simulation, limit: int | None, reserve_fraction: float) -> None:
        self._sim = sim
        self._limit = limit
        self.reserve_fraction = reserve_fraction
        self._level = 0 if limit is None else limit * TOKEN
        self._refilled_at_ns = sim.now

    def set_limit(self, limit: int | None) -> None:
        """Set the limit. A bucket that was off starts full; one that was on keeps what fits its new size."""
        if limit is not None:
            full = limit * TOKEN
            self._level = full if self._limit is None else min(full, self._refilled(self._limit))
        self._refilled_at_ns = self._sim.now
        self._limit = limit

    def admits(self, premium: int) -> bool:
        """Whether an attempt may enter now. If so, one admission is taken out of the bucket."""
        if self._limit is None:
            return True
        self._level = self._refilled(self._limit)
        self._refilled_at_ns = self._sim.now
        reserve = 0.0 if premium else self.reserve_fraction
        kept_back = int(reserve * (self._limit - 1) * TOKEN)
        if self._level - TOKEN < kept_back:
            return False
        self._level -= TOKEN
        return True

    def _refilled(self, limit: int) -> int:
        """The level now."""
        return min(limit * TOKEN, self._level + (self._sim.now - self._refilled_at_ns) * limit)
