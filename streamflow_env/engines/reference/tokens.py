"""The token bucket of an LLM endpoint. A part of it may be kept for background requests."""

from __future__ import annotations

from streamflow_env.engines.reference.simulation import Simulation

TOKEN = 60_000_000_000
"""One token, in the units of a bucket's level. A quota of 1 token a minute adds 1 unit each ns."""


class TokenBucket:
    """A bucket of `burst` tokens, full at first. It gets `quota` tokens a minute.

    A `share` of both, in [0, 1], is the part kept for background requests. The rest is the other part.
    """

    def __init__(self, sim: Simulation, burst: int, quota: int, share: float) -> None:
        self._sim = sim
        self._burst = burst * TOKEN
        self._quota = quota
        self._refilled_at_ns = 0
        self._divide(share)
        self._kept = self._kept_burst
        self._other = self._other_burst

    def _divide(self, share: float) -> None:
        """Set how much each part can hold."""
        self._share = share
        if share > 0:
            self._kept_burst = max(TOKEN, int(share * self._burst))
            self._other_burst = max(TOKEN, self._burst - self._kept_burst)
        else:
            self._kept_burst = 0
            self._other_burst = self._burst

    @property
    def level(self) -> int:
        """What both parts held after the last refill, in units."""
        return self._kept + self._other

    def refill(self) -> None:
        """Add the tokens since the last refill. What the kept part cannot hold goes to the other part, or is lost."""
        now = self._sim.now
        passed_ns, self._refilled_at_ns = now - self._refilled_at_ns, now
        to_kept = min(passed_ns * int(self._share * self._quota), self._kept_burst - self._kept)
        self._kept += to_kept
        self._other = min(self._other_burst, self._other + passed_ns * self._quota - to_kept)

    def set_quota(self, quota: int) -> None:
        """Set the quota (tokens a minute)."""
        self.refill()
        self._quota = quota

    def set_share(self, share: float) -> None:
        """Set the share. What a part can no longer hold moves to the other part, or is lost."""
        self.refill()
        self._divide(share)
        from_kept = max(0, self._kept - self._kept_burst)
        from_other = max(0, self._other - self._other_burst)
        self._kept = min(self._kept_burst, self._kept - from_kept + from_other)
        self._other = min(self._other_burst, self._other - from_other + from_kept)

    def take(self, reserve: float) -> bool:
        """Take a token of the other part, unless only the fraction `reserve` of it is left. False: no token."""
        self.refill()
        kept_back = int(reserve * (self._other_burst // TOKEN - 1) * TOKEN)
        if self._other - TOKEN < kept_back:
            return False
        self._other -= TOKEN
        return True

    def take_in_background(self, reserve: float) -> bool:
        """Take a token of the kept part, or else of the other part. False: no token."""
        self.refill()
        if self._kept >= TOKEN:
            self._kept -= TOKEN
            return True
        return self.take(reserve)
