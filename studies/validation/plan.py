"""What the validation measures: the content of `plan.yaml`."""

from __future__ import annotations

from pydantic import Field

from streamflow_env.system.schema import Count, Frozen, Positive, PositiveSeconds, Seconds, Text
from studies.common.study import load_plan

NAME = "validation"


class RegionsGrid(Frozen):
    """The grid of loads and of the trigger's lengths, and the seeds of each point."""

    num_seeds: Count
    loads: tuple[Positive, ...] = Field(min_length=1)
    durations_s: tuple[Seconds, ...] = Field(min_length=1)


class SecondOpinionPlan(Frozen):
    """Runs here and in Ciw, and the simulated time of each."""

    num_seeds: Count
    num_ciw_seeds: Count
    measured_s: PositiveSeconds


class Scale(Frozen):
    """How much is measured. No queues or no scenarios named: all of them."""

    theory_seeds: Count
    theory_queues: tuple[Text, ...] = ()
    littles_law_seeds: Count
    littles_law_scenarios: tuple[Text, ...] = ()
    failures_seeds: Count
    second_opinion: SecondOpinionPlan
    regions: RegionsGrid


class Plan(Frozen):
    """The scale of a full run and of a quick one."""

    full: Scale
    quick: Scale


def scale(quick: bool = False) -> Scale:
    """What a run measures. Raises ConfigError where the plan is wrong."""
    plan = load_plan(Plan, NAME)
    return plan.quick if quick else plan.full
