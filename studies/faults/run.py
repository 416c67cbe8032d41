"""Put every field of every configuration to every wrong or extreme value, and count how that ends."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from streamflow_agents.arguments import argument
from streamflow_env.system.schema import Count, Frozen, PositiveSeconds
from studies.common.study import StudyArguments, load_plan, outputs
from studies.faults.cases import NAME, Case, cases
from studies.faults.report import page
from studies.faults.trial import OTHER
from studies.faults.workers import run_all

KEPT: Final = "faults.csv.gz"
COLUMNS: Final = ("kind", "field", "value", "ended", "said")
MOST_SAID: Final = 300


class Plan(Frozen):
    """Control steps of each run, how long a trial may take, and of how many trials a quick run makes one."""

    num_steps: Annotated[Count, Field(le=100)]
    limit_s: PositiveSeconds
    quick_every: Count


@dataclass(frozen=True)
class Arguments(StudyArguments):
    """Put every field of every configuration to every wrong or extreme value, and count how that ends."""

    kind: str = argument("", "only configurations of this kind; nothing is kept")
    every: int = argument(1, "only one trial of so many; nothing is kept if more than 1")


def run(arguments: Arguments) -> int:
    """Try, keep and report; 1 where a trial ended in neither a clear error nor a sane run."""
    plan = load_plan(Plan, NAME)
    every = plan.quick_every if arguments.quick else arguments.every
    chosen = [case for case in cases() if arguments.kind in ("", case.kind)][::every]
    rows = [row(*ended) for ended in run_all(chosen, arguments.jobs, plan.num_steps, plan.limit_s)]
    if arguments.quick or (every == 1 and not arguments.kind):
        to = outputs(NAME, arguments.quick)
        keep(to.data / KEPT, rows)
        to.page.parent.mkdir(parents=True, exist_ok=True)
        to.page.write_text(page(rows), encoding="utf-8")
        print(to.page)
    others = [one for one in rows if one["ended"] == OTHER]
    for one in others:
        print(f"{one['kind']}: {one['field']} = {one['value']}: {one['said']}")
    print(f"tried {len(rows)}, other {len(others)}")
    return 1 if others else 0


def row(case: Case, ended: str, said: str) -> dict[str, str]:
    """A trial as it is kept."""
    last = said.strip().splitlines()[-1] if said.strip() else ""
    return dict(zip(COLUMNS, (case.kind, case.field, case.value, ended, last[:MOST_SAID]), strict=True))


def keep(path: Path, rows: Sequence[dict[str, str]]) -> None:
    """Write the trials, as a CSV with gzip."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))


def read(path: Path) -> Iterable[dict[str, str]]:
    """The trials that were kept."""
    with gzip.open(path, "rt", newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)
