"""Part 1: one control at a time, end to end, all others held at a base."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streamflow_env.system.controls import ControlTable
from studies.interventions.trials import Action, Trial

SWEEP = "sweep"


@dataclass(frozen=True)
class Point:
    """`control` at `position` of its axis, in [-1, 1], and everything else at `base`."""

    base: str
    control: str
    position: float

    @property
    def name(self) -> str:
        return f"{self.base} {self.control} {self.position:+.2f}"

    def action(self, base: Action, table: ControlTable) -> Action:
        index = table.names.index(self.control)
        return (*base[:index], self.position, *base[index + 1 :])


def sweep_trials(
    base: str,
    actions: Mapping[str, Action],
    controls: Sequence[str],
    positions: Sequence[float],
    seeds: Sequence[int],
    table: ControlTable,
) -> list[Trial]:
    """Every control at every position, and the base itself, on every seed; `actions` are the base's by scenario.

    A position that comes to the setting of the base, or of an earlier position, is not run again: `resolve` finds it.
    """
    trials = []
    for scenario, action in actions.items():
        settings = {base: action}
        for control in controls:
            for point in _distinct(base, control, positions, action, table):
                settings[point.name] = point.action(action, table)
        trials += [Trial(SWEEP, name, scenario, seed, chosen) for name, chosen in settings.items() for seed in seeds]
    return trials


def resolve(point: Point, positions: Sequence[float], base: Action, table: ControlTable) -> str:
    """The name of the setting that was run for `point`: its own, or of the one that is the same in natural units."""
    mine = _natural(point, base, table)
    if mine == held(point.control, base, table):
        return point.base
    for other in _distinct(point.base, point.control, positions, base, table):
        if _natural(other, base, table) == mine:
            return other.name
    return point.name


def _distinct(
    base: str, control: str, positions: Sequence[float], action: Action, table: ControlTable
) -> Iterator[Point]:
    seen = {held(control, action, table)}
    for position in positions:
        point = Point(base, control, position)
        value = _natural(point, action, table)
        if value not in seen:
            seen.add(value)
            yield point


def _natural(point: Point, base: Action, table: ControlTable) -> float:
    return held(point.control, point.action(base, table), table)


def held(control: str, action: Action, table: ControlTable) -> float:
    """The natural value of `control` in `action`."""
    return float(table.natural(np.array(action, dtype=np.float32))[table.names.index(control)])
