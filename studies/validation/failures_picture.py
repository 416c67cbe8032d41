"""The picture of the published failures: goodput over time of A and B, each variant, and the hit ratio of C."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from studies.common.plots import new_figure
from studies.validation import failures_cold_cache as cold
from studies.validation import failures_collapse as collapse
from studies.validation import failures_retry_storm as storm
from studies.validation.experiments import Run, Trace, simulate_all, summed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVE, STUCK, OFFERED, SPIKE, FAINT = "#0072b2", "#d55e00", "#4d4d4d", "#f9edc2", "#9db8c9"
FILL_COLOURS: Final = ("#009e73", "#0072b2", "#cc79a7")
INCHES: Final = (14.0, 10.5)
SMOOTH_S: Final = 3
SHOWN_S: Final = 120
"""Of experiment B; nothing changes after it."""
FAINT_RUNS: Final = 12
NUM_COLUMNS: Final = 4


def draw_failures(seed: int = 0, jobs: int = 1) -> Figure:
    """Simulate every variant on one seed and draw what the table measures."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    traces = simulate_all(_runs(seed), jobs)
    figure = new_figure(*INCHES, ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.08))
    grid = figure.add_gridspec(3, NUM_COLUMNS)
    for column, name in enumerate(collapse.VARIANTS):
        axis = figure.add_subplot(grid[0, column])
        _draw_collapse(axis, name, [traces[run] for run in _collapses(name, seed)])
    _draw_cache(figure.add_subplot(grid[0, 2:]), {n: _mean_hits(traces, n, seed) for n in cold.FILLS})
    for index, name in enumerate(storm.VARIANTS):
        axis = figure.add_subplot(grid[1 + index // NUM_COLUMNS, index % NUM_COLUMNS])
        _draw_storm(axis, name, traces[replace(storm.variant(name), seed=seed)])
        if index % NUM_COLUMNS == 0:
            axis.set_ylabel("goodput, 1/s", fontsize=9)
        if index >= NUM_COLUMNS:
            axis.set_xlabel("seconds", fontsize=9)
    _head(figure, seed)
    return figure


def _runs(seed: int) -> list[Run]:
    runs = [run for name in collapse.VARIANTS for run in _collapses(name, seed)]
    runs += [replace(storm.variant(name), seed=seed) for name in storm.VARIANTS]
    return runs + [run for fills in cold.FILLS for run in _caches(fills, seed)]


def _collapses(name: str, seed: int) -> list[Run]:
    return [replace(collapse.variant(name), repeat=n, seed=seed) for n in range(collapse.REPEATS)]


def _caches(fills: int, seed: int) -> list[Run]:
    return [replace(cold.variant(fills), repeat=n, seed=seed) for n in range(cold.REPEATS)]


def _mean_hits(traces: Mapping[Run, Trace], fills: int, seed: int) -> NDArray[np.float64]:
    """Hit ratio in each second."""
    trace = summed([traces[run] for run in _caches(fills, seed)])
    return np.asarray(trace.hits / trace.lookups, dtype=np.float64)


def _head(figure: Figure, seed: int) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Patch(color=SPIKE, label="the spike"),
        Line2D([], [], color=OFFERED, lw=1.2, ls=(0, (4, 3)), label="first attempts"),
        Line2D([], [], color=CURVE, lw=2.2, label="goodput, recovers"),
        Line2D([], [], color=STUCK, lw=2.2, label="goodput, never recovers"),
    ]
    figure.legend(
        handles=handles, loc="outside upper left", ncols=4, fontsize=10, frameon=False, alignment="left",
        title=f"Published failures, rebuilt from YAML (compiled engine, seed {seed})",
        title_fontproperties={"size": 14, "weight": "bold"},
    )  # fmt: skip


def _smooth(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Means of SMOOTH_S seconds around each second; at both ends, of fewer seconds."""
    ones = np.ones(SMOOTH_S)
    return np.asarray(np.convolve(counts, ones, "same") / np.convolve(np.ones(len(counts)), ones, "same"))


def _draw_collapse(axis: Axes, name: str, runs: list[Trace]) -> None:
    for trace in runs[:FAINT_RUNS]:
        axis.plot(_middles(trace), _smooth(trace.answers), color=FAINT, lw=0.7, zorder=2)
    mean = summed(runs)
    _draw_goodput(axis, mean, len(runs), 80, collapse.SPIKE.start_s)
    axis.set_title(f"A  {name}", loc="left", fontsize=10.5, weight="bold", pad=4)
    text = f"mean of {len(runs)} runs;\nthin: {FAINT_RUNS} of them, each\nat 40/s or at 0"
    if np.isfinite(mean.recovery_time_s):
        text = f"mean of {len(runs)} runs,\nrecovered at {mean.recovery_time_s:g} s;\nthin: {FAINT_RUNS} of them"
    axis.annotate(text, (0.97, 0.97), xycoords="axes fraction", ha="right", va="top", fontsize=8.5, color=OFFERED)
    axis.set_ylim(0, 100)
    axis.set_ylabel("goodput, 1/s", fontsize=9)
    axis.set_xlabel("seconds", fontsize=9)


def _draw_storm(axis: Axes, name: str, trace: Trace) -> None:
    _draw_goodput(axis, trace, 1, SHOWN_S, storm.SPIKE.start_s)
    axis.set_title(f"B  {name.removeprefix('retry ')}", loc="left", fontsize=10.5, weight="bold", pad=4)
    at_s = trace.recovery_time_s
    text = f"recovered at {at_s:g} s" if np.isfinite(at_s) else "never"
    colour = CURVE if np.isfinite(at_s) else STUCK
    axis.annotate(text, (0.97, 0.95), xycoords="axes fraction", ha="right", va="top", weight="bold", color=colour)
    axis.set_ylim(0, 240)
    axis.set_yticks(range(0, 250, 50))


def _draw_goodput(axis: Axes, trace: Trace, num_runs: int, end_s: int, spike_s: float) -> None:
    times_s = _middles(trace)
    recovers = np.isfinite(trace.recovery_time_s)
    axis.axvspan(spike_s, trace.spike_end_s, color=SPIKE, lw=0, zorder=0)
    axis.plot(times_s, trace.intents / num_runs, color=OFFERED, lw=1.0, ls=(0, (4, 3)), zorder=1)
    answers = trace.answers / num_runs if num_runs > 1 else _smooth(trace.answers)
    axis.plot(times_s, answers, color=CURVE if recovers else STUCK, lw=2.2, zorder=3)
    axis.set_xlim(0, end_s)
    _plain(axis)


def _draw_cache(axis: Axes, hits: Mapping[int, NDArray[np.float64]]) -> None:
    axis.axvline(cold.FLUSH_S, color="#a08060", lw=1.2, zorder=1)
    axis.annotate("flush", (cold.FLUSH_S, 0.03), xytext=(4, 0), textcoords="offset points", fontsize=9, color="#a08060")
    for (fills, curve), colour in zip(hits.items(), FILL_COLOURS, strict=True):
        axis.plot(np.arange(len(curve)) + 0.5, curve, color=colour, lw=2.0, zorder=3, label=f"{fills} fills/s")
        known = cold.TABLE[fills]
        times_s = [second - 0.5 for second in known]
        axis.plot(times_s, [k.published for k in known.values()], "o", mfc="none", mec=colour, ms=7, mew=1.2, zorder=4)
        axis.plot(times_s, [k.with_our_keys for k in known.values()], "D", color=colour, ms=6, mec="white", zorder=5)
    axis.plot([], [], "o", mfc="none", mec=OFFERED, ms=7, mew=1.2, label="published, Zipf's keys")
    axis.plot([], [], "D", color=OFFERED, ms=6, mec="white", label="its program with our distribution of keys")
    axis.set_title("C  cold cache: hit ratio after a flush", loc="left", fontsize=10.5, weight="bold", pad=4)
    axis.legend(loc="lower right", fontsize=9, frameon=False, ncols=2)
    axis.set_xlim(0, cold.HORIZON_S + 1)
    axis.set_ylim(0, 0.95)
    axis.set_ylabel("hits a lookup", fontsize=9)
    axis.set_xlabel("seconds", fontsize=9)
    _plain(axis)


def _middles(trace: Trace) -> NDArray[np.float64]:
    return np.arange(len(trace.answers), dtype=np.float64) + 0.5


def _plain(axis: Axes) -> None:
    axis.tick_params(labelsize=9)
    axis.spines[["top", "right"]].set_visible(False)
