"""What depends on how much a user benefits from the LLM: asking, falling back, deferring, a fallback's quality."""

from __future__ import annotations

from typing import Any

from streamflow_env.engines.compiling import inlined
from streamflow_env.engines.draws.arrivals import llm_benefit_of


@inlined
def llm_benefit(w: Any, r: Any) -> float:
    """How much the request's user benefits from the LLM, in (0, 1)."""
    return llm_benefit_of(w.seed, r.user, r.request)


@inlined
def is_asked(w: Any, c: Any, r: Any) -> bool:
    """Whether the LLM is asked: it is for the share of users who benefit most."""
    return llm_benefit(w, r) >= 1.0 - c.ask_fraction


@inlined
def falls_back_at_once(w: Any, c: Any, r: Any) -> bool:
    """Whether a failed attempt is not repeated: so for the share of asked users who benefit least.

    It is so, too, for users who would not be asked any more.
    """
    least = 1.0 - c.ask_fraction
    n = llm_benefit(w, r)
    rank = (n - least) / c.ask_fraction if n >= least else 0.0
    return rank < c.fallback_fraction


@inlined
def is_deferred(w: Any, c: Any, r: Any) -> bool:
    """Whether a deferred ask is made: so for the share who benefit most, among the asked users and among the others."""
    least = 1.0 - c.ask_fraction
    n = llm_benefit(w, r)
    if n < least:
        return n >= (1.0 - c.defer_fraction) * least
    return n >= least + (1.0 - c.defer_fraction) * c.ask_fraction


@inlined
def fallback_of(w: Any, c: Any, r: Any) -> int:
    """The quality of the fallback for the request's user, in thousandths."""
    n = llm_benefit(w, r)
    return 1000 - int((1000 - c.fallback_milli) * (1.0 - c.fallback_spread + 2.0 * c.fallback_spread * n) + 0.5)
