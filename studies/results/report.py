"""The page docs/results.md: which policy in which situation, and how sure that is; all of it from kept outputs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from streamflow_agents.evaluation.comparison import ALL, COLUMNS, ablation, by_return, interval, points, tables, verdict
from streamflow_agents.evaluation.comparison_plot import draw_comparison
from streamflow_agents.evaluation.episodes import RETURN
from streamflow_agents.evaluation.kept_episodes import Episodes, read_episodes
from streamflow_env.errors import ConfigError
from studies.clairvoyant import headroom
from studies.clairvoyant.convergence_plot import draw_convergence
from studies.clairvoyant.headroom import ZERO
from studies.clairvoyant.search import read_found
from studies.robustness import shifts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EPISODES: Final = "episodes.csv.gz"
LEARNERS: Final = "learners.csv.gz"
PARTS: Final = "parts.csv.gz"
HEADROOM: Final = "headroom.csv.gz"
SHIFTS: Final = "shifts.csv.gz"
YARDSTICK: Final = "yardstick"
COMPARISON_PNG: Final = "comparison.png"
CONVERGENCE_PNG: Final = "convergence.png"
BRIEF: Final = ("sla_fraction", "error_fraction", "cost_per_hour")
"""What README shows of the figures."""
SUMMARY: Final = re.compile(r"(<!-- results: .*? -->\n).*?(<!-- end -->)", re.DOTALL)
"""Where README carries the summary."""


def write_page(page: Path, readme: Path | None = None) -> None:
    """Write the page and its pictures from what lies in the folder of its name, and the summary into `readme`.

    `make opponents`, `make learners`, `make yardstick`, `make headroom` and `make shifts` put it there. Raises
    ConfigError for what is missing or damaged; nothing is written then.
    """
    folder = page.with_suffix("")
    around = readme.read_text(encoding="utf-8") if readme else ""
    if readme and not SUMMARY.search(around):
        raise ConfigError(f"{readme}: has no place for the summary, `<!-- results: … -->` to `<!-- end -->`")
    learners = [folder / LEARNERS] if (folder / LEARNERS).is_file() else []
    episodes = read_episodes(folder / EPISODES, *learners)
    found = read_found(folder / YARDSTICK)
    if not found:
        raise ConfigError(f"{folder / YARDSTICK}: no yardstick there; `make yardstick` searches it")
    scored, moved = read_episodes(folder / HEADROOM), read_episodes(folder / SHIFTS)
    parts = read_episodes(folder / PARTS)
    lines = [
        "# Which policy, and how sure we are\n",
        f"Written by `make results` from what lies in [{folder.name}/]({folder.name}), in seconds; the commands that",
        "put it there are named below. The rules' numbers are in [configs/baselines](../configs/baselines), their code",
        "and where they come from in [agents/baselines](../agents/baselines).\n",
        *_summary(episodes, scored, moved),
        "## The opponents\n",
        "By `make opponents` and, for what is learned, `make learners`.",
        "A *score* is 0 at `playbook_hpa` and 100 at the yardstick, on the yardstick's episodes (below).",
        *tables(episodes, ZERO, f"{folder.name}/{COMPARISON_PNG}", _scores(scored)),
        *headroom.section(scored, found, f"{folder.name}/{CONVERGENCE_PNG}"),
        *ablation(parts, next(iter(parts.figures)), _scores(scored)[ALL]),
        *shifts.section(moved, shifts.load_shifts(), ZERO),
    ]
    pictures: dict[str, Figure] = {
        COMPARISON_PNG: draw_comparison(episodes, ZERO), CONVERGENCE_PNG: draw_convergence(found),
    }  # fmt: skip
    for name, figure in pictures.items():
        figure.savefig(folder / name, dpi=110)
    page.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    if readme:
        summary = "\n".join(_in_short(episodes, scored))
        readme.write_text(SUMMARY.sub(lambda found: f"{found[1]}{summary}\n{found[2]}", around), encoding="utf-8")


def _scores(scored: Episodes) -> dict[str, dict[str, float]]:
    by_scenario = {
        scenario: {policy: headroom.score(scored, policy, index).value for policy in scored.figures}
        for index, scenario in enumerate(scored.scenarios)
    }
    return {ALL: {policy: headroom.mean_score(scored, policy) for policy in scored.figures}, **by_scenario}


def _summary(episodes: Episodes, scored: Episodes, moved: Episodes) -> Iterator[str]:
    """What a stranger wants to know first."""
    yield "## In short\n"
    yield "| situation | best | return | against the next best | sure? | best that never changes |"
    yield "|---|---|---:|---|---|---|"
    for index, scenario in enumerate(episodes.scenarios):
        yield _first_and_second(scenario, episodes, index)
    for index, name in enumerate(moved.scenarios[1:], 1):
        yield _first_and_second(f"*shift:* {name}", moved, index)
    yield ""
    yield from _on_average(episodes, scored)
    yield ""


def _in_short(episodes: Episodes, scored: Episodes) -> Iterator[str]:
    """README's summary."""
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
    best, reached, wanted = headroom.target(scored)
    yield f"On average over all scenarios `{by_return(episodes)[0]}` returns most. A score is 0 at"
    yield f"`{ZERO}` and 100 at what a search with foresight found, the yardstick."
    yield f"The best rules, `{best}`, score {reached:.0f}; learning has to reach {wanted:.0f}."


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
