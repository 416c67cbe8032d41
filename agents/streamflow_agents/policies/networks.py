"""The policy networks that PPO trains, without and with a memory: they start at the default action."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import torch
from gymnasium import spaces
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.distributions import Distribution, StateDependentNoiseDistribution
from stable_baselines3.common.policies import ActorCriticPolicy

SETTLING_STEPS: Final = 32
"""The number of equal observations after which the memory's output is taken to have its usual size."""


class DefaultStartPolicy(ActorCriticPolicy):
    """An actor whose mean action is `start_action` at first, whatever it observes, and never leaves [-1, 1].

    Several controls have their default at an end of their axis. A mean that drifts beyond the end would need many
    updates to come back, and meanwhile every sample is clipped and nothing is learned: see `ToBox`.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Callable[[float], float],
        *,
        start_action: list[float] | None = None,
        **settings: Any,
    ) -> None:
        self._start_action = start_action or [0.0] * spaces.flatdim(action_space)
        super().__init__(observation_space, action_space, lr_schedule, **settings)

    def _build(self, lr_schedule: Callable[[float], float]) -> None:
        super()._build(lr_schedule)
        with torch.no_grad():
            self.action_net.get_parameter("bias").copy_(torch.tensor(self._start_action))
        self.action_net = torch.nn.Sequential(self.action_net, ToBox())

    def set_exploration(self, std: float, observations: torch.Tensor) -> None:
        """Make the exploration noise's standard deviation `std` on average over `observations`, in actions' units.

        With state-dependent exploration the noise grows with the size of the features, so it is divided by that size.
        """
        with torch.no_grad():
            size = 1.0
            if self.use_sde:
                size = float(self._actor_features(observations).square().sum(dim=1).mean().sqrt())
            self.log_std.fill_(math.log(std / max(size, 1e-6)))

    def _actor_features(self, observations: torch.Tensor) -> torch.Tensor:
        return self.mlp_extractor.forward_actor(observations)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {**super()._get_constructor_parameters(), "start_action": self._start_action}


class HeldNoisePolicy(DefaultStartPolicy):
    """The same, but the noise does not depend on the state: from one draw to the next it pushes in one direction.

    With noise that grows with the features it turns with every reading that jumps: the cosine between the features of
    two neighbouring steps was 0.7 in an episode of `normal` and one of `retry-storm`. So here the
    features that the noise sees are constant, of length 1.
    """

    def _actor_features(self, observations: torch.Tensor) -> torch.Tensor:
        return self._constant(len(observations))

    def _get_action_dist_from_latent(self, latent_pi: torch.Tensor) -> Distribution:
        assert isinstance(self.action_dist, StateDependentNoiseDistribution)
        means = self.action_net(latent_pi)
        return self.action_dist.proba_distribution(means, self.log_std, self._constant(len(latent_pi)))

    def _constant(self, num_rows: int) -> torch.Tensor:
        size = self.mlp_extractor.latent_dim_pi
        return torch.full((num_rows, size), size**-0.5)


class DefaultStartRecurrentPolicy(DefaultStartPolicy, RecurrentActorCriticPolicy):
    """The same with a memory: an LSTM between the observations and the actor, and another for the critic."""

    def _actor_features(self, observations: torch.Tensor) -> torch.Tensor:
        remembered, _ = self.lstm_actor(observations.expand(SETTLING_STEPS, *observations.shape))
        return self.mlp_extractor.forward_actor(remembered[-1])


class ToBox(torch.nn.Module):
    """Clips means to [-1, 1]; where a mean is at an end, only the gradient that leads back inside passes."""

    def forward(self, means: torch.Tensor) -> torch.Tensor:
        return _Projection.apply(means)  # type: ignore[no-any-return,no-untyped-call]


class _Projection(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, means: torch.Tensor) -> torch.Tensor:
        context.save_for_backward(means)
        return means.clamp(-1.0, 1.0)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
        (means,) = context.saved_tensors
        # a step of descent moves against the gradient
        outward = ((means >= 1.0) & (gradient < 0)) | ((means <= -1.0) & (gradient > 0))
        return gradient.masked_fill(outward, 0.0)
