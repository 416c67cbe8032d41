"""What the study of the mutants keeps, and how the validation's page quotes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from studies.common.markdown import table
from studies.common.study import kept

VERDICTS: Final = "mutants.json"
MUTANTS: Final = kept("mutants") / VERDICTS


@dataclass(frozen=True)
class Verdict:
    """A mutant, the engine that it breaks, and the first test that catches it; empty if it survives."""

    name: str
    where: str
    caught_by: str


def write_mutants(path: Path, verdicts: Sequence[Verdict]) -> None:
    """Keep the verdicts of a run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(verdict) for verdict in verdicts], indent=2) + "\n", encoding="utf-8")


def read_mutants(path: Path) -> list[Verdict]:
    """The verdicts that a run kept. Raises FileNotFoundError."""
    return [Verdict(**each) for each in json.loads(path.read_text(encoding="utf-8"))]


def mutants_text(verdicts: Sequence[Verdict]) -> str:
    """The verdicts in Markdown: a count by engine, then the survivors."""
    rows = []
    for where in sorted({verdict.where for verdict in verdicts}):
        caught = [bool(verdict.caught_by) for verdict in verdicts if verdict.where == where]
        rows.append((where, str(len(caught)), "all" if all(caught) else f"**{sum(caught)}**"))
    lines = list(table(("breaks", "mutants", "caught in the last run"), rows))
    lines += [f"\n**Wrong**: no test notices {verdict.name!r}." for verdict in verdicts if not verdict.caught_by]
    return "\n".join(lines) + "\n"
