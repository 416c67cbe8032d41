"""What the clairvoyant study searches: the content of its `plan.yaml`."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from streamflow_agents.seeds import SCORING_NOISE, evaluation_seeds
from streamflow_env.system.schema import Count, Frozen, Positive, PositiveSeconds, Seed, Text
from studies.common.study import load_plan

STUDY: Final = "clairvoyant"


class Stage(Frozen):
    """One search; `first_step` is its first standard deviation, on an axis of length 2."""

    population: Count
    generations: Count
    first_step: Positive


class ClairvoyantPlan(Frozen):
    """What is searched; `plan.yaml` says what the numbers are."""

    bases: tuple[Text, ...] = Field(min_length=1)
    scenarios: tuple[Text, ...] = Field(min_length=1)
    episodes: Count
    controls: tuple[Text, ...] = Field(min_length=1)
    scenario: Stage
    episode: Stage
    segment_s: PositiveSeconds
    judging: Count
    scoring: Count
    seed: Seed

    @property
    def wanted(self) -> list[tuple[str, int]]:
        """Every (scenario, episode seed)."""
        return [(scenario, seed) for seed in evaluation_seeds(self.episodes) for scenario in self.scenarios]

    @property
    def scoring_noise_seeds(self) -> tuple[int, ...]:
        """The noise seeds on which everything is scored."""
        return SCORING_NOISE.seeds(self.scoring)


def load_clairvoyant_plan() -> ClairvoyantPlan:
    """The study's plan. Raises ConfigError where it is wrong."""
    return load_plan(ClairvoyantPlan, STUDY)
