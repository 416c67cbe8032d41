"""The page docs/reports/results.md: which policy in which situation, and how sure that is; all from kept outputs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from streamflow_agents.evaluation.comparison import ALL, COLUMNS, ablation, by_return, interval, points, tables, verdict
from streamflow_agents.evaluation.comparison_plot import draw_comparison
from streamflow_agents.evaluation.episodes import RETURN
from streamflow_agents.evaluation.kept_episodes import Episodes, read_episodes
from streamflow_env.errors import ConfigError
from studies.baselines.run import EPISODES, PARTS
from studies.clairvoyant.report import draw_convergence
from studies.clairvoyant.schedule import FoundSchedule, read_schedules
from studies.common.plots import save
from studies.common.study import kept
from studies.headroom import report as headroom_report
from studies.headroom.run import FILE as HEADROOM
from studies.headroom.scores import ZERO, mean_score, score, target
from studies.learners.run import FILE as LEARNERS
from studies.robustness import report as robustness_report
from studies.robustness.run import FILE as SHIFTS
from studies.robustness.shifts import load_shifts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COMPARISON_PNG: Final = "comparison.png"
CONVERGENCE_PNG: Final = "convergence.png"
BRIEF: Final = ("sla_fraction", "error_fraction", "cost_per_hour")
"""The figures in README's summary."""
SUMMARY: Final = re.compile(r"<!-- results: .*? -->\n.*?<!-- end -->", re.DOTALL)
"""README's summary."""
SUMMARY_START: Final = "<!-- results: written by `make study NAME=results` from what the studies kept -->\n"
SUMMARY_END: Final = "\n<!-- end -->"


@dataclass(frozen=True)
class Inputs:
    """The files that the page is written from, and the folder of the schedules; `learners` may be missing."""

    episodes: Path
    learners: Path
    parts: Path
    headroom: Path
    shifts: Path
    schedules: Path


@dataclass(frozen=True)
class Content:
    """What the inputs hold: the baselines' episodes, the scored ones, the shifted ones, parts, and schedules."""

    episodes: Episodes
    scored: Episodes
    shifted: Episodes
    parts: Episodes
    schedules: list[FoundSchedule]


def kept_inputs() -> Inputs:
    """What the studies kept in the repository."""
    baselines = kept("baselines")
    return Inputs(
        episodes=baselines / EPISODES,
        learners=kept("learners") / LEARNERS,
        parts=baselines / PARTS,
        headroom=kept("headroom") / HEADROOM,
        shifts=kept("robustness") / SHIFTS,
        schedules=kept("clairvoyant"),
    )


def write_page(inputs: Inputs, page: Path, readme: Path | None = None) -> None:
    """Write the page, its pictures in the folder of its name, and the summary into `readme`.

    Raises:
        ConfigError: an input is missing or damaged, or `readme` has no place for the summary. Nothing is written then.
    """
    around = readme.read_text(encoding="utf-8") if readme else ""
    if readme and not SUMMARY.search(around):
        raise ConfigError(f"{readme}: has no place for the summary, `<!-- results: … -->` to `<!-- end -->`")
    content = _read(inputs)
    folder = page.with_suffix("")
    text = "\n".join(_page(content, folder.name)).rstrip() + "\n"
    pictures: dict[str, Figure] = {
        COMPARISON_PNG: draw_comparison(content.episodes, ZERO), CONVERGENCE_PNG: draw_convergence(content.schedules),
    }  # fmt: skip
    for name, figure in pictures.items():
        save(figure, folder / name)
    page.write_text(text, encoding="utf-8")
    if readme:
        summary = SUMMARY_START + "\n".join(_in_short(content.episodes, content.scored)) + SUMMARY_END
        readme.write_text(SUMMARY.sub(lambda _: summary, around), encoding="utf-8")


def _read(inputs: Inputs) -> Content:
    learners = [inputs.learners] if inputs.learners.is_file() else []
    schedules = read_schedules(inputs.schedules)
    if not schedules:
        raise ConfigError(f"{inputs.schedules}: no schedule there; run the study clairvoyant first")
    return Content(
        episodes=read_episodes(inputs.episodes, *learners),
        scored=read_episodes(inputs.headroom),
        shifted=read_episodes(inputs.shifts),
        parts=read_episodes(inputs.parts),
        schedules=schedules,
    )


