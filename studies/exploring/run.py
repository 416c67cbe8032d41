"""Measure what moving each control costs around the tuned expert.

With --redraw nothing is simulated: page and picture are written from the kept results and the plan's sentences. A
quick run has a few controls, two scenarios and two episodes of each.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from streamflow_agents.arguments import argument
from streamflow_env.system import load_system
from studies.common.study import StudyArguments, outputs
from studies.exploring.measure import measure
from studies.exploring.plan import NAME, read_plan, read_reading
from studies.exploring.report import redraw
from studies.exploring.results import write_results


@dataclass(frozen=True)
class Arguments(StudyArguments):
    """Move one control at a time, and measure what it costs."""

    redraw: bool = argument(False, "simulate nothing; write page and picture from the kept results")


def run(arguments: Arguments) -> int:
    """Simulate and write the page; always 0. Raises ConfigError: a wrong plan, or a control without a sentence."""
    to, system, reading = outputs(NAME, arguments.quick), load_system("streamflow"), read_reading()
    if not arguments.redraw:
        plan = read_plan(arguments.quick).with_controls_of(system)
        reading.check([control for control in system.controls if control.name in plan.controls])
        began = time.monotonic()
        rows = measure(plan, arguments.jobs, arguments.progress)
        write_results(to.data, rows, plan, time.monotonic() - began)
    redraw(to, system, reading)
    print(to.page)
    return 0
