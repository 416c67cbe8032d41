"""The event loop: what happens next, until the control interval ends."""

from __future__ import annotations

from typing import Any, Final

from streamflow_env.engines.compiled.attempt import advance, begin, begin_first
from streamflow_env.engines.compiled.consumer import batch_done
from streamflow_env.engines.compiled.deferred import enrich, poll
from streamflow_env.engines.compiled.endings import deadline, lose_patience
from streamflow_env.engines.compiled.event_queue import (
    ARRIVAL_EVENT,
    ATTEMPT_MASK,
    ATTEMPT_SHIFT,
    BATCH_EVENT,
    PATIENCE_EVENT,
    POLL_EVENT,
    READY_EVENT,
    RELEASE_EVENT,
    REQUEST_MASK,
    REQUEST_SHIFT,
    STEP_EVENT,
    drop_deadline,
    drop_first,
    kind_of,
    next_awake,
    order_of,
)
from streamflow_env.engines.compiled.invalidation import begin_sweep, settle_sweep
from streamflow_env.engines.compiled.prefetch import fetch_ahead, fetch_row
from streamflow_env.engines.compiled.records import (
    CACHE,
    DATABASE,
    INVALIDATE_KEYS,
    LLM,
    NEVER,
    POOL,
    QUOTA,
    RETRY_AFTER,
    SLOWDOWN,
    TOKEN,
)
from streamflow_env.engines.compiled.remote import release
from streamflow_env.engines.compiled.requests import is_waiting_for
from streamflow_env.engines.compiled.servers import replicas_ready
from streamflow_env.engines.compiled.service import draining, touch
from streamflow_env.engines.compiled.state import State
from streamflow_env.engines.compiled.tokens import refill
from streamflow_env.engines.compiling import inlined, kernel, long_kernel

INTERVAL_OVER: Final = 0
MORE_ROOM: Final = 1
EVENTS_PER_SLOT: Final = 8
VISITS_PER_SLOT: Final = 8
FROM_HEAP: Final = 0
FROM_DEADLINES: Final = 1
FROM_ARRIVALS: Final = 2


@long_kernel
def run_interval(state: State, arrivals: Any, end_ns: int) -> int:
    """Handle every event before `end_ns`.

    Returns INTERVAL_OVER; or MORE_ROOM, between two events, if an array may overflow: make room and call again.
    """
    w = state.world[0]
    while True:
        if _is_short(state):
            return MORE_ROOM
        time, order, source = _next_event(state, arrivals)
        if w.next_change < state.changes.size and state.changes[w.next_change].at_ns <= min(time, end_ns - 1):
            _apply_change(state, state.changes[w.next_change])
            w.next_change += 1
            continue
        if time >= end_ns:
            _close(state, end_ns)
            return INTERVAL_OVER
        w.now = time
        w.events += 1
        slot = -1
        if source == FROM_ARRIVALS:
            slot = begin_first(state, arrivals[w.next_arrival])
            w.next_arrival += 1
            fetch_ahead(state, arrivals)
        elif source == FROM_DEADLINES:
            about = state.deadlines[w.deadline_head & (state.deadlines.shape[0] - 1), 2]
            drop_deadline(w)
            request, attempt = _attempt_of(order)
            if is_waiting_for(state.requests[about], request, attempt):
                deadline(state, about)
        else:
            about = state.heap[0, 2]
            drop_first(state)
            fetch_row(state.requests, state.heap[0, 2])
            fetch_row(state.holds, state.heap[0, 2])
            kind = kind_of(order)
            if kind == STEP_EVENT:
                slot = about
            elif kind == ARRIVAL_EVENT:
                state.classes[state.requests[about].row].thinking -= 1
                slot = begin(state, about)
            elif kind == RELEASE_EVENT:
                release(w, state.services[about])
            elif kind == READY_EVENT:
                replicas_ready(state, about)
            elif kind == BATCH_EVENT:
                batch_done(state, about)
            elif kind == PATIENCE_EVENT:
                lose_patience(state, about, order)
            elif kind == POLL_EVENT:
                poll(state, about)
            else:
                enrich(state, about)
        if slot < 0:
            slot = next_awake(state)
        while slot >= 0:
            advance(state, slot)
            slot = next_awake(state)


@inlined
def _is_short(state: State) -> bool:
    """Whether an array may be too short for one event and all that it wakes, or for one setting of the controls."""
    w = state.world[0]
    busy = state.requests.size - w.num_free + 1
    if w.num_free <= busy or state.heap.shape[0] - w.heap_size <= EVENTS_PER_SLOT * busy + w.spare_events:
        return True
    if state.deadlines.shape[0] == w.num_deadlines:
        return True
    if w.logging == 0:
        return False
    return state.visits.size - w.num_visits <= VISITS_PER_SLOT * busy or state.answers.size - w.num_answers <= busy


@inlined
def _next_event(state: State, arrivals: Any) -> Any:
    """(time, order, source) of the next event. Changes from outside are not among them."""
    w = state.world[0]
    time, order, source = NEVER, 0, FROM_HEAP
    if w.heap_size > 0:
        time, order = state.heap[0, 0], state.heap[0, 1]
    if w.num_deadlines > 0:
        first = w.deadline_head & (state.deadlines.shape[0] - 1)
        at = state.deadlines[first, 0]
        if at < time or (at == time and state.deadlines[first, 1] < order):
            time, order, source = at, state.deadlines[first, 1], FROM_DEADLINES
    if w.next_arrival < arrivals.size:
        arrival = arrivals[w.next_arrival]
        at = arrival.sent_ns + w.network_ns
        if at <= time:
            arrival_order = order_of(ARRIVAL_EVENT, arrival.request, 0, 0)
            if at < time or arrival_order < order:
                time, order, source = at, arrival_order, FROM_ARRIVALS
    return time, order, source


@inlined
def _attempt_of(order: int) -> Any:
    return (order >> REQUEST_SHIFT) & REQUEST_MASK, (order >> ATTEMPT_SHIFT) & ATTEMPT_MASK


@kernel
def _apply_change(state: State, change: Any) -> None:
    """Apply a change from outside to its service."""
    w = state.world[0]
    w.now = change.at_ns
    s = state.services[change.service]
    if change.kind == SLOWDOWN:
        s.slowdown = change.value
    elif change.kind == QUOTA:
        refill(w.now, s)
        s.quota_now = int(s.quota * change.value)
    elif change.kind == RETRY_AFTER:
        s.retry_after_now_s = change.value
    elif change.kind == INVALIDATE_KEYS:
        begin_sweep(s, state.entries, w.now, w.num_users, change.value)


@kernel
def _close(state: State, end_ns: int) -> None:
    """Bring integrals and gauges up to the end of the interval."""
    w = state.world[0]
    w.now = end_ns
    for i in range(state.services.size):
        s = state.services[i]
        touch(end_ns, s)
        s.draining_replicas = draining(s) if s.kind == POOL or s.kind == DATABASE else 0
        if s.kind == LLM:
            refill(end_ns, s)
            s.tokens_milli = (s.token_units + s.kept_units) * 1000 // TOKEN
        elif s.kind == CACHE:
            settle_sweep(s, end_ns)
