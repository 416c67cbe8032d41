"""One part of a baseline by itself, given readings by name, of one cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import numpy as np

from streamflow_agents.policies.baselines.desk import Desk
from streamflow_agents.policies.baselines.parts import Part
from streamflow_env.environment.observations import ObservationTable
from streamflow_env.system import System

AnyPart = TypeVar("AnyPart", bound=Part[Any])


class PartAlone(Generic[AnyPart]):
    """Remembers for the part, from `begin` on."""

    def __init__(self, system: System, table: ObservationTable, make: Callable[[Desk], AnyPart]) -> None:
        self._desk = Desk(system, table)
        self._controls = system.control_table
        self.part = make(self._desk)
        self.begin()

    def begin(self) -> None:
        self._memory: Any = self.part.begin(1)

    def settings(self, readings: Mapping[str, float]) -> dict[str, float]:
        """The settings by control after a step of the part, which begins with the default ones."""
        settings = self._controls.default[:, None].copy()
        rows = np.array([[readings[name]] for name in self._desk.readings])
        numbers = np.array([[number] for number in self._desk.numbers.values()])
        self._memory = self.part.adjust(settings, rows, numbers, self._memory)
        return dict(zip(self._controls.names, settings[:, 0].tolist(), strict=True))
