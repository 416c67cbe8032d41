"""Write the tables of the pages about the environment and its scenarios. The text between them stays as it is.

With --check nothing is written. A quick run writes the pages to results/quick/reference.
"""

from __future__ import annotations

from dataclasses import dataclass

from streamflow_agents.arguments import argument
from streamflow_env.system import load_system
from studies.common.study import QUICK, StudyArguments
from studies.reference.report import PAGES, documented

NAME = "reference"


@dataclass(frozen=True)
class Arguments(StudyArguments):
    """Write the tables of the pages; with --check exits with 1 where one is out of date."""

    check: bool = argument(False, "write nothing; only compare")


def run(arguments: Arguments) -> int:
    """Write the pages, or compare; 1 where a comparison finds a page out of date, else 0."""
    is_old = 0
    for path in PAGES:
        page = path.read_text(encoding="utf-8")
        new = documented(page, load_system())
        if arguments.check:
            print(f"{path}: {'up to date' if new == page else 'out of date'}")
            is_old |= int(new != page)
            continue
        to = QUICK / NAME / path.name if arguments.quick else path
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_text(new, encoding="utf-8")
        print(to)
    return is_old
