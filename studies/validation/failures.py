"""Published failures, each from YAML: a collapse (A), a retry storm (B), a cold cache (C). Their rows."""

from __future__ import annotations

from collections.abc import Sequence

from studies.validation import failures_cold_cache, failures_collapse, failures_retry_storm
from studies.validation.experiments import Measure, rows_of
from studies.validation.failures_picture import draw_failures
from studies.validation.rows import Row

__all__ = ["draw_failures", "failure_measures", "failure_rows"]


def failure_rows(seeds: Sequence[int] = range(3), reference: bool = True, processes: int = 1) -> list[Row]:
    """Every row of the three experiments on every seed; with `reference` on that engine too, with the first seed."""
    return rows_of(failure_measures(), seeds, reference, processes)


def failure_measures() -> list[Measure]:
    """What the rows measure, in their order."""
    return [
        *failures_collapse.measures(),
        *failures_retry_storm.measures(),
        *failures_cold_cache.measures(),
    ]
