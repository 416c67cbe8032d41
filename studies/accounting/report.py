"""What the study of the accounts keeps, and how the validation's page quotes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from studies.common.study import kept

SUMMARY: Final = "accounting.json"
ACCOUNTING: Final = kept("accounting") / SUMMARY


def read_accounting(path: Path) -> dict[str, Any]:
    """The summary that a run kept. Raises FileNotFoundError."""
    figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return figures


def accounting_text(summary: dict[str, Any]) -> str:
    """The summary in Markdown."""
    violations = len(summary["violations"])
    found = f"**Wrong**: {violations} cases break a rule." if violations else "No account and no bound was broken."
    return (
        f"The last run, of seed {summary['seed']}, took {summary['duration_s'] / 60:.0f} min: {summary['steps']:,}"
        f" control steps in {summary['episodes']:,} episodes of {summary['systems']:,} systems,"
        f" {summary['shipped_episodes']:,} of the shipped one; {summary['attempts']:,} attempts."
        f" {summary['compared_intervals']:,} intervals ran on both engines and were equal. {found}\n"
    )
