"""Policies made of parts: each part changes some of the settings, in turn; a later part overrides an earlier one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from streamflow_agents.policies.baselines.baseline import Baseline
from streamflow_env.environment.observations import ObservationTable
from streamflow_env.errors import ConfigError
from streamflow_env.system import System

Memory = TypeVar("Memory")
Settings = dict[str, float]
"""By control name, natural units."""


class Part(ABC, Generic[Memory]):
    """A part of a policy. It holds no state: it returns what it must remember, and receives it at the next step."""

    @abstractmethod
    def adjust(self, settings: Settings, readings: Mapping[str, float], memory: Memory | None) -> Memory:
        """Change `settings` in place, and return what to remember; `memory` is None at the start of an episode."""


class Composite(Baseline[tuple[Any, ...]]):
    """The default settings, adjusted by `parts` one after the other; each control is kept within its range."""

    def __init__(self, system: System, table: ObservationTable, parts: Sequence[Part[Any]]) -> None:
        super().__init__(system, table)
        self.parts = tuple(parts)
        self._low = np.array([control.low for control in system.controls])
        self._high = np.array([control.high for control in system.controls])

    def decide(
        self, readings: Mapping[str, float], memory: tuple[Any, ...] | None
    ) -> tuple[NDArray[np.float64], tuple[Any, ...]]:
        settings = dict(zip(self.controls.names, self.controls.default.tolist(), strict=True))
        memories = memory or (None,) * len(self.parts)
        remembered = tuple(part.adjust(settings, readings, own) for part, own in zip(self.parts, memories, strict=True))
        values = np.array([settings[name] for name in self.controls.names])
        return np.clip(values, self._low, self._high), remembered


class Fixed(Part[None]):
    """Always `settings`. Raises ConfigError for a control that the system lacks, or a value out of its range."""

    def __init__(self, system: System, settings: Mapping[str, float]) -> None:
        system.control_table.with_values(**settings)
        self._settings = dict(settings)

    def adjust(self, settings: Settings, readings: Mapping[str, float], memory: None) -> None:
        settings.update(self._settings)


class Autoscalers(Part[Any]):
    """The replicas that another policy would set; with `largest`, only where they are more than those already set."""

    def __init__(self, policy: Baseline[Any], *, largest: bool = False) -> None:
        self._policy = policy
        self._largest = largest
        replicas = {c.name for c in policy.system.controls if c.parameter == "replicas"}
        self._controls = [(i, name) for i, name in enumerate(policy.controls.names) if name in replicas]

    def adjust(self, settings: Settings, readings: Mapping[str, float], memory: Any) -> Any:
        found, remembered = self._policy.decide(readings, memory)
        for index, name in self._controls:
            wanted = float(found[index])
            settings[name] = max(settings[name], wanted) if self._largest else wanted
        return remembered


def check_readings(table: ObservationTable, names: Sequence[str], where: str) -> None:
    """Raises ConfigError where the observation lacks one of the readings `names`; `where` begins the message."""
    for name in names:
        if name not in table.names:
            raise ConfigError(f"{where}: the observation has no reading {name!r}")
