"""The picture of the regions: one panel a policy, loads across, the trigger's length upwards."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from studies.calibration.cascades import AUTH_FACTOR
from studies.common.plots import new_figure
from studies.validation.region_outcomes import Region, Regions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS: Final = {
    Region.STABLE: "#8fd0a9",
    Region.VULNERABLE: "#f6dc7e",
    Region.METASTABLE: "#d9694f",
    Region.OVERLOADED: "#b5b5b5",
}
MEANINGS: Final = {
    Region.STABLE: "stable: at this load it recovers from every trigger shown",
    Region.VULNERABLE: "vulnerable: it recovers from this one, not from every one at this load",
    Region.METASTABLE: "metastable: 10 min after the trigger less than half is answered",
    Region.OVERLOADED: "overloaded: it does not recover even without a trigger",
}
TITLES: Final = {"do_nothing": "with the default configuration", "playbook": "with the playbook"}
INK: Final = "#333333"
INCHES: Final = (13.0, 6.4)


def draw_regions(regions: Regions, factor: float = AUTH_FACTOR) -> Figure:
    """A square is a point of the grid, and its colour is the region. Recovery times above 0 are written in it."""
    figure = new_figure(*INCHES)
    axes = figure.subplots(1, len(regions.policies), sharey=True, squeeze=False)[0]
    for axis, policy in zip(axes, regions.policies, strict=True):
        _draw_panel(axis, regions, policy)
    axes[0].set_ylabel(f"how long auth is {factor:g} times slower, s (0: no trigger)", fontsize=11)
    _head(figure, regions)
    return figure


def _head(figure: Figure, regions: Regions) -> None:
    from matplotlib.patches import Patch

    seen = {r for p in regions.policies for r in Region if regions.count(p, r)}
    figure.legend(
        handles=[Patch(color=COLOURS[region], label=MEANINGS[region]) for region in Region if region in seen],
        loc="outside lower center", ncols=2, fontsize=10, frameon=False,
        title="a time in a square: the recovery time after the trigger, where it is not 0", title_fontsize=9.5,
    )  # fmt: skip
    num_seeds = len({outcome.seed for outcome in regions.outcomes})
    title = f"StreamFlow: what outlives a slow auth, by load and by the trigger's length ({num_seeds} seeds a point)"
    figure.suptitle(title, fontsize=14, weight="bold", ha="left", x=0.01)


def _draw_panel(axis: Axes, regions: Regions, policy: str) -> None:
    from matplotlib.patches import Rectangle

    for column, load in enumerate(regions.loads):
        for row, duration_s in enumerate(regions.durations_s):
            region = regions.region(policy, load, duration_s)
            axis.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fc=COLOURS[region], ec="white", lw=1.2))
            text = _note(regions, policy, load, duration_s)
            axis.text(column, row, text, ha="center", va="center", fontsize=8, color=INK)
    axis.set_xlim(-0.5, len(regions.loads) - 0.5)
    axis.set_ylim(-0.5, len(regions.durations_s) - 0.5)
    axis.set_xticks(range(len(regions.loads)), [f"{load:g}x" for load in regions.loads], fontsize=10)
    axis.set_yticks(range(len(regions.durations_s)), [f"{d:g}" for d in regions.durations_s], fontsize=10)
    axis.set_xlabel("load, multiples of the normal load", fontsize=11)
    axis.set_title(TITLES.get(policy, policy), loc="left", fontsize=12, weight="bold")
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)


def _note(regions: Regions, policy: str, load: float, duration_s: float) -> str:
    """How many seeds are stuck, where some are and some are not; else the median recovery time, where it is above 0."""
    runs = regions.runs(policy, load, duration_s)
    if 0 < (num_stuck := sum(run.is_stuck for run in runs)) < len(runs):
        return f"{num_stuck} of {len(runs)}\nstuck"
    median = sorted(run.recovery_time_s for run in runs)[len(runs) // 2]
    return f"{median:.0f} s" if 0.0 < median < math.inf else ""
