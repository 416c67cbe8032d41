"""Many random cases in several processes, and their summary."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from streamflow_agents.parallel import run_all
from streamflow_env.engines.telemetry import CALL_FIELDS, CLASS_FIELDS, SERVICE_FIELDS
from studies.accounting.random_cases import STEPS_A_CASE, Case, Result, run_case

EVERYTHING: Final = frozenset(
    f"{part}.{name}"
    for part, fields in (("services", SERVICE_FIELDS), ("classes", CLASS_FIELDS), ("calls", CALL_FIELDS))
    for name in fields
)
"""Every field that the telemetry counts."""


def run_cases(seed: int, num_steps: int, jobs: int, progress: bool) -> Iterator[tuple[Case, Result]]:
    """The cases of `num_steps` control steps, in order, with their results."""
    cases = [Case(seed, number) for number in range(-(-num_steps // STEPS_A_CASE))]
    yield from zip(cases, run_all(run, cases, jobs, progress), strict=True)


def run(case: Case) -> Result:
    """Run a case. An exception is a violation, too."""
    try:
        return run_case(case, compare=case.is_compared)
    except Exception as error:  # the report names it, with its case
        return Result(errors=[f"raised: {type(error).__name__}: {error}"])


@dataclass
class Summary:
    """The sums over all cases. `never_counted` are the telemetry's fields that were always 0."""

    seed: int
    steps: int = 0
    attempts: int = 0
    answered: int = 0
    given_up: int = 0
    episodes: int = 0
    idle_episodes: int = 0
    dead_episodes: int = 0
    shipped_episodes: int = 0
    compared_intervals: int = 0
    systems: set[int] = field(default_factory=set)
    never_counted: set[str] = field(default_factory=lambda: set(EVERYTHING))
    violations: list[dict[str, Any]] = field(default_factory=list)

    def add(self, case: Case, result: Result) -> None:
        """Count one case."""
        self.steps += result.steps
        self.attempts += result.attempts
        self.answered += result.answered
        self.given_up += result.given_up
        self.episodes += 1
        self.idle_episodes += result.attempts == 0
        self.dead_episodes += result.attempts > 0 and result.answered == 0
        self.shipped_episodes += case.system_seed < 0
        self.compared_intervals += result.compared
        self.systems.add(case.system_seed)
        self.never_counted -= result.counted
        if result.errors:
            self.violations.append({"case": case.number, "step": result.steps, "errors": result.errors})

    def write(self, path: Path, duration_s: float) -> None:
        """Write the figures as JSON, `systems` as their number."""
        figures = {
            **vars(self),
            "systems": len(self.systems),
            "never_counted": sorted(self.never_counted),
            "duration_s": round(duration_s),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")

    def __str__(self) -> str:
        return (
            f"{self.steps:,} control steps in {self.episodes:,} episodes ({self.idle_episodes:,} idle, "
            f"{self.dead_episodes:,} without an answer, {self.shipped_episodes:,} of the shipped system) of "
            f"{len(self.systems):,} systems: {self.attempts:,} attempts; {self.compared_intervals:,} intervals equal "
            f"on both engines; {len(self.violations)} violations; always 0: "
            f"{', '.join(sorted(self.never_counted)) or 'nothing'}"
        )
