"""Break one mechanism of the engines at a time, in a copy of the project, and see whether the tests notice.

The mutants are in `mutants.yaml`. Each takes about half a minute, because its kernels are compiled anew. A quick run
has the mutants that `plan.yaml` names.
"""

from __future__ import annotations

from dataclasses import dataclass

from streamflow_agents.arguments import argument
from streamflow_agents.parallel import run_all
from streamflow_env.errors import ConfigError
from streamflow_env.system.schema import Frozen, Text
from studies.common.study import StudyArguments, load_plan, outputs
from studies.mutants.mutants import read_mutants, verdict
from studies.mutants.report import VERDICTS, write_mutants

NAME = "mutants"


class Plan(Frozen):
    """The names of a quick run's mutants."""

    quick: tuple[Text, ...]


@dataclass(frozen=True)
class Arguments(StudyArguments):
    """Break the engines on purpose, one mechanism at a time; exits with 1 where no test notices."""

    only: str = argument("", "mutants whose name contains this; nothing is written")


def run(arguments: Arguments) -> int:
    """Run every mutant's tests and keep the verdicts; 1 where a mutant survives, else 0. Raises ConfigError."""
    plan = load_plan(Plan, NAME)
    mutants = [mutant for mutant in read_mutants() if arguments.only in mutant.name]
    if arguments.quick:
        mutants = [mutant for mutant in mutants if mutant.name in plan.quick]
    if not mutants:
        raise ConfigError(f"mutants {arguments.only!r}: no mutant has such a name")
    verdicts = run_all(verdict, mutants, arguments.jobs, arguments.progress)
    for each in verdicts:
        print(f"{each.name:58} {each.where:22} {each.caught_by or 'SURVIVES'}")
    if not arguments.only:
        write_mutants(outputs(NAME, arguments.quick).data / VERDICTS, verdicts)
    print(f"{sum(bool(each.caught_by) for each in verdicts)} of {len(mutants)} mutants are caught")
    return 0 if all(each.caught_by for each in verdicts) else 1
