"""The token bucket of an LLM endpoint. A part of it may be kept for background requests."""

from __future__ import annotations

from typing import Any

from streamflow_env.engines.compiled.records import TOKEN
from streamflow_env.engines.compiling import inlined, kernel


@inlined
def kept_burst(burst_units: int, share: float) -> int:
    """How much of the burst is kept for background requests, in units of a token."""
    return max(TOKEN, int(share * burst_units)) if share > 0.0 else 0


@inlined
def rest_of_burst(burst_units: int, kept: int) -> int:
    """How much of the burst all requests may use, in units of a token."""
    return max(TOKEN, burst_units - kept) if kept > 0 else burst_units


@inlined
def refill(now: int, s: Any) -> None:
    """Bring the bucket up to `now`. The kept part gets its share while it has room, the other part gets the rest."""
    dt = now - s.tokens_at
    s.tokens_at = now
    to_kept = 0
    if s.kept_burst > 0:
        to_kept = min(dt * int(s.background_share * s.quota_now), s.kept_burst - s.kept_units)
        s.kept_units += to_kept
    most = rest_of_burst(s.burst_units, s.kept_burst)
    s.token_units = min(most, s.token_units + dt * s.quota_now - to_kept)


@inlined
def take_token(now: int, s: Any, interactive: bool, premium: bool) -> bool:
    """Take a token, if there is one that no reserve keeps from this request."""
    refill(now, s)
    if not interactive and s.kept_units >= TOKEN:
        s.kept_units -= TOKEN
        return True
    reserve = 0.0
    if not interactive:
        reserve = max(s.interactive_reserve_fraction, s.premium_reserve_fraction)
    elif not premium:
        reserve = s.premium_reserve_fraction
    floor = int(reserve * (rest_of_burst(s.burst_units, s.kept_burst) // TOKEN - 1) * TOKEN)
    if s.token_units - TOKEN < floor:
        return False
    s.token_units -= TOKEN
    return True


@kernel
def set_background_share(now: int, s: Any, share: float) -> None:
    """Set which share of quota and burst is kept for background requests. Tokens without room go to the other part."""
    refill(now, s)
    s.background_share = share
    s.kept_burst = kept_burst(s.burst_units, share)
    most = rest_of_burst(s.burst_units, s.kept_burst)
    total = s.kept_units + s.token_units
    s.kept_units = min(s.kept_burst, max(s.kept_units, total - most))
    s.token_units = min(most, total - s.kept_units)
