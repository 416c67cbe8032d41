"""Learning from groups of cells on the same luck: PPO whose baseline is what the others of the group got.

An episode's seed fixes its users, incidents and noise. The K cells of a group meet the same episode; they differ by
their exploration alone. Let G_i(t) be what cell i still gets from step t on, discounted, and m(t) the mean over the
group. The advantage of its action is G_i(t) − m(t). Why this is right:

1. The gradient wants E[∇log π(a_i) · G_i]. Anything that does not depend on a_i may be taken off G_i, as
   E[∇log π(a_i)] = 0.
2. Given the seed, the others' G_j do not depend on a_i: each cell has a simulator and exploration noise of its own.
   So a baseline of the mean over the others, m_i' = Σ_{j≠i} G_j / (K − 1), adds no bias.
3. m = G_i / K + (1 − 1/K) m_i', so G_i − m = (1 − 1/K) (G_i − m_i'). Taking off the mean of all K gives the gradient
   times 1 − 1/K exactly. That is a step size.
4. Luck moves G_i and m_i' alike and cancels. What is left is what the actions did.

Then all advantages of a group in an episode are divided by their standard deviation. A calm episode thus weighs as
much as a storm, whose returns differ ten times more. This is a bias, and wanted: it is the gradient of another
objective, in which each episode's return counts in units of its own spread under exploration. The divisor has the
action's own share in it, about 1 / (K · number of steps). Last, advantages are clipped at ±4 spreads.

With `critic`, m(t) is taken off the rewards, step by step, and the value function is learned of what is left. The
advantage is then that of GAE on it, divided and clipped alike. It no longer sums to 0 over a group.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer

from streamflow_env.errors import ConfigError

LARGEST: Final = 4.0
"""Advantages are clipped at so many spreads of their group: one strange cell must not decide an update."""
LEAST_SPREAD: Final = 1e-6
"""Below it the cells of a group did the same, and there is nothing to learn from."""


class GroupRolloutBuffer(RolloutBuffer):
    """Rollouts of whole episodes in groups of `group_size` neighbouring cells that share each episode's seed."""

    def __init__(self, *arguments: Any, group_size: int, critic: bool, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        if self.n_envs % group_size:
            raise ConfigError(f"num_cells {self.n_envs}: must be a multiple of group_size = {group_size}")
        self.group_size = group_size
        self.critic = critic

    def compute_returns_and_advantage(self, last_values: torch.Tensor, dones: NDArray[Any]) -> None:
        """Fill `advantages` and `returns` as the module's docstring says.

        Raises:
            ConfigError: the rollout is not whole episodes, which the cells of each group begin together.
        """
        self._check(dones)
        if self.critic:
            self.rewards -= self._group_mean(self.rewards)
            super().compute_returns_and_advantage(last_values, dones)
        else:
            returns = self._to_go()
            self.advantages = returns - self._group_mean(returns)
            self.returns = self.advantages + self.values
        for episode, group in self._episodes():
            part = self.advantages[episode, group]
            spread = max(float(part.std()), LEAST_SPREAD)
            self.advantages[episode, group] = np.clip(part / spread, -LARGEST, LARGEST)

    def _to_go(self) -> NDArray[np.float32]:
        """The discounted sum of the rewards from each step to the end of its episode."""
        to_go = self.rewards.copy()
        for step in reversed(range(self.buffer_size - 1)):
            to_go[step] += self.gamma * (1.0 - self.episode_starts[step + 1]) * to_go[step + 1]
        return to_go

    def _group_mean(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """For each step and cell the mean over the cell's group."""
        means = values.reshape(self.buffer_size, -1, self.group_size).mean(axis=2)
        return np.repeat(means, self.group_size, axis=1)

    def _episodes(self) -> Iterator[tuple[slice, slice]]:
        """The steps and the cells of each group's episodes."""
        for first in range(0, self.n_envs, self.group_size):
            borders = [*np.flatnonzero(self.episode_starts[:, first]).tolist(), self.buffer_size]
            for begin, end in pairwise(borders):
                yield slice(begin, end), slice(first, first + self.group_size)

    def _check(self, dones: NDArray[Any]) -> None:
        if not (self.episode_starts[0].all() and np.all(dones)):
            raise ConfigError(f"num_steps {self.buffer_size}: must be the length of an episode, or a multiple of it")
        together = self.episode_starts.reshape(self.buffer_size, -1, self.group_size)
        if (together != together[..., :1]).any():
            raise ConfigError(f"group_size {self.group_size}: the cells of a group must begin their episodes together")


class SameLuckPPO(PPO):
    """PPO with the advantages of `GroupRolloutBuffer`. Its cells are a `SeededVecEnv` with the same `group_size`.

    Without `critic` the value function is not learned; its output must be 0, as `no_value` makes it, for
    Stable-Baselines3 adds it to the last reward of an episode that ends by its horizon.
    """

    def __init__(self, *arguments: Any, group_size: int = 8, critic: bool = False, **settings: Any) -> None:
        settings |= {"rollout_buffer_class": GroupRolloutBuffer, "normalize_advantage": False}
        settings["rollout_buffer_kwargs"] = {"group_size": group_size, "critic": critic}
        super().__init__(*arguments, **settings)

    def no_value(self) -> None:
        """Make the value function 0 everywhere."""
        with torch.no_grad():
            for parameter in self.policy.value_net.parameters():
                parameter.zero_()
