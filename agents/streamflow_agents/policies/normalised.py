"""A network behind the normalisation of its observations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamflow_agents.policies.protocol import Policy


@dataclass(frozen=True)
class Normalisation:
    """Observations less `mean`, over the root of `variance` + `epsilon`, within ±`clip`; as `VecNormalize` does it.

    `mean` and `variance` have the shape (size,) and the type float64.
    """

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    epsilon: float
    clip: float

    def __call__(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        """Normalised `observations`, of shape (size,) or (num_envs, size)."""
        scaled = (observations - self.mean) / np.sqrt(self.variance + self.epsilon)
        return np.clip(scaled, -self.clip, self.clip).astype(np.float32)


def normalisation_of(statistics: Any) -> Normalisation | None:
    """The normalisation of observations of `statistics`, a `VecNormalize`; None if it leaves them as they are."""
    if not statistics.norm_obs:
        return None
    mean, variance = statistics.obs_rms.mean, statistics.obs_rms.var
    return Normalisation(mean, variance, float(statistics.epsilon), float(statistics.clip_obs))


class NormalisedPolicy:
    """`network`, a model or policy of Stable-Baselines3, behind `normalisation`, None for none."""

    def __init__(self, network: Policy, normalisation: Normalisation | None) -> None:
        self.network = network
        self.normalisation = normalisation

    def predict(
        self,
        observation: NDArray[np.float32],
        state: Any = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[Any], Any]:
        """The network's action, of a shape that matches the observation's, and its hidden state."""
        if self.normalisation is not None:
            observation = self.normalisation(observation)
        return self.network.predict(observation, state, episode_start, deterministic)
