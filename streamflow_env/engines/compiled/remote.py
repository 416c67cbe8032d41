"""Services that a call waits for without holding a worker of theirs: the wait, its timeout, the visit's end."""

from __future__ import annotations

from typing import Any

from streamflow_env.engines.compiled.event_queue import RELEASE_EVENT, order_of, schedule, wait
from streamflow_env.engines.compiled.records import ANSWERED, TIMED_OUT
from streamflow_env.engines.compiled.service import complete, log_visit, touch
from streamflow_env.engines.compiled.state import State
from streamflow_env.engines.compiling import inlined
from streamflow_env.engines.telemetry import OK, TIMEOUT


@inlined
def await_answer(state: State, c: Any, r: Any, slot: int, step: Any, latency_ns: int) -> bool:
    """Wait for an answer that takes `latency_ns`, or for the call's timeout if that is shorter."""
    if latency_ns > c.timeout_ns:
        order = order_of(RELEASE_EVENT, r.request, r.attempt, step.number)
        schedule(state, state.world[0].now + latency_ns, order, step.service)
        return wait(state, r, slot, c.timeout_ns, step.number, TIMED_OUT)
    return wait(state, r, slot, latency_ns, step.number, ANSWERED)


@inlined
def leave_remote(state: State, s: Any, r: Any, started_ns: int, step: Any) -> None:
    """The call is answered: its visit to the service ends."""
    now = state.world[0].now
    touch(now, s)
    s.busy -= 1
    s.in_flight -= 1
    complete(s, state.hists, step.service, now - r.arrived_ns)
    log_visit(state, r, step.number, r.round, step.service, r.arrived_ns, started_ns, OK)


@inlined
def timed_out(state: State, c: Any, s: Any, r: Any, step: Any) -> None:
    """The caller gives up. The service does not notice, and works on."""
    s.timeouts += 1
    c.timeouts += 1
    log_visit(state, r, step.number, r.round, step.service, r.arrived_ns, r.arrived_ns, TIMEOUT)


@inlined
def release(w: Any, s: Any) -> None:
    """Orphaned work is done: its caller had given up."""
    touch(w.now, s)
    s.busy -= 1
    s.in_flight -= 1
    s.orphaned += 1
