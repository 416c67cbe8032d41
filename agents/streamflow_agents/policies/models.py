"""Which class of Stable-Baselines3, and which network, belong to the name of an algorithm. Importing it loads torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from gymnasium import spaces
from pydantic import BaseModel, ConfigDict, Field
from sb3_contrib import TQC, RecurrentPPO
from sb3_contrib.tqc.policies import TQCPolicy
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.sac.policies import SACPolicy

from streamflow_agents.policies.networks import DefaultStartPolicy, DefaultStartRecurrentPolicy, HeldNoisePolicy
from streamflow_env.errors import ConfigError
from streamflow_env.system.schema import Count

CLIPPED_MEAN: Final = 2.5
"""The largest mean of the actor of SAC and TQC before the tanh; tanh(2.5) is 0.987."""


class NetworkSettings(BaseModel):
    """The hyperparameters that the network is built by; the others are left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    hidden_layers: tuple[Count, ...] = Field(min_length=1)
    memory_size: Count | None = None


@dataclass(frozen=True)
class Model:
    """`arguments` turns hyperparameters, which have what `NetworkSettings` has, into arguments of `policy`."""

    kind: type[BaseAlgorithm]
    policy: type[BasePolicy]
    arguments: Callable[[Any], dict[str, Any]]


def find_model(algorithm: str) -> Model:
    """The model that `algorithm` trains. Raises ConfigError, which lists the known algorithms."""
    if algorithm not in MODELS:
        raise ConfigError(f"algorithm {algorithm!r}: must be one of {', '.join(MODELS)}")
    return MODELS[algorithm]


def build_network(
    algorithm: str, settings: NetworkSettings, observations: spaces.Space[Any], actions: spaces.Space[Any]
) -> BasePolicy:
    """What acts, untrained: the actor without critics where the algorithm keeps them apart. Raises ConfigError."""
    model = find_model(algorithm)
    return actor_of(model.policy(observations, actions, _unused_rate, use_sde=True, **model.arguments(settings)))


def actor_of(policy: BasePolicy) -> BasePolicy:
    """What acts of the whole `policy` of a model."""
    actor = getattr(policy, "actor", policy)
    assert isinstance(actor, BasePolicy)
    return actor


def _unused_rate(_: float) -> float:
    return 0.0


def _actor_and_critic(settings: Any) -> dict[str, Any]:
    layers = list(settings.hidden_layers)
    return {"net_arch": {"pi": layers, "vf": layers}}


def _with_memory(settings: Any) -> dict[str, Any]:
    if settings.memory_size is None:
        raise ConfigError("hyperparameters.memory_size: required key is missing")
    return _actor_and_critic(settings) | {"lstm_hidden_size": settings.memory_size}


def _squashed(settings: Any) -> dict[str, Any]:
    return {"net_arch": list(settings.hidden_layers), "clip_mean": CLIPPED_MEAN}


MODELS: Final[dict[str, Model]] = {
    "ppo": Model(PPO, DefaultStartPolicy, _actor_and_critic),
    "recurrent_ppo": Model(RecurrentPPO, DefaultStartRecurrentPolicy, _with_memory),
    # it acts as PPO does; only its training differs (`SameLuckPPO`)
    "same_luck_ppo": Model(PPO, HeldNoisePolicy, _actor_and_critic),
    "sac": Model(SAC, SACPolicy, _squashed),
    "tqc": Model(TQC, TQCPolicy, _squashed),
}
