"""Write docs/reports/results.md, its pictures and README's summary from what the studies kept; nothing is simulated."""

from __future__ import annotations

from dataclasses import dataclass

from studies.common.study import ROOT, StudyArguments, outputs
from studies.results.report import kept_inputs, write_page


@dataclass(frozen=True)
class Arguments(StudyArguments):
    """Write the results page and README's summary from what the studies kept."""


def run(arguments: Arguments) -> int:
    """Write the page; a quick run writes it to results/quick and leaves README as it is."""
    page = outputs("results", arguments.quick).page
    write_page(kept_inputs(), page, None if arguments.quick else ROOT / "README.md")
    print(page)
    return 0
