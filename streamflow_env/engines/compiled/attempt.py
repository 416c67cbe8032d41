"""An attempt arrives and walks through its plan. `endings` has how it ends."""

from __future__ import annotations

from typing import Any

from streamflow_env.engines.compiled.breaker import permits
from streamflow_env.engines.compiled.cache import served_by_cache, visit_cache
from streamflow_env.engines.compiled.calls import answered, attempt_failed, begin_call, begin_round, send
from streamflow_env.engines.compiled.clients import pay_in
from streamflow_env.engines.compiled.consumer import emit
from streamflow_env.engines.compiled.database import use_connection
from streamflow_env.engines.compiled.endings import answer, fail, refuse
from streamflow_env.engines.compiled.event_queue import DEADLINE_EVENT, NOWHERE, order_of, set_deadline
from streamflow_env.engines.compiled.invalidation import invalidate_item
from streamflow_env.engines.compiled.pools import enter, give_back_core, leave, use_core, want_core, work
from streamflow_env.engines.compiled.records import (
    ANSWERED,
    COMPUTE,
    CONNECTION_HAD,
    CORE_HAD,
    CPU_DONE,
    EMIT,
    ENTER,
    FILL,
    FILLED,
    INVALIDATE,
    LEAVE,
    LOOKED_UP,
    LOOKUP,
    NEVER,
    NEXT_ROUND,
    NEXT_STEP,
    QUERY,
    REFUSED,
    REJECTED,
    REPEATED,
    SEND,
    TIMED_OUT,
    WORK_DONE,
    WORKER_HAD,
)
from streamflow_env.engines.compiled.remote import timed_out
from streamflow_env.engines.compiled.requests import free_slot, new_slot
from streamflow_env.engines.compiling import inlined
from streamflow_env.engines.draws.hashing import REQUESTS, stream_key
from streamflow_env.engines.telemetry import FAILED, FAULT, QUEUE_FULL, SHED


@inlined
def begin_first(w: Any, classes: Any, requests: Any, heap: Any, deadlines: Any, answers: Any, arrival: Any) -> int:
    """A first attempt reaches the system: its slot, or -1 (see `begin`)."""
    slot = new_slot(w, requests)
    r = requests[slot]
    r.request = arrival.request
    r.key = stream_key(w.seed, REQUESTS, arrival.request)
    r.attempt = 0
    r.class_ = arrival.class_
    r.premium = arrival.premium
    r.user = arrival.user
    r.row = 2 * r.class_ + r.premium
    r.sent_ns = arrival.sent_ns
    r.item = -1
    classes[r.row].intents += 1
    if classes[r.row].interactive == 1:
        pay_in(w)
    return begin(w, classes, requests, heap, deadlines, answers, slot)


@inlined
def begin(w: Any, classes: Any, requests: Any, heap: Any, deadlines: Any, answers: Any, slot: int) -> int:
    """An attempt reaches the system: its slot, or -1 where its user's client refuses to send it."""
    r = requests[slot]
    cls = classes[r.row]
    if cls.interactive == 1 and not permits(w, w.now):
        refuse(w, classes, requests, heap, answers, slot)
        return -1
    cls.attempts += 1
    cls.in_flight += 1
    r.pc = cls.first_step
    r.phase = NEXT_STEP
    r.quality_milli = 1000
    r.potential_milli = 1000
    r.deferred = -1
    r.missed_ns = NEVER
    r.item_missed_ns = NEVER
    r.personalised = 1
    r.held = 0
    r.round = 0
    r.entry_held = 0
    r.abandoned = 0
    r.ended = 0
    r.source = 0
    r.queue = NOWHERE
    if cls.interactive == 1:
        order = order_of(DEADLINE_EVENT, r.request, r.attempt, 0)
        set_deadline(w, deadlines, r.sent_ns + w.deadline_ns, order, slot)
    return slot


@inlined
def advance(
    w: Any, services: Any, policies: Any, classes: Any, steps: Any, requests: Any, holds: Any, heap: Any,
    entries: Any, index: Any, memory: Any, hists: Any, visits: Any, answers: Any, slot: int,
) -> None:  # fmt: skip
    """Let a request go on until it rests or is over."""
    r = requests[slot]
    going = True
    while going:
        step = steps[r.pc]
        phase = r.phase
        if phase == NEXT_STEP:
            if r.abandoned == 1 and r.held == 0:
                free_slot(w, requests, slot)
                return
            op = step.op
            if op == ENTER:
                going = enter(w, services, requests, holds, heap, visits, slot, step)
            elif op == LEAVE:
                leave(w, services, requests, holds, hists, visits, slot, step)
            elif op == QUERY:
                begin_call(w, policies[step.call], r)
            elif op == COMPUTE:
                r.round = 0
                going = want_core(w, services[step.pool], requests, slot)
            elif op in (LOOKUP, FILL):
                going = visit_cache(w, services[step.service], heap, r, slot, step)
            elif op == INVALIDATE:
                invalidate_item(services[step.service], entries, index, r, step.number, w.num_users)
                r.pc += 1
            elif op == EMIT:
                emit(w, services, heap, step.service)
                r.pc += 1
            else:
                answer(w, services, classes, requests, holds, memory, hists, visits, answers, slot)
                return
        elif phase == WORKER_HAD:
            going = work(w, services[step.service], requests, holds, heap, slot, step)
        elif phase == WORK_DONE:
            r.pc += 1
            r.phase = NEXT_STEP
        elif phase == CORE_HAD:
            c = policies[step.call]
            going = use_core(w, services[step.pool], heap, r, slot, step, c, step.op == QUERY)
        elif phase == CPU_DONE:
            give_back_core(w, services[step.pool], requests, visits, slot, step)
            if step.op == QUERY:
                r.phase = SEND
            else:
                r.pc += 1
                r.phase = NEXT_STEP
        elif phase == NEXT_ROUND:
            c = policies[step.call]
            begin_round(w, c, services[step.service], visits, r, step)
            if r.phase == SEND and c.has_cpu == 1:
                going = want_core(w, services[step.pool], requests, slot)
        elif phase == SEND:
            going = send(
                w, policies[step.call], services[step.service], requests, heap, memory, visits, classes, slot, step
            )
        elif phase == CONNECTION_HAD:
            going = use_connection(w, services[step.service], heap, r, slot, step)
        elif phase in (ANSWERED, REPEATED):
            s = services[step.service]
            answered(w, policies[step.call], s, requests, memory, hists, visits, slot, step)
        elif phase in (REJECTED, TIMED_OUT, REFUSED):
            c = policies[step.call]
            s = services[step.service]
            if phase == TIMED_OUT:
                timed_out(w, c, s, visits, r, step)
            going = attempt_failed(w, c, s, heap, memory, r, slot, step, phase == REJECTED)
        elif phase in (LOOKED_UP, FILLED):
            served_by_cache(w, services, heap, entries, index, memory, hists, visits, r, step)
        else:
            fail(w, services, classes, requests, holds, heap, memory, hists, visits, answers, slot, FAILED)
            return
        if r.phase == -QUEUE_FULL or r.phase == -FAULT or r.phase == -SHED:
            cause = -r.phase
            fail(w, services, classes, requests, holds, heap, memory, hists, visits, answers, slot, cause)
            return
