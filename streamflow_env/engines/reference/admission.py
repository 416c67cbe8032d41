"""Admission control of the pool at which requests enter: a token bucket, part of it for premium users alone."""

from __future__ import annotations

from streamflow_env.engines.reference.simulation import Simulation

TOKEN = 1_000_000_000
"""One admission in the units of the bucket's level: a limit of 1 a second adds one unit in 1 ns."""


class Admission:
    """Admits `limit` attempts a second and bursts of one second's worth; with None all of them."""

    def __init__(self, sim: Simulation, limit: int | None, reserve_fraction: float) -> None:
        self._sim = sim
        self._limit = limit
        self.reserve_fraction = reserve_fraction
        self._level = 0 if limit is None else limit * TOKEN
        self._refilled_at_ns = sim.now

    def set_limit(self, limit: int | None) -> None:
        """From now on `limit`: a bucket that was off is full, another is cut to its new size."""
        if limit is not None:
            full = limit * TOKEN
            self._level = full if self._limit is None else min(full, self._refilled(self._limit))
        self._refilled_at_ns = self._sim.now
        self._limit = limit

    def admits(self, premium: int) -> bool:
        """Whether an attempt may enter now; an admission that is given is used."""
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
