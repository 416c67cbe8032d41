"""Who benefits most from the LLM: who is asked for, who falls back, who is deferred, what a fallback costs."""

from __future__ import annotations

from typing import Any

from streamflow_env.engines.compiling import inlined
from streamflow_env.engines.draws.arrivals import llm_benefit_of


@inlined
def llm_benefit(w: Any, r: Any) -> float:
    """How badly precomputed preferences fit the request's user."""
    return llm_benefit_of(w.seed, r.user, r.request)


@inlined
def is_asked(w: Any, c: Any, r: Any) -> bool:
    """The neediest are asked for."""
    return llm_benefit(w, r) >= 1.0 - c.ask_fraction


@inlined
def falls_back_at_once(w: Any, c: Any, r: Any) -> bool:
    """Of those who ask the least needy do not try again; so do those who would no longer be asked."""
    least = 1.0 - c.ask_fraction
    n = llm_benefit(w, r)
    rank = (n - least) / c.ask_fraction if n >= least else 0.0
    return rank < c.fallback_fraction


@inlined
def is_deferred(w: Any, c: Any, r: Any) -> bool:
    """Of those who are not asked, and of those who are, the neediest are deferred."""
    least = 1.0 - c.ask_fraction
    n = llm_benefit(w, r)
    if n < least:
        return n >= (1.0 - c.defer_fraction) * least
    return n >= least + (1.0 - c.defer_fraction) * c.ask_fraction


@inlined
def fallback_of(w: Any, c: Any, r: Any) -> int:
    """What the fallback is worth to the request's user, in thousandths."""
    n = llm_benefit(w, r)
    return 1000 - int((1000 - c.fallback_milli) * (1.0 - c.fallback_spread + 2.0 * c.fallback_spread * n) + 0.5)
