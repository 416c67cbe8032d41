"""Training on top of a baseline: cells whose actions are residuals, as a `VecEnv` of Stable-Baselines3."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from streamflow_agents.policies.residual import Look, Residual, ResidualState
from streamflow_agents.training.vec_env import StepReturn


class ResidualVecEnv(VecEnvWrapper):
    """`cells`, observed and moved as `residual` says: see `streamflow_agents.policies.residual`."""

    def __init__(self, cells: VecEnv, residual: Residual) -> None:
        super().__init__(cells, residual.observation_space, residual.action_space)
        self._residual = residual
        self._look: Look | None = None
        self._state: ResidualState | None = None

    def reset(self) -> NDArray[np.float32]:
        """Start an episode in every cell; what the network sees, shape (num_envs, size)."""
        observations = self.venv.reset()
        assert isinstance(observations, np.ndarray)
        return self._see(observations, None, np.ones(self.num_envs, dtype=bool))

    def step_async(self, actions: NDArray[np.float32]) -> None:
        """Begin an interval with the baseline's actions as the residuals `actions` move them."""
        assert self._look is not None
        moved, self._state = self._residual.act(self._look, actions)
        self.venv.step_async(moved)

    def step_wait(self) -> StepReturn:
        """Simulate one interval; the last observation of an episode is what the network would have seen then."""
        observations, rewards, ended, infos = self.venv.step_wait()
        assert isinstance(observations, np.ndarray)
        if ended.any():
            self._see_the_last(observations, ended, infos)
        return self._see(observations, self._state, ended), rewards, ended, infos

    def _see(
        self, observations: NDArray[np.float32], state: ResidualState | None, starts: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        self._look = self._residual.look(observations, state, starts)
        return self._look.inputs

    def _see_the_last(
        self, observations: NDArray[np.float32], ended: NDArray[np.bool_], infos: list[dict[str, Any]]
    ) -> None:
        last = observations.copy()
        for cell in np.flatnonzero(ended):
            last[cell] = infos[cell]["terminal_observation"]
        seen = self._residual.look(last, self._state, np.zeros(self.num_envs, dtype=bool)).inputs
        for cell in np.flatnonzero(ended):
            infos[cell]["terminal_observation"] = seen[cell]
