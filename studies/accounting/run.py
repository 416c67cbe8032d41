"""Check random control steps against every account and bound: random systems, loads, incidents and actions.

One episode in eight is of the shipped system, under the shipped scenarios in turn. Of the episodes of random systems
one in ten has no requests, in one in ten everything fails, in one in ten far too many requests come. One in fifty runs
on both engines, which must be equal. The same seed gives the same cases with any number of jobs. A violation names its
case; --case N repeats that one on both engines.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from streamflow_agents.arguments import argument
from streamflow_env.system.schema import Count, Frozen, Seed
from studies.accounting.campaign import Summary, run_cases
from studies.accounting.random_cases import Case, run_case
from studies.accounting.report import SUMMARY
from studies.common.study import StudyArguments, load_plan, outputs

NAME = "accounting"


class Plan(Frozen):
    """The seed of the cases, and how many control steps they have together."""

    seed: Seed
    num_steps: Count
    num_quick_steps: Count


@dataclass(frozen=True)
class Arguments(StudyArguments):
    """Check random control steps against every account and bound; exits with 1 where one is violated."""

    case: int = argument(-1, "repeat this one case on both engines and print it; nothing is written")


def run(arguments: Arguments) -> int:
    """Run the cases and keep their summary; 1 where a rule is violated, else 0."""
    plan = load_plan(Plan, NAME)
    if arguments.case >= 0:
        return repeat(Case(plan.seed, arguments.case))
    began, summary = time.monotonic(), Summary(plan.seed)
    num_steps = plan.num_quick_steps if arguments.quick else plan.num_steps
    for case, result in run_cases(plan.seed, num_steps, arguments.jobs, arguments.progress):
        summary.add(case, result)
        for error in result.errors:
            print(f"VIOLATED in step {result.steps} of {case}: {error}")
    summary.write(outputs(NAME, arguments.quick).data / SUMMARY, time.monotonic() - began)
    print(summary)
    return 1 if summary.violations else 0


def repeat(case: Case) -> int:
    """Run one case on both engines and print what it shows; 1 where it violates a rule, else 0."""
    print(case)
    result = run_case(case, compare=True)
    for error in result.errors:
        print(f"VIOLATED in step {result.steps}: {error}")
    print(f"{result.steps} steps, {result.attempts:,} attempts, {result.compared} intervals equal on both engines")
    return 1 if result.errors else 0
