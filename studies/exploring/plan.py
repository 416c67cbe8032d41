"""What the study measures and says: the content of its `plan.yaml`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pydantic import Field

from streamflow_agents.seeds import EXPLORING
from streamflow_env.errors import ConfigError
from streamflow_env.system import System
from streamflow_env.system.controls import Control
from streamflow_env.system.parameters import PARAMETERS
from streamflow_env.system.schema import Count, Frozen, Positive, PositiveSeconds, Seconds, Text, parse
from studies.common.study import load_plan

NAME: Final = "exploring"


class StepPlan(Frozen):
    """A move of one control by `amplitude` of its axis, which is 2 long, and back."""

    amplitude: Positive
    start_s: Seconds
    duration_s: PositiveSeconds


class Plan(Frozen):
    """What is measured.

    Attributes:
        policy: the baseline whose action is perturbed.
        num_seeds: episodes of each scenario.
        noise: standard deviations on the axis, which is 2 long; the noise is new at every step.
        controls: those that are perturbed; empty: all of the system.
    """

    policy: Text
    scenarios: tuple[Text, ...] = Field(min_length=1)
    num_seeds: Count
    noise: tuple[Positive, ...] = Field(min_length=1)
    step: StepPlan
    controls: tuple[Text, ...] = ()

    @property
    def seeds(self) -> tuple[int, ...]:
        """The episodes of each scenario. Raises ConfigError: more than the range has."""
        return EXPLORING.seeds(self.num_seeds)

    def with_controls_of(self, system: System) -> Plan:
        """A copy that names its controls. Raises ConfigError: one that `system` lacks."""
        names = system.control_table.names
        for control in self.controls:
            if control not in names:
                raise ConfigError(f"controls: unknown control {control!r}")
        return self.model_copy(update={"controls": self.controls or names})


class Flag(Frozen):
    """A control is dear if noise of this standard deviation costs so much return in some scenario."""

    noise: Positive
    cost: Positive


class Reading(Frozen):
    """What the page says of the figures.

    Attributes:
        interval_from: costs of at least so much, or gains, are shown with their interval.
        physics: by parameter, a sentence that says why moving it costs what it costs.
    """

    flag: Flag
    interval_from: Positive
    physics: dict[Text, Text]

    def check(self, controls: Sequence[Control]) -> None:
        """Raises ConfigError: a control whose parameter has no sentence, or a sentence for no parameter."""
        for parameter in self.physics:
            if parameter not in PARAMETERS:
                raise ConfigError(f"physics.{parameter}: no such parameter; known: {', '.join(PARAMETERS)}")
        for control in controls:
            if control.parameter not in self.physics:
                raise ConfigError(
                    f"physics: no sentence for {control.parameter!r}, the parameter of control {control.name!r}; "
                    "say in the study's plan why moving it costs what it costs"
                )


class PlanFile(Plan):
    """The content of `plan.yaml`; `quick` replaces parts of the plan in a quick run."""

    reading: Reading
    quick: dict[Text, Any]


def read_plan(quick: bool = False) -> Plan:
    """What is measured. Raises ConfigError."""
    file = load_plan(PlanFile, NAME)
    content = file.model_dump(exclude={"quick", "reading"})
    return parse(Plan, content | file.quick if quick else content, f"plan of {NAME}")


def read_reading() -> Reading:
    """What the page says. Raises ConfigError."""
    return load_plan(PlanFile, NAME).reading
