"""What every kind of service has: integrals over time, completed requests, logged visits."""

from __future__ import annotations

from typing import Any

from streamflow_env.engines.compiled.records import CACHE, DATABASE, POOL
from streamflow_env.engines.compiled.state import State
from streamflow_env.engines.compiling import inlined, kernel
from streamflow_env.engines.draws.distributions import duration_code
from streamflow_env.engines.telemetry import bucket
from streamflow_env.system import Duration


def set_duration(record: Any, duration: Duration) -> None:
    """Write the distribution of a service's durations to its record."""
    record["family"], record["a"], record["b"] = duration_code(duration.mean_s, duration.cv, duration.distribution)


@inlined
def touch(now: int, s: Any) -> None:
    """Bring a service's integrals up to `now`. To be called before anything about it changes."""
    dt = now - s.touched_ns
    if dt <= 0:
        return
    s.touched_ns = now
    s.busy_ns += s.busy * dt
    s.server_ns += s.servers * dt
    s.queue_ns += s.queue_length * dt
    if s.kind == POOL:
        s.cpu_busy_ns += s.cpu_busy * dt
        s.core_ns += s.cores * dt
    if s.kind == POOL or s.kind == DATABASE:
        s.replica_ns += (s.ready_replicas + s.pending_replicas + draining(s)) * dt
    elif s.kind == CACHE:
        s.memory_ns += s.memory_entries * dt


@inlined
def draining(s: Any) -> int:
    """How many removed replicas still finish their requests."""
    return (s.busy - s.servers + s.workers - 1) // s.workers if s.busy > s.servers else 0


@inlined
def complete(s: Any, hists: Any, index: int, sojourn_ns: int) -> None:
    """Count a request that was served to the end."""
    s.completions += 1
    s.sojourn_ns += sojourn_ns
    hists[index, bucket(sojourn_ns)] += 1


@inlined
def log_visit(
    state: State, r: Any, step: int, round_: int, service: int, arrived: int, started: int, outcome: int
) -> None:
    """Log a visit that ends now."""
    w = state.world[0]
    if w.logging == 1:
        _log_visit(w, state.visits, r, step, round_, service, arrived, started, outcome)


@kernel
def _log_visit(
    w: Any, visits: Any, r: Any, step: int, round_: int, service: int, arrived: int, started: int, outcome: int
) -> None:
    v = visits[w.num_visits]
    w.num_visits += 1
    v.request = r.request
    v.attempt = r.attempt
    v.step = step
    v.round = round_
    v.service = service
    v.arrived_ns = arrived
    v.started_ns = started
    v.left_ns = w.now
    v.outcome = outcome
