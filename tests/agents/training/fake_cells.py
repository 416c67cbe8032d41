"""Cells without a simulator, with the environment's interface: quick, so that training itself can be tested."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from streamflow_env.environment.infos import as_vector_info

CONTROLS = ("replicas", "threshold", "rate")
DO_NOTHING = (-0.4, 1.0, -1.0)


class FakeCell(gym.Env[NDArray[np.float32], NDArray[np.float32]]):
    """A load that drifts at random; the reward is best when the first control follows it and the others stay."""

    def __init__(self, horizon: int = 12) -> None:
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (4,), np.float32)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (len(CONTROLS),), np.float32)
        self.horizon = horizon
        self.seeds: list[int | None] = []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        seed = (options or {}).get("episode_seed", seed)
        super().reset(seed=seed)
        self.seeds.append(seed)
        self._step, self._load = 0, 0.0
        return self._observe(), {"episode_seed": seed}

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        action = np.clip(action, -1.0, 1.0)
        miss = float(np.abs(action[0] - self._load)) + float(np.abs(action[1:] - np.array(DO_NOTHING[1:])).sum())
        self._step += 1
        self._load = float(np.clip(self._load + self.np_random.normal(0.0, 0.3), -1.0, 1.0))
        info = {
            "metrics": {"sla_fraction": 1.0 - miss / 6.0, "response_p95_s": float("nan"), "errors_429": 0.0},
            "reward_terms": {"lateness": -miss, "cost": 0.0},
            "controls": dict(zip(CONTROLS, action.tolist(), strict=True)),
        }
        return self._observe(), -miss, False, self._step >= self.horizon, info

    def _observe(self) -> NDArray[np.float32]:
        return np.array([self._load, self._step / self.horizon, 1.0, 0.0], dtype=np.float32)


class FakeCells(VectorEnv[NDArray[np.float32], NDArray[np.float32], NDArray[Any]]):
    """`num_envs` fake cells behind the interface of `StreamFlowVectorEnv` with `Disabled` autoreset."""

    metadata: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.DISABLED}  # noqa: RUF012

    def __init__(self, num_envs: int, horizon: int = 12) -> None:
        self.num_envs = num_envs
        self.horizon = horizon
        self.cells = [FakeCell(horizon) for _ in range(num_envs)]
        first = self.cells[0]
        self.single_observation_space, self.single_action_space = first.observation_space, first.action_space
        self.observation_space = batch_space(first.observation_space, num_envs)
        self.action_space = batch_space(first.action_space, num_envs)
        self._observations = np.zeros((num_envs, 4), dtype=np.float32)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        assert options is not None
        mask, seeds = options["reset_mask"], options["episode_seed"]
        for index in np.flatnonzero(mask).tolist():
            self._observations[index], _ = self.cells[index].reset(options={"episode_seed": int(seeds[index])})
        return self._observations.copy(), as_vector_info({"episode_seed": np.array(seeds)}, mask)

    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        stepped = [cell.step(action) for cell, action in zip(self.cells, actions, strict=True)]
        observations, rewards, terminated, truncated, infos = zip(*stepped, strict=True)
        self._observations = np.array(observations)
        together = as_vector_info(_stacked(infos), np.ones(self.num_envs, dtype=bool))
        return self._observations.copy(), np.array(rewards), np.array(terminated), np.array(truncated), together

    def close_extras(self, **kwargs: Any) -> None:
        """There is nothing to close."""


def _stacked(infos: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    """The infos of all cells as one dictionary of arrays."""
    return {
        key: _stacked(tuple(info[key] for info in infos))
        if isinstance(value, dict)
        else np.array([info[key] for info in infos])
        for key, value in infos[0].items()
    }
