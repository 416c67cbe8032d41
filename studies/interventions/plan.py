"""What the study runs: read from `configs/study`."""

from __future__ import annotations

from pydantic import Field

from streamflow_agents.seeds import evaluation_seeds
from streamflow_env.errors import ConfigError
from streamflow_env.paths import config_path
from streamflow_env.system import System
from streamflow_env.system.schema import Count, Frozen, Number, Positive, Text, load


class SearchPlan(Frozen):
    """How the best fixed setting is searched for; `studies.interventions.search` says what the numbers do.

    It starts, among others, from `fixed`: baselines that never change their settings.
    """

    fixed: tuple[Text, ...] = ()
    seeds: tuple[int, ...] = Field(min_length=1)
    generations: Count
    children: Count
    first_step: Positive
    last_step: Positive
    seed: int


class Plan(Frozen):
    """Scenarios, episodes, positions and the seven interventions with their controls."""

    scenarios: tuple[Text, ...] = Field(min_length=1)
    positions: tuple[Number, ...] = Field(min_length=1)
    sweep_seeds: tuple[int, ...] = Field(min_length=1)
    num_fresh_seeds: Count
    companions: dict[Text, dict[Text, Number | int]]
    search: SearchPlan
    lever_seeds: Count
    day: Text
    num_days: Count
    interventions: dict[Text, tuple[Text, ...]]

    @property
    def fresh_seeds(self) -> tuple[int, ...]:
        """Held-out episodes: neither swept, nor searched, nor trained on."""
        return evaluation_seeds(self.num_fresh_seeds)

    def check(self, system: System) -> None:
        """Raises ConfigError where it names a control that `system` lacks."""
        named = {**{f"interventions.{name}": controls for name, controls in self.interventions.items()}}
        named["companions"] = tuple(self.companions)
        for key, controls in named.items():
            for control in controls:
                if control not in system.control_table.names:
                    raise ConfigError(f"{key}: unknown control {control!r}")


def load_plan(name: str = "interventions") -> Plan:
    """The plan of `configs/study/<name>.yaml`, or of the file `name`. Raises ConfigError."""
    return load(Plan, config_path("study", name))
