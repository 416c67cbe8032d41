"""What all kinds of service have in common: counters, integrals, a slowdown factor, and the log of visits."""

from __future__ import annotations

import simpy

from streamflow_env.engines.reference.protocols import Request
from streamflow_env.engines.reference.simulation import Level, Simulation
from streamflow_env.engines.telemetry import NUM_BUCKETS, OK, SERVICE_FIELDS, bucket
from streamflow_env.episode import ChangeKind
from streamflow_env.errors import ConfigError
from streamflow_env.system.schema import Frozen


class Visit:
    """One visit of an attempt to a service: when it arrived, and when its service started (ns)."""

    __slots__ = ("arrived_ns", "attempt", "grant", "round", "started_ns", "step")

    def __init__(self, attempt: Request, step: int, round_: int = 0) -> None:
        self.attempt = attempt
        self.step = step
        self.round = round_
        self.arrived_ns = self.started_ns = attempt.sim._now
        self.grant: simpy.Event | None = None
        """What the attempt waits for in a queue; None if it never waited there."""


class Service:
    """Service number `index` of the system. It starts with no slowdown."""

    config: Frozen
    """The service's own configuration. Controls replace fields of it."""

    def __init__(self, sim: Simulation, index: int) -> None:
        self.sim = sim
        self.index = index
        self.slowdown = 1.0
        self.counts = dict.fromkeys(SERVICE_FIELDS, 0)
        self.sojourn = [0] * NUM_BUCKETS

    def complete(self, visit: Visit, outcome: int = OK) -> None:
        """A visit ends: the attempt was served."""
        self.count_completion(visit.arrived_ns)
        self.log_visit(visit, outcome)

    def count_completion(self, arrived_ns: int) -> None:
        """Count something that arrived at `arrived_ns` and is served now."""
        sojourn_ns = self.sim._now - arrived_ns
        self.counts["completions"] += 1
        self.counts["sojourn_ns"] += sojourn_ns
        self.sojourn[bucket(sojourn_ns)] += 1

    def log_visit(self, visit: Visit, outcome: int) -> None:
        """Log that `visit` ends now with `outcome`."""
        if self.sim.log:
            attempt, now = visit.attempt, self.sim._now
            self.sim.visits.append(
                (
                    attempt.request, attempt.number, visit.step, visit.round, self.index,
                    visit.arrived_ns, visit.started_ns, now, outcome,
                )
            )  # fmt: skip

    def change(self, kind: ChangeKind, value: float) -> None:
        """An incident sets `kind` to `value`. Raises ConfigError if this kind of service has no such change."""
        if kind != "slowdown_factor":
            raise ConfigError(f"change of {kind}: not possible at a {type(self).__name__}")
        self.slowdown = float(value)

    def measure(self) -> dict[str, int]:
        """The counters of the interval that ends now, with gauges and integrals. Starts new counters."""
        counts, self.counts = self.counts, dict.fromkeys(SERVICE_FIELDS, 0)
        return counts

    def measure_sojourn(self) -> list[int]:
        """The histogram of sojourn times of the interval that ends now. Starts a new one."""
        histogram, self.sojourn = self.sojourn, [0] * NUM_BUCKETS
        return histogram


class UnlimitedService(Service):
    """A service without workers and without a queue: every arrival is served at once."""

    def __init__(self, sim: Simulation, index: int) -> None:
        super().__init__(sim, index)
        self.busy = Level(sim)

    def measure(self) -> dict[str, int]:
        counts = super().measure()
        counts["busy_ns"] = self.busy.collect()
        counts["busy"] = counts["in_flight"] = self.busy.value
        return counts
