"""Write the tables of `docs/reference/environment.md` from the code. The text between them stays as it is.

With --check nothing is written. A quick run writes the page to results/quick/reference.
"""

from __future__ import annotations

from dataclasses import dataclass

from streamflow_agents.arguments import argument
from streamflow_env.system import load_system
from studies.common.study import QUICK, StudyArguments
from studies.reference.report import PAGE, documented

NAME = "reference"


@dataclass(frozen=True)
class Arguments(StudyArguments):
    """Write the tables of the environment's reference page; with --check exits with 1 where they are out of date."""

    check: bool = argument(False, "write nothing; only compare")


def run(arguments: Arguments) -> int:
    """Write the page, or compare; 1 where a comparison finds the page out of date, else 0."""
    page = PAGE.read_text(encoding="utf-8")
    new = documented(page, load_system())
    if arguments.check:
        print(f"{PAGE}: {'up to date' if new == page else 'out of date'}")
        return int(new != page)
    to = QUICK / NAME / PAGE.name if arguments.quick else PAGE
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(new, encoding="utf-8")
    print(to)
    return 0
