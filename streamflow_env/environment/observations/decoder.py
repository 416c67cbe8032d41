"""From an observation back to natural values, of some of its readings, for one observation or a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamflow_env.environment.observations.fields import Field
from streamflow_env.errors import ConfigError
from streamflow_env.system.controls import ControlTable

HOURS_A_DAY: Final = 24.0
HOUR: Final = "time_of_day_h"
"""The reading that is decoded from the sine and the cosine of the time of day."""


class Decoder:
    """Decodes the readings `names`. `fields` are those of the observation."""

    def __init__(self, names: Sequence[str], fields: Sequence[Field], controls: ControlTable) -> None:
        columns = {field.name: index for index, field in enumerate(fields)}
        for name in names:
            if name not in columns and name != HOUR:
                raise ConfigError(f"the observation has no reading {name!r}")
        self.names = tuple(names)
        self._controls = controls
        self._sine = columns["time_of_day.sin"]
        self._columns = np.array([columns.get(name, self._sine) for name in names], dtype=np.intp)
        chosen = [fields[column] for column in self._columns]
        self._log = np.array([i for i, f in enumerate(chosen) if f.scale == "log"], dtype=np.intp)
        self._whole = np.array([i for i, f in enumerate(chosen) if f.whole], dtype=np.intp)
        self._settings = np.array([i for i, f in enumerate(chosen) if f.scale == "control"], dtype=np.intp)
        self._hour = names.index(HOUR) if HOUR in names else None
        self._high = _column([f.high for f in chosen])
        self._knee = _column([chosen[i].knee for i in self._log])
        self._norm = np.log1p(_column([chosen[i].high for i in self._log]) / self._knee)

    def __call__(self, observation: NDArray[np.floating]) -> NDArray[np.float64]:
        """Natural values, shape (len(names), …), of an observation of shape (size,) or (n, size)."""
        encoded = np.atleast_2d(observation).T
        rows = encoded[self._columns].astype(np.float64)
        values = rows * self._high
        values[self._log] = self._knee * np.expm1(rows[self._log] * self._norm)
        values[self._whole] = np.rint(values[self._whole])
        if self._settings.size:
            first = len(encoded) - len(self._controls)
            settings = self._controls.naturals(encoded[first:].T).T
            values[self._settings] = settings[self._columns[self._settings] - first]
        if self._hour is not None:
            sine, cosine = encoded[self._sine : self._sine + 2].astype(np.float64)
            values[self._hour] = np.arctan2(sine, cosine) / (2.0 * np.pi) * HOURS_A_DAY % HOURS_A_DAY
        return values if np.ndim(observation) == 2 else values[:, 0]


def _column(values: Sequence[float]) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64).reshape(-1, 1)
