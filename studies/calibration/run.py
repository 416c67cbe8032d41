"""Measure what the shipped system must show by default. Writes the page of the calibration and its pictures.

A quick run has one seed and leaves the reference engine out, which is slow.
"""

from __future__ import annotations

from dataclasses import dataclass

from streamflow_agents.arguments import argument
from streamflow_env.system import load_system
from streamflow_env.system.schema import Count, Frozen, Text
from studies.calibration.measurement import calibrate
from studies.calibration.report import write
from studies.calibration.results import markdown
from studies.common.study import StudyArguments, load_plan, outputs

NAME = "calibration"


class Plan(Frozen):
    """Which system is measured, and on how many seeds."""

    system: Text
    num_seeds: Count


@dataclass(frozen=True)
class Arguments(StudyArguments):
    """Measure what the shipped system must show; exits with 1 where it does not show it."""

    reference: bool = argument(True, "repeat the first seed on the reference engine, which is slow")


def run(arguments: Arguments) -> int:
    """Measure and write the page; 1 where a requirement is not met, else 0."""
    plan = load_plan(Plan, NAME)
    calibration = calibrate(
        load_system(plan.system),
        range(1 if arguments.quick else plan.num_seeds),
        reference=arguments.reference and not arguments.quick,
        patience=True,
        jobs=arguments.jobs,
        progress=arguments.progress,
    )
    page = outputs(NAME, arguments.quick).page
    write(calibration, page)
    print("\n".join(markdown(calibration.results)))
    print(page)
    return 0 if calibration.passes else 1
