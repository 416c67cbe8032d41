"""The LLM endpoint: its token bucket, in two parts, and its latency."""

from __future__ import annotations

from typing import Any

from streamflow_env.engines.compiled.records import TOKEN
from streamflow_env.engines.compiling import inlined, kernel
from streamflow_env.engines.draws.distributions import duration_ns, scaled_ns, to_ns


@inlined
def refill(now: int, s: Any) -> None:
    """Bring the bucket up to `now`: first the part kept for background requests, as far as it has room."""
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
    """Take a token if there is one and the reserves leave it to this request."""
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
    """Set the part of quota and burst that is kept for background requests; what it cannot hold goes to the rest."""
    refill(now, s)
    s.background_share = share
    s.kept_burst = kept_burst(s.burst_units, share)
    kept = min(s.kept_units, s.kept_burst)
    most = rest_of_burst(s.burst_units, s.kept_burst)
    s.token_units = min(most, s.token_units + s.kept_units - kept)
    s.kept_units = kept


@inlined
def latency_ns(s: Any, memory: Any, u: float) -> int:
    """How long the answer to the draw `u` takes."""
    if s.num_latencies > 0:
        return scaled_ns(memory[s.latencies_at + int(u * s.num_latencies)], s.slowdown)
    return to_ns(s.floor_s * s.slowdown) + duration_ns(u, s.family, s.a, s.b, s.slowdown)


@inlined
def kept_burst(burst_units: int, share: float) -> int:
    """The part of an LLM's burst that is kept for background requests, in units."""
    return max(TOKEN, int(share * burst_units)) if share > 0.0 else 0


@inlined
def rest_of_burst(burst_units: int, kept: int) -> int:
    """The part of an LLM's burst that all may use, in units."""
    return max(TOKEN, burst_units - kept) if kept > 0 else burst_units
