"""Who benefits most from the LLM: who is asked for, who falls back, who is deferred, what a fallback costs."""

from __future__ import annotations


def is_asked(llm_benefit: float, ask_fraction: float) -> bool:
    """Whether a user is among the neediest share `ask_fraction` of all."""
    return llm_benefit >= 1.0 - ask_fraction


def falls_back_at_once(llm_benefit: float, ask_fraction: float, fallback_fraction: float) -> bool:
    """Whether a user, whose attempt has failed, is among the least needy share `fallback_fraction` of those who ask.

    Who would no longer be asked, since the control has moved, is the least needy of all.
    """
    least = 1.0 - ask_fraction
    rank = (llm_benefit - least) / ask_fraction if llm_benefit >= least else 0.0
    return rank < fallback_fraction


def is_deferred(llm_benefit: float, ask_fraction: float, defer_fraction: float) -> bool:
    """Whether a user is among the neediest share `defer_fraction` of those who are not asked, or of those who are."""
    least = 1.0 - ask_fraction
    if llm_benefit < least:
        return llm_benefit >= (1.0 - defer_fraction) * least
    return llm_benefit >= least + (1.0 - defer_fraction) * ask_fraction


def fallback_milli(mean_milli: int, spread: float, llm_benefit: float) -> int:
    """What a fallback of mean quality `mean_milli` is worth to a user, in thousandths."""
    return 1000 - int((1000 - mean_milli) * (1.0 - spread + 2.0 * spread * llm_benefit) + 0.5)
