"""Decisions by a user's benefit from the LLM: who is asked for, who falls back, who is deferred, what that costs.

`llm_benefit` is a user's rank among all users, uniform on (0, 1).
"""

from __future__ import annotations


def is_asked(llm_benefit: float, ask_fraction: float) -> bool:
    """Whether the LLM is asked for a user: for the fraction `ask_fraction` of all users, those who benefit most."""
    return llm_benefit >= 1.0 - ask_fraction


def falls_back_at_once(llm_benefit: float, ask_fraction: float, fallback_fraction: float) -> bool:
    """Whether a call takes its fallback after a failed attempt, without another one.

    It does for the fraction `fallback_fraction` of the users for whom the LLM is asked: those who benefit least. If
    `ask_fraction` has changed and the LLM would no longer be asked for this user, the user's rank among them is 0.
    """
    least = 1.0 - ask_fraction
    rank = (llm_benefit - least) / ask_fraction if llm_benefit >= least else 0.0
    return rank < fallback_fraction


def is_deferred(llm_benefit: float, ask_fraction: float, defer_fraction: float) -> bool:
    """Whether a call without an answer is deferred.

    The users for whom the LLM is asked are one group, all others are another. In each group, the calls of the fraction
    `defer_fraction` of users who benefit most are deferred.
    """
    least = 1.0 - ask_fraction
    if llm_benefit < least:
        return llm_benefit >= (1.0 - defer_fraction) * least
    return llm_benefit >= least + (1.0 - defer_fraction) * ask_fraction


def fallback_milli(mean_milli: int, spread: float, llm_benefit: float) -> int:
    """The quality of a fallback for a user, in thousandths. `mean_milli` is its mean over all users."""
    return 1000 - int((1000 - mean_milli) * (1.0 - spread + 2.0 * spread * llm_benefit) + 0.5)
