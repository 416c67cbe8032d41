"""Databases: connections behind a bounded FIFO queue. The primary has some, and so has each read replica.

Read replicas lag behind the primary, so their reads may be stale.
"""

from __future__ import annotations

import math

from streamflow_env.engines.draws.hashing import CALL_LATENCY, REPLICA, STALE
from streamflow_env.engines.reference.calls import Call, Serving
from streamflow_env.engines.reference.servers import Delays, PerReplica, Replicas, Servers
from streamflow_env.engines.reference.service import Service, Visit
from streamflow_env.engines.reference.simulation import DurationDraw, Simulation
from streamflow_env.engines.telemetry import OK, QUEUE_FULL
from streamflow_env.system import Database as DatabaseConfig


class Database(Service):
    """A database. The primary and each read replica have the same number of connections. No query leaves the queue."""

    retry_after_ns = 0

    def __init__(self, sim: Simulation, index: int, config: DatabaseConfig, interval_ns: int) -> None:
        super().__init__(sim, index)
        self.config: DatabaseConfig = config
        self._service_time = DurationDraw.of(config.service_time)
        self._connections = Servers(sim, (1 + config.read_replicas) * config.connections)
        self._replicas = Replicas(
            sim,
            index,
            config.read_replicas,
            Delays.of(config.startup_delay_s, config.removal_hold_s, interval_ns),
            PerReplica(self._connections, config.connections),
        )

    def serve(self, visit: Visit, call: Call) -> Serving:
        """Hold a connection during the query."""
        if not self._connections.take(visit, self.config.queue_limit):
            self.counts["queue_full"] += 1
            call.counts["queue_full"] += 1
            self.log_visit(visit, QUEUE_FULL)
            return QUEUE_FULL
        if visit.grant is not None:
            yield visit.grant
        self.counts["stale_reads"] += self._reads_stale(visit)
        u = visit.attempt.u(CALL_LATENCY, visit.step, visit.round)
        yield from visit.attempt.pause(self._service_time.ns(u, self.slowdown), visit.step)
        self.complete(visit)
        self._replicas.give_back()
        return OK

    def _reads_stale(self, visit: Visit) -> bool:
        """Whether a read replica answers, and the record was written within its lag."""
        num_replicas = self._replicas.ready
        if visit.attempt.u(REPLICA, visit.step, visit.round) >= num_replicas / (1 + num_replicas):
            return False
        stale_fraction = 1 - math.exp(-self.config.replication_lag_s * self.slowdown / self.config.write_gap_s)
        return visit.attempt.u(STALE, visit.step, visit.round) < stale_fraction

    def set_read_replicas(self, num_replicas: int) -> None:
        """Ask for so many read replicas."""
        self._replicas.scale(num_replicas)

    def measure(self) -> dict[str, int]:
        counts = super().measure()
        self._connections.measure(counts)
        self._replicas.measure(counts)
        return counts
