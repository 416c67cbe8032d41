"""Scores: 0 at the policy `ZERO` and 100 at the clairvoyant, scenario by scenario."""

from __future__ import annotations

from typing import Final

import numpy as np

from streamflow_agents.evaluation.episodes import RETURN
from streamflow_agents.evaluation.kept_episodes import Episodes
from streamflow_agents.evaluation.statistics import Estimate, paired_difference
from streamflow_agents.policies.baselines import WITHOUT
from studies.headroom.measure import CLAIRVOYANT, FROZEN

ZERO: Final = "playbook_hpa"
SHARE_OF_THE_REST: Final = 1 / 3
"""What learning must win of the distance from the best baseline to the clairvoyant. Foresight cannot be learned."""


def score(episodes: Episodes, policy: str, index: int) -> Estimate:
    """A policy's score in one scenario; the interval is the bootstrap's of its paired difference from `ZERO`.

    NaN where the clairvoyant won nothing over `ZERO`.
    """
    whole = episodes.difference(CLAIRVOYANT, ZERO, index).value
    if whole <= 0:
        return Estimate(float("nan"), float("nan"), float("nan"))
    won = episodes.difference(policy, ZERO, index)
    return Estimate(*(100.0 * value / whole for value in (won.value, won.low, won.high)))


def mean_score(episodes: Episodes, policy: str) -> Estimate:
    """The mean over the scenarios that have a score, and its interval over the episodes; NaN where none has."""
    num_scenarios = len(episodes.scenarios)
    wholes = np.array([episodes.difference(CLAIRVOYANT, ZERO, index).value for index in range(num_scenarios)])
    won = wholes > 0
    if not won.any():
        return Estimate(float("nan"), float("nan"), float("nan"))
    mine, zero = (100.0 * episodes.of(name, RETURN)[:, won] / wholes[won, np.newaxis] for name in (policy, ZERO))
    return paired_difference(mine, zero)


def whole_policies(episodes: Episodes) -> list[str]:
    """The policies, and the clairvoyant, but those without a part or with a control frozen."""
    return [name for name in episodes.figures if FROZEN not in name and WITHOUT not in name]


def baselines_of(episodes: Episodes) -> list[str]:
    """The policies but the clairvoyant and those of several training runs."""
    return [name for name in whole_policies(episodes) if name != CLAIRVOYANT and episodes.num_runs(name) == 1]


def target(episodes: Episodes) -> tuple[str, float, float]:
    """The best baseline, its mean score, and the mean score that learning must reach."""
    best = max(baselines_of(episodes), key=lambda name: mean_score(episodes, name).value)
    reached = mean_score(episodes, best).value
    return best, reached, reached + SHARE_OF_THE_REST * (100.0 - reached)
