"""What the invariants look at: one control interval, with what was before it and what was in force."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines.telemetry import Telemetry
from streamflow_env.environment.accounting import ATTEMPT_ENDS
from studies.accounting.settings import Facts, Ints, Settings

Flags = Any
"""Shape (num_rows,), bool: what numpy makes of its untyped records."""


@dataclass(frozen=True)
class View:
    """One interval, with what was before it and what was in force. Shapes are those of the telemetry's records.

    Attributes:
        quota: the largest of the interval, tokens per minute, shape (num_services,).
        totals, class_totals: counters since the episode began; None where its warm-up was not seen.
        cpu_bound: no more cores were in use when the interval began, shape (num_services,).
        admission_bound: no more units were in the entry's bucket then.
        budget_paid: thousandths of retries that the calls' budgets have been paid, shape (num_calls,); infinite where
            a budget was ever off.
    """

    facts: Facts
    settings: Settings
    now: Telemetry
    s: NDArray[Any]
    before: NDArray[Any]
    calls: NDArray[Any]
    classes: NDArray[Any]
    classes_before: NDArray[Any]
    dt: int
    quota: Ints
    totals: NDArray[Any] | None
    class_totals: NDArray[Any] | None
    cpu_bound: Ints
    admission_bound: int
    budget_paid: NDArray[np.float64]

    @cached_property
    def ready_at_start(self) -> Any:
        """Pending replicas are cancelled before ready ones."""
        return np.minimum(self.before["ready_replicas"], self.settings.replicas)

    def servers(self, ready: Ints) -> Ints:
        return (self.facts.primary + ready) * self.facts.workers + self.facts.own_servers

    @cached_property
    def servers_before(self) -> Ints:
        return self.servers(self.ready_at_start)

    @cached_property
    def servers_now(self) -> Ints:
        return self.servers(self.s["ready_replicas"])

    def of(self, *kinds: str) -> Flags:
        return np.logical_or.reduce([self.facts.is_a[kind] for kind in kinds])

    @cached_property
    def has_servers(self) -> Flags:
        return self.facts.has_replicas | (self.facts.own_servers > 0)

    def by_service(self, *fields: str) -> Ints:
        """Counters of the calls, summed by the service that is called, shape (num_services,)."""
        total = np.zeros(len(self.s), dtype=np.int64)
        np.add.at(total, self.facts.call_to, sum(self.calls[field] for field in fields))
        return total

    @cached_property
    def answers(self) -> Ints:
        return np.asarray(self.classes["within_sla"] + self.classes["late"])

    @cached_property
    def ended(self) -> Ints:
        return np.asarray(sum(self.classes[field] for field in ATTEMPT_ENDS))

    def users(self, field: str) -> int:
        """A counter of the interactive classes, summed."""
        return int(self.classes[field][self.facts.interactive].sum())
