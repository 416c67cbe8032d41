"""The event loop: what happens next, until the control interval ends."""

from __future__ import annotations

from typing import Any, Final

from streamflow_env.engines.compiled.attempt import advance, begin, begin_first
from streamflow_env.engines.compiled.cache import begin_sweep, settle_sweep
from streamflow_env.engines.compiled.calls import release
from streamflow_env.engines.compiled.deferred import enrich, poll
from streamflow_env.engines.compiled.endings import deadline, is_waiting_for, lose_patience
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
from streamflow_env.engines.compiled.llm import refill
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
from streamflow_env.engines.compiled.services import batch_done, draining, replicas_ready, touch
from streamflow_env.engines.compiling import inlined, kernel, long_kernel

INTERVAL_OVER: Final = 0
MORE_ROOM: Final = 1
EVENTS_PER_SLOT: Final = 8
VISITS_PER_SLOT: Final = 8
FROM_HEAP: Final = 0
FROM_DEADLINES: Final = 1
FROM_ARRIVALS: Final = 2


@long_kernel
def run_interval(
    w: Any, services: Any, policies: Any, classes: Any, steps: Any, requests: Any, holds: Any, heap: Any,
    deadlines: Any, entries: Any, index: Any, memory: Any, hists: Any, visits: Any, answers: Any, changes: Any,
    arrivals: Any, end_ns: int,
) -> int:  # fmt: skip
    """Handle every event before `end_ns`; MORE_ROOM, at a moment between two events, if an array may overflow."""
    while True:
        if _is_short(w, services, requests, heap, deadlines, visits, answers):
            return MORE_ROOM
        time, order, source = _next_event(w, heap, deadlines, arrivals)
        if w.next_change < changes.size and changes[w.next_change].at_ns <= min(time, end_ns - 1):
            _apply_change(w, services, entries, changes[w.next_change])
            w.next_change += 1
            continue
        if time >= end_ns:
            _close(w, services, end_ns)
            return INTERVAL_OVER
        w.now = time
        w.events += 1
        slot = -1
        if source == FROM_ARRIVALS:
            slot = begin_first(w, classes, requests, heap, deadlines, answers, arrivals[w.next_arrival])
            w.next_arrival += 1
            fetch_ahead(w, services, entries, index, arrivals)
        elif source == FROM_DEADLINES:
            about = deadlines[w.deadline_head & (deadlines.shape[0] - 1), 2]
            drop_deadline(w)
            request, attempt = _attempt_of(order)
            if is_waiting_for(requests[about], request, attempt):
                deadline(w, services, classes, steps, requests, holds, heap, memory, hists, visits, answers, about)
        else:
            about = heap[0, 2]
            drop_first(w, heap)
            fetch_row(requests, heap[0, 2])
            fetch_row(holds, heap[0, 2])
            kind = kind_of(order)
            if kind == STEP_EVENT:
                slot = about
            elif kind == ARRIVAL_EVENT:
                classes[requests[about].row].thinking -= 1
                slot = begin(w, classes, requests, heap, deadlines, answers, about)
            elif kind == RELEASE_EVENT:
                release(w, services[about])
            elif kind == READY_EVENT:
                replicas_ready(w, services, requests, memory, about)
            elif kind == BATCH_EVENT:
                batch_done(w, services, heap, about)
            elif kind == PATIENCE_EVENT:
                lose_patience(
                    w, services, classes, steps, requests, holds, heap, memory, hists, visits, answers, about, order
                )  # fmt: skip
            elif kind == POLL_EVENT:
                poll(w, services, heap, entries, index, memory, hists, about)
            else:
                enrich(w, services, entries, index, memory, hists, about)
        if slot < 0:
            slot = next_awake(w, requests)
        while slot >= 0:
            advance(
                w, services, policies, classes, steps, requests, holds, heap,
                entries, index, memory, hists, visits, answers, slot,
            )  # fmt: skip
            slot = next_awake(w, requests)


@inlined
def _is_short(w: Any, services: Any, requests: Any, heap: Any, deadlines: Any, visits: Any, answers: Any) -> bool:
    """Whether one event with all that it wakes, or one setting of the controls, might not find room."""
    busy = requests.size - w.num_free + 1
    if w.num_free <= busy or heap.shape[0] - w.heap_size <= EVENTS_PER_SLOT * busy + w.spare_events:
        return True
    if deadlines.shape[0] == w.num_deadlines:
        return True
    if w.logging == 0:
        return False
    return visits.size - w.num_visits <= VISITS_PER_SLOT * busy or answers.size - w.num_answers <= busy


@inlined
def _next_event(w: Any, heap: Any, deadlines: Any, arrivals: Any) -> Any:
    """(time, order, where it is from) of the next event but for changes."""
    time, order, source = NEVER, 0, FROM_HEAP
    if w.heap_size > 0:
        time, order = heap[0, 0], heap[0, 1]
    if w.num_deadlines > 0:
        first = w.deadline_head & (deadlines.shape[0] - 1)
        at = deadlines[first, 0]
        if at < time or (at == time and deadlines[first, 1] < order):
            time, order, source = at, deadlines[first, 1], FROM_DEADLINES
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
def _apply_change(w: Any, services: Any, entries: Any, change: Any) -> None:
    """Something happens to a service from outside."""
    w.now = change.at_ns
    s = services[change.service]
    if change.kind == SLOWDOWN:
        s.slowdown = change.value
    elif change.kind == QUOTA:
        refill(w.now, s)
        s.quota_now = int(s.quota * change.value)
    elif change.kind == RETRY_AFTER:
        s.retry_after_now_s = change.value
    elif change.kind == INVALIDATE_KEYS:
        begin_sweep(s, entries, w.now, w.num_users, change.value)


@kernel
def _close(w: Any, services: Any, end_ns: int) -> None:
    """Bring integrals and gauges up to the end of the interval."""
    w.now = end_ns
    for i in range(services.size):
        s = services[i]
        touch(end_ns, s)
        s.draining_replicas = draining(s) if s.kind == POOL or s.kind == DATABASE else 0
        if s.kind == LLM:
            refill(end_ns, s)
            s.tokens_milli = (s.token_units + s.kept_units) * 1000 // TOKEN
        elif s.kind == CACHE:
            settle_sweep(s, end_ns)
