"""The benchmark suite: levels of scenarios, each with a policy at score 0 and one at 100; scores and their tables.

The score is that of "Human-level control through deep reinforcement learning" (Mnih et al., Nature 2015), with rules in
the place of chance and of the human tester.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from pydantic import Field, model_validator

from streamflow_agents.evaluation.columns import COST, SLA
from streamflow_agents.evaluation.comparison import ALL, interval
from streamflow_agents.evaluation.episodes import RETURN, EpisodeResult
from streamflow_agents.evaluation.kept_episodes import RUN_MARK, Episodes, episodes_of
from streamflow_agents.evaluation.statistics import Estimate, paired_ratio
from streamflow_agents.policies.baselines import BASELINE_NAMES, is_baseline
from streamflow_agents.seeds import evaluation_seeds
from streamflow_env.errors import ConfigError
from streamflow_env.paths import config_path
from streamflow_env.system.schema import Count, Frozen, Text, load

FIGURES: Final = (RETURN, SLA.figure, COST.figure)
"""The figures of an episode that the tables need."""


class Level(Frozen):
    """The scenarios of a level, which all weigh the same, and the baselines at score 0 and at score 100."""

    scenarios: tuple[Text, ...] = Field(min_length=1)
    zero: Text
    hundred: Text

    @property
    def references(self) -> tuple[str, str]:
        """The policies at 0 and at 100."""
        return self.zero, self.hundred

    @model_validator(mode="after")
    def _check_references(self) -> Self:
        for key in ("zero", "hundred"):
            if not is_baseline(getattr(self, key)):
                raise ValueError(f"{key} = {getattr(self, key)!r}: must be one of {', '.join(BASELINE_NAMES)}")
        if self.zero == self.hundred:
            raise ValueError(f"hundred = {self.hundred!r}: must be another policy than zero")
        return self


class Suite(Frozen):
    """A benchmark suite. A change of anything in it, or of what its scenarios are, is a new version."""

    name: Text
    version: Count
    episodes: Count = Field(description="held-out episodes of each scenario")
    levels: dict[Text, Level] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_scenarios(self) -> Self:
        names = [name for level in self.levels.values() for name in level.scenarios]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"levels: scenario {twice[0]!r} is there twice")
        return self

    def seeds(self, num_episodes: int | None = None) -> tuple[int, ...]:
        """The first seeds of the held-out range, for `num_episodes` of each scenario (None: all of the suite).

        Raises:
            ConfigError: the suite has fewer, or fewer than one is asked for.
        """
        count = self.episodes if num_episodes is None else num_episodes
        if not 1 <= count <= self.episodes:
            raise ConfigError(f"episodes {count}: must be in [1, {self.episodes}], as many as the suite has")
        return evaluation_seeds(count)

    def choose(self, names: Sequence[str]) -> dict[str, Level]:
        """The levels called `names`, or all if there are none. Raises ConfigError: there is no such level."""
        for name in names:
            if name not in self.levels:
                raise ConfigError(f"level {name!r}: must be one of {', '.join(self.levels)}")
        return {name: level for name, level in self.levels.items() if not names or name in names}


def load_suite(source: str | Path = "streamflow") -> Suite:
    """A suite by its name in `configs/suites`, or by the path of a YAML file. Raises ConfigError."""
    return load(Suite, config_path("suites", source))


def check_labels(policies: Mapping[str, str], levels: Iterable[Level]) -> None:
    """Raises ConfigError where one of `policies`, by label, has the name of another policy that is a reference."""
    references = {name for level in levels for name in level.references}
    for label, source in policies.items():
        if label.partition(RUN_MARK)[0] in references and label != source:
            raise ConfigError(f"policy {label!r}: is the name of a reference; give {source} another one, NAME={source}")


@dataclass(frozen=True)
class Row:
    """What a policy reaches in a level (`scenario` is `ALL`) or in one of its scenarios: means over all episodes.

    `score` and `difference`, of the return from that of the policy at 100, have their 95 % intervals.
    """

    level: str
    scenario: str
    policy: str
    num_runs: int
    mean_return: float
    score: Estimate
    difference: Estimate
    sla_miss_fraction: float
    cost_per_hour: float


def score(name: str, level: Level, results: Sequence[EpisodeResult]) -> list[Row]:
    """A row of the level called `name` for each policy, then rows of each of its scenarios.

    Args:
        results: of one evaluation, or several on the same episodes; the level's references among them. Those of other
            levels are left out. Labels that are alike up to `#` are training runs of one policy.

    Raises:
        ConfigError: a policy, or a reference, lacks an episode.
    """
    own = [
        EpisodeResult(r.policy, r.scenario, r.seed, {figure: r.figures[figure] for figure in FIGURES})
        for scenario in level.scenarios
        for r in results
        if r.scenario == scenario
    ]
    missing = [policy for policy in level.references if policy not in {r.policy for r in own}]
    if missing:
        raise ConfigError(f"level {name!r}: was not evaluated under {missing[0]!r}")
    episodes = episodes_of(own, pooled=True)
    groups: list[tuple[str, slice | int]] = [(ALL, slice(None))]
    groups += [(scenario, index) for index, scenario in enumerate(episodes.scenarios)]
    ordered = dict.fromkeys((*level.references, *episodes.figures))
    return [_row(name, level, title, policy, episodes, rows) for title, rows in groups for policy in ordered]


def _row(name: str, level: Level, title: str, policy: str, episodes: Episodes, scenarios: slice | int) -> Row:
    mine, zero, hundred = (episodes.of(one, RETURN, scenarios) for one in (policy, *level.references))
    place = paired_ratio(mine - zero, hundred - zero)
    return Row(
        level=name,
        scenario=title,
        policy=policy,
        num_runs=episodes.num_runs(policy),
        mean_return=float(mine.mean()),
        score=Estimate(100.0 * place.value, 100.0 * place.low, 100.0 * place.high),
        difference=episodes.difference(policy, level.hundred, scenarios),
        sla_miss_fraction=1.0 - float(episodes.of(policy, SLA.figure, scenarios).mean()),
        cost_per_hour=float(episodes.of(policy, COST.figure, scenarios).mean()),
    )


def page(suite: Suite, seeds: Sequence[int], environment: str, rows: Sequence[Row], *, by_scenario: bool) -> str:
    """What `rows` say, in Markdown that can be read as it is: a table of levels, and one of scenarios if asked for."""
    lines = [
        f"Suite {suite.name}, version {suite.version}, on {environment}: {len(seeds)} held-out episodes a scenario",
        f"(seeds {seeds[0]} to {seeds[-1]}), the same for every policy. Brackets hold 95 % intervals, paired by",
        "episode. Δ is the difference of the return from that of the policy at score 100.",
    ]
    if len(seeds) < suite.episodes:
        lines += ["", f"**Not a score of the suite**: {len(seeds)} of {suite.episodes} episodes a scenario."]
    lines += ["", *_table(row for row in rows if row.scenario == ALL)]
    if by_scenario:
        lines += ["", *_table(row for row in rows if row.scenario != ALL)]
    return "\n".join(lines) + "\n"


def _table(rows: Iterable[Row]) -> Iterator[str]:
    heads = ("level", "scenario", "policy", "return", "score", "Δ return", "SLA misses %", "cost /h")
    cells = [heads, *(_cells(row) for row in rows)]
    kept = [index for index in range(len(heads)) if index != 1 or cells[1][1] != ALL]
    widths = [max(len(line[index]) for line in cells) for index in range(len(heads))]
    for number, line in enumerate(cells):
        padded = [line[i].ljust(widths[i]) if i < 3 else line[i].rjust(widths[i]) for i in kept]
        yield f"| {' | '.join(padded)} |"
        if number == 0:
            rules = ["-" * widths[i] if i < 3 else "-" * (widths[i] - 1) + ":" for i in kept]
            yield f"| {' | '.join(rules)} |"


def _cells(row: Row) -> tuple[str, ...]:
    runs = f" ({row.num_runs} runs)" if row.num_runs > 1 else ""
    return (
        row.level,
        row.scenario,
        row.policy + runs,
        f"{row.mean_return:.1f}",
        "–" if np.isnan(row.score.value) else interval(row.score),
        interval(row.difference, "+"),
        f"{100 * row.sla_miss_fraction:.1f}",
        f"{row.cost_per_hour:.1f}",
    )


def figures(rows: Iterable[Row]) -> dict[str, Any]:
    """The same by level, scenario and policy, for a JSON file; None where there is no number."""
    found: dict[str, Any] = {}
    for row in rows:
        found.setdefault(row.level, {}).setdefault(row.scenario, {})[row.policy] = {
            "num_runs": row.num_runs,
            "mean_return": row.mean_return,
            "score": _numbers(row.score),
            "difference_to_hundred": _numbers(row.difference),
            "sla_miss_fraction": row.sla_miss_fraction,
            "cost_per_hour": row.cost_per_hour,
        }
    return found


def _numbers(found: Estimate) -> dict[str, float | None]:
    values = {"value": found.value, "low_95": found.low, "high_95": found.high}
    return {key: None if np.isnan(value) else value for key, value in values.items()}
