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


def write_mutants(path: Path, verdicts: Sequence[Verdict], duration_s: float) -> None:
    """Keep what `make mutants` found, for the page."""
    figures = {"duration_s": round(duration_s), "mutants": [asdict(verdict) for verdict in verdicts]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def read(path: Path) -> dict[str, Any] | None:
    """What is kept in the file; None where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def accounting_text(kept: dict[str, Any]) -> str:
    """What came of `make accounting`, in Markdown."""
    violations = len(kept["violations"])
    found = (
        "no account and no bound was violated" if not violations else f"**wrong: {violations} cases violate a rule**"
    )
    return (
        f"The last one, of seed {kept['seed']}: {kept['steps']:,} control steps in {kept['episodes']:,} episodes,"
        f" {kept['shipped_episodes']:,} of them of the shipped system, of {kept['systems']:,} systems;"
        f" {kept['attempts']:,} attempts. {kept['compared_intervals']:,} intervals were run on both engines, and were"
        f" equal. In {kept['duration_s'] / 60:.0f} min {found}.\n"
    )


def mutants_text(kept: dict[str, Any]) -> str:
    """What came of `make mutants`, in Markdown."""
    verdicts = [Verdict(**each) for each in kept["mutants"]]
    lines = [
        f"The last one took {kept['duration_s'] / 60:.0f} min.\n",
        "| breaks | mutants | caught |",
        "|---|---|---|",
    ]
    for where in sorted({verdict.where for verdict in verdicts}):
        caught = [bool(verdict.caught_by) for verdict in verdicts if verdict.where == where]
        lines.append(f"| {where} | {len(caught)} | {'all' if all(caught) else f'**{sum(caught)}**'} |")
    lines += [f"\n**Wrong**: nobody notices {name!r}." for name in survivors(kept)]
    return "\n".join(lines) + "\n"


def survivors(kept: dict[str, Any]) -> list[str]:
    """Mutants that no test caught."""
    return [each["name"] for each in kept["mutants"] if not each["caught_by"]]
