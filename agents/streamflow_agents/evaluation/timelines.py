"""Pictures of one episode of a scenario under each policy: panels over the same time axis, incidents shaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from streamflow_agents.evaluation.episodes import EpisodeResult, Recording
from streamflow_agents.evaluation.plots import COLOURS, new_figure
from streamflow_env.episode import Mark
from streamflow_env.paths import config_path
from streamflow_env.system.schema import Frozen, Number, Text, load

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INCIDENT_COLOURS: Final = ("#f6d5c5", "#f9edc2", "#d9e6f5", "#e3dcef")
BEHIND: Final = "#b8b8b8"
OUTLINE: Final = "#222222"
PANEL_HEIGHT: Final = 1.3
MARK_HEIGHT: Final = 0.22
WIDTH: Final = 12.0
"""Inches, as the heights."""
MAX_POINTS: Final = 300
"""The most points of a line; a longer series is drawn as the means of as many stretches."""
SYMLOG_LINEAR_TO: Final = 10.0
"""A symlog axis is linear up to here and reaches at least as far, so that very small values look small."""
MINUTES: Final = (60.0, "minutes")
HOURS: Final = (3600.0, "hours")
HOURS_FROM_S: Final = 4 * 3600.0


class Panel(Frozen):
    """One panel: its metric and its axis; `limit` is a dashed line.

    `behind` is a metric drawn once, the first policy's, as a grey area, and `outline` one as a thin dashed line; in
    their labels `{policy}` stands for that policy.
    """

    title: Text
    unit: Text
    metric: Text
    scale: Literal["linear", "log", "symlog"] = "linear"
    low: Number | None = None
    high: Number | None = None
    limit: Number | None = None
    limit_label: str = ""
    behind: Text | None = None
    behind_label: str = ""
    outline: Text | None = None
    outline_label: str = ""


class Panels(Frozen):
    panels: tuple[Panel, ...] = Field(min_length=1)


def load_panels(name: str = "panels") -> tuple[Panel, ...]:
    """The panels of `configs/evaluation/<name>.yaml`, or of the file `name`. Raises ConfigError."""
    return load(Panels, config_path("evaluation", name)).panels


def write_timelines(results: Sequence[EpisodeResult], folder: Path, panels: Sequence[Panel]) -> list[Path]:
    """Write one PNG for each scenario with recorded episodes; returns the files in the scenarios' order."""
    labels = list(dict.fromkeys(result.policy for result in results))
    colours = {label: COLOURS[index % len(COLOURS)] for index, label in enumerate(labels)}
    written: list[Path] = []
    taken: set[str] = set()
    for scenario in dict.fromkeys(result.scenario for result in results):
        mine = [r for r in results if r.scenario == scenario and r.recording is not None]
        if not mine:
            continue
        name = _another(Path(scenario).stem, taken)
        recordings = {r.policy: r.recording for r in mine if r.recording is not None}
        figure = draw_timeline(recordings, panels, colours, f"{name}, episode seed {mine[0].seed}")
        path = folder / f"timeline-{name}.png"
        figure.savefig(path, dpi=130)
        written.append(path)
    return written


def _another(name: str, taken: set[str]) -> str:
    """`name`, or with a number where another scenario's file has the same; adds it to `taken`."""
    names = [name, *(f"{name}-{number}" for number in range(2, len(taken) + 2))]
    free = next(name for name in names if name not in taken)
    taken.add(free)
    return free


def draw_timeline(
    recordings: Mapping[str, Recording], panels: Sequence[Panel], colours: Mapping[str, str], title: str
) -> Figure:
    """The episode that all `recordings` (by policy) are of, one line for each policy in each panel."""
    first = next(iter(recordings.values()))
    shown = [panel for panel in panels if values_of(first, panel.metric) is not None]
    marks_height = 0.3 + MARK_HEIGHT * max(1, len(first.marks))
    heights = [marks_height] + [PANEL_HEIGHT] * len(shown)
    figure = new_figure(WIDTH, 1.6 + sum(heights))
    axes = figure.subplots(len(heights), sharex=True, height_ratios=heights)
    _draw_marks(axes[0], first)
    for axis, panel in zip(axes[1:], shown, strict=True):
        _draw_panel(axis, panel, recordings, colours)
        _shade(axis, first)
    unit_s, unit = time_unit(first)
    axes[-1].set_xlabel(f"{unit} since the start of the episode", fontsize=10)
    axes[-1].set_xlim(0, first.times_s[-1] / unit_s)
    named = [axis.get_legend_handles_labels() for axis in axes[1:]]
    handles = {label: handle for drawn, labels in named for handle, label in zip(drawn, labels, strict=True)}
    figure.legend(
        handles.values(), handles.keys(), loc="outside upper left", ncols=min(6, len(handles)), fontsize=10,
        frameon=False, handlelength=1.6, columnspacing=1.4, title=title, alignment="left",
        title_fontproperties={"size": 14, "weight": "bold"},
    )  # fmt: skip
    return figure


