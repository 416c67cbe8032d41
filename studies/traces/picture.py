"""The picture of a trace: its recorded counts, and the load of an episode on it."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Final

import numpy as np

from streamflow_env.episode import BIN_S
from streamflow_env.traffic.profile import HOUR_S, Array
from streamflow_env.traffic.replay import TraceTraffic
from studies.common.plots import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PEAK_LEVEL: Final = 3.0
"""The evening peak of the brief, in normal loads."""
MAX_BINS: Final = 20_000
"""Most bins of the panel of a whole trace."""
CLOSE_UP_ROWS: Final = 240
DAY_S: Final = 86400.0
DATED_FROM_S: Final = 365 * DAY_S
"""Smaller times are seconds since a midnight, not dates."""
RECORDED, LOAD, CROWD, STRETCH, ROWS = "#4d4d4d", "#0072b2", "#d55e00", "#e4e4e4", "#dddddd"


def draw_trace(traffic: TraceTraffic, title: str) -> Figure:
    """Three panels: the recorded counts; the load of the whole trace; the load around its highest row, bin by bin."""
    trace = traffic.recorded
    figure = new_figure(12, 8.5)
    recorded, whole, close = axes = figure.subplots(3, height_ratios=(1, 1, 1.2))
    _draw_recorded(recorded, traffic)
    _draw_load(whole, traffic, 0.0, trace.duration_s, max(BIN_S, trace.interval_s, trace.duration_s / MAX_BINS))
    start_s, end_s = close_up(traffic)
    whole.axvspan(*_moments(traffic, np.array([start_s, end_s])), color=STRETCH, zorder=0)
    _draw_rows(close, traffic, start_s, end_s)
    _draw_load(close, traffic, start_s, end_s, BIN_S)
    _title(recorded, f"As recorded: {'single events, ' if traffic.events else ''}counted {per(trace.interval_s)}")
    _title(whole, "As the load of an episode, the whole trace")
    _title(close, f"The grey stretch of it: {spell(end_s - start_s)} around the highest count{_when(traffic)}")
    for axis in axes:
        _dress(axis, traffic)
    figure.suptitle(
        f"{title}: {trace.counts.sum():,.0f} requests in {spell(trace.duration_s)}", x=0.01, ha="left", weight="bold"
    )
    figure.align_ylabels()
    return figure


def close_up(traffic: TraceTraffic) -> tuple[float, float]:
    """(start, end), in seconds after the first row, of `CLOSE_UP_ROWS` rows around the highest one."""
    trace = traffic.recorded
    num_rows = min(CLOSE_UP_ROWS, trace.counts.size)
    first = min(max(int(trace.counts.argmax()) - num_rows // 2, 0), trace.counts.size - num_rows)
    return first * trace.interval_s, (first + num_rows) * trace.interval_s


def spell(seconds: float) -> str:
    """A duration in its largest fitting unit."""
    for unit, length_s in (("days", DAY_S), ("h", HOUR_S), ("min", 60.0)):
        if seconds >= length_s:
            return f"{seconds / length_s:.3g} {unit}"
    return f"{seconds:.3g} s"


def per(seconds: float) -> str:
    """`per minute`, `per 30 min`."""
    return {1.0: "per second", 60.0: "per minute", HOUR_S: "per hour"}.get(seconds, f"per {spell(seconds)}")


def _draw_recorded(axis: Axes, traffic: TraceTraffic) -> None:
    trace = traffic.recorded
    axis.stairs(
        trace.counts, _moments(traffic, _edges(0.0, trace.duration_s, trace.interval_s)), baseline=None,
        color=RECORDED, lw=0.7,
    )  # fmt: skip
    _line(axis, trace.median, f"median {trace.median:,.0f}", RECORDED, ":")
    axis.set_ylabel(f"requests {per(trace.interval_s)}")
    axis.set_ylim(0, 1.1 * trace.counts.max())


def _draw_rows(axis: Axes, traffic: TraceTraffic, start_s: float, end_s: float) -> None:
    interval_s = traffic.recorded.interval_s
    edges_s = _edges(start_s, end_s, interval_s)
    levels = traffic.levels_in((edges_s[:-1] + edges_s[1:]) / 2.0, interval_s)
    label = f"recorded, {per(interval_s)}"
    axis.stairs(levels, _moments(traffic, edges_s), fill=True, color=ROWS, lw=0, label=label)


def _draw_load(axis: Axes, traffic: TraceTraffic, start_s: float, end_s: float, bin_s: float) -> None:
    edges_s = _edges(start_s, end_s, bin_s)
    levels = traffic.levels_in((edges_s[:-1] + edges_s[1:]) / 2.0, bin_s)
    moments = _moments(traffic, edges_s)
    axis.stairs(levels, moments, baseline=None, color=LOAD, lw=1.0, label=f"load, {per(bin_s)}")
    if levels.max() > PEAK_LEVEL:
        above = np.maximum(levels, PEAK_LEVEL)
        label = f"above {PEAK_LEVEL:g}x"
        axis.stairs(above, moments, baseline=PEAK_LEVEL, fill=True, color=CROWD, alpha=0.4, lw=0, label=label)
    _line(axis, PEAK_LEVEL, f"peak, {PEAK_LEVEL:g}x", CROWD, "--")
    _line(axis, 1.0, "normal, 1x", RECORDED, ":")
    peak = int(levels.argmax())
    axis.annotate(
        f"{levels[peak]:.1f}x", ((moments[peak] + moments[peak + 1]) / 2, levels[peak]), xytext=(0, 3),
        textcoords="offset points", ha="center", fontsize=9, weight="bold",
    )  # fmt: skip
    axis.set_ylabel("multiple of normal load")
    axis.set_ylim(0, 1.15 * max(PEAK_LEVEL, float(levels.max())))
    axis.legend(loc="lower right", bbox_to_anchor=(1, 0.98), ncols=3, fontsize=8, frameon=False)


def _line(axis: Axes, height: float, label: str, colour: str, style: str) -> None:
    """A horizontal line across the panel, with its label in the margin."""
    axis.axhline(height, color=colour, lw=1, ls=style)
    axis.annotate(
        label, (1, height), xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points",
        va="center", fontsize=8, color=colour, annotation_clip=False,
    )  # fmt: skip


def _title(axis: Axes, text: str) -> None:
    axis.set_title(text, loc="left", fontsize=10)


def _when(traffic: TraceTraffic) -> str:
    trace = traffic.recorded
    moment = datetime.datetime.fromtimestamp(float(trace.times_s[trace.counts.argmax()]), datetime.UTC)
    return f", {moment.day} {moment:%B %Y, %H:%M}" if _is_dated(traffic) else ""


def _dress(axis: Axes, traffic: TraceTraffic) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import MaxNLocator

    axis.margins(x=0)
    axis.spines[["top", "right"]].set_visible(False)
    axis.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    if not _is_dated(traffic):
        axis.set_xlabel("hour of the day", fontsize=9)
        return
    locator = AutoDateLocator(minticks=6, maxticks=14)  # type: ignore[no-untyped-call]
    ticks = ["%Y", "%b %Y", "%d %b", "%H:%M", "%H:%M", "%H:%M:%S"]
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(
        ConciseDateFormatter(  # type: ignore[no-untyped-call]
            locator, formats=ticks, zero_formats=["%Y", "%b %Y", "%d %b", "%d %b", "%H:%M", "%H:%M"], show_offset=False
        )
    )


def _is_dated(traffic: TraceTraffic) -> bool:
    return float(traffic.recorded.times_s[0]) >= DATED_FROM_S


def _edges(start_s: float, end_s: float, bin_s: float) -> Array:
    """The edges of the bins that lie wholly within."""
    num_bins = int((end_s - start_s) / bin_s + 1e-6)
    return start_s + bin_s * np.arange(num_bins + 1, dtype=np.float64)


def _moments(traffic: TraceTraffic, offsets_s: Array) -> Array:
    """On the horizontal axis: days since 1970, as matplotlib has dates, or hours since a midnight."""
    unit_s = DAY_S if _is_dated(traffic) else HOUR_S
    return (float(traffic.recorded.times_s[0]) + offsets_s) / unit_s
