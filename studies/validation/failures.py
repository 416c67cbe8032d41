"""The checks of the published failures, each from YAML: a collapse (A), a retry storm (B), a cold cache (C)."""

from __future__ import annotations

from collections.abc import Sequence

from studies.validation import failures_cold_cache, failures_collapse, failures_retry_storm
from studies.validation.checks import Check
from studies.validation.experiments import Measure, checks_of
from studies.validation.failures_picture import draw_failures

__all__ = ["draw_failures", "failure_checks", "failure_measures"]


def failure_checks(seeds: Sequence[int] = range(3), reference: bool = True, jobs: int = 1) -> list[Check]:
    """Every check of the three experiments on every seed; with `reference` the first seed also runs on that engine."""
    return checks_of(failure_measures(), seeds, reference, jobs)


def failure_measures() -> list[Measure]:
    """What the checks measure, in their order."""
    return [
        *failures_collapse.measures(),
        *failures_retry_storm.measures(),
        *failures_cold_cache.measures(),
    ]
