"""Two pictures: what an event costs as the system grows, and where PPO's time goes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from studies.benchmark.results import Measurement, Part, Results
from studies.common.plots import new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS: Final = {"normal": "#0072b2", "3x": "#d55e00"}
SHARE_COLOURS: Final = ("#0072b2", "#56b4e9", "#999999", "#e0c341", "#cccccc", "#d55e00")
GREY: Final = "#4d4d4d"
DPI: Final = 120
TICKS_RPS: Final = (100.0, 300.0, 1000.0, 3000.0, 10_000.0)


def write_pictures(results: Results, folder: Path) -> dict[str, str]:
    """The pictures of the parts that were measured, written to `folder`; names of files by part."""
    drawn: dict[str, tuple[str, Callable[[Part], Figure]]] = {
        "growth": ("growth.png", draw_growth),
        "training": ("training.png", draw_training),
    }
    written = {}
    for part in results.parts:
        if part.name in drawn:
            name, draw = drawn[part.name]
            save(draw(part), folder / name, DPI)
            written[part.name] = name
    return written


def draw_growth(part: Part) -> Figure:
    """Nanoseconds an event over requests a second, a line for each load, with the range of the rounds."""
    figure, axis = _figure(4.2)
    for load, colour in COLOURS.items():
        rows = [row for row in part.measurements if row.label.endswith(f"{load} load")]
        if rows:
            _draw_line(axis, rows, load, colour)
    smallest = part.measurements[0].samples["cost of an event"].median
    bound = part.targets[0].bound
    axis.axhline(bound * smallest, color=GREY, lw=1.0, ls=(0, (4, 3)))
    axis.annotate(
        f"target: {bound:g} x the cost at 30 requests/s", (0.01, bound * smallest), xycoords=("axes fraction", "data"),
        xytext=(4, -5), textcoords="offset points", va="top", fontsize=9, color=GREY,
    )  # fmt: skip
    axis.set_xscale("log")
    axis.set_ylim(0.0, None)
    axis.set_xlabel("requests a second, first attempts")
    axis.set_ylabel("ns an event")
    rates = sorted(rate_of(one) for one in part.measurements)
    rates = [rates[0], *(rate for rate in TICKS_RPS if 2.0 * rates[0] < rate < rates[-1] / 2.0), rates[-1]]
    axis.set_xticks(rates, [f"{rate:,.0f}" for rate in rates])
    axis.set_xticks([], minor=True)
    axis.legend(frameon=False, loc="lower right")
    figure.suptitle(
        "What an event costs as the system grows (median, lowest to highest)", x=0.01, ha="left", fontsize=12
    )
    return figure


def rate_of(measurement: Measurement) -> float:
    """Requests a second of a measurement of the growth; its label begins with them."""
    return float(measurement.label.partition("/s")[0].replace(",", ""))


def _draw_line(axis: Axes, rows: list[Measurement], load: str, colour: str) -> None:
    costs = [row.samples["cost of an event"] for row in rows]
    rates = [rate_of(one) for one in rows]
    axis.plot(rates, [cost.median for cost in costs], "o-", color=colour, ms=5, label=f"{load} load")
    axis.fill_between(rates, [c.lowest for c in costs], [c.highest for c in costs], color=colour, alpha=0.15, lw=0)


def draw_training(part: Part) -> Figure:
    """One bar: the shares of what a training's time goes to."""
    figure, axis = _figure(2.4)
    left = 0.0
    for row, colour in zip(part.measurements[1:], SHARE_COLOURS, strict=True):
        share = row.samples["share"].median
        axis.barh(0.0, share, left=left, color=colour, height=0.6, label=f"{row.label}, {share:.0f} %")
        left += share
    axis.set_xlim(0.0, max(left, 1.0))
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)
    axis.set_xlabel("% of the time of collecting and learning (medians of the updates)")
    rate = part.measurements[0].samples["end to end"].median
    figure.suptitle(f"PPO on mixed: {rate:,.0f} control steps/s; where the time goes", x=0.01, ha="left", fontsize=12)
    figure.legend(loc="outside lower left", ncols=3, frameon=False, fontsize=9)
    return figure


def _figure(height: float) -> tuple[Figure, Axes]:
    figure = new_figure(9.0, height)
    axis = figure.subplots()
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    return figure, axis
