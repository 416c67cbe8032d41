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
from streamflow_env.engines.compiled.state import State
from streamflow_env.engines.compiling import inlined
from streamflow_env.engines.draws.hashing import REQUESTS, stream_key
from streamflow_env.engines.telemetry import FAILED, FAULT, QUEUE_FULL, SHED


@inlined
def begin_first(state: State, arrival: Any) -> int:
    """A first attempt reaches the system. Returns its slot, or -1 (see `begin`)."""
    w = state.world[0]
    slot = new_slot(state)
    r = state.requests[slot]
    r.request = arrival.request
    r.key = stream_key(w.seed, REQUESTS, arrival.request)
    r.attempt = 0
    r.class_ = arrival.class_
    r.premium = arrival.premium
    r.user = arrival.user
    r.row = 2 * r.class_ + r.premium
    r.sent_ns = arrival.sent_ns
    r.item = -1
    state.classes[r.row].intents += 1
    if state.classes[r.row].interactive == 1:
        pay_in(w)
    return begin(state, slot)


@inlined
def begin(state: State, slot: int) -> int:
    """An attempt reaches the system. Returns its slot, or -1 if the breaker of the clients refuses to send it."""
    w = state.world[0]
    r = state.requests[slot]
    cls = state.classes[r.row]
    if cls.interactive == 1 and not permits(w, w.now):
        refuse(state, slot)
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
        set_deadline(state, r.sent_ns + w.deadline_ns, order, slot)
    return slot


@inlined
def advance(state: State, slot: int) -> None:
    """Let a request go on until it waits or has ended."""
    w = state.world[0]
    r = state.requests[slot]
    going = True
    while going:
        step = state.steps[r.pc]
        phase = r.phase
        if phase == NEXT_STEP:
            if r.abandoned == 1 and r.held == 0:
                free_slot(state, slot)
                return
            op = step.op
            if op == ENTER:
                going = enter(state, slot, step)
            elif op == LEAVE:
                leave(state, slot, step)
            elif op == QUERY:
                begin_call(w, state.calls[step.call], r)
            elif op == COMPUTE:
                r.round = 0
                going = want_core(state, state.services[step.pool], slot)
            elif op in (LOOKUP, FILL):
                going = visit_cache(state, state.services[step.service], r, slot, step)
            elif op == INVALIDATE:
                invalidate_item(state, state.services[step.service], r, step.number, w.num_users)
                r.pc += 1
            elif op == EMIT:
                emit(state, step.service)
                r.pc += 1
            else:
                answer(state, slot)
                return
        elif phase == WORKER_HAD:
            going = work(state, state.services[step.service], slot, step)
        elif phase == WORK_DONE:
            r.pc += 1
            r.phase = NEXT_STEP
        elif phase == CORE_HAD:
            going = use_core(state, state.services[step.pool], r, slot, step, step.op == QUERY)
        elif phase == CPU_DONE:
            give_back_core(state, state.services[step.pool], slot, step)
            if step.op == QUERY:
                r.phase = SEND
            else:
                r.pc += 1
                r.phase = NEXT_STEP
        elif phase == NEXT_ROUND:
            c = state.calls[step.call]
            begin_round(state, c, state.services[step.service], r, step)
            if r.phase == SEND and c.has_cpu == 1:
                going = want_core(state, state.services[step.pool], slot)
        elif phase == SEND:
            going = send(state, state.calls[step.call], state.services[step.service], slot, step)
        elif phase == CONNECTION_HAD:
            going = use_connection(state, state.services[step.service], r, slot, step)
        elif phase in (ANSWERED, REPEATED):
            s = state.services[step.service]
            answered(state, state.calls[step.call], s, slot, step)
        elif phase in (REJECTED, TIMED_OUT, REFUSED):
            c = state.calls[step.call]
            s = state.services[step.service]
            if phase == TIMED_OUT:
                timed_out(state, c, s, r, step)
            going = attempt_failed(state, c, s, r, slot, step, phase == REJECTED)
        elif phase in (LOOKED_UP, FILLED):
            served_by_cache(state, r, step)
        else:
            fail(state, slot, FAILED)
            return
        if r.phase == -QUEUE_FULL or r.phase == -FAULT or r.phase == -SHED:
            cause = -r.phase
            fail(state, slot, cause)
            return
