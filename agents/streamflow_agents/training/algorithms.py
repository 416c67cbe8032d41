"""The learning algorithms by name: their hyperparameters, the model they make, and its start at the default action."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

import numpy as np
import torch
from pydantic import Field, model_validator
from sb3_contrib import TQC, RecurrentPPO
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecNormalize

from streamflow_agents.policies.models import find_model
from streamflow_agents.policies.residual import ResidualSettings
from streamflow_agents.training.same_luck import SameLuckPPO
from streamflow_agents.training.vec_env import Cut
from streamflow_env.paths import config_path
from streamflow_env.system.schema import Count, Flag, Fraction, Frozen, NonNegative, Number, Positive, Size, load

LARGEST_MEAN: Final = 0.97
"""Where SAC and TQC start for a control whose default is at an end of its axis: tanh never reaches 1."""


LayerSize = Annotated[Count, Field(le=8192)]


class Settings(Frozen):
    """What every algorithm has; `configs/training/*.yaml` say what each number means.

    With `residual` the network moves a baseline; see `streamflow_agents.policies.residual`.
    """

    learning_rate: Annotated[Positive, Field(le=1)]
    final_learning_rate_fraction: Fraction
    num_steps: Annotated[Count, Field(le=1_000_000)]
    batch_size: Annotated[Count, Field(le=10_000_000)]
    discount: Fraction
    hidden_layers: tuple[LayerSize, ...] = Field(min_length=1, max_length=16)
    start_std: Annotated[Positive, Field(le=100)]
    residual: ResidualSettings | None = None

    @property
    def normalises_rewards(self) -> bool:
        """Whether rewards are divided by the standard deviation of the return."""
        return True

    def cut(self, num_cells: int) -> Cut | None:
        """When training episodes are cut short."""
        return None


class CuttingSettings(Settings):
    """What algorithms have that cut episodes short and whose cells are at different times of their episodes."""

    collapse_below: Fraction
    collapse_steps: Count
    stagger_steps: Count

    def cut(self, num_cells: int) -> Cut | None:
        first_steps = 1 + np.arange(num_cells) * self.stagger_steps // num_cells
        return Cut(self.collapse_below, self.collapse_steps, first_steps)


class ClippingSettings(Settings):
    """What the algorithms have that clip the change of the policy, as PPO does."""

    num_epochs: Annotated[Count, Field(le=1000)]
    gae_lambda: Fraction
    clip_fraction: Annotated[Positive, Field(le=10)]
    target_kl: Positive | None
    entropy_weight: NonNegative
    value_weight: NonNegative
    max_gradient_norm: Positive
    noise_steps: Count


class PpoSettings(ClippingSettings, CuttingSettings):
    """Hyperparameters of PPO."""


class SameLuckSettings(ClippingSettings):
    """Hyperparameters of PPO on groups of cells that share their luck; see `streamflow_agents.training.same_luck`."""

    group_size: Annotated[Count, Field(le=10_000)]
    groups_per_member: Annotated[Count, Field(le=10_000)]
    even_members: Flag
    critic: Flag

    @property
    def normalises_rewards(self) -> bool:
        """Group advantages have a scale of their own, so only a critic needs it."""
        return self.critic

    def num_cells(self, num_members: int) -> int:
        """The cells that a training has unless it is told otherwise."""
        return self.group_size * self.groups_per_member * num_members


class RecurrentPpoSettings(PpoSettings):
    """Hyperparameters of PPO with a memory: an LSTM before the actor, another before the critic."""

    memory_size: LayerSize


class SacSettings(CuttingSettings):
    """Hyperparameters of SAC."""

    num_updates: Annotated[Count, Field(le=100_000)]
    replay_size: Annotated[Count, Field(le=5_000_000)]
    first_update_at: Size
    target_update_fraction: Fraction
    start_entropy_weight: Positive
    target_entropy_per_control: Number


class TqcSettings(SacSettings):
    """Hyperparameters of TQC: SAC whose critics learn quantiles of the return, the highest of which are dropped."""

    num_critics: Annotated[Count, Field(le=64)]
    num_quantiles: Annotated[Count, Field(le=1000)]
    num_dropped_quantiles: Size

    @model_validator(mode="after")
    def _check(self) -> TqcSettings:
        if self.num_dropped_quantiles >= self.num_quantiles:
            raise ValueError(f"num_dropped_quantiles = {self.num_dropped_quantiles}: must be below num_quantiles")
        return self


@dataclass(frozen=True)
class Algorithm:
    """`options` turns settings, number of cells and start action into arguments of `model`; `start` sets its actor.

    The network is that of `MODELS`.
    """

    settings: type[Settings]
    model: type[BaseAlgorithm]
    options: Callable[[Any, int, tuple[float, ...]], dict[str, Any]]
    start: Callable[[Any, Settings, tuple[float, ...], torch.Tensor], None]


@dataclass(frozen=True)
class Falling:
    """A schedule from `start` to its `final_fraction`; SB3 passes the share of the training that remains."""

    start: float
    final_fraction: float

    def __call__(self, remaining: float) -> float:
        return self.start * (self.final_fraction + (1.0 - self.final_fraction) * remaining)


def load_settings(algorithm: str) -> Settings:
    """The hyperparameters of `algorithm`, of `configs/training/<algorithm>.yaml`. Raises ConfigError."""
    return load(find_algorithm(algorithm).settings, config_path("training", algorithm))


def find_algorithm(name: str) -> Algorithm:
    """The algorithm called `name`. Raises ConfigError, which lists the names there are."""
    find_model(name)
    return ALGORITHMS[name]


def build_model(
    name: str, settings: Settings, cells: VecNormalize, start_action: tuple[float, ...], seed: int
) -> BaseAlgorithm:
    """An untrained model on `cells` that takes `start_action`, and a little noise, whatever it observes."""
    model = make_model(name, settings, cells, start_action, seed)
    find_algorithm(name).start(model, settings, start_action, torch.as_tensor(cells.reset()))
    if settings.residual is not None:
        _forget_observations(model)
    return model


def make_model(
    name: str, settings: Settings, cells: VecNormalize, start_action: tuple[float, ...], seed: int
) -> BaseAlgorithm:
    """A model on `cells` whose networks are still to be set; the cells are not reset."""
    algorithm, network = find_algorithm(name), find_model(name)
    options = algorithm.options(settings, cells.num_envs, start_action)
    options["policy_kwargs"] = network.arguments(settings) | options.get("policy_kwargs", {})
    return algorithm.model(
        network.policy,
        cells,
        learning_rate=Falling(settings.learning_rate, settings.final_learning_rate_fraction),
        seed=seed,
        device="cpu",
        **options,
    )


def _forget_observations(model: Any) -> None:
    """Make the mean action the same whatever is observed, exactly, until something is learned."""
    last = model.actor.mu[0] if hasattr(model, "actor") else model.policy.action_net[0]
    with torch.no_grad():
        last.weight.zero_()


def _ppo_options(settings: ClippingSettings, num_cells: int, start_action: tuple[float, ...]) -> dict[str, Any]:
    return {
        "n_steps": settings.num_steps,
        "batch_size": min(settings.batch_size, settings.num_steps * num_cells),
        "n_epochs": settings.num_epochs,
        "gamma": settings.discount,
        "gae_lambda": settings.gae_lambda,
        "clip_range": settings.clip_fraction,
        "target_kl": settings.target_kl,
        "ent_coef": settings.entropy_weight,
        "vf_coef": settings.value_weight,
        "max_grad_norm": settings.max_gradient_norm,
        "use_sde": True,
        "sde_sample_freq": settings.noise_steps,
        "policy_kwargs": {"start_action": list(start_action)},
    }


def _same_luck_options(settings: SameLuckSettings, num_cells: int, start_action: tuple[float, ...]) -> dict[str, Any]:
    options = _ppo_options(settings, num_cells, start_action)
    options["vf_coef"] = settings.value_weight if settings.critic else 0.0
    return options | {"group_size": settings.group_size, "critic": settings.critic}


def _sac_options(settings: SacSettings, num_cells: int, start_action: tuple[float, ...]) -> dict[str, Any]:
    """The noise is drawn anew every `num_steps`; before the first update too it is the policy's, not uniform."""
    return {
        "train_freq": settings.num_steps,
        "gradient_steps": settings.num_updates,
        "batch_size": settings.batch_size,
        "gamma": settings.discount,
        "buffer_size": max(settings.replay_size, settings.num_steps * num_cells),
        "learning_starts": settings.first_update_at,
        "tau": settings.target_update_fraction,
        "ent_coef": f"auto_{settings.start_entropy_weight}",
        "target_entropy": settings.target_entropy_per_control * len(start_action),
        "use_sde": True,
        "use_sde_at_warmup": True,
    }


