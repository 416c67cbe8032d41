"""The part of the results page on the clairvoyant, the scores, the target, and where the headroom lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from streamflow_agents.evaluation.episodes import RETURN, TERM
from streamflow_agents.evaluation.kept_episodes import Episodes
from streamflow_agents.evaluation.statistics import Estimate
from streamflow_env.errors import ConfigError
from studies.clairvoyant.report import bases, convergence
from studies.clairvoyant.schedule import FoundSchedule
from studies.common.markdown import table
from studies.headroom.measure import CLAIRVOYANT, FROZEN, FROZEN_AT
from studies.headroom.scores import ZERO, mean_score, score, target, whole_policies

FIXED: Final = "tuned_static"
ENOUGH: Final = 60.0
"""Where the tuned fixed setting scores more than this, reacting hardly pays."""
EQUAL: Final = 2.0
"""A policy whose score is at most this far below 100 counts as equal to the clairvoyant."""


def section(episodes: Episodes, found: Sequence[FoundSchedule], picture: str | None) -> Iterator[str]:
    """The clairvoyant, scores, go or no-go, target, and where the headroom lies, in Markdown.

    Args:
        picture: link to the picture of the convergence; None: there is none.

    Raises:
        ConfigError: the clairvoyant, `ZERO` or `FIXED` was not measured.
    """
    for needed in (ZERO, CLAIRVOYANT, FIXED):
        if needed not in episodes.figures:
            raise ConfigError(f"policy {needed!r}: was not measured; run the study headroom with it")
    yield "## The clairvoyant, and how much there is to win\n"
    yield f"For {len(episodes.seeds)} held-out episodes a scenario, the study `clairvoyant` searched a schedule with"
    yield "foresight: it knows the load and all incidents that can be foreseen. The result is no policy but an"
    yield "approximate upper bound. Each schedule is added to the actions of the best base policy of the scenario"
    yield f"({bases(found)} episodes; `best_fixed` is the scenario's own fixed setting, of"
    yield "[interventions.md](interventions.md)). The study `headroom` scored everything on the same new noise seeds."
    yield f"A score is 0 at `{ZERO}` and 100 at the clairvoyant, in brackets its 95 % interval over the episodes.\n"
    yield from _scores_and_returns(episodes)
    yield from _decision(episodes)
    if picture:
        yield f"![Convergence of the clairvoyant search]({picture})\n"
    yield from convergence(found)
    yield from _by_term(episodes)
    yield from _by_control(episodes)


def _scores_and_returns(episodes: Episodes) -> Iterator[str]:
    shown = sorted(whole_policies(episodes), key=lambda p: -mean_score(episodes, p))
    rows = []
    for name in shown:
        cells = [_score(score(episodes, name, index)) for index in range(len(episodes.scenarios))]
        rows.append([episodes.called(name), *cells, f"{mean_score(episodes, name):.0f}"])
    yield from table(["score", *episodes.scenarios, "mean"], rows, left=1)
    yield ""
    rows = []
    for name in shown:
        means = episodes.figures[name][RETURN].mean(axis=(0, 2))
        rows.append([episodes.called(name), *(f"{mean:.1f}" for mean in means), f"{means.mean():.1f}"])
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
    yield "### By term of the reward\n"
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
    yield "### By control\n"
    yield f"How the return of the clairvoyant changes where one control stays at its value in `{FROZEN_AT}`.\n"
    whole = episodes.figures[CLAIRVOYANT][RETURN]
    lost = {name: (episodes.figures[name][RETURN] - whole).mean(axis=(0, 2)) for name in frozen}
    rows = [
        [f"`{name.removeprefix(CLAIRVOYANT + FROZEN)}`", *(f"{v:+.1f}" for v in (*lost[name], lost[name].mean()))]
        for name in sorted(frozen, key=lambda name: float(lost[name].mean()))
    ]
    yield from table(["frozen", *episodes.scenarios, "mean"], rows, left=1)
    yield ""
