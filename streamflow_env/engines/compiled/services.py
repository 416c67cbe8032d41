"""Worker pools, CPU cores, replicas, consumers: who gets a server, and what is measured of it."""

from __future__ import annotations

from typing import Any, Final

from streamflow_env.engines.compiled.event_queue import (
    BATCH_EVENT,
    NOWHERE,
    READY_EVENT,
    leave_queue,
    order_of,
    queue_for_worker,
    schedule,
    wake,
)
from streamflow_env.engines.compiled.records import CACHE, DATABASE, HOLD, POOL
from streamflow_env.engines.compiling import inlined, kernel
from streamflow_env.engines.draws.distributions import duration_ns
from streamflow_env.engines.draws.hashing import BATCHES, draw_index, stream_key, uniform
from streamflow_env.engines.telemetry import OK, bucket

HAD: Final = 0
QUEUED: Final = 1
TURNED_AWAY: Final = 2


@inlined
def draw(r: Any, purpose: int, step: int, round_: int) -> float:
    """A uniform number of this attempt."""
    return uniform(r.key, draw_index(purpose, r.attempt, step, round_))


@inlined
def log_visit(
    w: Any, visits: Any, r: Any, step: int, round_: int, service: int, arrived: int, started: int, outcome: int
) -> None:
    """Log a visit that ends now."""
    if w.logging == 1:
        _log_visit(w, visits, r, step, round_, service, arrived, started, outcome)


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


@inlined
def draining(s: Any) -> int:
    """Removed replicas that still finish requests."""
    return (s.busy - s.servers + s.workers - 1) // s.workers if s.busy > s.servers else 0


@inlined
def touch(now: int, s: Any) -> None:
    """Bring a service's integrals up to `now`, before anything about it changes."""
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
def want_server(now: int, s: Any, requests: Any, slot: int) -> int:
    """Ask for a server: HAD at once, QUEUED for one, or TURNED_AWAY by a full queue."""
    if s.busy >= s.servers and s.queue_length >= s.queue_limit:
        s.queue_full += 1
        return TURNED_AWAY
    touch(now, s)
    s.in_flight += 1
    if s.busy < s.servers:
        s.busy += 1
        return HAD
    queue_for_worker(s, requests, slot)
    return QUEUED


@inlined
def admit(w: Any, s: Any, requests: Any) -> None:
    """Give free servers to those who wait, in the order of the queue."""
    while s.busy < s.servers and s.head >= 0:
        slot = s.head
        leave_queue(s, requests, slot)
        s.busy += 1
        wake(w, requests, slot)


@inlined
def admit_to_cores(w: Any, s: Any, requests: Any) -> None:
    """Give free cores to the work that waits."""
    while s.cpu_busy < s.cores and s.cpu_head >= 0:
        slot = s.cpu_head
        s.cpu_head = requests[slot].next
        if s.cpu_head < 0:
            s.cpu_tail = -1
        s.cpu_queue_length -= 1
        s.cpu_busy += 1
        wake(w, requests, slot)


@inlined
def give_back_worker(
    w: Any, services: Any, requests: Any, holds: Any, visits: Any, slot: int, level: int, outcome: int
) -> None:
    """Return the worker that a request holds at `level` (0 is the entry's); the caller has counted why."""
    at = level * HOLD
    index = holds[slot, at + 2]
    s = services[index]
    touch(w.now, s)
    s.busy -= 1
    s.in_flight -= 1
    log_visit(w, visits, requests[slot], holds[slot, at + 3], 0, index, holds[slot, at], holds[slot, at + 1], outcome)
    admit(w, s, requests)


@inlined
def complete(s: Any, hists: Any, index: int, sojourn_ns: int) -> None:
    """Count a request served to the end."""
    s.completions += 1
    s.sojourn_ns += sojourn_ns
    hists[index, bucket(sojourn_ns)] += 1


@inlined
def remove_from_queue(w: Any, s: Any, requests: Any, slot: int) -> None:
    """Take a request out of a queue; the caller counts why."""
    touch(w.now, s)
    leave_queue(s, requests, slot)
    s.in_flight -= 1
    requests[slot].queue = NOWHERE


@kernel
def set_replicas(w: Any, s: Any, heap: Any, memory: Any, index: int, setting: int) -> None:
    """Put a setting of the replicas in force: the largest of it and those of the hold before it."""
    memory[s.desired_at + w.control_step % s.num_desired] = setting
    desired = setting
    for i in range(s.num_desired):
        desired = max(desired, memory[s.desired_at + i])
    missing = desired - s.ready_replicas - s.pending_replicas
    touch(w.now, s)
    cohort = w.control_step % s.num_cohorts
    if missing > 0:
        memory[s.cohorts_at + cohort] = missing
        s.pending_replicas += missing
        schedule(w, heap, w.now + s.startup_ns, order_of(READY_EVENT, index, 0, 0), index * 65536 + cohort)
    back = 1
    while missing < 0 and s.pending_replicas > 0 and back < s.num_cohorts:
        newest = s.cohorts_at + (w.control_step - back) % s.num_cohorts
        cancelled = min(-missing, memory[newest])
        memory[newest] -= cancelled
        s.pending_replicas -= cancelled
        missing += cancelled
        back += 1
    if missing < 0:
        s.ready_replicas += missing
        _count_servers(s)


@kernel
def _count_servers(s: Any) -> None:
    s.servers = (s.primary + s.ready_replicas) * s.workers
    s.cores = s.ready_replicas * s.cores_each


@kernel
def replicas_ready(w: Any, services: Any, requests: Any, memory: Any, about: int) -> None:
    """Replicas asked for together have started up."""
    s = services[about // 65536]
    cohort = s.cohorts_at + about % 65536
    touch(w.now, s)
    s.ready_replicas += memory[cohort]
    s.pending_replicas -= memory[cohort]
    memory[cohort] = 0
    _count_servers(s)
    admit(w, s, requests)
    admit_to_cores(w, s, requests)


@inlined
def emit(w: Any, services: Any, heap: Any, index: int) -> None:
    """Hand an event to a consumer."""
    s = services[index]
    s.arrivals += 1
    if s.queue_length >= s.queue_limit:
        s.lost += 1
        return
    touch(w.now, s)
    s.queue_length += 1
    s.in_flight += 1
    if s.busy == 0:
        _begin_batch(w, s, heap, index)


@kernel
def batch_done(w: Any, services: Any, heap: Any, index: int) -> None:
    """A consumer has finished its batch."""
    s = services[index]
    touch(w.now, s)
    s.completions += s.batch_length
    s.in_flight -= s.batch_length
    s.busy = 0
    if s.queue_length > 0:
        _begin_batch(w, s, heap, index)


@kernel
def _begin_batch(w: Any, s: Any, heap: Any, index: int) -> None:
    s.batch_length = min(s.batch_size, s.queue_length)
    s.queue_length -= s.batch_length
    s.busy = 1
    u = uniform(stream_key(w.seed, BATCHES, index), s.batch_number)
    s.batch_number += 1
    delay = duration_ns(u, s.family, s.a, s.b, s.slowdown)
    schedule(w, heap, w.now + delay, order_of(BATCH_EVENT, index, 0, 0), index)


@inlined
def leaf_visit(
    w: Any, s: Any, hists: Any, visits: Any, r: Any, number: int, round_: int, index: int, started: int
) -> None:
    """A call that was answered leaves a service without workers of its own."""
    touch(w.now, s)
    s.busy -= 1
    s.in_flight -= 1
    complete(s, hists, index, w.now - r.arrived_ns)
    log_visit(w, visits, r, number, round_, index, r.arrived_ns, started, OK)
