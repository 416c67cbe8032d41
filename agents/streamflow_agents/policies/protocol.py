"""What a policy is: the one method that baselines, trained models and the evaluation share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Policy(Protocol):
    """What can be evaluated: an object with the `predict` method of Stable-Baselines3."""

    def predict(
        self,
        observation: NDArray[np.float32],
        state: Any = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[Any], Any]:
        """The action, and the state to hand in at the next call.

        Args:
            observation: shape (size,), or (num_envs, size) for a batch.
            state: None at first, then what the last call returned.
            episode_start: shape (num_envs,); where it is true the state is forgotten.
            deterministic: whether to leave out the exploration noise.
        """


class SinglePolicy(ABC):
    """A deterministic policy of one environment. A subclass writes `act` and has `predict` from here.

    A policy that changes what another one does calls `base.predict(observation, memory, deterministic=True)` in `act`,
    and keeps the returned memory as a part of its own.
    """

    @abstractmethod
    def act(self, observation: NDArray[np.float32], memory: Any) -> tuple[NDArray[Any], Any]:
        """The action for an observation of shape (size,), and what to remember; `memory` is None at first."""

    def predict(
        self,
        observation: NDArray[np.float32],
        state: Any = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[Any], Any]:
        """As `Policy.predict`, of one observation."""
        starts = episode_start is not None and bool(np.any(episode_start))
        return self.act(observation, None if starts else state)
