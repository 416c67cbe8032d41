"""The picture of the theory's checks: every figure divided by theory's, and the waits of the M/M/c."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from studies.common.plots import new_figure
from studies.validation.checks import Check
from studies.validation.queues import MMC, MMC_QUANTILES, WAITS, mmc_name, quantile_name
from studies.validation.theory import erlang_c

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RIGHT, WRONG, INK = "#0072b2", "#d55e00", "#4d4d4d"
COLOURS: Final = ("#009e73", "#0072b2", "#cc79a7", "#d55e00")
LINE_HEIGHT: Final = 0.2
WIDTH: Final = 14.0
"""Inches, as the height of a line."""
LONGEST: Final = 5.0
"""Of the waits shown, in units of 1 / (c·μ - λ)."""


def draw_theory(checks: Sequence[Check]) -> Figure:
    """Left: a line a check with its 99.9 % interval. Right: the share of requests that wait longer than t."""
    shown = [check for check in checks if check.expected is not None]
    figure = new_figure(WIDTH, 2.0 + LINE_HEIGHT * len(shown))
    ratios, waits = figure.subplots(1, 2, width_ratios=(1.0, 1.0))
    _draw_ratios(ratios, shown)
    _draw_waits(waits, checks)
    for axis in (ratios, waits):
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=9)
    seeds = max(len(check.seen) for check in checks)
    figure.suptitle(
        f"Queueing theory and the compiled engine: mean of {seeds} seeds, 99.9 % interval",
        fontsize=14, weight="bold", ha="left", x=0.01,
    )  # fmt: skip
    return figure


def _draw_ratios(axis: Axes, checks: Sequence[Check]) -> None:
    axis.axvline(1.0, color=INK, lw=1.0)
    for line, check in enumerate(checks):
        assert check.expected is not None
        colour = RIGHT if check.is_as_expected else WRONG
        axis.errorbar(
            check.mean / check.expected,
            line,
            xerr=check.half_interval / check.expected,
            fmt="o",
            ms=4,
            lw=1.6,
            color=colour,
        )
        axis.axhline(line, color="#eeeeee", lw=0.8, zorder=0)
    axis.set_yticks(range(len(checks)), [f"{check.section}:  {check.measure}" for check in checks])
    axis.set_ylim(len(checks) - 0.4, -0.6)
    axis.set_xlabel("seen / expected", fontsize=10)


def _draw_waits(axis: Axes, checks: Sequence[Check]) -> None:
    """Over t·(c·μ - λ) every M/M/c is a straight line from its share that waits down, with the same slope."""
    by_name = {(check.section, check.measure): check for check in checks}
    for (servers, utilisation), colour in zip(MMC, COLOURS, strict=True):
        section, spare_rps = mmc_name(servers, utilisation), servers * (1.0 - utilisation)
        waits = erlang_c(servers, servers * utilisation)
        times = np.array([0.0, LONGEST])
        axis.plot(times, waits * np.exp(-times), color=colour, lw=1.2, label=section)
        if check := by_name.get((section, WAITS)):
            axis.errorbar(0.0, check.mean, yerr=check.half_interval, fmt="o", ms=5, color=colour, clip_on=False)
        for fraction in MMC_QUANTILES:
            if check := by_name.get((section, quantile_name(fraction))):
                half = check.half_interval * spare_rps
                axis.errorbar(check.mean * spare_rps, 1.0 - fraction, xerr=half, fmt="o", ms=5, capsize=3, color=colour)
    axis.set_yscale("log")
    axis.set_xlim(0.0, LONGEST)
    axis.set_ylim(math.exp(-LONGEST), 1.0)
    axis.set_xlabel("t · (c·μ - λ)", fontsize=10)
    axis.set_title("Share that waits longer than t:\nErlang C (lines), seen (dots)", loc="left", fontsize=11)
    axis.legend(fontsize=10, frameon=False)
    axis.grid(alpha=0.3)
