"""The points of the plane of load and trigger: their runs, and the region of each. `regions` says what they mean."""

from __future__ import annotations

import csv
import functools
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from enum import Enum
from pathlib import Path
from typing import Final

STUCK_FRACTION: Final = 0.5
"""A system that has not recovered is stuck where fewer of its attempts are answered."""


class Region(Enum):
    """What a point of the plane is."""

    STABLE = "stable"
    VULNERABLE = "vulnerable"
    METASTABLE = "metastable"
    OVERLOADED = "overloaded without a trigger"


@dataclass(frozen=True)
class Outcome:
    """One run.

    Attributes:
        duration_s: how long the trigger lasted; 0: there was none.
        recovery_time_s: from the first interval without the trigger on; infinite where it did not recover.
        answers_per_attempt: in the last minute; 1 where it has recovered.
    """

    policy: str
    load: float
    duration_s: float
    seed: int
    recovery_time_s: float
    answers_per_attempt: float

    @property
    def is_recovered(self) -> bool:
        return math.isfinite(self.recovery_time_s)

    @property
    def is_stuck(self) -> bool:
        return not self.is_recovered and self.answers_per_attempt < STUCK_FRACTION


@dataclass(frozen=True)
class Regions:
    """Every run of the grid: policies × loads × durations × seeds."""

    outcomes: tuple[Outcome, ...]

    @functools.cached_property
    def policies(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(outcome.policy for outcome in self.outcomes))

    @functools.cached_property
    def loads(self) -> tuple[float, ...]:
        return tuple(sorted({outcome.load for outcome in self.outcomes}))

    @functools.cached_property
    def durations_s(self) -> tuple[float, ...]:
        return tuple(sorted({outcome.duration_s for outcome in self.outcomes}))

    def runs(self, policy: str, load: float, duration_s: float | None = None) -> list[Outcome]:
        """Of one point on every seed; without `duration_s`, of one load."""
        return [
            outcome
            for outcome in self.outcomes
            if (outcome.policy, outcome.load) == (policy, load) and duration_s in (None, outcome.duration_s)
        ]

    def region(self, policy: str, load: float, duration_s: float) -> Region:
        runs, untriggered = self.runs(policy, load, duration_s), self.runs(policy, load, 0.0)
        if untriggered and _most(not run.is_recovered for run in untriggered):
            return Region.OVERLOADED
        if _most(run.is_stuck for run in runs):
            return Region.METASTABLE
        return Region.STABLE if all(run.is_recovered for run in self.runs(policy, load)) else Region.VULNERABLE

    def count(self, policy: str, region: Region) -> int:
        """Points of the grid in a region."""
        return sum(self.region(policy, load, d) is region for load in self.loads for d in self.durations_s)

    def write_csv(self, path: Path) -> None:
        """One line a run."""
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(Outcome)])
            writer.writeheader()
            writer.writerows(asdict(outcome) for outcome in self.outcomes)

    @staticmethod
    def read_csv(path: Path) -> Regions:
        """What `write_csv` wrote."""
        with path.open(newline="") as file:
            return Regions(tuple(_parsed(line) for line in csv.DictReader(file)))


def _most(flags: Iterable[bool]) -> bool:
    each = list(flags)
    return 2 * sum(each) > len(each)


def _parsed(line: dict[str, str]) -> Outcome:
    numbers = (float(line[name]) for name in ("recovery_time_s", "answers_per_attempt"))
    return Outcome(line["policy"], float(line["load"]), float(line["duration_s"]), int(line["seed"]), *numbers)
