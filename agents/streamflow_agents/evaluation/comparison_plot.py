"""The picture of a comparison: the paired difference of every policy's return, scenario by scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from streamflow_agents.evaluation.comparison import by_return
from streamflow_agents.evaluation.kept_episodes import Episodes
from streamflow_agents.evaluation.plots import ALIKE, BETTER, WORSE, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINEAR: Final = 10.0
"""Differences up to this are drawn linearly, larger ones logarithmically: a collapse costs a hundred times as much."""
ROW_HEIGHT: Final = 0.30
WIDTH: Final = 2.1
"""Height of a policy's row and width of a scenario's panel, in inches."""


def draw_comparison(episodes: Episodes, reference: str) -> Figure:
    """One panel per scenario, one row per policy, the best on average on top; a bar is a 95 % interval.

    Raises:
        KeyError: the reference was not evaluated.
    """
    policies = [policy for policy in by_return(episodes) if policy != reference][::-1]
    num_panels = len(episodes.scenarios)
    figure = new_figure(1.5 + WIDTH * num_panels, 1.6 + ROW_HEIGHT * len(policies))
    axes = figure.subplots(1, num_panels, sharex=True, sharey=True, squeeze=False)[0]
    for index, (axis, scenario) in enumerate(zip(axes, episodes.scenarios, strict=True)):
        for row, policy in enumerate(policies):
            found = episodes.difference(policy, reference, index)
            colour = ALIKE if not found.excludes_zero else BETTER if found.value > 0 else WORSE
            if np.isfinite(found.low):
                axis.plot([found.low, found.high], [row, row], color=colour, lw=2.5, solid_capstyle="butt")
            axis.plot(found.value, row, "o", color=colour, ms=5)
        axis.axvline(0.0, color="black", lw=0.8, zorder=0)
        axis.set_xscale("symlog", linthresh=LINEAR)
        axis.set_xticks([-1000, -100, -10, 0, 10, 100], ["−1k", "−100", "−10", "0", "10", "100"], fontsize=8)
        axis.set_title(scenario, fontsize=10, weight="bold")
        axis.grid(axis="x", color="#e5e5e5", lw=0.6)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_yticks(range(len(policies)), policies)
    figure.suptitle(
        f"Return against {reference}, paired by episode, with 95 % intervals: better (blue), worse (orange)",
        x=0.0, ha="left", fontsize=12,
    )  # fmt: skip
    figure.supxlabel("difference of an episode's return; logarithmic beyond ±10", fontsize=9)
    return figure
