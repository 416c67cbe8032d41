"""The part of the results page on the clairvoyant, the scores, the target, and where the headroom lies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from streamflow_agents.evaluation.episodes import RETURN, TERM
from streamflow_agents.evaluation.kept_episodes import Episodes
from streamflow_agents.evaluation.statistics import Estimate
from streamflow_env.errors import ConfigError
from studies.clairvoyant.report import bases, convergence
from studies.clairvoyant.schedule import FoundSchedule, levels_of
from studies.common.markdown import table
from studies.headroom.measure import CLAIRVOYANT, CLAIRVOYANT_DOUBLED, FROZEN, FROZEN_AT
from studies.headroom.scores import ZERO, mean_score, score, target, whole_policies

FIXED: Final = "tuned_static"
ENOUGH: Final = 60.0
"""Where the tuned fixed setting scores more than this, reacting hardly pays."""
SHOWN: Final = (FIXED, "tuned_static_varied", "expert", "tuned_expert", "tuned_expert_varied")
"""The policies whose scores by level are shown first."""
SETTLED: Final = 5.0
"""The search has converged where doubling its budget gains less than this, in percent of the headroom."""
EQUAL: Final = 2.0
"""A policy whose score is at most this far below 100 counts as equal to the clairvoyant."""


def section(
    episodes: Episodes, found: Sequence[FoundSchedule], doubled: Episodes | None, picture: str | None
) -> Iterator[str]:
    """The clairvoyant, the headroom by level, scores, go or no-go, target, and where the headroom lies, in Markdown.

    Args:
        doubled: the clairvoyant of the doubled budget, in some of the episodes; None: it was not searched.
        picture: link to the picture of the convergence; None: there is none.

    Raises:
        ConfigError: the clairvoyant, `ZERO` or `FIXED` was not measured.
    """
    for needed in (ZERO, CLAIRVOYANT, FIXED):
        if needed not in episodes.figures:
            raise ConfigError(f"policy {needed!r}: was not measured; run the study headroom with it")
    levels = {level: episodes.only(scenarios) for level, scenarios in levels_of(found).items()}
    yield "## The clairvoyant, and how much there is to win\n"
    yield f"For {len(episodes.seeds)} held-out episodes a scenario, the study `clairvoyant` searched a schedule of all"
    yield "controls with foresight: it knows the cell, the load and all incidents that can be foreseen. The result is"
    yield "no policy but an approximate upper bound. Each schedule is added to the actions of the baseline that is best"
    yield f"in the episode ({bases(found)} episodes; `best_fixed` is the scenario's own fixed setting, of"
    yield "[interventions.md](interventions.md)). The study `headroom` scored everything on the same new noise seeds."
    yield f"The headroom is the return of the clairvoyant less that of `{ZERO}`. A score is 0 at `{ZERO}` and 100 at"
    yield "the clairvoyant, in brackets its 95 % interval over the episodes.\n"
    yield from _by_level(levels)
    for level, of_level in levels.items():
        yield f"### Level `{level}`\n"
        yield from _scores_and_returns(of_level)
        yield from _decision(of_level)
        yield from _by_term(of_level)
        yield from _by_control(of_level)
    yield "### Convergence of the search\n"
    if picture:
        yield f"![Convergence of the clairvoyant search]({picture})\n"
    yield from convergence(found)
    if doubled:
        yield from _by_budget(levels, doubled)


def _by_level(levels: Mapping[str, Episodes]) -> Iterator[str]:
    rows = []
    for level, episodes in levels.items():
        whole = episodes.difference(CLAIRVOYANT, ZERO)
        headroom = f"{whole.value:.1f} [{whole.low:.1f}, {whole.high:.1f}]"
        scores = [_score(mean_score(episodes, name)) if name in episodes.figures else "–" for name in SHOWN]
        best, _, _ = target(episodes)
        rows.append([level, headroom, *scores, f"`{best}`: {_score(mean_score(episodes, best))}"])
    yield from table(["level", "headroom", *(f"`{name}`" for name in SHOWN), "best baseline"], rows, left=1)
    yield ""


def _by_budget(levels: Mapping[str, Episodes], doubled: Episodes) -> Iterator[str]:
    """What the doubled budget gained in the episodes that were searched with it."""
    (seed,) = doubled.seeds
    rows, sums = [], np.zeros(2)
    for level, episodes in levels.items():
        for index, scenario in enumerate(doubled.scenarios):
            if scenario not in episodes.scenarios:
                continue
            row, column = episodes.scenarios.index(scenario), episodes.seeds.index(seed)
            once, zero = (float(episodes.of(name, RETURN, row)[0, 0, column]) for name in (CLAIRVOYANT, ZERO))
            gained = float(doubled.of(CLAIRVOYANT_DOUBLED, RETURN, index)[0, 0, 0]) - once
            share = f"{100.0 * gained / (once - zero):+.1f} %" if once > zero else "–"
            rows.append([level, scenario, f"{once - zero:.2f}", f"{gained:+.2f}", share])
            sums += gained, once - zero
    yield f"The same search with twice as many iterations, in the episodes with seed {seed}. It gained"
    yield f"{100.0 * sums[0] / sums[1]:+.1f} % of their headroom together; below {SETTLED:.0f} % counts as converged.\n"
    head = ["level", "scenario", "headroom", "gained by doubling", "of the headroom"]
    yield from table(head, rows, left=2)
    yield ""


def _scores_and_returns(episodes: Episodes) -> Iterator[str]:
    means = {name: mean_score(episodes, name) for name in whole_policies(episodes)}
    shown = sorted(means, key=lambda name: -means[name].value)
    rows = []
    for name in shown:
        cells = [_score(score(episodes, name, index)) for index in range(len(episodes.scenarios))]
        rows.append([episodes.called(name), *cells, _score(means[name])])
    yield from table(["score", *episodes.scenarios, "mean"], rows, left=1)
    yield ""
    rows = []
    for name in shown:
        returns = episodes.figures[name][RETURN].mean(axis=(0, 2))
        rows.append([episodes.called(name), *(f"{value:.1f}" for value in returns), f"{returns.mean():.1f}"])
    yield from table(["return", *episodes.scenarios, "mean"], rows, left=1)
    yield ""


def _score(found: Estimate) -> str:
    if np.isnan(found.value):
        return "–"
    return f"{found.value:.0f} [{found.low:.0f}, {found.high:.0f}]" if found.value else "0"


def _decision(episodes: Episodes) -> Iterator[str]:
    fixed = [score(episodes, FIXED, index).value for index in range(len(episodes.scenarios))]
    above = [name for name, value in zip(episodes.scenarios, fixed, strict=True) if not value <= ENOUGH]
    go = 3 * len(above) <= len(fixed)
    yield f"**{'Go' if go else 'No go'}.** The tuned fixed setting scores above {ENOUGH:.0f} in {len(above)} of"
    yield f"{len(fixed)} scenarios ({', '.join(above) or 'none'}); in more than a third, reacting would hardly pay."
    best, reached, wanted = target(episodes)
    yield f"**The target for learning.** The best baseline, `{best}`, scores {reached:.0f} on average. A learner has to"
    yield f"reach **{wanted:.0f}**, a third of the way from there to the clairvoyant, on average over 5 training seeds."
    yield f"It also has to be *better* than `{best}` on the held-out episodes of all scenarios.\n"
    equal = [name for index, name in enumerate(episodes.scenarios) if score(episodes, best, index).value >= 100 - EQUAL]
    if equal:
        yield f"In {', '.join(equal)} the search found nothing above `{best}`; a score of 100 is what a baseline"
        yield "reaches there already.\n"


def _by_term(episodes: Episodes) -> Iterator[str]:
    best, _, _ = target(episodes)
    terms = [name for name in episodes.figures[CLAIRVOYANT] if name.startswith(TERM)]
    yield "#### By term of the reward\n"
    yield f"The return of the clairvoyant minus that of `{best}`, on average over the episodes.\n"
    rows = []
    for index, scenario in enumerate(episodes.scenarios):
        more = [
            float(np.mean(episodes.of(CLAIRVOYANT, name, index) - episodes.of(best, name, index)))
            for name in (*terms, RETURN)
        ]
        rows.append([scenario, *(f"{value:+.1f}" for value in more)])
    yield from table(["scenario", *(name.removeprefix(TERM) for name in terms), "return"], rows, left=1)
    yield ""


def _by_control(episodes: Episodes) -> Iterator[str]:
    frozen = [name for name in episodes.figures if name.startswith(CLAIRVOYANT + FROZEN)]
    if not frozen:
        return
    yield "#### By control\n"
    yield f"How the return of the clairvoyant changes where one control stays at its value in `{FROZEN_AT}`.\n"
    whole = episodes.figures[CLAIRVOYANT][RETURN]
    lost = {name: (episodes.figures[name][RETURN] - whole).mean(axis=(0, 2)) for name in frozen}
    rows = [
        [f"`{name.removeprefix(CLAIRVOYANT + FROZEN)}`", *(f"{v:+.1f}" for v in (*lost[name], lost[name].mean()))]
        for name in sorted(frozen, key=lambda name: float(lost[name].mean()))
    ]
    yield from table(["frozen", *episodes.scenarios, "mean"], rows, left=1)
    yield ""
