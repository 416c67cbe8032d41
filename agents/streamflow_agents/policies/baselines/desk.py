"""What the parts of a policy have before them: readings, numbers and settings, as rows of arrays.

Every array has one row for each thing and one column for each cell, shape (rows, cells). So a part acts on many cells
as it acts on one, and a number may be another one in each cell. A part asks for its rows once, as it is made.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from streamflow_env.environment.observations import ObservationTable
from streamflow_env.environment.observations.decoder import HOUR
from streamflow_env.errors import ConfigError
from streamflow_env.system import System

Rows = NDArray[np.float64]
"""Shape (rows, cells); of numbers that are the same in each cell, (rows, 1)."""
Cells = NDArray[np.float64]
"""Shape (cells,)."""
Index = NDArray[np.intp]

REMEMBERED_S = 600.0
"""So far back a part remembers that looks back, or as far as its file asks for, if that is more. What is older is
forgotten: a number that is moved to a longer time does not bring it back. Assumed."""


class Desk:
    """Gives out rows while a policy is made.

    Attributes:
        readings: the names of the readings that the parts look at, in the order of their rows.
        numbers: by path, the numbers that the parts act by, in the order of their rows.
    """

    def __init__(self, system: System, table: ObservationTable) -> None:
        self.system = system
        self.readings: list[str] = []
        self.numbers: dict[str, float] = {}
        self._known = {*table.names, HOUR}

    def reading(self, name: str, where: str = "policy") -> int:
        """The row of a reading. Raises ConfigError where the observation lacks it; `where` begins the message."""
        if not self.has_reading(name):
            raise ConfigError(f"{where}: the observation has no reading {name!r}")
        if name not in self.readings:
            self.readings.append(name)
        return self.readings.index(name)

    def has_reading(self, name: str) -> bool:
        """Whether the observation has a reading of this name."""
        return name in self._known

    def number(self, path: str, value: float) -> int:
        """The row of the number at `path` of the policy's file, which is `value` where it is not moved.

        Raises:
            ConfigError: the file has two numbers of this path.
        """
        if self.numbers.setdefault(path, float(value)) != value:
            raise ConfigError(f"{path}: given twice, as {self.numbers[path]} and as {value}")
        return list(self.numbers).index(path)

    def control(self, name: str) -> int:
        """The row of a control's setting, in natural units."""
        return self.system.control_table.names.index(name)


def rows(indices: Iterable[int]) -> Index:
    """Rows, to take several at once."""
    return np.array(list(indices), dtype=np.intp)