def _page(content: Content, folder: str) -> Iterator[str]:
    episodes, scored = content.episodes, content.scored
    yield "# Which policy, and how sure we are\n"
    yield "Written by `make study NAME=results` in seconds, from what the studies"
    yield "[baselines](../../studies/baselines/data), [learners](../../studies/learners/data),"
    yield "[clairvoyant](../../studies/clairvoyant/data), [headroom](../../studies/headroom/data) and"
    yield "[robustness](../../studies/robustness/data) kept. `make study NAME=baselines` measures the first anew, and"
    yield "so on. The parameters of the baselines are in [configs/baselines](../../configs/baselines), their code and"
    yield "sources in [policies/baselines](../../agents/streamflow_agents/policies/baselines).\n"
    yield from _summary(episodes, scored, content.shifted)
    yield "## The baselines\n"
    yield "The study `baselines` measured them, and the study `learners` what is learned."
    yield f"A *score* is 0 at `{ZERO}` and 100 at the clairvoyant, on the clairvoyant's episodes (below)."
    yield from tables(episodes, ZERO, f"{folder}/{COMPARISON_PNG}", _scores(scored))
    yield from headroom_report.section(scored, content.schedules, f"{folder}/{CONVERGENCE_PNG}")
    yield from ablation(content.parts, next(iter(content.parts.figures)), _scores(scored)[ALL])
    yield from robustness_report.section(content.shifted, load_shifts(), ZERO)


def _scores(scored: Episodes) -> dict[str, dict[str, float]]:
    by_scenario = {
        scenario: {policy: score(scored, policy, index).value for policy in scored.figures}
        for index, scenario in enumerate(scored.scenarios)
    }
    return {ALL: {policy: mean_score(scored, policy) for policy in scored.figures}, **by_scenario}


def _summary(episodes: Episodes, scored: Episodes, shifted: Episodes) -> Iterator[str]:
    """The best policy of each scenario and each shift."""
    yield "## In short\n"
    yield "| situation | best | return | second best | sure? | best fixed setting |"
    yield "|---|---|---:|---|---|---|"
    for index, scenario in enumerate(episodes.scenarios):
        yield _first_and_second(scenario, episodes, index)
    for index, name in enumerate(shifted.scenarios[1:], 1):
        yield _first_and_second(f"*shift:* {name}", shifted, index)
    yield ""
    yield from _on_average(episodes, scored)
    yield ""


def _in_short(episodes: Episodes, scored: Episodes) -> Iterator[str]:
    """The content of README's summary."""
    scores = _scores(scored)[ALL]
    num_scenarios = len(episodes.scenarios)
    yield f"{len(episodes.seeds) * num_scenarios} held-out episodes of an hour, the same for every policy;"
    yield f"*best in* counts scenarios, of {num_scenarios}.\n"
    columns = [column for column in COLUMNS if column.figure in BRIEF]
    heads = ["policy", *(column.title for column in columns), "return", "score", "best in", f"than `{ZERO}`"]
    yield f"| {' | '.join(heads)} |"
    yield "|---" + "|---:" * (len(heads) - 2) + "|---|"
    firsts = [by_return(episodes, index)[0] for index in range(num_scenarios)]
    for name in by_return(episodes):
        cells = [episodes.called(name), *(column.show(episodes.of(name, column.figure)) for column in columns)]
        cells += [f"{episodes.of(name, RETURN).mean():.1f}", points(scores, name)]
        cells += [str(firsts.count(name)), "–" if name == ZERO else f"**{verdict(episodes.difference(name, ZERO))}**"]
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield from _on_average(episodes, scored)


def _on_average(episodes: Episodes, scored: Episodes) -> Iterator[str]:
    best, reached, wanted = target(scored)
    yield f"On average over all scenarios `{by_return(episodes)[0]}` returns most. A score is 0 at"
    yield f"`{ZERO}` and 100 at the clairvoyant, which a search with foresight found."
    yield f"The best baseline, `{best}`, scores {reached:.0f}; learning has to reach {wanted:.0f}."


def _first_and_second(called: str, episodes: Episodes, index: int) -> str:
    order = by_return(episodes, index)
    first, second = order[0], order[1]
    found = episodes.difference(first, second, index)
    words = f"{'**yes**' if found.low > 0 else 'no'}: {interval(found, '+')}"
    fixed = next((name for name in order if name in ("tuned_static", "playbook", "do_nothing")), "–")
    value = float(np.mean(episodes.of(first, RETURN, index)))
    return f"| {called} | `{first}` | {value:.1f} | `{second}` | {words} | `{fixed}`, {_than(episodes, fixed, index)} |"


def _than(episodes: Episodes, name: str, index: int) -> str:
    if name not in episodes.figures or name == ZERO:
        return "–"
    return f"{verdict(episodes.difference(name, ZERO, index))} than `{ZERO}`"
