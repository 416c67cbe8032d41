"""The picture: what noise, and a step up and down, of each control cost in each scenario, by colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from studies.common.plots import new_figure
from studies.exploring.perturbations import STEP_DOWN, STEP_UP, noise_name
from studies.exploring.plan import Plan, Reading
from studies.exploring.results import Costs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import BoundaryNorm, Colormap
    from matplotlib.figure import Figure

DEARER: Final = ("#fbdcb4", "#f0a44a", "#c1670b", "#7f3b08")
BETTER: Final = ("#cfe1f2", "#84b9dc", "#3182bd", "#08407e")
"""Orange costs and blue gains, as in the picture of the interventions; the colour-blind can tell them apart."""
NOTHING: Final = "#ffffff"
STEPS: Final = (0.1, 0.3, 1.0, 3.0)
"""Where the colours change, in units of return."""
WIDTH: Final = 15.0
ROW_HEIGHT: Final = 0.27
"""Inches, as the width."""


def draw(costs: Costs, plan: Plan, reading: Reading) -> Figure:
    """A panel for each of three perturbations: rows are controls, columns scenarios."""
    figure = new_figure(WIDTH, 2.9 + ROW_HEIGHT * len(plan.controls))
    shown = {
        noise_name(reading.flag.noise): f"noise of {reading.flag.noise:g} at every step",
        STEP_UP: f"{plan.step.amplitude:g} up for {plan.step.duration_s / 60:g} min, and back",
        STEP_DOWN: f"{plan.step.amplitude:g} down for {plan.step.duration_s / 60:g} min, and back",
    }
    axes = figure.subplots(1, len(shown), sharey=True)
    for axis, (name, title) in zip(axes, shown.items(), strict=True):
        found = [[cost.value for cost in costs.by_scenario(control, name)] for control in plan.controls]
        _draw(axis, np.array(found), costs.scenarios)
        axis.set_title(title, fontsize=12, weight="bold", pad=66)
    axes[0].set_yticks(np.arange(len(plan.controls)) + 0.5, plan.controls, fontsize=10)
    _legend(figure, axes)
    figure.suptitle(
        f"What moving one control costs, around {plan.policy}: return lost in an hour",
        x=0.005, ha="left", fontsize=14, weight="bold",
    )  # fmt: skip
    return figure


def _scale() -> tuple[Colormap, BoundaryNorm]:
    from matplotlib.colors import BoundaryNorm, ListedColormap

    edges = (*(-step for step in reversed(STEPS)), *STEPS)
    inner = [*reversed(BETTER[:-1]), NOTHING, *DEARER[:-1]]
    return ListedColormap(inner).with_extremes(under=BETTER[-1], over=DEARER[-1]), BoundaryNorm(edges, len(inner))


def _draw(axis: Axes, found: NDArray[np.float64], scenarios: tuple[str, ...]) -> None:
    colours, norm = _scale()
    axis.pcolormesh(found, cmap=colours, norm=norm, edgecolors="#e4e4e4", linewidth=0.5)
    axis.set_ylim(len(found), 0)
    for (row, column), cost in np.ndenumerate(found):
        if abs(cost) >= STEPS[0]:
            colour = "white" if abs(cost) >= STEPS[2] else "#333333"
            axis.text(column + 0.5, row + 0.5, f"{cost:.1f}", ha="center", va="center", fontsize=8.5, color=colour)
    middles = np.arange(len(scenarios)) + 0.5
    axis.set_xticks(middles, scenarios, fontsize=9.5, rotation=35, ha="left", rotation_mode="anchor")
    axis.xaxis.tick_top()
    axis.tick_params(length=0)


def _legend(figure: Figure, axes: NDArray[np.object_]) -> None:
    from matplotlib.cm import ScalarMappable

    colours, norm = _scale()
    bar = figure.colorbar(
        ScalarMappable(norm, colours), ax=list(axes), location="bottom", extend="both", spacing="uniform",
        aspect=60, pad=0.015,
    )  # fmt: skip
    bar.ax.set_xticks(norm.boundaries, [f"{edge:g}" for edge in norm.boundaries], fontsize=9)
    bar.set_label("← it gains     return lost     it costs →", fontsize=10)
