"""How the clairvoyant search converged, in words and in a picture; both are part of the results page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from streamflow_agents.evaluation.comparison_plot import LINEAR
from studies.clairvoyant.schedule import FoundSchedule, levels_of
from studies.common.plots import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KEPT: Final = {"base": "the base alone", "half": "the schedule of half the search", "whole": "that of the whole"}


def bases(found: Sequence[FoundSchedule]) -> str:
    """In how many episodes each base was the best, in Markdown."""
    names = [schedule.base for schedule in found]
    return ", ".join(f"`{name}` in {names.count(name)}" for name in sorted(set(names), key=names.count, reverse=True))


def convergence(found: Sequence[FoundSchedule]) -> Iterator[str]:
    """What was kept, and what the searches gained in their last quarter, in Markdown.

    Medians over the searches, because a single search may collapse in an iteration.
    """
    candidates = [schedule.kept for schedule in found]
    counts = ", ".join(f"{words} in {candidates.count(name)}" for name, words in KEPT.items())
    yield f"On noise seeds that the search had not met, {counts} of {len(found)} episodes was the best, and was kept."
    for level in levels_of(found):
        gains = np.array([schedule.gains for schedule in found if schedule.level == level])
        quarter = max(1, gains.shape[1] // 4)
        last, before = gains[:, -quarter:].mean(axis=1), gains[:, -2 * quarter : -quarter].mean(axis=1)
        yield f"Level `{level}`: in the last quarter of its iterations a search returned {np.median(last):+.1f} against"
        yield f"its base, {np.median(last - before):+.2f} against the quarter before."
    yield "(Medians over the searches. Each iteration meets one noise seed; a dip in the picture is a collapse.)\n"


def draw_convergence(found: Sequence[FoundSchedule]) -> Figure:
    """The return of the search's schedule minus that of the base, by iteration: each scenario's median episode."""
    levels = levels_of(found)
    figure = new_figure(4.6 * len(levels), 4.2)
    axes = figure.subplots(1, len(levels), sharey=True, squeeze=False)[0]
    for axis, (level, scenarios) in zip(axes, levels.items(), strict=True):
        axis.grid(axis="y", color="#e5e5e5", lw=0.6)
        for scenario in scenarios:
            gains = np.median([one.gains for one in found if one.scenario == scenario], axis=0)
            axis.plot(np.arange(1, len(gains) + 1), gains, lw=1.5, label=scenario)
        axis.axhline(0.0, color="black", lw=0.8, zorder=0)
        axis.set_title(f"level {level}", fontsize=10)
        axis.set_xlabel("iteration", fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(fontsize=8, frameon=False)
    axes[0].set_yscale("symlog", linthresh=LINEAR)
    axes[0].set_yticks([-1000, -100, -10, -5, 0, 5, 10, 100], ["−1k", "−100", "−10", "−5", "0", "5", "10", "100"])
    axes[0].set_ylabel("return of the search's schedule minus that\nof its base; logarithmic beyond ±10", fontsize=9)
    figure.suptitle("The clairvoyant search, the median episode of each scenario", x=0.0, ha="left", fontsize=11)
    return figure
