"""Measure what each control does by itself, whether a fixed setting is enough, and what slack costs.

With --redraw nothing is simulated: page and pictures are written from the kept results. A quick run has two scenarios
and a short search.
"""

from __future__ import annotations

from dataclasses import dataclass

from streamflow_agents.arguments import argument
from streamflow_agents.parallel import Workers
from streamflow_env.system import load_system
from studies.common.study import StudyArguments, outputs
from studies.interventions.plan import NAME, read_plan
from studies.interventions.report import redraw
from studies.interventions.results import write_results
from studies.interventions.simulation import simulate
from studies.interventions.trials import TrialRunner


@dataclass(frozen=True)
class Arguments(StudyArguments):
    """Sweep the controls, search fixed settings, and measure the cost of slack."""

    redraw: bool = argument(False, "simulate nothing; write page and pictures from the kept results")


def run(arguments: Arguments) -> int:
    """Simulate and write the page; always 0. Raises ConfigError: a wrong plan, or no kept results to redraw."""
    to, system = outputs(NAME, arguments.quick), load_system("streamflow")
    if not arguments.redraw:
        plan = read_plan(arguments.quick)
        with Workers(arguments.jobs) as workers:
            outcomes, found = simulate(plan, system, TrialRunner(workers, arguments.progress))
        write_results(to.data, outcomes, found, plan)
    redraw(to, system)
    print(to.page)
    return 0
