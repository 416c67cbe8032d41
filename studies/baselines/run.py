"""Evaluate every baseline on held-out episodes, and an expert without each of its parts; both are kept as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import Field

from streamflow_agents.evaluation.episodes import EpisodeResult, evaluate
from streamflow_agents.evaluation.kept_episodes import write_results
from streamflow_agents.policies.baselines import BASELINE_NAMES, each_without
from streamflow_agents.seeds import evaluation_seeds
from streamflow_env.system.schema import Count, Frozen, Text
from studies.common.study import StudyArguments, load_plan, outputs

EPISODES: Final = "episodes.csv.gz"
PARTS: Final = "parts.csv.gz"


class BaselinesPlan(Frozen):
    """Which episodes; `plan.yaml` says what the numbers are."""

    scenarios: tuple[Text, ...] = Field(min_length=1)
    episodes: Count
    parts_of: Text
    parts_episodes: Count


@dataclass(frozen=True)
class Arguments(StudyArguments):
    """Evaluate every baseline on held-out episodes, and the tuned expert without each of its parts."""


def load_baselines_plan(quick: bool = False) -> BaselinesPlan:
    """The study's plan; a quick run has two scenarios with one episode each. Raises ConfigError."""
    plan = load_plan(BaselinesPlan, "baselines")
    if not quick:
        return plan
    return plan.model_copy(update={"scenarios": ("normal", "retry-storm"), "episodes": 1, "parts_episodes": 1})


def run(arguments: Arguments) -> int:
    """Evaluate both, then keep both."""
    plan, folder = load_baselines_plan(arguments.quick), outputs("baselines", arguments.quick).data

    def evaluated(policies: Sequence[str], num_seeds: int) -> list[EpisodeResult]:
        named, seeds = dict(zip(policies, policies, strict=True)), evaluation_seeds(num_seeds)
        return evaluate(named, plan.scenarios, seeds, jobs=arguments.jobs, progress=arguments.progress)

    whole = evaluated(BASELINE_NAMES, plan.episodes)
    parts = evaluated((plan.parts_of, *each_without(plan.parts_of)), plan.parts_episodes)
    write_results(folder / EPISODES, whole)
    write_results(folder / PARTS, parts)
    print(folder)
    return 0
