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
from streamflow_agents.evaluation.group_costs import cost_tables
from streamflow_agents.evaluation.kept_episodes import Episodes, read_episodes
from streamflow_env.errors import ConfigError
from studies.baselines.run import EPISODES, PARTS
from studies.clairvoyant.report import draw_convergence
from studies.clairvoyant.schedule import FoundSchedule, read_schedules
from studies.common.markdown import listed
from studies.common.plots import save
from studies.common.study import kept
from studies.headroom import report as headroom_report
from studies.headroom.run import DOUBLED_FILE as DOUBLED
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
SINGLE: Final = ("do_nothing", "tuned_expert")
"""The policies whose costs are shown scenario by scenario: the default configuration and the tuned rules."""
SUMMARY: Final = re.compile(r"<!-- results: .*? -->\n.*?<!-- end -->", re.DOTALL)
"""README's summary."""
SUMMARY_START: Final = "<!-- results: written by `make study NAME=results` from what the studies kept -->\n"
SUMMARY_END: Final = "\n<!-- end -->"


@dataclass(frozen=True)
class Inputs:
    """The files that the page is written from, and the folder of the schedules.

    `learners`, `doubled`, `shifts` and `headroom` may be missing; without `headroom`, `schedules` are not used.
    """

    episodes: Path
    learners: Path
    parts: Path
    headroom: Path
    doubled: Path
    shifts: Path
    schedules: Path


@dataclass(frozen=True)
class Content:
    """What the inputs hold: the baselines' episodes, with the learners' or not; parts; schedules; the rest is optional.

    `scored`, `doubled` and `shifted` are None where nothing was scored, searched twice as long, or tested under shifts.
    """

    episodes: Episodes
    has_learners: bool
    parts: Episodes
    schedules: list[FoundSchedule]
    scored: Episodes | None
    doubled: Episodes | None
    shifted: Episodes | None

    @property
    def scored_here(self) -> Episodes | None:
        """What was scored in the scenarios of `episodes`: the level that the summary is about."""
        return self.scored.only(self.episodes.scenarios) if self.scored else None

    def studies(self) -> list[str]:
        """The studies that the page has something of."""
        scored = ["clairvoyant", "headroom"] if self.scored else []
        learners, shifted = ["learners"] if self.has_learners else [], ["robustness"] if self.shifted else []
        return ["baselines", *learners, *scored, *shifted]