def values_of(recording: Recording, metric: str) -> NDArray[np.float64] | None:
    """The series of `metric`; if several match it, their sum; None where none does."""
    matching = [np.asarray(values) for name, values in recording.series.items() if fnmatchcase(name, metric)]
    return np.asarray(np.sum(matching, axis=0), dtype=np.float64) if matching else None


def time_unit(recording: Recording) -> tuple[float, str]:
    """Seconds in a unit of the time axis, and its name: minutes, or hours for an episode of many."""
    return HOURS if recording.times_s[-1] >= HOURS_FROM_S else MINUTES


def thinned(values: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """`values`, or the means of at most `MAX_POINTS` equal stretches of them (a last one that is short is left out)."""
    every = -(-len(values) // MAX_POINTS)
    whole = np.asarray(values, dtype=np.float64)[: len(values) // every * every]
    return np.asarray(whole.reshape(-1, every).mean(axis=1), dtype=np.float64)


def _draw_panel(axis: Axes, panel: Panel, recordings: Mapping[str, Recording], colours: Mapping[str, str]) -> None:
    policy, first = next(iter(recordings.items()))
    unit_s, _ = time_unit(first)
    times = thinned(first.times_s) / unit_s
    behind = values_of(first, panel.behind) if panel.behind else None
    if behind is not None:
        label = (panel.behind_label or str(panel.behind)).replace("{policy}", policy)
        axis.fill_between(times, thinned(behind), color=BEHIND, alpha=0.45, lw=0, label=label)
    outline = values_of(first, panel.outline) if panel.outline else None
    if outline is not None:
        label = (panel.outline_label or str(panel.outline)).replace("{policy}", policy)
        axis.plot(times, thinned(outline), color=OUTLINE, lw=0.9, ls=(0, (4, 2)), label=label, zorder=4)
    for index, (label, recording) in enumerate(recordings.items()):
        values = values_of(recording, panel.metric)
        if values is not None:
            times, width = thinned(recording.times_s) / unit_s, max(1.3, 2.8 - 0.5 * index)
            axis.plot(times, thinned(values), color=colours[label], lw=width, label=label, zorder=3)
    if panel.limit is not None:
        axis.axhline(panel.limit, color="black", lw=0.8, ls=(0, (4, 3)), zorder=2)
        axis.annotate(
            panel.limit_label, (1.0, panel.limit), xycoords=("axes fraction", "data"), xytext=(3, 0),
            textcoords="offset points", va="center", fontsize=8,
        )  # fmt: skip
    _dress(axis, panel)


def _dress(axis: Axes, panel: Panel) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    scale: dict[str, Any] = {"linthresh": SYMLOG_LINEAR_TO, "linscale": 0.6} if panel.scale == "symlog" else {}
    axis.set_yscale(panel.scale, **scale)
    if panel.scale == "log":
        axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.yaxis.set_minor_locator(NullLocator())
    if panel.scale != "linear":
        axis.yaxis.set_major_formatter("{x:g}")
    axis.set_ylim(0.0 if panel.low is None and panel.scale != "log" else panel.low, panel.high)
    if panel.scale == "symlog" and panel.high is None:
        axis.set_ylim(top=max(SYMLOG_LINEAR_TO, axis.get_ylim()[1]))
    axis.set_title(panel.title, loc="left", fontsize=10.5, fontweight="bold", pad=3)
    axis.set_ylabel(panel.unit, fontsize=8.5)
    axis.tick_params(labelsize=9)
    axis.grid(axis="y", color="#e4e4e4", lw=0.7, zorder=0)
    axis.spines[["top", "right"]].set_visible(False)


def _shade(axis: Axes, recording: Recording) -> None:
    unit_s, _ = time_unit(recording)
    for mark, colour in zip(recording.marks, _mark_colours(recording.marks), strict=True):
        axis.axvspan(mark.start_s / unit_s, mark.end_s / unit_s, color=colour, alpha=0.45, lw=0, zorder=-1)


def _draw_marks(axis: Axes, recording: Recording) -> None:
    """One bar for each incident, with its name to the right, or to the left of a late one."""
    marks = recording.marks
    unit_s, _ = time_unit(recording)
    for row, (mark, colour) in enumerate(zip(marks, _mark_colours(marks), strict=True)):
        start, end = mark.start_s / unit_s, mark.end_s / unit_s
        axis.barh(row, end - start, left=start, height=0.8, color=colour, edgecolor="#a08060", lw=0.6)
        late = mark.end_s > 0.7 * recording.times_s[-1] and start > 0.4 * end
        axis.annotate(
            mark.label, (start if late else end, row), xytext=(-4 if late else 4, 0), textcoords="offset points",
            ha="right" if late else "left", va="center", fontsize=9,
        )  # fmt: skip
    axis.set_title(
        "What happens" if marks else "What happens: no incident", loc="left", fontsize=10.5, fontweight="bold"
    )
    axis.set_ylim(max(1, len(marks)) - 0.4, -0.6)
    axis.set_yticks([])
    axis.tick_params(bottom=False)
    axis.spines[:].set_visible(False)


def _mark_colours(marks: Sequence[Mark]) -> list[str]:
    return [INCIDENT_COLOURS[index % len(INCIDENT_COLOURS)] for index in range(len(marks))]
