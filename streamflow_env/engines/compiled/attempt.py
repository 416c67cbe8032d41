"""The life of an attempt: it comes and walks its plan. How it ends is in `endings`."""

from __future__ import annotations

from typing import Any

from streamflow_env.engines.compiled import calls as call
from streamflow_env.engines.compiled.admission import admits
from streamflow_env.engines.compiled.breaker import permits
from streamflow_env.engines.compiled.cache import invalidate_item, look_up, write
from streamflow_env.engines.compiled.clients import pay_in
from streamflow_env.engines.compiled.deferred import enqueue
from streamflow_env.engines.compiled.endings import answer, fail, level_to_be, refuse
from streamflow_env.engines.compiled.event_queue import (
    DEADLINE_EVENT,
    NOWHERE,
    PATIENCE_EVENT,
    free_slot,
    new_slot,
    order_of,
    schedule,
    set_deadline,
    wait,
)
from streamflow_env.engines.compiled.records import (
    COMPUTE,
    EMIT,
    ENTER,
    FILL,
    HOLD,
    INVALIDATE,
    LEAVE,
    LOOKUP,
    NEVER,
    QUERY,
)
from streamflow_env.engines.compiled.services import (
    HAD,
    TURNED_AWAY,
    complete,
    draw,
    emit,
    give_back_worker,
    log_visit,
    touch,
    want_server,
)
from streamflow_env.engines.compiling import inlined
from streamflow_env.engines.draws.distributions import duration_ns
from streamflow_env.engines.draws.hashing import FAULT as FAULT_DRAW
from streamflow_env.engines.draws.hashing import REQUESTS, SERVICE_TIME, stream_key
from streamflow_env.engines.telemetry import FAILED, FAULT, MISS, OK, QUEUE_FULL, SHED


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
    r.phase = call.NEXT_STEP
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
        if phase == call.NEXT_STEP:
            if r.abandoned == 1 and r.held == 0:
                free_slot(w, requests, slot)
                return
            op = step.op
            if op == ENTER:
                going = _enter(w, services, requests, holds, heap, visits, slot, step)
            elif op == LEAVE:
                _leave(w, services, requests, holds, hists, visits, slot, step)
            elif op == QUERY:
                call.begin_call(w, policies[step.call], r)
            elif op == COMPUTE:
                r.round = 0
                going = call.want_core(w, services[step.pool], requests, slot)
            elif op in (LOOKUP, FILL):
                going = _visit_cache(w, services[step.service], heap, r, slot, step)
            elif op == INVALIDATE:
                invalidate_item(services[step.service], entries, index, r, step.number, w.num_users)
                r.pc += 1
            elif op == EMIT:
                emit(w, services, heap, step.service)
                r.pc += 1
            else:
                answer(w, services, classes, requests, holds, memory, hists, visits, answers, slot)
                return
        elif phase == call.WORKER_HAD:
            going = _work(w, services[step.service], requests, holds, heap, slot, step)
        elif phase == call.WORK_DONE:
            r.pc += 1
            r.phase = call.NEXT_STEP
        elif phase == call.CORE_HAD:
            c = policies[step.call]
            going = call.use_core(w, services[step.pool], heap, r, slot, step, c, step.op == QUERY)
        elif phase == call.CPU_DONE:
            call.give_back_core(w, services[step.pool], requests, visits, slot, step)
            if step.op == QUERY:
                r.phase = call.SEND
            else:
                r.pc += 1
                r.phase = call.NEXT_STEP
        elif phase == call.NEXT_ROUND:
            c = policies[step.call]
            call.begin_round(w, c, services[step.service], visits, r, step)
            if r.phase == call.SEND and c.has_cpu == 1:
                going = call.want_core(w, services[step.pool], requests, slot)
        elif phase == call.SEND:
            going = call.send(
                w, policies[step.call], services[step.service], requests, heap, memory, visits, classes, slot, step
            )
        elif phase == call.CONNECTION_HAD:
            going = call.use_connection(w, services[step.service], heap, r, slot, step)
        elif phase == call.ANSWERED or phase == call.REPEATED:
            s = services[step.service]
            call.answered(w, policies[step.call], s, requests, memory, hists, visits, slot, step)
        elif phase == call.REJECTED or phase == call.TIMED_OUT or phase == call.REFUSED:
            c = policies[step.call]
            s = services[step.service]
            if phase == call.TIMED_OUT:
                call.timed_out(w, c, s, visits, r, step)
            going = call.attempt_failed(w, c, s, heap, memory, r, slot, step, phase == call.REJECTED)
        elif phase == call.LOOKED_UP or phase == call.FILLED:
            _served_by_cache(w, services, heap, entries, index, memory, hists, visits, r, step)
        else:
            fail(w, services, classes, requests, holds, heap, memory, hists, visits, answers, slot, FAILED)
            return
        if r.phase == -QUEUE_FULL or r.phase == -FAULT or r.phase == -SHED:
            cause = -r.phase
            fail(w, services, classes, requests, holds, heap, memory, hists, visits, answers, slot, cause)
            return


