"""What the sweeps say is worth a closer look: the one setting of each intervention, and where the searches start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from streamflow_env.system.controls import ControlTable
from studies.interventions.bases import BASES, PLAYBOOK, base_of, with_companions
from studies.interventions.plan import Plan
from studies.interventions.results import Results
from studies.interventions.sweep import SWEEP, Point, resolve
from studies.interventions.trials import Action

NUM_BOLD: Final = 6
"""A search starts, among others, from the so many moves that help the most by themselves."""


@dataclass(frozen=True)
class Choice:
    """The setting of one control that shows an intervention at its best over `base`, and the scenario where it does."""

    intervention: str
    point: Point
    scenario: str


def gain(results: Results, point: Point, scenario: str, held: Action, plan: Plan, table: ControlTable) -> float:
    """What the point adds to its base's return in the sweep; `held` is the base's action."""
    return results.gain(SWEEP, resolve(point, plan.positions, held, table), point.base, scenario)


def choose(results: Results, base: str, actions: Mapping[str, Action], plan: Plan, table: ControlTable) -> list[Choice]:
    """For each intervention the control, position and scenario of the largest gain of return in the sweep."""
    chosen = []
    for intervention, controls in plan.interventions.items():
        options = [
            (gain(results, point, scenario, held, plan, table), Choice(intervention, point, scenario))
            for control in controls
            for point, held in points(base, control, actions[base], plan, table)
            for scenario in plan.scenarios
        ]
        chosen.append(max(options, key=lambda option: option[0])[1])
    return chosen


def points(base: str, control: str, action: Action, plan: Plan, table: ControlTable) -> Iterator[tuple[Point, Action]]:
    """Every position of `control` over `base`, with the base's action, companions included."""
    held = with_companions(action, control, plan, table) if base == PLAYBOOK else action
    for position in plan.positions:
        yield Point(base_of(base, control, plan), control, position), held


def search_starts(
    results: Results, actions: Mapping[str, Action], plan: Plan, table: ControlTable, scenario: str
) -> list[Action]:
    """The bases as they are, and with the moves that helped in the sweep: the boldest few of them, and all."""
    starts = [actions[base] for base in BASES]
    for base in BASES:
        moves = sorted(_moves(results, base, actions, plan, table, scenario), reverse=True)
        for kept in (moves[:NUM_BOLD], moves):
            moved = np.array(actions[base])
            for _, control, position in kept:
                moved[table.names.index(control)] = position
            starts.append(tuple(moved.tolist()))
    return starts


def _moves(
    results: Results, base: str, actions: Mapping[str, Action], plan: Plan, table: ControlTable, scenario: str
) -> Iterator[tuple[float, str, float]]:
    """By control the best position of the sweep and its gain, where it is one."""
    for control in table.names:
        if base_of(base, control, plan) != base:
            continue
        gains = [
            (gain(results, point, scenario, held, plan, table), control, point.position)
            for point, held in points(base, control, actions[base], plan, table)
        ]
        best = max(gains)
        if best[0] > 0:
            yield best
