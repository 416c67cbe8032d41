"""The regions in a picture: one panel a policy, loads across, the trigger's length upwards."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from agents.validation.regions import Region, Regions
from streamflow_env.environment.calibration.cascades import AUTH_FACTOR

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
    Region.STABLE: "stable: at this load it comes back from every trigger shown",
    Region.VULNERABLE: "vulnerable: it comes back from this one, not from every one at this load",
    Region.METASTABLE: "metastable: 10 min after the trigger has gone less than half is answered",
    Region.OVERLOADED: "overloaded: not whole even without a trigger",
}
TITLES: Final = {"as_found": "as found", "playbook": "with the playbook"}
INK: Final = "#333333"
INCHES: Final = (13.0, 6.4)


def draw_regions(regions: Regions, factor: float = AUTH_FACTOR) -> Figure:
    """A cell is a point of the grid: its colour the region, its number the median of its seeds' recoveries."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=INCHES, layout="constrained")
    axes = figure.subplots(1, len(regions.policies), sharey=True, squeeze=False)[0]
    for axis, policy in zip(axes, regions.policies, strict=True):
        _draw_panel(axis, regions, policy)
    axes[0].set_ylabel(f"auth {factor:g} times slower for, s  (0: no trigger)", fontsize=11)
    _head(figure, regions)
    return figure


def _head(figure: Figure, regions: Regions) -> None:
    from matplotlib.patches import Patch

    seen = {r for p in regions.policies for r in Region if regions.count(p, r)}
    figure.legend(
        handles=[Patch(color=COLOURS[region], label=MEANINGS[region]) for region in Region if region in seen],
        loc="outside lower center", ncols=2, fontsize=10, frameon=False,
    )  # fmt: skip
    num_seeds = len({outcome.seed for outcome in regions.outcomes})
    figure.suptitle(
        f"StreamFlow: what outlives a slow auth, by load and by the trigger's length ({num_seeds} seeds a point)",
        fontsize=14, weight="bold", ha="left", x=0.01,
    )  # fmt: skip


def _draw_panel(axis: Axes, regions: Regions, policy: str) -> None:
    from matplotlib.patches import Rectangle

    for column, load in enumerate(regions.loads):
        for row, duration_s in enumerate(regions.durations_s):
            region = regions.region(policy, load, duration_s)
            axis.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fc=COLOURS[region], ec="white", lw=1.2))
            text = _recovery(regions, policy, load, duration_s)
            axis.text(column, row, text, ha="center", va="center", fontsize=8.5, color=INK)
    axis.set_xlim(-0.5, len(regions.loads) - 0.5)
    axis.set_ylim(-0.5, len(regions.durations_s) - 0.5)
    axis.set_xticks(range(len(regions.loads)), [f"{load:g}x" for load in regions.loads], fontsize=10)
    axis.set_yticks(range(len(regions.durations_s)), [f"{d:g}" for d in regions.durations_s], fontsize=10)
    axis.set_xlabel("load, multiples of the normal load", fontsize=11)
    title = f"{TITLES.get(policy, policy)}    (in a cell: seconds until whole again, median; –: never)"
    axis.set_title(title, loc="left", fontsize=10.5)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)


def _recovery(regions: Regions, policy: str, load: float, duration_s: float) -> str:
    """The median of the seeds', the upper one of two; without a trigger nothing is recovered from."""
    each = sorted(run.whole_again_s for run in regions.runs(policy, load, duration_s))
    median = each[len(each) // 2]
    if not math.isfinite(median):
        return "–"
    return f"{np.round(median):.0f}" if duration_s > 0 else ""
