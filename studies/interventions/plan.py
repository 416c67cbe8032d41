"""What the study runs: the content of `plan.yaml`."""

from __future__ import annotations

from typing import Any, Final

from pydantic import Field

from streamflow_agents.seeds import evaluation_seeds
from streamflow_env.errors import ConfigError
from streamflow_env.system import System
from streamflow_env.system.schema import Count, Frozen, Integer, Number, Positive, Seed, Text, parse
from studies.common.study import load_plan

NAME: Final = "interventions"


class SearchPlan(Frozen):
    """How the best fixed setting is searched for; `studies.interventions.search` says what the numbers do.

    It starts, among others, from `fixed`: baselines that never change their settings.
    """

    fixed: tuple[Text, ...] = ()
    seeds: tuple[Seed, ...] = Field(min_length=1)
    generations: Count
    children: Count
    first_step: Positive
    last_step: Positive
    seed: Seed


class Plan(Frozen):
    """Scenarios, episodes, positions and the seven interventions with their controls."""

    scenarios: tuple[Text, ...] = Field(min_length=1)
    positions: tuple[Number, ...] = Field(min_length=1)
    sweep_seeds: tuple[Seed, ...] = Field(min_length=1)
    num_held_out_seeds: Count
    companions: dict[Text, dict[Text, Number | Integer]]
    search: SearchPlan
    llm_control_seeds: Count
    day: Text
    num_days: Count
    interventions: dict[Text, tuple[Text, ...]]

    @property
    def held_out_seeds(self) -> tuple[int, ...]:
        """Held-out episodes. Neither the sweep nor the search nor a training uses them."""
        return evaluation_seeds(self.num_held_out_seeds)

    def check(self, system: System) -> None:
        """Raises ConfigError where it names a control that `system` lacks."""
        named = {**{f"interventions.{name}": controls for name, controls in self.interventions.items()}}
        named["companions"] = tuple(self.companions)
        for key, controls in named.items():
            for control in controls:
                if control not in system.control_table.names:
                    raise ConfigError(f"{key}: unknown control {control!r}")


class PlanFile(Plan):
    """The content of `plan.yaml`; `quick` replaces parts of the plan in a quick run."""

    quick: dict[Text, Any]


def read_plan(quick: bool = False) -> Plan:
    """The study's plan. Raises ConfigError."""
    file = load_plan(PlanFile, NAME)
    content = file.model_dump(exclude={"quick"})
    return parse(Plan, content | file.quick if quick else content, f"plan of {NAME}")
