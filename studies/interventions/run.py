"""Measure what each control does, whether a fixed setting suffices, what slack costs; write docs/interventions.md.

python scripts/interventions.py             simulate, about half an hour on two cores, and write page and pictures
python scripts/interventions.py --redraw    write them from the raw results that lie beside the page
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from streamflow_agents.commands.arguments import argument, parse_arguments
from streamflow_env.errors import ConfigError
from streamflow_env.system import load_system
from studies.interventions.page import redraw
from studies.interventions.plan import load_plan
from studies.interventions.results import write_results
from studies.interventions.runs import Runner
from studies.interventions.study import simulate


@dataclass(frozen=True)
class Arguments:
    """Sweep the interventions, search fixed settings, price slack; prints the page that it writes."""

    plan: str = argument("interventions", "a name of configs/study, or a YAML file")
    redraw: bool = argument(False, "simulate nothing: draw page and pictures from the raw results beside the page")
    jobs: int = argument(os.cpu_count() or 1, "processes that share the work")
    out: str = argument("docs/interventions.md", "page to write; raw results and pictures lie in the folder beside it")
    progress: bool = argument(True, "show a progress bar")


def main() -> None:
    arguments = parse_arguments(Arguments)
    page = Path(arguments.out)
    try:
        plan, system = load_plan(arguments.plan), load_system("streamflow")
        if not arguments.redraw:
            with Runner(arguments.jobs, arguments.progress) as runner:
                outcomes, found = simulate(plan, system, runner)
            write_results(page.with_suffix(""), outcomes, found, plan)
        redraw(page, system)
    except ConfigError as error:
        sys.exit(f"error: {error}")
    print(page)


if __name__ == "__main__":
    main()
