"""The LLM by need: whom a call asks for, who falls back at once, who is deferred; what a fallback is worth to whom."""

from __future__ import annotations


def is_asked(need: float, ask_fraction: float) -> bool:
    """Whether a user is among the neediest share `ask_fraction` of all."""
    return need >= 1.0 - ask_fraction


def falls_back_at_once(need: float, ask_fraction: float, fallback_fraction: float) -> bool:
    """Whether a user, whose attempt has failed, is among the least needy share `fallback_fraction` of those who ask.

    Who would no longer be asked, since the control has moved, is the least needy of all.
    """
    least = 1.0 - ask_fraction
    rank = (need - least) / ask_fraction if need >= least else 0.0
    return rank < fallback_fraction


def is_deferred(need: float, ask_fraction: float, defer_fraction: float) -> bool:
    """Whether a user is among the neediest share `defer_fraction` of those who are not asked, or of those who are."""
    least = 1.0 - ask_fraction
    if need < least:
        return need >= (1.0 - defer_fraction) * least
    return need >= least + (1.0 - defer_fraction) * ask_fraction


def fallback_milli(mean_milli: int, spread: float, need: float) -> int:
    """What a fallback of mean quality `mean_milli` is worth to a user, in thousandths."""
    return 1000 - int((1000 - mean_milli) * (1.0 - spread + 2.0 * spread * need) + 0.5)
