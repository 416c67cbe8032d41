"""The picture of part 1: every control, every scenario, every position; what each does to four figures, by colour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from streamflow_env.system.controls import ControlTable
from studies.common.plots import new_figure
from studies.interventions.bases import BASES, PLAYBOOK
from studies.interventions.choices import points
from studies.interventions.plan import Plan
from studies.interventions.results import Results
from studies.interventions.sweep import SWEEP, resolve
from studies.interventions.trials import Action

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import BoundaryNorm, Colormap
    from matplotlib.figure import Figure

WORSE: Final = ("#7f3b08", "#c1670b", "#f0a44a", "#fbdcb4")
BETTER: Final = ("#cfe1f2", "#84b9dc", "#3182bd", "#08407e")
"""Orange to blue: told apart by the colour-blind too; white is no effect."""
NOTHING: Final = "#ffffff"
GAP: Final = 1
"""Columns left free between two scenarios."""
ROW_HEIGHT: Final = 0.235
WIDTH: Final = 17.0
"""Inches, as the row's height."""
TITLES: Final = {"do_nothing": "over the default configuration", PLAYBOOK: "over the playbook"}
BLOCKS: Final = (7, 12, 15, 23)
"""A thin line after so many controls: replicas and gateway, queues and breakers, LLM, cache."""


@dataclass(frozen=True)
class Panel:
    """One figure: `sign` is +1 where more is better; `steps` are where the colours change, in units of the title."""

    figure: str
    title: str
    factor: float
    sign: int
    steps: tuple[float, float, float, float]


PANELS: Final = (
    Panel("sla_fraction", "answers within the SLA, points", 100, 1, (0.3, 1, 5, 25)),
    Panel("error_fraction", "errors, points", 100, -1, (0.3, 1, 5, 25)),
    Panel("cost_per_hour", "cost, currency/h", 1, -1, (0.3, 1, 2, 5)),
    Panel("return", "return", 1, 1, (1, 5, 25, 125)),
)


def draw_sweep(results: Results, actions: Mapping[str, Action], plan: Plan, table: ControlTable) -> Figure:
    """A block of rows for each base, a panel for each figure; in a cell the positions from -1 to 1, left to right."""
    figure = new_figure(WIDTH, 2.6 + 2 * ROW_HEIGHT * len(table))
    axes = figure.subplots(len(BASES), len(PANELS), sharey="row")
    for row, base in enumerate(BASES):
        for column, panel in enumerate(PANELS):
            effects = _effects(results, base, panel, actions, plan, table)
            _draw(axes[row][column], effects, panel, plan)
        _name_rows(axes[row][0], base, plan, table)
    for column, panel in enumerate(PANELS):
        axes[0][column].set_title(panel.title, fontsize=12, weight="bold", pad=54)
        _legend(figure, axes[-1][column], panel)
    figure.suptitle(
        "What moving one control does: a cell is one scenario, its strips are the control's axis from -1 (left) to 1",
        x=0.005, ha="left", fontsize=14, weight="bold",
    )  # fmt: skip
    return figure


def _effects(
    results: Results, base: str, panel: Panel, actions: Mapping[str, Action], plan: Plan, table: ControlTable
) -> NDArray[np.float64]:
    """Shape (num_controls, columns): paired differences from the base, better being positive; NaN in the gaps."""
    per_cell = len(plan.positions) + GAP
    effects = np.full((len(table), per_cell * len(plan.scenarios) - GAP), np.nan)
    for row, control in enumerate(table.names):
        for step, (point, held) in enumerate(points(base, control, actions[base], plan, table)):
            name = resolve(point, plan.positions, held, table)
            for index, scenario in enumerate(plan.scenarios):
                found = results.gain(SWEEP, name, point.base, scenario, panel.figure)
                effects[row, per_cell * index + step] = panel.sign * panel.factor * found
    return effects


def _scale(panel: Panel) -> tuple[Colormap, BoundaryNorm]:
    from matplotlib.colors import BoundaryNorm, ListedColormap

    steps = (*(-step for step in reversed(panel.steps)), *panel.steps)
    colours = ListedColormap([*WORSE[1:], NOTHING, *BETTER[:-1]]).with_extremes(under=WORSE[0], over=BETTER[-1])
    return colours, BoundaryNorm(steps, len(steps) - 1)


def _draw(axis: Axes, effects: NDArray[np.float64], panel: Panel, plan: Plan) -> None:
    colours, norm = _scale(panel)
    axis.pcolormesh(np.ma.masked_invalid(effects), cmap=colours, norm=norm)
    axis.set_ylim(len(effects), 0)
    per_cell = len(plan.positions) + GAP
    for index in range(len(plan.scenarios) - 1):
        axis.axvspan(per_cell * (index + 1) - GAP, per_cell * (index + 1), color="#e4e4e4", lw=0)
    for row in range(1, len(effects)):
        strong = row in BLOCKS
        axis.axhline(row, color="#555555" if strong else "#e4e4e4", lw=1.0 if strong else 0.5)
    middles = [per_cell * index + len(plan.positions) / 2 for index in range(len(plan.scenarios))]
    axis.set_xticks(middles, plan.scenarios, fontsize=9, rotation=35, ha="left", rotation_mode="anchor")
    axis.xaxis.tick_top()
    axis.tick_params(length=0)


def _name_rows(axis: Axes, base: str, plan: Plan, table: ControlTable) -> None:
    marked = plan.companions if base == PLAYBOOK else {}
    labels = [f"{name} †" if name in marked else name for name in table.names]
    axis.set_yticks(np.arange(len(labels)) + 0.5, labels, fontsize=9.5)
    axis.set_ylabel(TITLES[base], fontsize=12, weight="bold")


def _legend(figure: Figure, axis: Axes, panel: Panel) -> None:
    from matplotlib.cm import ScalarMappable

    colours, norm = _scale(panel)
    bar = figure.colorbar(
        ScalarMappable(norm, colours), ax=axis, location="bottom", extend="both", spacing="uniform",
        aspect=28, pad=0.015,
    )  # fmt: skip
    signed = [panel.sign * step for step in (*(-step for step in reversed(panel.steps)), *panel.steps)]
    bar.ax.set_xticks(bar.ax.get_xticks(), [f"{value:+g}" for value in signed], fontsize=8.5)
    bar.set_label("← worse     difference from the base     better →", fontsize=9)