@inlined
def _enter(w: Any, services: Any, requests: Any, holds: Any, heap: Any, visits: Any, slot: int, step: Any) -> bool:
    r = requests[slot]
    s = services[step.service]
    s.arrivals += 1
    if step.number == 0 and not admits(w.now, s, r.premium == 1):
        s.shed += 1
        log_visit(w, visits, r, step.number, 0, step.service, w.now, w.now, SHED)
        r.phase = -SHED
        return True
    at = level_to_be(step, r) * HOLD
    holds[slot, at] = w.now
    holds[slot, at + 2] = step.service
    holds[slot, at + 3] = step.number
    r.phase = call.WORKER_HAD
    got = want_server(w.now, s, requests, slot)
    if got == HAD:
        return True
    if got == TURNED_AWAY:
        log_visit(w, visits, r, step.number, 0, step.service, w.now, w.now, QUEUE_FULL)
        r.phase = -QUEUE_FULL
        return True
    if s.waiting_limit_ns < NEVER:
        order = order_of(PATIENCE_EVENT, r.request, r.attempt, step.number)
        schedule(w, heap, w.now + s.waiting_limit_ns, order, slot)
    return False


@inlined
def _work(w: Any, s: Any, requests: Any, holds: Any, heap: Any, slot: int, step: Any) -> bool:
    r = requests[slot]
    holds[slot, level_to_be(step, r) * HOLD + 1] = w.now
    if step.number == 0:
        r.entry_held = 1
    else:
        r.held += 1
    delay = duration_ns(draw(r, SERVICE_TIME, step.number, 0), s.family, s.a, s.b, s.slowdown)
    return wait(w, heap, r, slot, delay, step.number, call.WORK_DONE)


@inlined
def _leave(w: Any, services: Any, requests: Any, holds: Any, hists: Any, visits: Any, slot: int, step: Any) -> None:
    r = requests[slot]
    s = services[step.service]
    outcome = OK
    if s.fault_fraction > 0.0 and draw(r, FAULT_DRAW, step.number, 0) < s.fault_fraction:
        outcome = FAULT
        s.faults += 1
    else:
        complete(s, hists, step.service, w.now - holds[slot, r.held * HOLD])
    give_back_worker(w, services, requests, holds, visits, slot, r.held, outcome)
    r.held -= 1
    if outcome == FAULT:
        r.phase = -FAULT
    else:
        r.pc += 1


@inlined
def _visit_cache(w: Any, s: Any, heap: Any, r: Any, slot: int, step: Any) -> bool:
    s.arrivals += 1
    touch(w.now, s)
    s.busy += 1
    s.in_flight += 1
    r.arrived_ns = w.now
    delay = duration_ns(draw(r, SERVICE_TIME, step.number, 0), s.family, s.a, s.b, s.slowdown)
    return wait(w, heap, r, slot, delay, step.number, call.LOOKED_UP if step.op == LOOKUP else call.FILLED)


@inlined
def _served_by_cache(
    w: Any, services: Any, heap: Any, entries: Any, index: Any, memory: Any, hists: Any, visits: Any, r: Any, step: Any
) -> None:
    s = services[step.service]
    touch(w.now, s)
    s.busy -= 1
    s.in_flight -= 1
    complete(s, hists, step.service, w.now - r.arrived_ns)
    outcome = OK
    r.pc += 1
    if step.op == FILL:
        write(w, s, entries, index, r, step.number, step.is_item)
        if r.deferred >= 0 and step.is_item == 0:
            enqueue(w, services, heap, memory, r.deferred, step.service, r.user, r.potential_milli)
            r.deferred = -1
    elif look_up(w, s, entries, index, r, step.is_item):
        r.source = 1 if r.source == 0 else r.source
        r.pc = step.jump
    else:
        r.source = 2 if r.source == 0 else r.source
        outcome = MISS
    r.phase = call.NEXT_STEP
    log_visit(w, visits, r, step.number, 0, step.service, r.arrived_ns, r.arrived_ns, outcome)
