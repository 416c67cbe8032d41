"""Servers behind a queue, of worker pools and databases: workers, connections, CPU cores, and their replicas."""

from __future__ import annotations

from typing import Any, Final

from streamflow_env.engines.compiled.event_queue import (
    CORE_QUEUE,
    NOWHERE,
    READY_EVENT,
    WORKER_QUEUE,
    order_of,
    schedule,
    wake,
)
from streamflow_env.engines.compiled.service import touch
from streamflow_env.engines.compiled.state import Memory, State
from streamflow_env.engines.compiling import inlined, kernel
from streamflow_env.engines.draws.distributions import to_ns
from streamflow_env.system import Database, System, WorkerPool

HAD: Final = 0
QUEUED: Final = 1
TURNED_AWAY: Final = 2


def lay_out_replicas(
    record: Any, service: WorkerPool | Database, replicas: int, system: System, memory: Memory
) -> None:
    """Write the replicas of a pool or database, which have been as many for long, to its record."""
    interval_ns = to_ns(system.control_interval_s)
    num_cohorts = -(-to_ns(service.startup_delay_s) // interval_ns) + 2
    record["startup_ns"] = to_ns(service.startup_delay_s)
    record["num_cohorts"] = num_cohorts
    record["cohorts_at"] = memory.take([0] * num_cohorts)
    held = -(-to_ns(service.removal_hold_s) // interval_ns)
    record["num_desired"] = held + 1
    record["desired_at"] = memory.take([replicas] * (held + 1))


@inlined
def want_server(now: int, s: Any, requests: Any, slot: int) -> int:
    """Ask for a server: HAD at once, QUEUED, or TURNED_AWAY because the queue is full."""
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
def admit(state: State, s: Any) -> None:
    """Give free servers to waiting requests, in the order of the queue."""
    while s.busy < s.servers and s.head >= 0:
        slot = s.head
        leave_queue(s, state.requests, slot)
        s.busy += 1
        wake(state, slot)


@inlined
def admit_to_cores(state: State, s: Any) -> None:
    """Give free cores to waiting requests, first come, first served."""
    while s.cpu_busy < s.cores and s.cpu_head >= 0:
        slot = s.cpu_head
        s.cpu_head = state.requests[slot].next
        if s.cpu_head < 0:
            s.cpu_tail = -1
        s.cpu_queue_length -= 1
        s.cpu_busy += 1
        wake(state, slot)


@inlined
def queue_for_worker(s: Any, requests: Any, slot: int) -> None:
    """Join a service's queue at its end; where premium users come first, a premium user behind the last of them."""
    r = requests[slot]
    r.queue = WORKER_QUEUE
    r.previous = s.tail
    if s.premium_first == 1 and r.premium == 1:
        r.previous = s.last_premium
        s.last_premium = slot
    if r.previous >= 0:
        r.next = requests[r.previous].next
        requests[r.previous].next = slot
    else:
        r.next = s.head
        s.head = slot
    if r.next >= 0:
        requests[r.next].previous = slot
    else:
        s.tail = slot
    s.queue_length += 1


@inlined
def leave_queue(s: Any, requests: Any, slot: int) -> None:
    """Leave a service's queue, from any place in it."""
    r = requests[slot]
    if slot == s.last_premium:
        s.last_premium = r.previous
    if r.previous >= 0:
        requests[r.previous].next = r.next
    else:
        s.head = r.next
    if r.next >= 0:
        requests[r.next].previous = r.previous
    else:
        s.tail = r.previous
    r.queue = NOWHERE
    s.queue_length -= 1


@inlined
def queue_for_core(s: Any, requests: Any, slot: int) -> None:
    """Join the end of a pool's queue for CPU cores."""
    r = requests[slot]
    r.queue = CORE_QUEUE
    r.next = -1
    if s.cpu_tail >= 0:
        requests[s.cpu_tail].next = slot
    else:
        s.cpu_head = slot
    s.cpu_tail = slot
    s.cpu_queue_length += 1


@inlined
def remove_from_queue(state: State, s: Any, slot: int) -> None:
    """Take a request out of a service's queue. The caller counts why."""
    touch(state.world[0].now, s)
    leave_queue(s, state.requests, slot)
    s.in_flight -= 1
    state.requests[slot].queue = NOWHERE


@kernel
def set_replicas(state: State, s: Any, index: int, setting: int) -> None:
    """Set the replicas. What is desired is the largest setting of the last `num_desired` control steps."""
    w, memory = state.world[0], state.memory
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
        schedule(state, w.now + s.startup_ns, order_of(READY_EVENT, index, 0, 0), index * 65536 + cohort)
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
def replicas_ready(state: State, about: int) -> None:
    """A cohort of replicas, ordered together, has started up."""
    w = state.world[0]
    s = state.services[about // 65536]
    cohort = s.cohorts_at + about % 65536
    touch(w.now, s)
    s.ready_replicas += state.memory[cohort]
    s.pending_replicas -= state.memory[cohort]
    state.memory[cohort] = 0
    _count_servers(s)
    admit(state, s)
    admit_to_cores(state, s)
