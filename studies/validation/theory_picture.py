"""The rows of the theory in a picture: every figure over what theory says, and the waits of the M/M/c."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from studies.validation.queues import MMC, MMC_QUANTILES, WAITS, mmc_name, quantile_name
from studies.validation.rows import Row
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


def draw_theory(rows: Sequence[Row]) -> Figure:
    """On the left a line a row with its 99.9 % interval, on the right the share of requests that wait longer than t."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    shown = [row for row in rows if row.expected is not None]
    figure = Figure(figsize=(WIDTH, 2.0 + LINE_HEIGHT * len(shown)), layout="constrained")
    ratios, waits = figure.subplots(1, 2, width_ratios=(1.0, 1.0))
    _draw_ratios(ratios, shown)
    _draw_waits(waits, rows)
    for axis in (ratios, waits):
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=9)
    seeds = max(len(row.seen) for row in rows)
    figure.suptitle(
        f"Queueing theory and the compiled engine: mean of {seeds} seeds, 99.9 % interval",
        fontsize=14, weight="bold", ha="left", x=0.01,
    )  # fmt: skip
    return figure


def _draw_ratios(axis: Axes, rows: Sequence[Row]) -> None:
    axis.axvline(1.0, color=INK, lw=1.0)
    for line, row in enumerate(rows):
        assert row.expected is not None
        colour = RIGHT if row.is_as_expected else WRONG
        axis.errorbar(
            row.mean / row.expected, line, xerr=row.half_interval / row.expected, fmt="o", ms=4, lw=1.6, color=colour
        )
        axis.axhline(line, color="#eeeeee", lw=0.8, zorder=0)
    axis.set_yticks(range(len(rows)), [f"{row.section}:  {row.measure}" for row in rows])
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_xlabel("seen / expected", fontsize=10)


def _draw_waits(axis: Axes, rows: Sequence[Row]) -> None:
    """Over t·(c·μ - λ) every M/M/c is a straight line from its share that waits down, with the same slope."""
    by_name = {(row.section, row.measure): row for row in rows}
    for (servers, utilisation), colour in zip(MMC, COLOURS, strict=True):
        section, spare_rps = mmc_name(servers, utilisation), servers * (1.0 - utilisation)
        waits = erlang_c(servers, servers * utilisation)
        times = np.array([0.0, LONGEST])
        axis.plot(times, waits * np.exp(-times), color=colour, lw=1.2, label=section)
        if row := by_name.get((section, WAITS)):
            axis.errorbar(0.0, row.mean, yerr=row.half_interval, fmt="o", ms=5, color=colour, clip_on=False)
        for fraction in MMC_QUANTILES:
            if row := by_name.get((section, quantile_name(fraction))):
                half = row.half_interval * spare_rps
                axis.errorbar(row.mean * spare_rps, 1.0 - fraction, xerr=half, fmt="o", ms=5, capsize=3, color=colour)
    axis.set_yscale("log")
    axis.set_xlim(0.0, LONGEST)
    axis.set_ylim(math.exp(-LONGEST), 1.0)
    axis.set_xlabel("t · (c·μ - λ)", fontsize=10)
    axis.set_title("Share that waits longer than t:\nErlang C (lines), seen (dots)", loc="left", fontsize=11)
    axis.legend(fontsize=10, frameon=False)
    axis.grid(alpha=0.3)
