"""A cell without a simulator, of the environment's shape: quick, so that training itself can be tested."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

CONTROLS = ("replicas", "threshold", "rate")
DO_NOTHING = (-0.4, 1.0, -1.0)


class FakeCell(gym.Env[NDArray[np.float32], NDArray[np.float32]]):
    """A load that drifts at random; the reward is best when the first control follows it, the others as found."""

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
        return self._observe(), {"seed": seed}

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
