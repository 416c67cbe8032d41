"""Databases: connections of a primary and of read replicas, which lag behind it."""

from __future__ import annotations

import math
from typing import Any

from streamflow_env.engines.compiled.event_queue import wait
from streamflow_env.engines.compiled.records import ANSWERED, CONNECTION_HAD, DATABASE, REFUSED
from streamflow_env.engines.compiled.requests import draw
from streamflow_env.engines.compiled.servers import HAD, TURNED_AWAY, lay_out_replicas, want_server
from streamflow_env.engines.compiled.service import log_visit, set_duration
from streamflow_env.engines.compiled.state import Memory, State
from streamflow_env.engines.compiling import inlined
from streamflow_env.engines.draws.distributions import duration_ns
from streamflow_env.engines.draws.hashing import CALL_LATENCY, REPLICA, STALE
from streamflow_env.engines.telemetry import QUEUE_FULL
from streamflow_env.system import Database, System


def lay_out_database(record: Any, service: Database, system: System, memory: Memory) -> None:
    """Write a database, by default and idle, to its record."""
    record["kind"] = DATABASE
    record["primary"] = 1
    record["ready_replicas"] = service.read_replicas
    record["workers"] = service.connections
    record["servers"] = (1 + service.read_replicas) * service.connections
    record["queue_limit"] = service.queue_limit
    record["lag_s"] = service.replication_lag_s
    record["write_gap_s"] = service.write_gap_s
    set_duration(record, service.service_time)
    lay_out_replicas(record, service, service.read_replicas, system, memory)


@inlined
def ask_database(state: State, c: Any, s: Any, slot: int, step: Any) -> bool:
    """Get a connection or queue for one; a full queue refuses the attempt."""
    w = state.world[0]
    r = state.requests[slot]
    r.phase = CONNECTION_HAD
    got = want_server(w.now, s, state.requests, slot)
    if got != TURNED_AWAY:
        return got == HAD
    c.queue_full += 1
    log_visit(state, r, step.number, r.round, step.service, w.now, w.now, QUEUE_FULL)
    r.phase = REFUSED
    return True


@inlined
def use_connection(state: State, s: Any, r: Any, slot: int, step: Any) -> bool:
    """Query over the connection. A read that goes to a replica may be stale."""
    w = state.world[0]
    r.started_ns = w.now
    if s.ready_replicas > 0 and draw(r, REPLICA, step.number, r.round) < s.ready_replicas / (1 + s.ready_replicas):
        stale = 1.0 - math.exp(-s.lag_s * s.slowdown / s.write_gap_s)
        if draw(r, STALE, step.number, r.round) < stale:
            s.stale_reads += 1
    u = draw(r, CALL_LATENCY, step.number, r.round)
    return wait(state, r, slot, duration_ns(u, s.family, s.a, s.b, s.slowdown), step.number, ANSWERED)
