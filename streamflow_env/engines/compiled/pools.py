"""Worker pools: a request enters, works, uses CPU cores, and leaves."""

from __future__ import annotations

from typing import Any

from streamflow_env.engines.compiled.admission import admits
from streamflow_env.engines.compiled.event_queue import PATIENCE_EVENT, order_of, schedule, wait
from streamflow_env.engines.compiled.records import (
    ADMISSION,
    CORE_HAD,
    CPU_DONE,
    HOLD,
    NEVER,
    POOL,
    WORK_DONE,
    WORKER_HAD,
)
from streamflow_env.engines.compiled.requests import draw
from streamflow_env.engines.compiled.servers import (
    HAD,
    TURNED_AWAY,
    admit,
    admit_to_cores,
    lay_out_replicas,
    queue_for_core,
    want_server,
)
from streamflow_env.engines.compiled.service import complete, log_visit, set_duration, touch
from streamflow_env.engines.compiled.state import Memory, State
from streamflow_env.engines.compiling import inlined
from streamflow_env.engines.draws.distributions import duration_ns, to_ns
from streamflow_env.engines.draws.hashing import ATTEMPT_CPU, SERVICE_TIME
from streamflow_env.engines.draws.hashing import FAULT as FAULT_DRAW
from streamflow_env.engines.telemetry import FAULT, OK, QUEUE_FULL, SHED
from streamflow_env.system import System, WorkerPool


def lay_out_pool(record: Any, pool: WorkerPool, system: System, memory: Memory) -> None:
    """Write `pool`, by default and idle, to its record."""
    record["kind"] = POOL
    record["ready_replicas"] = pool.replicas
    record["workers"] = pool.workers_per_replica
    record["cores_each"] = pool.cores_per_replica
    record["servers"] = pool.replicas * pool.workers_per_replica
    record["cores"] = pool.replicas * pool.cores_per_replica
    record["queue_limit"] = pool.queue_limit
    record["premium_first"] = pool.discipline == "premium_first"
    record["serves_abandoned"] = pool.serves_abandoned
    record["cpu_pressure"] = pool.cpu_pressure
    record["cpu_pressure_queue"] = pool.cpu_pressure_queue
    record["fault_fraction"] = pool.fault_fraction
    set_duration(record, pool.service_time)
    if pool.waiting_limit_s is not None:
        record["waiting_limit_ns"] = to_ns(pool.waiting_limit_s)
    record["rate_limit"] = int(pool.rate_limit_rps or 0)
    record["admission_units"] = record["rate_limit"] * ADMISSION
    record["admission_reserve_fraction"] = pool.admission_reserve_fraction
    lay_out_replicas(record, pool, pool.replicas, system, memory)


@inlined
def enter(state: State, slot: int, step: Any) -> bool:
    """Get a worker or queue for one; or fail, by admission control or because the queue is full."""
    w = state.world[0]
    r = state.requests[slot]
    s = state.services[step.service]
    s.arrivals += 1
    if step.number == 0 and not admits(w.now, s, r.premium == 1):
        s.shed += 1
        log_visit(state, r, step.number, 0, step.service, w.now, w.now, SHED)
        r.phase = -SHED
        return True
    at = level_to_be(step, r) * HOLD
    state.holds[slot, at] = w.now
    state.holds[slot, at + 2] = step.service
    state.holds[slot, at + 3] = step.number
    r.phase = WORKER_HAD
    got = want_server(w.now, s, state.requests, slot)
    if got == HAD:
        return True
    if got == TURNED_AWAY:
        log_visit(state, r, step.number, 0, step.service, w.now, w.now, QUEUE_FULL)
        r.phase = -QUEUE_FULL
        return True
    if s.waiting_limit_ns < NEVER:
        order = order_of(PATIENCE_EVENT, r.request, r.attempt, step.number)
        schedule(state, w.now + s.waiting_limit_ns, order, slot)
    return False


@inlined
def work(state: State, s: Any, slot: int, step: Any) -> bool:
    """Hold a worker and let it work."""
    w = state.world[0]
    r = state.requests[slot]
    state.holds[slot, level_to_be(step, r) * HOLD + 1] = w.now
    if step.number == 0:
        r.entry_held = 1
    else:
        r.held += 1
    delay = duration_ns(draw(r, SERVICE_TIME, step.number, 0), s.family, s.a, s.b, s.slowdown)
    return wait(state, r, slot, delay, step.number, WORK_DONE)


@inlined
def leave(state: State, slot: int, step: Any) -> None:
    """Give the worker back; the request may fail here of itself."""
    w = state.world[0]
    r = state.requests[slot]
    s = state.services[step.service]
    outcome = OK
    if s.fault_fraction > 0.0 and draw(r, FAULT_DRAW, step.number, 0) < s.fault_fraction:
        outcome = FAULT
        s.faults += 1
    else:
        complete(s, state.hists, step.service, w.now - state.holds[slot, r.held * HOLD])
    give_back_worker(state, slot, r.held, outcome)
    r.held -= 1
    if outcome == FAULT:
        r.phase = -FAULT
    else:
        r.pc += 1


@inlined
def level_to_be(step: Any, r: Any) -> int:
    """At which level a worker of this step is held: 0 for the entry's, 1 and more for those held within it."""
    return 0 if step.number == 0 else r.held + 1


@inlined
def give_back_worker(state: State, slot: int, level: int, outcome: int) -> None:
    """Give back the worker that a request holds at `level`. The caller has counted why."""
    holds, at = state.holds, level * HOLD
    index = holds[slot, at + 2]
    s = state.services[index]
    touch(state.world[0].now, s)
    s.busy -= 1
    s.in_flight -= 1
    r = state.requests[slot]
    log_visit(state, r, holds[slot, at + 3], 0, index, holds[slot, at], holds[slot, at + 1], outcome)
    admit(state, s)


@inlined
def want_core(state: State, s: Any, slot: int) -> bool:
    """Ask for a CPU core of the pool whose worker is held."""
    w = state.world[0]
    r = state.requests[slot]
    r.arrived_ns = w.now
    r.phase = CORE_HAD
    touch(w.now, s)
    if s.cpu_busy < s.cores:
        s.cpu_busy += 1
        return True
    queue_for_core(s, state.requests, slot)
    return False


@inlined
def use_core(state: State, s: Any, r: Any, slot: int, step: Any, is_query: bool) -> bool:
    """Compute on the core. Requests in the pool's queue slow it down."""
    w = state.world[0]
    r.started_ns = w.now
    pressure = 1.0 + s.cpu_pressure * s.queue_length / s.cpu_pressure_queue
    factor = s.slowdown * pressure
    if is_query:
        c = state.calls[step.call]
        delay = duration_ns(draw(r, ATTEMPT_CPU, step.number, r.round), c.cpu_family, c.cpu_a, c.cpu_b, factor)
    else:
        delay = duration_ns(draw(r, SERVICE_TIME, step.number, 0), step.family, step.a, step.b, factor)
    return wait(state, r, slot, delay, step.number, CPU_DONE)


@inlined
def give_back_core(state: State, s: Any, slot: int, step: Any) -> None:
    """The computation is done: give the core back."""
    w = state.world[0]
    r = state.requests[slot]
    touch(w.now, s)
    s.cpu_busy -= 1
    log_visit(state, r, step.number, r.round, step.pool, r.arrived_ns, r.started_ns, OK)
    admit_to_cores(state, s)