def kept_inputs() -> Inputs:
    """What the studies kept in the repository."""
    baselines = kept("baselines")
    return Inputs(
        episodes=baselines / EPISODES,
        learners=kept("learners") / LEARNERS,
        parts=baselines / PARTS,
        headroom=kept("headroom") / HEADROOM,
        doubled=kept("headroom") / DOUBLED,
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
    _draw(content, folder)
    page.write_text(text, encoding="utf-8")
    if readme:
        summary = SUMMARY_START + "\n".join(_in_short(content)) + SUMMARY_END
        readme.write_text(SUMMARY.sub(lambda _: summary, around), encoding="utf-8")


def _draw(content: Content, folder: Path) -> None:
    """The page's pictures; a picture of what is no longer on the page goes."""
    pictures: dict[str, Figure] = {COMPARISON_PNG: draw_comparison(content.episodes, ZERO)}
    if content.scored:
        pictures[CONVERGENCE_PNG] = draw_convergence(content.schedules)
    for name, figure in pictures.items():
        save(figure, folder / name)
    for path in folder.glob("*.png"):
        if path.name not in pictures:
            path.unlink()


def _read(inputs: Inputs) -> Content:
    learners = [inputs.learners] if inputs.learners.is_file() else []
    schedules, has_scores = read_schedules(inputs.schedules), inputs.headroom.is_file()
    if has_scores and not schedules:
        raise ConfigError(f"{inputs.schedules}: no schedule for {inputs.headroom}; run the study clairvoyant first")
    return Content(
        episodes=read_episodes(inputs.episodes, *learners),
        has_learners=bool(learners),
        parts=read_episodes(inputs.parts),
        schedules=schedules,
        scored=read_episodes(inputs.headroom) if has_scores else None,
        doubled=read_episodes(inputs.doubled) if inputs.doubled.is_file() else None,
        shifted=read_episodes(inputs.shifts) if inputs.shifts.is_file() else None,
    )


def _page(content: Content, folder: str) -> Iterator[str]:
    episodes, scores = content.episodes, _scores(content.scored_here)
    sources = listed([f"[{name}](../../studies/{name}/data)" for name in content.studies()])
    yield "# Which policy, and how sure we are\n"
    yield "Written by `make study NAME=results` in seconds, from what these studies kept:"
    yield f"{sources}."
    yield "`make study NAME=baselines` measures the first anew, and so on. The parameters of the baselines are in"
    yield "[configs/baselines](../../configs/baselines), their code and sources in"
    yield "[policies/baselines](../../agents/streamflow_agents/policies/baselines).\n"
    yield from _summary(content)
    yield "## Cost by group of the reward\n"
    yield from cost_tables(episodes, SINGLE)
    yield "## The baselines\n"
    learners = ", and the study `learners` what is learned" if content.has_learners else ""
    yield f"The study `baselines` measured them{learners}."
    if scores:
        yield f"A *score* is 0 at `{ZERO}` and 100 at the clairvoyant, on the clairvoyant's episodes (below)."
    yield from tables(episodes, ZERO, f"{folder}/{COMPARISON_PNG}", scores)
    if content.scored:
        picture = f"{folder}/{CONVERGENCE_PNG}"
        yield from headroom_report.section(content.scored, content.schedules, content.doubled, picture)
    yield from ablation(content.parts, next(iter(content.parts.figures)), scores[ALL] if scores else None)
    if content.shifted:
        yield from robustness_report.section(content.shifted, load_shifts(), ZERO)


def _scores(scored: Episodes | None) -> dict[str, dict[str, float]] | None:
    """The scores of all policies, by scenario (or `ALL`); None where nothing was scored."""
    if scored is None:
        return None
    by_scenario = {
        scenario: {policy: score(scored, policy, index).value for policy in scored.figures}
        for index, scenario in enumerate(scored.scenarios)
    }
    return {ALL: {policy: mean_score(scored, policy).value for policy in scored.figures}, **by_scenario}


def _summary(content: Content) -> Iterator[str]:
    """The best policy of each scenario and each shift."""
    yield "## In short\n"
    yield "| situation | best | return | second best | sure? | best fixed setting |"
    yield "|---|---|---:|---|---|---|"
    for index, scenario in enumerate(content.episodes.scenarios):
        yield _first_and_second(scenario, content.episodes, index)
    if content.shifted:
        for index, name in enumerate(content.shifted.scenarios[1:], 1):
            yield _first_and_second(f"*shift:* {name}", content.shifted, index)
    yield ""
    yield from _on_average(content)
    yield ""


def _in_short(content: Content) -> Iterator[str]:
    """The content of README's summary."""
    episodes, scores = content.episodes, _scores(content.scored_here)
    num_scenarios = len(episodes.scenarios)
    yield f"{len(episodes.seeds) * num_scenarios} held-out episodes of an hour, the same for every policy;"
    yield f"*best in* counts scenarios, of {num_scenarios}.\n"
    columns = [column for column in COLUMNS if column.figure in BRIEF]
    titles = [*(column.title for column in columns), "return", *(["score"] if scores else []), "best in"]
    yield f"| {' | '.join(['policy', *titles, f'than `{ZERO}`'])} |"
    yield "|---" + "|---:" * len(titles) + "|---|"
    firsts = [by_return(episodes, index)[0] for index in range(num_scenarios)]
    for name in by_return(episodes):
        cells = [episodes.called(name), *(column.show(episodes.of(name, column.figure)) for column in columns)]
        cells += [f"{episodes.of(name, RETURN).mean():.1f}", *([points(scores[ALL], name)] if scores else [])]
        cells += [str(firsts.count(name)), "–" if name == ZERO else f"**{verdict(episodes.difference(name, ZERO))}**"]
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield from _on_average(content)


def _on_average(content: Content) -> Iterator[str]:
    """The best policy, the scores, and what was not measured."""
    yield f"On average over all scenarios `{by_return(content.episodes)[0]}` returns most."
    if content.scored_here:
        best, reached, wanted = target(content.scored_here)
        yield f"A score is 0 at `{ZERO}` and 100 at the clairvoyant, which a search with foresight found."
        yield f"The best baseline, `{best}`, scores {reached:.0f}; learning has to reach {wanted:.0f}."
    yield from _not_measured(content)


def _not_measured(content: Content) -> Iterator[str]:
    """What is missing on this version of the environment, and the command that measures it."""
    this = "on this version of the environment"
    if not content.has_learners:
        yield f"No learner has been trained {this}. `make study NAME=learners` does it."
    if not content.scored and content.schedules:
        yield f"No policy has been scored {this}: there is no score. `make study NAME=headroom` does it, where"
        yield "the search of `make study NAME=clairvoyant` is complete."
    elif not content.scored:
        yield f"The clairvoyant has not been searched {this}: there is no score."
        yield "`make study NAME=clairvoyant`, then `make study NAME=headroom`, does it."
    if not content.shifted:
        yield f"The shift tests have not been run {this}. `make study NAME=robustness` does it."


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
