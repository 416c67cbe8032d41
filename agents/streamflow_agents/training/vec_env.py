"""Cells stepped side by side: a vector environment of Gymnasium as a `VecEnv` of Stable-Baselines3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from streamflow_env.environment.infos import of_cell, of_every_cell
from streamflow_env.errors import ConfigError

Cells = VectorEnv[NDArray[np.float32], NDArray[np.float32], NDArray[Any]]
"""A vector environment with `Disabled` autoreset, as `StreamFlowVectorEnv` has it: its `reset` takes the options
`reset_mask` and `episode_seed`."""
StepReturn = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]
"""Observations, rewards, whether the episode ended, infos; of every cell."""


@dataclass(frozen=True)
class Cut:
    """When a training episode is truncated before its horizon.

    An episode is cut when its system has collapsed: its `sla_fraction` was below `below` for `patience_steps` steps in
    a row. A collapse lasts for good unless the agent acts, costs several times the computing of a healthy system, and
    teaches the same at each step. The learner goes on from the value of the last state.

    The first episode of a cell also ends when the cell has done its `first_steps`, shape (num_cells,). With another
    number in each cell, the cells are soon at different times of their episodes.
    """

    below: float
    patience_steps: int
    first_steps: NDArray[np.int64]


class SeededVecEnv(VecEnv):
    """`env`, each of whose cells is reset when its episode ends, with an `episode_seed` of its own.

    The episode seeds of a cell are drawn from its child stream of `seed`, in [0, `seed_limit`): no episode with a seed
    of `seed_limit` or more is ever seen. `set_options` can name the episode seeds of the next `reset` instead.

    Raises:
        ConfigError: `env` resets its cells itself.
    """

    def __init__(self, env: Cells, *, seed: int = 0, seed_limit: int, cut: Cut | None = None) -> None:
        mode = env.metadata["autoreset_mode"]
        if mode != AutoresetMode.DISABLED:
            raise ConfigError(f"autoreset_mode {mode.value}: must be Disabled; the cells are reset here")
        self.env = env
        self.streams = _streams(seed, env.num_envs)
        self._seed_limit = seed_limit
        self._cut = cut
        self._collapsed_steps = np.zeros(env.num_envs, dtype=np.int64)
        self._steps = np.zeros(env.num_envs, dtype=np.int64)
        self._actions = np.zeros((0, 0), dtype=np.float32)
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def seed(self, seed: int | None = None) -> list[int]:
        """Start the cells' streams of seeds anew from `seed`; this holds from each cell's next episode on."""
        seed = 0 if seed is None else seed
        self.streams = _streams(seed, self.num_envs)
        return [seed] * self.num_envs

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
        """Close the vector environment, which stops its threads."""
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
        raise ConfigError(f"method {method_name}: the cells have no methods of their own")

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        return [False] * len(list(self._get_indices(indices)))

    def _begin(self, cells: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Start an episode in each of `cells`; the observations of all."""
        chosen = np.flatnonzero(cells).tolist()
        seeds = np.zeros(self.num_envs, dtype=np.int64)
        for cell in chosen:
            seeds[cell] = self._next_seed(cell)
        observations, infos = self.env.reset(options={"reset_mask": cells, "episode_seed": seeds})
        for cell in chosen:
            self.reset_infos[cell] = of_cell(infos, cell)
        self._collapsed_steps[cells] = 0
        return observations

    def _next_seed(self, cell: int) -> int:
        """The seed of the cell's next episode: the one that `set_options` named, or the next one of its stream."""
        if self._options[cell]:
            return int(self._options[cell]["episode_seed"])
        return int(self.streams[cell].integers(self._seed_limit))

    def _cut_short(self, infos: list[dict[str, Any]]) -> NDArray[np.bool_]:
        if self._cut is None:
            return np.zeros(self.num_envs, dtype=bool)
        collapsed = np.array([info["metrics"]["sla_fraction"] for info in infos]) < self._cut.below
        self._collapsed_steps = np.where(collapsed, self._collapsed_steps + 1, 0)
        self._steps += 1
        patient = self._collapsed_steps < self._cut.patience_steps
        return np.asarray(~patient | (self._steps == self._cut.first_steps), dtype=np.bool_)


def _streams(seed: int, num_cells: int) -> list[np.random.Generator]:
    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(num_cells)]