def _tqc_options(settings: TqcSettings, num_cells: int, start_action: tuple[float, ...]) -> dict[str, Any]:
    options = _sac_options(settings, num_cells, start_action)
    options["top_quantiles_to_drop_per_net"] = settings.num_dropped_quantiles
    options["policy_kwargs"] = {"n_critics": settings.num_critics, "n_quantiles": settings.num_quantiles}
    return options


def _start_ppo(model: Any, settings: Settings, start_action: tuple[float, ...], observations: torch.Tensor) -> None:
    """The policy is built at its start action; only the size of the noise is left to set."""
    model.policy.set_exploration(settings.start_std, observations)


def _start_same_luck(
    model: Any, settings: Settings, start_action: tuple[float, ...], observations: torch.Tensor
) -> None:
    """As PPO's. If observations are normalised, a rollout with the start action shows first how they are spread."""
    cells: VecNormalize = model.get_env()
    for _ in range(settings.num_steps if cells.norm_obs else 0):
        cells.step(np.tile(np.array(start_action, dtype=np.float32), (cells.num_envs, 1)))
    _start_ppo(model, settings, start_action, observations)
    if not model.rollout_buffer.critic:
        model.no_value()


def _start_sac(model: Any, settings: Settings, start_action: tuple[float, ...], observations: torch.Tensor) -> None:
    """The mean's layer returns the start action for every input; the noise has the size `start_std` before the tanh."""
    actor = model.actor
    with torch.no_grad():
        actor.mu[0].weight.mul_(0.01)
        bounded = np.clip(start_action, -LARGEST_MEAN, LARGEST_MEAN)
        actor.mu[0].bias.copy_(torch.as_tensor(np.arctanh(bounded)))
        features = actor.latent_pi(actor.extract_features(observations, actor.features_extractor))
        size = float(features.square().sum(dim=1).mean().sqrt())
        actor.log_std.fill_(math.log(settings.start_std / max(size, 1e-6)))


ALGORITHMS: Final[dict[str, Algorithm]] = {
    "ppo": Algorithm(PpoSettings, PPO, _ppo_options, _start_ppo),
    "recurrent_ppo": Algorithm(RecurrentPpoSettings, RecurrentPPO, _ppo_options, _start_ppo),
    "same_luck_ppo": Algorithm(SameLuckSettings, SameLuckPPO, _same_luck_options, _start_same_luck),
    "sac": Algorithm(SacSettings, SAC, _sac_options, _start_sac),
    "tqc": Algorithm(TqcSettings, TQC, _tqc_options, _start_sac),
}
