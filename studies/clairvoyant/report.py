"""How the clairvoyant search converged, in words and in a picture; both are part of the results page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from streamflow_agents.evaluation.comparison_plot import LINEAR
from studies.clairvoyant.schedule import FoundSchedule
from studies.common.plots import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STAGES: Final = ("constant offsets for the scenario", "a schedule for the episode")


def bases(found: Sequence[FoundSchedule]) -> str:
    """In how many episodes each base was the best, in Markdown."""
    names = [schedule.base for schedule in found]
    return ", ".join(f"`{name}` in {names.count(name)}" for name in sorted(set(names), key=names.count, reverse=True))


def convergence(found: Sequence[FoundSchedule]) -> Iterator[str]:
    """What the searches gained in their last quarter, and what that quarter added, in Markdown.

    Medians over the searches, because a single search may collapse in a generation.
    """
    for number in range(len(found[0].gains)):
        gains = np.array([schedule.gains[number] for schedule in found])
        quarter = max(1, gains.shape[1] // 4)
        last, before = gains[:, -quarter:].mean(axis=1), gains[:, -2 * quarter : -quarter].mean(axis=1)
        yield f"{STAGES[number].capitalize()}: in the last quarter of its generations the mean of a search returned"
        yield f"{np.median(last):+.1f} against its base policy, {np.median(last - before):+.2f} against the quarter"
        yield "before."
    yield "(Medians over the searches. Each generation meets one noise seed; the mean of a search may collapse there,"
    yield "which is a dip in the picture. What is kept was chosen on other noise seeds.)\n"


def draw_convergence(found: Sequence[FoundSchedule]) -> Figure:
    """The return of the search's mean minus that of the base, by generation: the median episode of each scenario."""
    num_stages = len(found[0].gains)
    figure = new_figure(4.6 * num_stages, 4.2)
    axes = figure.subplots(1, num_stages, sharey=True, squeeze=False)[0]
    scenarios = list(dict.fromkeys(schedule.scenario for schedule in found))
    for number, axis in enumerate(axes):
        axis.grid(axis="y", color="#e5e5e5", lw=0.6)
        for scenario in scenarios:
            gains = np.median([one.gains[number] for one in found if one.scenario == scenario], axis=0)
            axis.plot(np.arange(1, len(gains) + 1), gains, lw=1.5, label=scenario)
        axis.axhline(0.0, color="black", lw=0.8, zorder=0)
        axis.set_title(STAGES[number], fontsize=10)
        axis.set_xlabel("generation", fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_yscale("symlog", linthresh=LINEAR)
    axes[0].set_yticks([-1000, -100, -10, -5, 0, 5, 10, 100], ["−1k", "−100", "−10", "−5", "0", "5", "10", "100"])
    axes[0].set_ylabel("return of the search's mean minus that\nof its base; logarithmic beyond ±10", fontsize=9)
    axes[-1].legend(fontsize=8, frameon=False)
    figure.suptitle("The clairvoyant search, the median episode of each scenario", x=0.0, ha="left", fontsize=11)
    return figure
