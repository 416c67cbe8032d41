"""The shift tests: every policy on the episodes of every shift.

What is kept has the form of an evaluation's `episodes.csv`. Its column `scenario` names the shift, and its column
`episode_seed` counts the shift's episodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from streamflow_agents.evaluation.episodes import RETURN, run_episode
from streamflow_agents.evaluation.kept_episodes import KEYS
from streamflow_agents.parallel import run_all
from streamflow_agents.policies.loading import load_policy
from streamflow_agents.policies.protocol import Policy
from streamflow_agents.seeds import evaluation_seeds
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.errors import ConfigError
from studies.robustness.shifts import NoisyDelayedPolicy, ShiftPlan, load_shifts, shifted

KEPT: Final = (RETURN, "sla_fraction", "error_fraction", "cost_per_hour", "quality", "in_cascade_fraction")


@dataclass(frozen=True)
class ShiftedEpisode:
    """One policy in one episode of one shift.

    Attributes:
        label: what the policy is called in the results.
        source: the name or path to load it by.
        number: counts the episodes of the shift.
    """

    label: str
    source: str
    shift: str
    scenario: str
    seed: int
    number: int


def shifted_episodes(plan: ShiftPlan, policies: Mapping[str, str], instead: Mapping[str, str]) -> list[ShiftedEpisode]:
    """Every policy (label -> name or path) in every episode.

    `instead` has more policies that are evaluated instead of others, in the shifts that have such policies at all.

    Raises:
        ConfigError: the episodes cannot be divided evenly among a shift's scenarios.
    """
    work = []
    for shift_name, shift in plan.shifts.items():
        scenarios = shift.scenarios or plan.scenarios
        num_seeds, rest = divmod(plan.episodes, len(scenarios))
        if rest:
            raise ConfigError(f"episodes {plan.episodes}: must be a multiple of {len(scenarios)} for {shift_name!r}")
        others = {**shift.instead, **instead} if shift.instead else {}
        seeds = evaluation_seeds(plan.episodes)
        episodes = [(scenarios[number // num_seeds], seed) for number, seed in enumerate(seeds)]
        for label, source in policies.items():
            for number, (scenario, seed) in enumerate(episodes):
                work.append(ShiftedEpisode(label, others.get(label, source), shift_name, scenario, seed, number))
    return work


def measure(episodes: Sequence[ShiftedEpisode], jobs: int, progress: bool) -> list[dict[str, Any]]:
    """A line of the results for each. Raises ConfigError: an unknown policy, or no such trace."""
    return run_all(play, episodes, jobs, progress)


def play(episode: ShiftedEpisode) -> dict[str, Any]:
    """One line of the results."""
    env, shift = _env(episode.shift, episode.scenario), load_shifts().shifts[episode.shift]
    policy = _policy(episode.source, episode.shift, episode.scenario)
    if shift.telemetry is not None:
        policy = NoisyDelayedPolicy(policy, env, shift.telemetry, episode.seed)
    figures = run_episode(policy, env, episode.seed)
    keys = dict(zip(KEYS, (episode.label, episode.shift, episode.number), strict=True))
    return {**keys, **{name: figures[name] for name in KEPT}}


@lru_cache(maxsize=32)
def _env(shift: str, scenario: str) -> StreamFlowEnv:
    return shifted(load_shifts().shifts[shift], scenario)


@lru_cache(maxsize=128)
def _policy(source: str, shift: str, scenario: str) -> Policy:
    return load_policy(source, _env(shift, scenario))
