"""What was measured: the kept episodes, and the costs: the base's return less that of a variant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from streamflow_agents.evaluation.episodes import RETURN, TERM
from streamflow_agents.evaluation.kept_episodes import Episodes, read_episodes, write_rows
from streamflow_agents.evaluation.statistics import Estimate
from streamflow_env.system.schema import Seconds, load
from streamflow_env.system.yaml_files import dump_yaml
from studies.exploring.measure import Row
from studies.exploring.perturbations import BASE, label_of
from studies.exploring.plan import Plan

EPISODES: Final = "episodes.csv.gz"
PLAN: Final = "plan.yaml"


class KeptPlan(Plan):
    """The plan of a run, with the time that it took."""

    duration_s: Seconds


@dataclass(frozen=True)
class Worst:
    """The scenario in which a perturbation costs most."""

    scenario: str
    cost: Estimate
    by_term: dict[str, float]


class Costs:
    """What each perturbation costs in each scenario, paired by episode."""

    def __init__(self, episodes: Episodes) -> None:
        self._episodes = episodes
        self._found: dict[tuple[str, str], list[Estimate]] = {}

    @property
    def scenarios(self) -> tuple[str, ...]:
        return self._episodes.scenarios

    @cached_property
    def terms(self) -> tuple[str, ...]:
        """The names of the reward's terms."""
        return tuple(name.removeprefix(TERM) for name in self._episodes.figures[BASE] if name.startswith(TERM))

    def by_scenario(self, control: str, perturbation: str) -> list[Estimate]:
        """The mean cost of return in each scenario, with its interval."""
        key = (control, perturbation)
        if key not in self._found:
            label, count = label_of(*key), len(self.scenarios)
            self._found[key] = [self._episodes.difference(BASE, label, index) for index in range(count)]
        return self._found[key]

    def by_term(self, control: str, perturbation: str, scenario: str) -> dict[str, float]:
        """The mean cost in one scenario by term of the reward; they add up to that of the return."""
        index, label = self.scenarios.index(scenario), label_of(control, perturbation)
        base, moved = (
            {name: self._episodes.of(policy, TERM + name, index).mean() for name in self.terms}
            for policy in (BASE, label)
        )
        return {name: float(base[name] - moved[name]) for name in self.terms}

    def worst(self, control: str, perturbation: str) -> Worst:
        """Where the perturbation costs most."""
        found = self.by_scenario(control, perturbation)
        index = max(range(len(found)), key=lambda i: found[i].value)
        scenario = self.scenarios[index]
        return Worst(scenario, found[index], self.by_term(control, perturbation, scenario))

    def base_return(self, scenario: str) -> float:
        """The mean return without a perturbation."""
        return float(self._episodes.of(BASE, RETURN, self.scenarios.index(scenario)).mean())


def write_results(folder: Path, rows: Sequence[Row], plan: Plan, duration_s: float) -> None:
    """Keep the episodes and the plan of the run."""
    write_rows(folder / EPISODES, rows)
    content = {**plan.model_dump(mode="json"), "duration_s": round(duration_s, 1)}
    (folder / PLAN).write_text(dump_yaml(content), encoding="utf-8")


def read_results(folder: Path) -> tuple[Costs, KeptPlan]:
    """What `write_results` kept. Raises ConfigError where there is nothing."""
    return Costs(read_episodes(folder / EPISODES)), load(KeptPlan, folder / PLAN)
