"""The picture of part 2: how the return depends on the LLM's controls about the best fixed settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from streamflow_agents.evaluation.plots import COLOURS
from streamflow_env.system.controls import ControlTable
from studies.common.plots import new_figure
from studies.interventions.bases import BEST
from studies.interventions.plan import Plan
from studies.interventions.results import Results
from studies.interventions.simulation import llm_controls
from studies.interventions.sweep import SWEEP, Point, held, resolve
from studies.interventions.trials import Action

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS: Final = 3
WIDTH: Final = 13.0
PANEL_HEIGHT: Final = 2.3
DEEPEST: Final = 25.0
"""Larger losses are drawn at the foot of the panel: a bad setting costs hundreds, a good one a few units."""


def draw_llm_controls(results: Results, best: Mapping[str, Action], plan: Plan, table: ControlTable) -> Figure:
    """A panel for each control of the LLM: the return over its axis, all else at the scenario's best fixed setting."""
    controls = llm_controls(table)
    rows = -(-len(controls) // COLUMNS)
    figure = new_figure(WIDTH, 1.3 + PANEL_HEIGHT * rows)
    axes = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
    for axis, control in zip(axes.flat, controls, strict=False):
        _draw(axis, results, control, best, plan, table)
    for axis in axes[:, 0]:
        axis.set_ylabel("return − best", fontsize=10)
    for axis in axes[-1]:
        axis.set_xlabel("position on the control's axis", fontsize=10)
    figure.legend(
        *axes.flat[0].get_legend_handles_labels(), loc="outside upper left", ncols=len(plan.scenarios), frameon=False,
        fontsize=10, alignment="left", title_fontproperties={"size": 13, "weight": "bold"},
        title="The LLM's controls about the best fixed setting of each scenario (dot)",
    )  # fmt: skip
    return figure


def curve(
    results: Results, control: str, scenario: str, action: Action, plan: Plan, table: ControlTable
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions from -1 to 1, the best's own among them, and what the return differs there from the best's."""
    own = action[table.names.index(control)]
    gains = {own: 0.0}
    for position in plan.positions:
        point = Point(BEST, control, position)
        if held(control, point.action(action, table), table) != held(control, action, table):
            gains[position] = results.gain(SWEEP, resolve(point, plan.positions, action, table), BEST, scenario)
    positions = sorted(gains)
    return np.array(positions), np.array([gains[position] for position in positions])


def _draw(
    axis: Axes, results: Results, control: str, best: Mapping[str, Action], plan: Plan, table: ControlTable
) -> None:
    axis.axhline(0.0, color="#999999", lw=0.8)
    for index, scenario in enumerate(plan.scenarios):
        positions, gains = curve(results, control, scenario, best[scenario], plan, table)
        colour = COLOURS[index % len(COLOURS)]
        axis.plot(positions, np.maximum(gains, -DEEPEST), color=colour, lw=1.5, label=scenario)
        axis.plot([best[scenario][table.names.index(control)]], [0.0], "o", color=colour, ms=6, zorder=5)
    axis.set_title(control, loc="left", fontsize=11, weight="bold", pad=3)
    axis.set_xlim(-1.06, 1.06)
    axis.set_ylim(-DEEPEST - 1, 6)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=9)
