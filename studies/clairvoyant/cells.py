"""Cells of one foreseen episode, stepped side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from streamflow_agents.policies.protocol import Policy
from streamflow_env.environment.vector_env import StreamFlowVectorEnv
from streamflow_env.scenarios import Foreseen


class EpisodeCells:
    """One episode in several cells; each cell has a noise seed. Environments are kept, one for each number of cells."""

    def __init__(self, scenario: Foreseen) -> None:
        self._scenario = scenario
        self._envs: dict[int, StreamFlowVectorEnv] = {}

    def rewards(self, policy: Policy, noise_seeds: Sequence[int]) -> NDArray[np.float64]:
        """The rewards of every step, shape (num_steps, num_cells), one cell for each of `noise_seeds`.

        `policy` maps observations, shape (num_cells, num_fields), to actions, shape (num_cells, num_controls).
        """
        env = self._env(len(noise_seeds))
        observations, _ = env.reset(options={"episode_seed": list(noise_seeds)})
        state, rewards, ended = None, [], False
        while not ended:
            actions, state = policy.predict(observations, state, deterministic=True)
            observations, got, _, truncated, _ = env.step(actions)
            rewards.append(got)
            ended = bool(truncated.all())
        return np.array(rewards)

    def mean_return(self, policy: Policy, noise_seeds: Sequence[int]) -> float:
        """The mean return over the noise seeds."""
        return float(self.rewards(policy, noise_seeds).sum(axis=0).mean())

    def _env(self, num_cells: int) -> StreamFlowVectorEnv:
        if num_cells not in self._envs:
            self._envs[num_cells] = StreamFlowVectorEnv(
                num_cells, self._scenario, autoreset_mode=AutoresetMode.DISABLED, metrics=False
            )
        return self._envs[num_cells]
