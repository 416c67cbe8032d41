"""Measure how fast the simulator is. What is compared is run in turn within one run.

With --only some parts are measured again, and the page keeps the others. With --redraw nothing is measured: the page is
written anew from the kept results. The rounds of a quick run are too short for its numbers to mean much.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from streamflow_agents.arguments import argument
from streamflow_env.errors import ConfigError
from studies.benchmark.parts import measure_parts
from studies.benchmark.report import summary, write
from studies.benchmark.results import RESULTS, read_results
from studies.common.study import StudyArguments, outputs

NAME = "benchmark"
PAGE = "performance"


@dataclass(frozen=True)
class Arguments(StudyArguments):
    """Measure how fast the simulator is; the parts run one after the other, whatever the number of jobs."""

    only: str = argument("", "parts to measure, separated by commas; by default all")
    redraw: bool = argument(False, "measure nothing; write page and pictures from the kept results")


def run(arguments: Arguments) -> int:
    """Measure and write the page; always 0. Raises ConfigError: an unknown part, or no kept results to redraw."""
    only = [name.strip() for name in arguments.only.split(",")] if arguments.only else []
    if only and arguments.redraw:
        raise ConfigError("--only and --redraw: --redraw measures nothing")
    to = outputs(NAME, arguments.quick, PAGE)
    if arguments.redraw:
        results = read_results(to.data / RESULTS)
    else:
        results = measure_parts(only, arguments.quick, lambda line: print(line, file=sys.stderr))
    print(summary(write(results, to)))
    print(to.page)
    return 0
