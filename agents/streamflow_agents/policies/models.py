"""Which Stable-Baselines3 class belongs to the name of an algorithm. Importing this module loads torch."""

from __future__ import annotations

from typing import Final

from sb3_contrib import TQC, RecurrentPPO
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm

from streamflow_env.errors import ConfigError

MODELS: Final[dict[str, type[BaseAlgorithm]]] = {
    "ppo": PPO,
    "recurrent_ppo": RecurrentPPO,
    "same_luck_ppo": PPO,  # it acts as PPO does; only its training differs (`SameLuckPPO`)
    "sac": SAC,
    "tqc": TQC,
}


def find_model(algorithm: str) -> type[BaseAlgorithm]:
    """The class of the models that `algorithm` trains. Raises ConfigError, which lists the known algorithms."""
    if algorithm not in MODELS:
        raise ConfigError(f"algorithm {algorithm!r}: must be one of {', '.join(MODELS)}")
    return MODELS[algorithm]
