"""A comparison of policies from an evaluation's kept episodes: statistics, and a verdict in words.

After "Deep Reinforcement Learning at the Edge of the Statistical Precipice" (Agarwal et al., NeurIPS 2021): the
interquartile mean with a bootstrap stratified by scenario, and the probability of improvement. A policy under several
training seeds is one row: its figures are means over them, and its intervals are over runs and episodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamflow_agents.evaluation.columns import COST, ERRORS, IN_CASCADE, QUALITY, RECOVERY, SLA, STALE
from streamflow_agents.evaluation.episodes import RETURN, TERM
from streamflow_agents.evaluation.kept_episodes import Episodes
from streamflow_agents.evaluation.statistics import Estimate, estimate, interquartile_mean
from streamflow_agents.policies.baselines import WITHOUT
from streamflow_env.errors import ConfigError

ALL: Final = "all scenarios"


COLUMNS: Final = (SLA, ERRORS, COST, QUALITY, STALE, IN_CASCADE, RECOVERY)


def probability_of_improvement(mine: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """The probability that an episode returns more under `mine` than under `theirs`; a tie counts half.

    Both have shape (num_runs, num_scenarios, num_seeds); each run of one is compared with each run of the other.
    """
    more, as_much = mine[:, np.newaxis] > theirs, mine[:, np.newaxis] == theirs
    return float(np.mean(more + 0.5 * as_much))


def verdict(difference: Estimate) -> str:
    """`better`, `worse` or `no different`, by the paired difference's 95 % interval; one episode has no interval."""
    if np.isnan(difference.low):
        return "one episode"
    return "no different" if not difference.excludes_zero else "better" if difference.value > 0 else "worse"


def comparison(episodes: Episodes, reference: str, source: str, picture: str) -> str:
    """The page, in Markdown; `source` and `picture` are linked.

    Raises:
        ConfigError: the reference was not evaluated.
    """
    head = f"# A comparison\n\nWritten by `scripts/compare.py` from [{source}]({source}).\n"
    return "\n".join([head, *tables(episodes, reference, picture)]) + "\n"


def tables(
    episodes: Episodes, reference: str, picture: str, scores: Mapping[str, Mapping[str, float]] | None = None
) -> Iterator[str]:
    """The meaning of the words, the picture, a table of all scenarios and of each, in Markdown. Raises as `comparison`.

    `scores`, by scenario (or `ALL`) and policy, are an additional column.
    """
    if reference not in episodes.figures:
        raise ConfigError(f"reference {reference!r}: must be one of {', '.join(episodes.figures)}")
    seeds = episodes.seeds
    yield f"{len(seeds)} held-out episodes a scenario (seeds {seeds[0]} to {seeds[-1]}), the same for every policy. Δ"
    yield f"is the mean difference of the return from `{reference}`'s, paired by episode, with its 95 % interval"
    yield "(bootstrap over episodes, and over training runs where there are several); *IQM* the interquartile mean; *P*"
    yield "the probability that an episode returns more. An interval is *in cascade* where a tenth of the attempts that"
    yield "end are errors; *recovers in* is the longest cascade of an episode, to the first two minutes without, on"
    yield "average.\n"
    yield f"![Every policy against {reference}]({picture})\n"
    if len(episodes.scenarios) > 1:
        yield f"## {ALL}\n"
        yield from table(episodes, reference, slice(None), scores.get(ALL, {}) if scores is not None else None)
    for index, scenario in enumerate(episodes.scenarios):
        yield f"## {scenario}\n"
        yield from table(episodes, reference, index, scores.get(scenario, {}) if scores is not None else None)
    yield from _terms(episodes)


