"""Every policy, and the clairvoyant, on the clairvoyant's episodes under new noise seeds.

What is kept has the form of an evaluation's `episodes.csv`: a line an episode, each figure its mean over the noise
seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streamflow_agents.evaluation.episodes import RETURN, TERM, run_episode
from streamflow_agents.evaluation.kept_episodes import KEYS
from streamflow_agents.parallel import run_all
from streamflow_agents.policies.loading import load_policy
from streamflow_agents.policies.protocol import Policy, SinglePolicy
from streamflow_env.environment.env import StreamFlowEnv
from studies.clairvoyant.schedule import DOUBLED, FoundSchedule, foreseen_episode

CLAIRVOYANT: Final = "clairvoyant"
CLAIRVOYANT_DOUBLED: Final = f"{CLAIRVOYANT}, {DOUBLED}"
"""The clairvoyant that was searched with the doubled budget."""
FROZEN: Final = "@"
"""`clairvoyant@CONTROL` is the clairvoyant with that control frozen where `FROZEN_AT` has it."""
FROZEN_AT: Final = "tuned_static"


class FrozenControls(SinglePolicy):
    """A policy whose `columns` of the action stay at `values`; both have shape (num_frozen,)."""

    def __init__(self, base: Policy, columns: NDArray[np.intp], values: NDArray[np.float32]) -> None:
        self._base = base
        self._columns = columns
        self._values = values

    def act(self, observation: NDArray[np.float32], memory: Any) -> tuple[NDArray[Any], Any]:
        """The base policy's action with the frozen controls put back; the memory is the base policy's state."""
        action, memory = self._base.predict(observation, memory, deterministic=True)
        frozen = np.array(action)
        frozen[self._columns] = self._values
        return frozen, memory


@dataclass(frozen=True)
class ScoredEpisode:
    """One policy in one episode under some noise seeds.

    Attributes:
        label: what the policy is called in the results.
        source: the name or path to load it by; empty for the clairvoyant.
        schedule: the clairvoyant's schedule.
        frozen: the control that it must not move; empty: none.
    """

    label: str
    source: str
    scenario: str
    seed: int
    noise_seeds: tuple[int, ...]
    schedule: FoundSchedule | None = None
    frozen: str = ""


def scored_episodes(
    schedules: Sequence[FoundSchedule],
    policies: Mapping[str, str],
    controls: Sequence[str],
    noise_seeds: Sequence[int],
) -> list[ScoredEpisode]:
    """Policies (label -> name or path), the clairvoyant, and the clairvoyant with each of `controls` frozen."""
    seeds, episodes = tuple(noise_seeds), []
    for one in schedules:
        episodes += [ScoredEpisode(label, source, one.scenario, one.seed, seeds) for label, source in policies.items()]
        for frozen in ("", *controls):
            label = CLAIRVOYANT + (FROZEN + frozen if frozen else "")
            episodes.append(ScoredEpisode(label, "", one.scenario, one.seed, seeds, one, frozen))
    return episodes


def doubled_episodes(schedules: Sequence[FoundSchedule], noise_seeds: Sequence[int]) -> list[ScoredEpisode]:
    """The clairvoyant of the doubled budget, in its episodes."""
    seeds = tuple(noise_seeds)
    return [ScoredEpisode(CLAIRVOYANT_DOUBLED, "", one.scenario, one.seed, seeds, one) for one in schedules]


def measure(episodes: Sequence[ScoredEpisode], jobs: int, progress: bool) -> list[dict[str, Any]]:
    """A line of the results for each. Raises ConfigError: an unknown policy."""
    return run_all(play, episodes, jobs, progress)


def play(episode: ScoredEpisode) -> dict[str, Any]:
    """One line of the results: return and terms of the reward, their means over the noise seeds."""
    env = foreseen_episode(episode.scenario, episode.seed)
    policy = _policy(episode, env)
    played = [run_episode(policy, env, noise_seed) for noise_seed in episode.noise_seeds]
    means = {name: float(np.mean([figures[name] for figures in played])) for name in _kept(played[0])}
    return {**dict(zip(KEYS, (episode.label, episode.scenario, episode.seed), strict=True)), **means}


def _kept(figures: Mapping[str, float]) -> list[str]:
    return [name for name in figures if name == RETURN or name.startswith(TERM)]


def _policy(episode: ScoredEpisode, env: StreamFlowEnv) -> Policy:
    policy: Policy = episode.schedule.policy(env) if episode.schedule else load_policy(episode.source, env)
    if not episode.frozen:
        return policy
    fixed, _ = load_policy(FROZEN_AT, env).predict(np.zeros(len(env.observation_table.fields), np.float32))
    columns = np.array([env.control_table.names.index(episode.frozen)], dtype=np.intp)
    return FrozenControls(policy, columns, np.asarray(fixed)[columns])
