"""Cells stepped side by side: a vector environment of Gymnasium as a `VecEnv` of Stable-Baselines3."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

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


MOST_DRAWS: Final = 10_000
"""So many seeds are drawn at most until an episode of the wanted member of a mixture comes."""


@dataclass(frozen=True)
class Members:
    """The members of a mixture, and `of`, which says of which member the episode with a seed is."""

    names: tuple[str, ...]
    of: Callable[[int], str]


@dataclass(frozen=True)
class Cut:
    """When a training episode is truncated before its horizon.

    An episode is cut when its system has collapsed: its `sla_fraction` was below `below` for `patience_steps` steps in
    a row. A collapse lasts for good unless the agent acts, costs several times the computing of a healthy system, and
    teaches the same at each step. The learner goes on from the value of the last state.

    The first episode of a cell also ends when the cell has done its `first_steps`, shape (num_cells,). With another
    number in each cell, the cells are soon at different times of their episodes.

    Where cells are in groups, no episode is cut for a collapse, and all cells of a group have the `first_steps` of its
    first cell.
    """

    below: float
    patience_steps: int
    first_steps: NDArray[np.int64]


class SeededVecEnv(VecEnv):
    """`env`, each of whose cells is reset when its episode ends, with an `episode_seed` of its own.

    The episode seeds of a cell are drawn from its child stream of `seed`, in [0, `seed_limit`): no episode with a seed
    of `seed_limit` or more is ever seen. `set_options` can name the episode seeds of the next `reset` instead.

    With a `group_size` above 1, so many neighbouring cells are a group: they share each episode's seed, which is drawn
    from the group's stream, and begin and end together. `even_members` is a mixture whose members the groups meet in
    turn: group g in its episode n meets member g + n · groups, counted around. Seeds are drawn until one is of it.

    Raises:
        ConfigError: `env` resets its cells itself, or its cells are not whole groups.
    """

    def __init__(
        self,
        env: Cells,
        *,
        seed: int = 0,
        seed_limit: int,
        cut: Cut | None = None,
        group_size: int = 1,
        even_members: Members | None = None,
    ) -> None:
        mode = env.metadata["autoreset_mode"]
        if mode != AutoresetMode.DISABLED:
            raise ConfigError(f"autoreset_mode {mode.value}: must be Disabled; the cells are reset here")
        if group_size < 1 or env.num_envs % group_size:
            raise ConfigError(f"num_cells {env.num_envs}: must be a multiple of group_size = {group_size}")
        self.env = env
        self._group_size = group_size
        self._num_groups = env.num_envs // group_size
        self._even_members = even_members
        self._num_begun = np.zeros(self._num_groups, dtype=np.int64)
        self.streams = _streams(seed, self._num_groups)
        self._seed_limit = seed_limit
        self._cut = cut
        self._collapsed_steps = np.zeros(env.num_envs, dtype=np.int64)
        self._steps = np.zeros(env.num_envs, dtype=np.int64)
        self._actions = np.zeros((0, 0), dtype=np.float32)
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def seed(self, seed: int | None = None) -> list[int]:
        """Start the streams of seeds anew from `seed`; this holds from each cell's next episode on."""
        seed = 0 if seed is None else seed
        self.streams = _streams(seed, self._num_groups)
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
        drawn: dict[int, int] = {}
        seeds = np.zeros(self.num_envs, dtype=np.int64)
        for cell in chosen:
            seeds[cell] = self._next_seed(cell, drawn)
        observations, infos = self.env.reset(options={"reset_mask": cells, "episode_seed": seeds})
        for cell in chosen:
            self.reset_infos[cell] = of_cell(infos, cell)
        self._collapsed_steps[cells] = 0
        return observations

    def _next_seed(self, cell: int, drawn: dict[int, int]) -> int:
        """The seed of the cell's next episode: the one that `set_options` named, or the next one of its group.

        `drawn` holds the groups' seeds that were drawn for the episodes that begin now.
        """
        if self._options[cell]:
            return int(self._options[cell]["episode_seed"])
        group = cell // self._group_size
        if group not in drawn:
            drawn[group] = self._draw(group)
        return drawn[group]

    def _draw(self, group: int) -> int:
        stream, members = self.streams[group], self._even_members
        if members is None:
            return int(stream.integers(self._seed_limit))
        turn = group + int(self._num_begun[group]) * self._num_groups
        wanted = members.names[turn % len(members.names)]
        self._num_begun[group] += 1
        for _ in range(MOST_DRAWS):
            seed = int(stream.integers(self._seed_limit))
            if members.of(seed) == wanted:
                return seed
        raise ConfigError(f"members.{wanted}: none of {MOST_DRAWS} seeds is of this member; its weight is too small")

    def _cut_short(self, infos: list[dict[str, Any]]) -> NDArray[np.bool_]:
        if self._cut is None:
            return np.zeros(self.num_envs, dtype=bool)
        self._steps += 1
        if self._group_size > 1:
            of_first = np.repeat(self._cut.first_steps[:: self._group_size], self._group_size)
            return np.asarray(self._steps == of_first, dtype=np.bool_)
        collapsed = np.array([info["metrics"]["sla_fraction"] for info in infos]) < self._cut.below
        self._collapsed_steps = np.where(collapsed, self._collapsed_steps + 1, 0)
        patient = self._collapsed_steps < self._cut.patience_steps
        return np.asarray(~patient | (self._steps == self._cut.first_steps), dtype=np.bool_)


def _streams(seed: int, num_cells: int) -> list[np.random.Generator]:
    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(num_cells)]
