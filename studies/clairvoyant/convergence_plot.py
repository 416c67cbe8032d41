"""The picture of the yardstick's search: what each generation came to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from streamflow_agents.evaluation.comparison_plot import LINEAR
from studies.clairvoyant.search import STAGES, Found

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_convergence(found: Sequence[Found]) -> Figure:
    """What the search's middle returned more than the rules below it, by generation: a scenario's median episode."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    num_stages = len(found[0].gains)
    figure = Figure(figsize=(4.6 * num_stages, 4.2), layout="constrained")
    axes = figure.subplots(1, num_stages, sharey=True, squeeze=False)[0]
    scenarios = list(dict.fromkeys(one.scenario for one in found))
    for number, axis in enumerate(axes):
        axis.grid(axis="y", color="#e5e5e5", lw=0.6)
        for scenario in scenarios:
            gains = np.median([one.gains[number] for one in found if one.scenario == scenario], axis=0)
            axis.plot(np.arange(1, len(gains) + 1), gains, lw=1.5, label=scenario)
        axis.axhline(0.0, color="black", lw=0.8, zorder=0)
        axis.set_title(STAGES[number], fontsize=10)
        axis.set_xlabel("generation", fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_yscale("symlog", linthresh=LINEAR)
    axes[0].set_yticks([-1000, -100, -10, -5, 0, 5, 10, 100], ["−1k", "−100", "−10", "−5", "0", "5", "10", "100"])
    axes[0].set_ylabel("return of the search's middle, against the\nrules below it; logarithmic beyond ±10", fontsize=9)
    axes[-1].legend(fontsize=8, frameon=False)
    figure.suptitle("The yardstick's search, each scenario's median episode", x=0.0, ha="left", fontsize=11)
    return figure
