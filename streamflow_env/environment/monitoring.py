"""What the monitoring of each cell shows: measurements that may be late and inaccurate, as its episode says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines.draws.errors_of_measurement import draw_errors
from streamflow_env.episode import Episode

Floats = NDArray[np.float64]


class Monitoring:
    """The last measured values of `num_cells` cells, and what is shown of them.

    The values are in natural units, shape (num_cells, num_fields). Shown are those of as many control intervals ago as
    the cell's episode says; before that, the oldest there are. Each is multiplied by 1 + noise times a standard normal
    number. That number depends on the episode's seed, the step and the field alone.
    """

    def __init__(self, num_cells: int, num_fields: int) -> None:
        self._cells = np.arange(num_cells)
        self._last = np.zeros((1, num_cells, num_fields))  # newest first
        self._delay = np.zeros(num_cells, dtype=np.intp)
        self._noise = np.zeros((num_cells, 1))
        self._seeds = np.zeros(num_cells, dtype=np.int64)
        self._steps = np.zeros(num_cells, dtype=np.int64)

    def begin(self, cells: NDArray[np.intp], episodes: Sequence[Episode], values: Floats) -> None:
        """An episode begins in each of `cells`; `values` are the first of all cells."""
        for cell, episode in zip(cells.tolist(), episodes, strict=True):
            self._delay[cell], self._noise[cell] = episode.delay_intervals, episode.noise_fraction
            self._seeds[cell] = episode.seed
        self._steps[cells] = 0
        missing = int(self._delay.max()) + 1 - len(self._last)
        if missing > 0:
            self._last = np.concatenate((self._last, np.repeat(self._last[-1:], missing, axis=0)))
        self._last[:, cells] = values[cells]

    def record(self, cells: NDArray[np.intp], values: Floats) -> None:
        """One more interval of `cells` has been measured; `values` are those of all cells."""
        self._steps[cells] += 1
        if len(self._last) > 1:
            self._last[1:, cells] = self._last[:-1, cells]
        self._last[0, cells] = values[cells]

    def show(self) -> Floats:
        """What is shown of each cell now, shape (num_cells, num_fields)."""
        values = self._last[self._delay, self._cells]
        if self._noise.any():
            errors = np.empty(values.shape)
            draw_errors(self._seeds, self._steps, errors)
            values *= 1.0 + self._noise * errors
        return values
