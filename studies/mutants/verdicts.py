"""What is kept of the two campaigns that take too long for the page: `make accounting` and `make mutants`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

ACCOUNTING: Final = "accounting.json"
MUTANTS: Final = "mutants.json"


@dataclass(frozen=True)
class Verdict:
    """A mutant, which engine it breaks, and the first test that catches it; empty if it survives."""

    name: str
    where: str
    caught_by: str


def write_mutants(path: Path, verdicts: Sequence[Verdict]) -> None:
    """Keep what `make mutants` found, for the page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(verdict) for verdict in verdicts], indent=2) + "\n", encoding="utf-8")


def read_accounting(path: Path) -> dict[str, Any]:
    """What `make accounting` came to. Raises FileNotFoundError."""
    figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return figures


def read_mutants(path: Path) -> list[Verdict]:
    """What `make mutants` found. Raises FileNotFoundError."""
    return [Verdict(**each) for each in json.loads(path.read_text(encoding="utf-8"))]


def accounting_text(kept: dict[str, Any]) -> str:
    """In Markdown."""
    violations = len(kept["violations"])
    found = f"**Wrong**: {violations} cases break a rule." if violations else "No account and no bound was broken."
    return (
        f"The last campaign, of seed {kept['seed']}, took {kept['duration_s'] / 60:.0f} min: {kept['steps']:,} control"
        f" steps in {kept['episodes']:,} episodes of {kept['systems']:,} systems, {kept['shipped_episodes']:,} of the"
        f" shipped one; {kept['attempts']:,} attempts. {kept['compared_intervals']:,} intervals ran on both engines"
        f" and were equal. {found}\n"
    )


def mutants_text(verdicts: Sequence[Verdict]) -> str:
    """In Markdown: a count by what they break, then the survivors."""
    lines = ["| breaks | mutants | caught in the last campaign |", "|---|---|---|"]
    for where in sorted({verdict.where for verdict in verdicts}):
        caught = [bool(verdict.caught_by) for verdict in verdicts if verdict.where == where]
        lines.append(f"| {where} | {len(caught)} | {'all' if all(caught) else f'**{sum(caught)}**'} |")
    lines += [f"\n**Wrong**: nobody notices {verdict.name!r}." for verdict in verdicts if not verdict.caught_by]
    return "\n".join(lines) + "\n"
