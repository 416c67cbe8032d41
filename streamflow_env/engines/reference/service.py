"""What all kinds of service have in common: counters, integrals, a slowdown factor, and a log of visits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import simpy

from streamflow_env.engines.reference.simulation import Level, Simulation
from streamflow_env.engines.telemetry import NUM_BUCKETS, OK, SERVICE_FIELDS, bucket
from streamflow_env.episode import ChangeKind
from streamflow_env.errors import ConfigError
from streamflow_env.system.schema import Frozen

if TYPE_CHECKING:
    from streamflow_env.engines.reference.attempt import Attempt


class Visit:
    """One visit of one attempt to one service: when it arrived, and when it got what it came for (ns)."""

    __slots__ = ("arrived_ns", "attempt", "grant", "round", "started_ns", "step")

    def __init__(self, attempt: Attempt, step: int, round_: int = 0) -> None:
        self.attempt = attempt
        self.step = step
        self.round = round_
        self.arrived_ns = self.started_ns = attempt.sim._now
        self.grant: simpy.Event | None = None
        """What the request waits for while it stands in the queue."""


class Service:
    """A service number `index` of the system, healthy at first."""

    config: Frozen
    """The service's own configuration. Controls replace fields of it."""

    def __init__(self, sim: Simulation, index: int) -> None:
        self.sim = sim
        self.index = index
        self.slowdown = 1.0
        self.counts = dict.fromkeys(SERVICE_FIELDS, 0)
        self.sojourn = [0] * NUM_BUCKETS

    def complete(self, visit: Visit, outcome: int = OK) -> None:
        """A request leaves, served."""
        self.count_completion(visit.arrived_ns)
        self.log_visit(visit, outcome)

    def count_completion(self, arrived_ns: int) -> None:
        """What came at `arrived_ns` has been served."""
        sojourn_ns = self.sim._now - arrived_ns
        self.counts["completions"] += 1
        self.counts["sojourn_ns"] += sojourn_ns
        self.sojourn[bucket(sojourn_ns)] += 1

    def log_visit(self, visit: Visit, outcome: int) -> None:
        """A visit ends now."""
        if self.sim.log:
            attempt, now = visit.attempt, self.sim._now
            self.sim.visits.append(
                (
                    attempt.request, attempt.number, visit.step, visit.round, self.index,
                    visit.arrived_ns, visit.started_ns, now, outcome,
                )
            )  # fmt: skip

    def change(self, kind: ChangeKind, value: float) -> None:
        """An incident: from now on `kind` is `value`."""
        if kind != "slowdown_factor":
            raise ConfigError(f"change of {kind}: no such thing can change at a {type(self).__name__}")
        self.slowdown = float(value)

    def measure(self) -> dict[str, int]:
        """Fill gauges and integrals into the counters of the interval that ends now, and begin new ones."""
        counts, self.counts = self.counts, dict.fromkeys(SERVICE_FIELDS, 0)
        return counts

    def measure_sojourn(self) -> list[int]:
        """The histogram of sojourn times of the interval that ends now; a new one begins."""
        histogram, self.sojourn = self.sojourn, [0] * NUM_BUCKETS
        return histogram


class UnlimitedService(Service):
    """A service without workers or a queue: everything is at once in flight."""

    def __init__(self, sim: Simulation, index: int) -> None:
        super().__init__(sim, index)
        self.busy = Level(sim)

    def measure(self) -> dict[str, int]:
        counts = super().measure()
        counts["busy_ns"] = self.busy.collect()
        counts["busy"] = counts["in_flight"] = self.busy.value
        return counts
