"""What the clairvoyant study searches: the content of its `plan.yaml`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, Field, model_validator

from streamflow_agents.policies.baselines import is_baseline
from streamflow_agents.seeds import SCORING_NOISE, evaluation_seeds
from streamflow_env.scenarios import Mixture, load_scenario
from streamflow_env.system.schema import Count, Frozen, PositiveSeconds, Seed, Text
from studies.clairvoyant.ascent import Ascent
from studies.common.study import load_plan

STUDY: Final = "clairvoyant"


def _members(given: Any) -> Any:
    """The name of a mixture stands for its members."""
    scenario = load_scenario(given) if isinstance(given, str) else None
    return tuple(scenario.members) if isinstance(scenario, Mixture) else given


class Level(Frozen):
    """Scenarios, or a mixture's name for its members, and the bases of which the best in an episode gets a schedule.

    The first episode of each of the scenarios `doubled` is searched with the doubled budget, too.
    """

    scenarios: Annotated[tuple[Text, ...], BeforeValidator(_members), Field(min_length=1)]
    bases: tuple[Text, ...] = Field(min_length=1)
    doubled: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _check_doubled(self) -> Self:
        for name in self.doubled:
            if name not in self.scenarios:
                raise ValueError(f"doubled.{name}: must be one of {', '.join(self.scenarios)}")
        return self


@dataclass(frozen=True)
class Wanted:
    """One search: an episode, the bases to choose from, and whether the budget is doubled."""

    level: str
    scenario: str
    seed: int
    bases: tuple[str, ...]
    doubled: bool = False


class ClairvoyantPlan(Frozen):
    """What is searched; `plan.yaml` says what the numbers are."""

    levels: dict[Text, Level] = Field(min_length=1)
    optional_bases: tuple[Text, ...] = ()
    episodes: Count
    segment_s: PositiveSeconds
    ascent: Ascent
    judging: Count
    scoring: Count
    seed: Seed

    @property
    def wanted(self) -> list[Wanted]:
        """Every search: all episodes, a seed at a time, then those with the doubled budget."""
        seeds = evaluation_seeds(self.episodes)
        by_seed = [self._of(level, seed) for seed in seeds for level in self.levels]
        doubled = [
            replace(wanted, doubled=True)
            for level in self.levels
            for wanted in self._of(level, seeds[0])
            if wanted.scenario in self.levels[level].doubled
        ]
        return [*(wanted for of_level in by_seed for wanted in of_level), *doubled]

    @property
    def scoring_noise_seeds(self) -> tuple[int, ...]:
        """The noise seeds on which everything is scored."""
        return SCORING_NOISE.seeds(self.scoring)

    def _of(self, level: str, seed: int) -> list[Wanted]:
        bases = self.levels[level].bases
        there = tuple(name for name in bases if name not in self.optional_bases or is_baseline(name))
        return [Wanted(level, scenario, seed, there) for scenario in self.levels[level].scenarios]


def load_clairvoyant_plan() -> ClairvoyantPlan:
    """The study's plan. Raises ConfigError where it is wrong."""
    return load_plan(ClairvoyantPlan, STUDY)
