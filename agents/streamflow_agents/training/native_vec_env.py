"""The environment's own vector of cells as a Stable-Baselines3 VecEnv."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from streamflow_agents.training.vec_env import SeededVecEnv, StepReturn
from streamflow_env.environment.infos import of_cell, of_every_cell
from streamflow_env.environment.vector_env import StreamFlowVectorEnv
from streamflow_env.errors import ConfigError


@dataclass(frozen=True)
class Cut:
    """Which episodes are cut short, as `training.task.CutShort` says; `first_steps` has shape (num_cells,)."""

    below: float
    patience_steps: int
    first_steps: NDArray[np.int64]


class NativeVecEnv(SeededVecEnv):
    """`env`, whose cells are reset by themselves as their episodes end, with episode seeds as `SeededVecEnv` says.

    It steps as `ThreadedVecEnv` over as many single environments would, bit for bit, each in a `CutShort` if there is a
    `cut`. An attribute is one for all cells.
    """

    def __init__(self, env: StreamFlowVectorEnv, *, seed: int = 0, seed_limit: int, cut: Cut | None = None) -> None:
        if env.autoreset_mode != AutoresetMode.DISABLED:
            raise ConfigError(f"autoreset_mode {env.autoreset_mode.value}: must be Disabled; the cells are reset here")
        self.env = env
        self._cut = cut
        self._collapsed_steps = np.zeros(env.num_envs, dtype=np.int64)
        self._steps = np.zeros(env.num_envs, dtype=np.int64)
        self._actions = np.zeros((0, 0), dtype=np.float32)
        spaces = env.single_observation_space, env.single_action_space
        super().__init__(env.num_envs, *spaces, seed=seed, seed_limit=seed_limit)

    def reset(self) -> NDArray[np.float32]:
        """Start an episode in every cell; the observations, shape (num_envs, observation size)."""
        observations = self._begin(np.ones(self.num_envs, dtype=bool))
        self._reset_options()
        return observations

    def step_async(self, actions: NDArray[np.float32]) -> None:
        """Keep `actions`, shape (num_envs, num_controls), for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> StepReturn:
        """Simulate one interval; where an episode ended, the observation is the next episode's first."""
        observations, rewards, terminated, truncated, vector_info = self.env.step(self._actions)
        infos = of_every_cell(vector_info, self.num_envs)
        truncated = truncated | self._cut_short(infos)
        ended = terminated | truncated
        for cell, info in enumerate(infos):
            info["TimeLimit.truncated"] = bool(truncated[cell] and not terminated[cell])
            if ended[cell]:
                info["terminal_observation"] = observations[cell].copy()
        if ended.any():
            observations = self._begin(ended)
        return observations, rewards.astype(np.float32), ended, infos

    def close(self) -> None:
        """Stop the threads of the environment."""
        self.env.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        return [getattr(self.env, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        if len(list(self._get_indices(indices))) != self.num_envs:
            raise ConfigError(f"attribute {attr_name}: is one for all cells")
        setattr(self.env, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        raise ConfigError(f"method {method_name}: the cells have none of their own")

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        return [False] * len(list(self._get_indices(indices)))

    def _begin(self, cells: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Start an episode in each of `cells`; the observations of all."""
        chosen = np.flatnonzero(cells).tolist()
        seeds = np.zeros(self.num_envs, dtype=np.int64)
        for cell in chosen:
            seeds[cell] = self._next_options(cell)["episode_seed"]
        observations, infos = self.env.reset(options={"reset_mask": cells, "episode_seed": seeds})
        for cell in chosen:
            self.reset_infos[cell] = of_cell(infos, cell)
        self._collapsed_steps[cells] = 0
        return observations

    def _cut_short(self, infos: list[dict[str, Any]]) -> NDArray[np.bool_]:
        if self._cut is None:
            return np.zeros(self.num_envs, dtype=bool)
        collapsed = np.array([info["metrics"]["sla_fraction"] for info in infos]) < self._cut.below
        self._collapsed_steps = np.where(collapsed, self._collapsed_steps + 1, 0)
        self._steps += 1
        patient = self._collapsed_steps < self._cut.patience_steps
        return np.asarray(~patient | (self._steps == self._cut.first_steps), dtype=np.bool_)
