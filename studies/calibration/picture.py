"""The picture of a cascade: one panel a link. Left: the seconds around the onsets; right: the whole episode."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from studies.calibration.onsets import WINDOW_S, Chain, Link
from studies.common.plots import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVE, PAST, THRESHOLD, CAUSE = "#4d4d4d", "#d55e00", "#0072b2", "#f9edc2"
PANEL_HEIGHT: Final = 1.15
WIDTH: Final = 12.0
"""Inches, as the height."""
LEAD_S: Final = 15.0
"""The left column begins so long before the cause, and ends `TAIL_S` after the last onset."""
TAIL_S: Final = 15.0
LONGEST_S: Final = 300.0
HEADROOM: Final = 1.25
MINUTE_S: Final = 60.0


def draw_chain(chain: Chain, seed: int) -> Figure:
    """Draw every link's curve, its threshold and its onset; the cause is shaded."""
    links = chain.cascade.links
    figure = new_figure(WIDTH, 1.5 + PANEL_HEIGHT * len(links))
    axes = figure.subplots(len(links), 2, sharex="col", width_ratios=(1.7, 1.0), squeeze=False)
    since_s = chain.times_s - chain.cascade.cause_s[0]
    stretches_s = (_close_up_s(chain), (float(since_s[0]), float(since_s[-1])))
    for column, (unit_s, unit, (start_s, end_s)) in enumerate(
        zip((1.0, MINUTE_S), ("seconds", "minutes"), stretches_s, strict=True)
    ):
        for row in range(len(links)):
            inside = (since_s >= start_s) & (since_s <= end_s)
            _draw_link(axes[row][column], chain, row, unit_s, inside)
        axes[-1][column].set_xlim(start_s / unit_s, end_s / unit_s)
        axes[-1][column].locator_params(axis="x", integer=True)
        axes[-1][column].set_xlabel(f"{unit} after the cause began", fontsize=10)
    for row in range(len(links)):
        _mark_onset(axes[row][0], chain, row)
        _name(axes[row][0], row, links[row])
    _head(figure, axes, chain, seed)
    return figure


def _head(figure: Figure, axes: NDArray[Any], chain: Chain, seed: int) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Patch(color=CAUSE, label=f"the cause: {chain.cascade.cause}"),
        Line2D([], [], color=THRESHOLD, ls=(0, (4, 3)), lw=1.2, label="threshold"),
        Line2D([], [], color=PAST, lw=1.8, marker="o", ms=6, label="the onset (dot), and while past the threshold"),
    ]
    figure.legend(
        handles=handles, loc="outside upper left", ncols=3, fontsize=10, frameon=False, alignment="left",
        title=f"{chain.cascade.title}, default configuration (seed {seed}, means of the last {WINDOW_S:g} s)",
        title_fontproperties={"size": 14, "weight": "bold"},
    )  # fmt: skip
    axes[0][1].set_title("the whole episode", loc="left", fontsize=10, color=CURVE, pad=4)
    figure.align_ylabels(axes[:, 0])


def _draw_link(axis: Axes, chain: Chain, row: int, unit_s: float, inside: NDArray[np.bool_]) -> None:
    cascade, link = chain.cascade, chain.cascade.links[row]
    start_s, end_s = cascade.cause_s
    since_s, values = chain.times_s - start_s, chain.curves[row] * _scale(link)
    threshold = link.threshold * _scale(link)
    past = (since_s >= chain.onsets_s[row]) & ((values <= threshold) if link.falls else (values >= threshold))
    axis.axvspan(0.0, (end_s - start_s) / unit_s, color=CAUSE, lw=0, zorder=0)
    axis.axvline(0.0, color="#a08060", lw=1.0, zorder=1)
    axis.axhline(threshold, color=THRESHOLD, lw=1.2, ls=(0, (4, 3)), zorder=2)
    axis.plot(since_s / unit_s, values, color=CURVE, lw=1.3, zorder=3)
    axis.plot(since_s / unit_s, np.where(past, values, np.nan), color=PAST, lw=2.0, zorder=4)
    axis.set_ylim(0.0, max(HEADROOM * threshold, 1.08 * float(values[inside].max())))
    axis.tick_params(labelsize=9)
    axis.spines[["top", "right"]].set_visible(False)
    axis.locator_params(axis="y", nbins=4)


def _mark_onset(axis: Axes, chain: Chain, row: int) -> None:
    """The dot and its time, on the side where there is room; or that there was none."""
    link, onset_s = chain.cascade.links[row], chain.onsets_s[row]
    if not math.isfinite(onset_s):
        axis.annotate("never", (0.99, 0.86), xycoords="axes fraction", ha="right", va="top", weight="bold", color=PAST)
        return
    sample = int(np.flatnonzero(chain.times_s - chain.cascade.cause_s[0] >= onset_s)[0])
    height = float(chain.curves[row][sample]) * _scale(link)
    axis.axvline(onset_s, color=PAST, lw=0.9, ls=":", zorder=2)
    axis.plot([onset_s], [height], "o", color=PAST, ms=7, zorder=6, clip_on=False)
    text, to_the_right = (f"+{onset_s:g} s", link.falls) if onset_s else ("already before", True)
    axis.annotate(
        text, (onset_s, 1.0), xycoords=("data", "axes fraction"), xytext=(4 if to_the_right else -4, -1),
        textcoords="offset points", ha="left" if to_the_right else "right", va="top", fontsize=11, weight="bold",
        color=PAST, zorder=7, bbox={"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.7},
    )  # fmt: skip


def _close_up_s(chain: Chain) -> tuple[float, float]:
    """The left column's stretch, in seconds after the cause began."""
    finite = [onset_s for onset_s in chain.onsets_s if math.isfinite(onset_s)]
    return -LEAD_S, min(max(finite, default=0.0) + TAIL_S, LONGEST_S)


def _name(axis: Axes, row: int, link: Link) -> None:
    """The panel's title, unit and, in the margin, threshold."""
    axis.set_title(f"{row + 1}  {link.label}", loc="left", fontsize=10.5, weight="bold", pad=4)
    axis.set_ylabel(link.unit, fontsize=8.5)
    threshold = link.threshold * _scale(link)
    axis.annotate(
        f"{'≤' if link.falls else '≥'} {threshold:g}", (1.0, threshold), xycoords=("axes fraction", "data"),
        xytext=(4, 0), textcoords="offset points", va="center", fontsize=9, color=THRESHOLD, annotation_clip=False,
    )  # fmt: skip


def _scale(link: Link) -> float:
    return 100.0 if link.unit.startswith("%") else 1.0
