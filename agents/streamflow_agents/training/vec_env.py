"""Cells stepped side by side: a Stable-Baselines3 VecEnv of any environments, which share the work of a few threads.

The compiled engine releases the interpreter's lock while it simulates, so threads are enough, and nothing is pickled.
`streamflow_agents.training.native_vec_env` is the one for StreamFlow's own vector of cells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from streamflow_env.errors import ConfigError

Cell = gym.Env[NDArray[np.float32], NDArray[np.float32]]
StepReturn = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]
"""Observations, rewards, whether the episode ended, infos; of every cell."""


class SeededVecEnv(VecEnv):
    """Cells whose every episode has an `episode_seed` of its own, drawn from the cell's child stream of `seed`.

    The seeds are in [0, `seed_limit`): no episode with a seed of `seed_limit` or more is ever seen. The trajectories do
    not depend on the number of threads. `set_options` can name the episode seeds of the next `reset` instead.
    """

    def __init__(
        self,
        num_cells: int,
        observation_space: gym.Space[Any],
        action_space: gym.Space[Any],
        *,
        seed: int,
        seed_limit: int,
    ) -> None:
        self._seed_limit = seed_limit
        self.streams = _streams(seed, num_cells)
        super().__init__(num_cells, observation_space, action_space)

    def seed(self, seed: int | None = None) -> list[int]:
        """Start the cells' streams of seeds anew from `seed`; it holds from each cell's next episode on."""
        seed = 0 if seed is None else seed
        self.streams = _streams(seed, self.num_envs)
        return [seed] * self.num_envs

    def _next_options(self, cell: int) -> dict[str, Any]:
        """What the cell's next episode is to be: as `set_options` says, or else by the next seed of its stream."""
        return self._options[cell] or {"episode_seed": int(self.streams[cell].integers(self._seed_limit))}


class ThreadedVecEnv(SeededVecEnv):
    """`len(make_cells)` environments stepped by `num_threads` threads, each reset by itself when its episode ends."""

    def __init__(
        self, make_cells: Sequence[Callable[[], Cell]], *, num_threads: int = 2, seed: int = 0, seed_limit: int
    ) -> None:
        self.cells = [make_cell() for make_cell in make_cells]
        self._num_threads = min(num_threads, len(self.cells))
        self._pool = ThreadPoolExecutor(self._num_threads, thread_name_prefix="cell")
        self._pending: list[Future[None]] = []
        self._actions = np.zeros((0, 0), dtype=np.float32)
        first = self.cells[0]
        spaces = first.observation_space, first.action_space
        super().__init__(len(self.cells), *spaces, seed=seed, seed_limit=seed_limit)
        self._observations = np.zeros((self.num_envs, *_shape(self.cells[0].observation_space)), dtype=np.float32)
        self._rewards = np.zeros(self.num_envs, dtype=np.float32)
        self._ended = np.zeros(self.num_envs, dtype=bool)
        self._infos: list[dict[str, Any]] = [{} for _ in self.cells]

    def reset(self) -> NDArray[np.float32]:
        """Start an episode in every cell; the observations, shape (num_envs, observation size)."""
        self._start(self._reset_cell)
        self._wait()
        self._reset_options()
        return self._observations.copy()

    def step_async(self, actions: NDArray[np.float32]) -> None:
        """Let the threads begin one control interval in every cell; `actions` has shape (num_envs, num_controls)."""
        self._actions = actions
        self._start(self._step_cell)

    def step_wait(self) -> StepReturn:
        """Wait for the interval's end; where an episode ended, the observation is the next episode's first."""
        self._wait()
        return self._observations.copy(), self._rewards.copy(), self._ended.copy(), list(self._infos)

    def close(self) -> None:
        """Stop the threads and close the cells."""
        self._pool.shutdown()
        for cell in self.cells:
            cell.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        return [cell.get_wrapper_attr(attr_name) for cell in self._chosen(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        for cell in self._chosen(indices):
            cell.set_wrapper_attr(attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        return [cell.get_wrapper_attr(method_name)(*method_args, **method_kwargs) for cell in self._chosen(indices)]

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        return [_is_wrapped(cell, wrapper_class) for cell in self._chosen(indices)]

    def _chosen(self, indices: VecEnvIndices) -> list[Cell]:
        return [self.cells[index] for index in self._get_indices(indices)]

    def _start(self, work: Callable[[int], None]) -> None:
        """Hand the cells to the threads; each takes the next one as it becomes free, for cells differ in cost."""
        indices = iter(range(self.num_envs))
        self._pending = [self._pool.submit(_work_through, work, indices) for _ in range(self._num_threads)]

    def _wait(self) -> None:
        pending, self._pending = self._pending, []
        for future in pending:
            future.result()

    def _reset_cell(self, index: int) -> None:
        observation, self.reset_infos[index] = self.cells[index].reset(options=self._next_options(index))
        self._observations[index] = observation

    def _step_cell(self, index: int) -> None:
        observation, reward, terminated, truncated, info = self.cells[index].step(self._actions[index])
        self._rewards[index] = reward
        self._ended[index] = terminated or truncated
        info["TimeLimit.truncated"] = truncated and not terminated
        self._infos[index] = info
        if terminated or truncated:
            info["terminal_observation"] = observation
            self._reset_cell(index)
        else:
            self._observations[index] = observation


def _work_through(work: Callable[[int], None], indices: Iterator[int]) -> None:
    for index in indices:
        work(index)


def _streams(seed: int, num_cells: int) -> list[np.random.Generator]:
    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(num_cells)]


def _shape(space: gym.Space[Any]) -> tuple[int, ...]:
    if space.shape is None:
        raise ConfigError(f"observation space {space}: must be a Box")
    return space.shape


def _is_wrapped(cell: gym.Env[Any, Any], wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]]) -> bool:
    while isinstance(cell, gym.Wrapper):
        if isinstance(cell, wrapper_class):
            return True
        cell = cell.env
    return False
