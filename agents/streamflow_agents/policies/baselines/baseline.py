"""The base class of baselines: policies with Stable-Baselines3's `predict`, written in natural units.

A baseline object holds no state. What it must remember of an episode is in `state`, like the hidden state of a
recurrent policy: a tuple with one memory per environment.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamflow_env.environment.observations import ObservationTable
from streamflow_env.errors import ConfigError
from streamflow_env.system import System

Memory = TypeVar("Memory")


class Baseline(ABC, Generic[Memory]):
    """A policy for one system; that system's observation table decodes its readings."""

    def __init__(self, system: System, table: ObservationTable) -> None:
        self.system = system
        self.table = table
        self.controls = system.control_table

    @abstractmethod
    def decide(self, readings: Mapping[str, float], memory: Memory | None) -> tuple[NDArray[np.float64], Memory]:
        """The settings in natural units, shape (num_controls,), and what to remember.

        `readings` are the observation's natural values by name; `memory` is None at the start of an episode.
        """

    def predict(
        self,
        observation: NDArray[np.floating],
        state: tuple[Memory | None, ...] | None = None,
        episode_start: ArrayLike | None = None,
        deterministic: bool = True,
    ) -> tuple[NDArray[np.float32], tuple[Memory, ...]]:
        """The action for an observation of shape (size,), or the actions for a batch of shape (n, size).

        `state` is what the last call returned; where `episode_start` is true it is forgotten.

        Raises:
            ConfigError: an observation, state or episode_start of the wrong shape.
        """
        observation = np.asarray(observation)
        if observation.ndim not in (1, 2) or observation.shape[-1] != self.table.size:
            raise ConfigError(
                f"observation has shape {observation.shape}, must be ({self.table.size},) or a batch of it"
            )
        decoded = self.table.decode(np.atleast_2d(observation))
        memories = self._memories(len(np.atleast_2d(observation)), state, episode_start)
        actions, remembered = [], []
        for index, memory in enumerate(memories):
            readings = {name: float(values[index]) for name, values in decoded.items()}
            settings, new_memory = self.decide(readings, memory)
            actions.append(self.controls.action(settings))
            remembered.append(new_memory)
        return np.stack(actions) if observation.ndim == 2 else actions[0], tuple(remembered)

    def _memories(
        self, num_envs: int, state: tuple[Memory | None, ...] | None, episode_start: ArrayLike | None
    ) -> list[Memory | None]:
        memories = [None] * num_envs if state is None else list(state)
        starts = np.zeros(num_envs, bool) if episode_start is None else np.atleast_1d(np.asarray(episode_start, bool))
        for name, given in (("state", len(memories)), ("episode_start", len(starts))):
            if given != num_envs:
                raise ConfigError(f"{name} is for {given} environments, the observation for {num_envs}")
        return [None if start else memory for memory, start in zip(memories, starts, strict=True)]