def table(
    episodes: Episodes, reference: str, rows: slice | int, scores: Mapping[str, float] | None = None
) -> Iterator[str]:
    """Every policy in some scenarios, or in the one of that number, in Markdown; `scores` are an additional column."""
    columns = [column for column in COLUMNS if column.figure in episodes.figures[reference]]
    heads = ["policy", *(column.title for column in columns), "return", "IQM", "Δ return", "P", f"than `{reference}`"]
    if scores is not None:
        heads.insert(-1, "score")
    yield f"| {' | '.join(heads)} |"
    yield "|---" + "|---:" * (len(heads) - 2) + "|---|"
    theirs = episodes.of(reference, RETURN, rows)
    for policy in by_return(episodes, rows):
        mine = episodes.of(policy, RETURN, rows)
        cells = [
            episodes.called(policy),
            *(column.show(episodes.of(policy, column.figure, rows)) for column in columns),
        ]
        cells += [f"{mine.mean():.1f}", interval(estimate(mine, interquartile_mean))]
        if policy == reference:
            cells += ["–", "–", "–"]
        else:
            found = episodes.difference(policy, reference, rows)
            cells += [interval(found, "+"), f"{probability_of_improvement(mine, theirs):.2f}", f"**{verdict(found)}**"]
        if scores is not None:
            cells.insert(-1, points(scores, policy))
        yield f"| {' | '.join(cells)} |"
    yield ""


def _terms(episodes: Episodes) -> Iterator[str]:
    """The terms of the return, on average over all scenarios."""
    terms = [name for name in next(iter(episodes.figures.values())) if name.startswith(TERM)]
    if not terms:
        return
    yield "## Where the return goes\n"
    yield "Sums over an episode of each term of the reward, on average over all scenarios.\n"
    yield f"| policy | {' | '.join(name.removeprefix(TERM) for name in terms)} | return |"
    yield "|---" + "|---:" * (len(terms) + 1) + "|"
    for policy in by_return(episodes):
        figures = episodes.figures[policy]
        cells = [f"{figures[name].mean():.1f}" for name in (*terms, RETURN)]
        yield f"| {policy} | {' | '.join(cells)} |"
    yield ""


def by_return(episodes: Episodes, rows: slice | int = slice(None)) -> list[str]:
    """The policies, ordered by their mean return over those scenarios, the highest first."""
    return sorted(episodes.figures, key=lambda policy: -float(episodes.of(policy, RETURN, rows).mean()))


def ablation(episodes: Episodes, whole: str, scores: Mapping[str, float] | None = None) -> Iterator[str]:
    """What the policy `whole` loses without each of its parts, in Markdown: `whole~PART` is without it.

    `scores`, mean scores by policy, are an additional column.
    """
    if whole not in episodes.figures:
        raise ConfigError(f"policy {whole!r}: was not evaluated")
    yield f"## What each part of `{whole}` is worth\n"
    yield f"Δ return where it is left out, over {len(episodes.seeds)} held-out episodes a scenario, with 95 %"
    worth = f" Whole, it scores {points(scores, whole)}." if scores is not None else ""
    yield f"intervals; what is above 0 would better be left out there.{worth}\n"
    heads = ["without", *episodes.scenarios, *(["mean score"] if scores is not None else [])]
    yield f"| {' | '.join(heads)} |"
    yield "|---" + "|---:" * (len(heads) - 1) + "|"
    for policy in episodes.figures:
        if policy.startswith(f"{whole}{WITHOUT}"):
            found = [episodes.difference(policy, whole, index) for index in range(len(episodes.scenarios))]
            cells = [interval(one, "+") for one in found]
            if scores is not None:
                cells.append(points(scores, policy))
            yield f"| {policy.removeprefix(whole + WITHOUT)} | {' | '.join(cells)} |"
    yield ""


def points(scores: Mapping[str, float], policy: str) -> str:
    """A policy's score; a dash where it has none."""
    value = scores.get(policy, float("nan"))
    return "–" if np.isnan(value) else f"{value:.0f}"


def interval(found: Estimate, sign: str = "") -> str:
    """An estimate with its interval; `sign` is `+` for a difference."""
    if np.isnan(found.low):
        return f"{found.value:{sign}.1f}"
    return f"{found.value:{sign}.1f} [{found.low:{sign}.1f}, {found.high:{sign}.1f}]"
