"""Relative numbers: so many times what a reading shows now, or what it usually shows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from streamflow_agents.policies.baselines.desk import Desk, Rows, rows
from streamflow_env.system.schema import Frozen, Integer, Number, Text

USUAL: Final = 0.02
"""The weight of the newest value in the mean that is a reading's usual value: of about 12 minutes. Assumed."""
LEAST: Final = 1e-9
"""What a quantity is divided by where it would be divided by nothing."""


class Relative(Frozen):
    """`times` a quantity, and `plus`. The quantity is a reading: `of` as it is now, or `usual`, its mean.

    `less` takes the share away that another reading shows: what arrives, less the share that fails, is what is served.
    `per` divides by another reading. The mean is of the last 12 minutes or so; it stands still while the rule holds, so
    that an incident does not become the usual.
    """

    times: Number | Integer
    of: Text | None = None
    usual: Text | None = None
    less: Text | None = None
    per: Text | None = None
    plus: Number | Integer = 0

    @model_validator(mode="after")
    def _check(self) -> Relative:
        if (self.of is None) == (self.usual is None):
            raise ValueError("a relative number: give one of of, usual")
        return self


class RelativeMemory(NamedTuple):
    """Of each relative number the mean of its quantity and the intervals that are in it, shape (numbers, cells)."""

    mean: Rows
    intervals: Rows


class Relatives:
    """The relative numbers of a part. `add` them while the part is made, then `close` once."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._added: list[tuple[Relative, str, int]] = []

    def add(self, relative: Relative, path: str, group: int, where: str) -> int:
        """The row of the number at `path`; its mean stands still while `group` holds.

        Raises:
            ConfigError: the observation lacks a reading; `where` begins the message.
        """
        for name in (relative.of, relative.usual, relative.less, relative.per):
            if name is not None:
                self._desk.reading(name, where)
        self._added.append((relative, path, group))
        return len(self._added) - 1

    def close(self) -> None:
        """Take all that was added as arrays."""
        desk, added = self._desk, [relative for relative, _, _ in self._added]
        self._groups = rows(group for _, _, group in self._added)
        self._times = rows(desk.number(f"{path}/times", relative.times) for relative, path, _ in self._added)
        self._plus = rows(desk.number(f"{path}/plus", relative.plus) for relative, path, _ in self._added)
        self._readings = rows(desk.reading(relative.of or relative.usual or "") for relative in added)
        self._is_usual = _column(relative.usual is not None for relative in added)
        self._has_less, self._has_per = (
            _column(getattr(relative, name) is not None for relative in added) for name in ("less", "per")
        )
        self._less, self._per = (
            rows(desk.reading(getattr(relative, name) or relative.of or relative.usual or "") for relative in added)
            for name in ("less", "per")
        )

    def begin(self, num_cells: int) -> RelativeMemory:
        """The memory at the start of an episode."""
        nothing = np.zeros((len(self._added), num_cells))
        return RelativeMemory(nothing, nothing)

    def quantities(self, readings: Rows) -> Rows:
        """The quantities now, shape (numbers, cells)."""
        served = 1.0 - np.where(self._has_less, readings[self._less], 0.0)
        return np.asarray(
            readings[self._readings] * served / np.where(self._has_per, np.maximum(readings[self._per], LEAST), 1.0)
        )

    def values(self, quantities: Rows, numbers: Rows, memory: RelativeMemory) -> Rows:
        """The numbers, shape (numbers, cells)."""
        is_usual = self._is_usual & (memory.intervals > 0)
        return np.asarray(numbers[self._times] * np.where(is_usual, memory.mean, quantities) + numbers[self._plus])

    def remember(self, quantities: Rows, holds: NDArray[np.bool_], memory: RelativeMemory) -> RelativeMemory:
        """The memory after an interval in which the groups of `holds`, shape (groups, cells), held.

        The mean is a plain one until it has so many intervals that the newest weighs `USUAL`: so the first interval,
        which comes out of a warm-up with other settings, does not count for more than the others.
        """
        moves = ~holds[self._groups]
        intervals = memory.intervals + moves
        weight = np.maximum(1.0 / np.maximum(intervals, 1.0), USUAL)
        mean = memory.mean + np.where(moves, weight * (quantities - memory.mean), 0.0)
        return RelativeMemory(mean, intervals)


def _column(flags: Iterable[bool]) -> NDArray[np.bool_]:
    return np.array(list(flags), dtype=bool)[:, None]
