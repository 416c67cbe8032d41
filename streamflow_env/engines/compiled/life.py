"""The life of an attempt: it comes, walks its plan, and is answered, fails, or is given up by its user."""

from __future__ import annotations

from typing import Any

from numba import njit

from streamflow_env.engines.compiled import calls as call
from streamflow_env.engines.compiled.admission import admits
from streamflow_env.engines.compiled.agenda import (
    ARRIVAL_EVENT,
    ATTEMPT_MASK,
    ATTEMPT_SHIFT,
    DEADLINE_EVENT,
    NOWHERE,
    PATIENCE_EVENT,
    REQUEST_MASK,
    REQUEST_SHIFT,
    STEP_MASK,
    WORKER_QUEUE,
    free_slot,
    new_slot,
    order_of,
    schedule,
    wait,
)
from streamflow_env.engines.compiled.caching import invalidate_item, look_up, write
from streamflow_env.engines.compiled.deferred import enqueue
from streamflow_env.engines.compiled.layout import (
    COMPUTE,
    EMIT,
    ENTER,
    FILL,
    HOLD,
    INVALIDATE,
    LEAVE,
    LOOKUP,
    NEVER,
    POOL,
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
    remove_from_queue,
    touch,
    want_server,
)
from streamflow_env.engines.draws.distributions import duration_ns, exponential, to_ns
from streamflow_env.engines.draws.hashing import FAULT as FAULT_DRAW
from streamflow_env.engines.draws.hashing import REQUESTS, RETRY, SERVICE_TIME, THINK, stream_key
from streamflow_env.engines.telemetry import DEADLINE, DEPARTED, FAILED, FAULT, MISS, OK, QUEUE_FULL, SHED, bucket


@njit(cache=True)
def begin_first(w: Any, classes: Any, steps: Any, requests: Any, heap: Any, arrival: Any) -> int:
    """A first attempt reaches the system."""
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
    begin(w, classes, heap, r, slot)
    return slot


@njit(cache=True)
def begin(w: Any, classes: Any, heap: Any, r: Any, slot: int) -> None:
    """An attempt reaches the system."""
    cls = classes[r.row]
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
    r.departed = 0
    r.ended = 0
    r.source = 0
    r.queue = NOWHERE
    if cls.interactive == 1:
        order = order_of(DEADLINE_EVENT, r.request, r.attempt, 0)
        schedule(w, heap, r.sent_ns + w.deadline_ns, order, slot)


@njit(cache=True)
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
            if r.departed == 1 and r.held == 0:
                free_slot(w, requests, slot)
                return
            op = step.op
            if op == ENTER:
                going = _enter(w, services, requests, holds, heap, visits, slot, step)
            elif op == LEAVE:
                _leave(w, services, requests, holds, hists, visits, slot, step)
            elif op == QUERY:
                call.begin_call(policies[step.call], r, step.number)
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
                _answer(w, services, classes, requests, holds, heap, hists, visits, answers, slot)
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
            _fail(w, services, classes, requests, holds, heap, hists, visits, answers, slot, FAILED)
            return
        if r.phase == -QUEUE_FULL or r.phase == -FAULT or r.phase == -SHED:
            cause = -r.phase
            _fail(w, services, classes, requests, holds, heap, hists, visits, answers, slot, cause)
            return


@njit(cache=True)
def _enter(w: Any, services: Any, requests: Any, holds: Any, heap: Any, visits: Any, slot: int, step: Any) -> bool:
    r = requests[slot]
    s = services[step.service]
    s.arrivals += 1
    if step.number == 0 and not admits(w.now, s, r.premium == 1):
        s.shed += 1
        log_visit(w, visits, r, step.number, 0, step.service, w.now, w.now, SHED)
        r.phase = -SHED
        return True
    at = _level_to_be(step, r) * HOLD
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


@njit(cache=True)
def _level_to_be(step: Any, r: Any) -> int:
    """Where in `holds` a worker of this step belongs: 0 for the entry's, then those held within one another."""
    return 0 if step.number == 0 else r.held + 1


@njit(cache=True)
def _work(w: Any, s: Any, requests: Any, holds: Any, heap: Any, slot: int, step: Any) -> bool:
    r = requests[slot]
    holds[slot, _level_to_be(step, r) * HOLD + 1] = w.now
    if step.number == 0:
        r.entry_held = 1
    else:
        r.held += 1
    delay = duration_ns(draw(r, SERVICE_TIME, step.number, 0), s.family, s.a, s.b, s.slowdown)
    return wait(w, heap, r, slot, delay, step.number, call.WORK_DONE)


@njit(cache=True)
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


@njit(cache=True)
def _visit_cache(w: Any, s: Any, heap: Any, r: Any, slot: int, step: Any) -> bool:
    s.arrivals += 1
    touch(w.now, s)
    s.busy += 1
    s.in_flight += 1
    r.arrived_ns = w.now
    delay = duration_ns(draw(r, SERVICE_TIME, step.number, 0), s.family, s.a, s.b, s.slowdown)
    return wait(w, heap, r, slot, delay, step.number, call.LOOKED_UP if step.op == LOOKUP else call.FILLED)


@njit(cache=True)
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


@njit(cache=True)
def _answer(
    w: Any, services: Any, classes: Any, requests: Any, holds: Any, heap: Any, hists: Any, visits: Any,
    answers: Any, slot: int,
) -> None:  # fmt: skip
    """The plan is walked to its end: the user has an answer."""
    r = requests[slot]
    cls = classes[r.row]
    response = w.now - r.sent_ns
    if cls.interactive == 0 or response <= w.sla_ns:
        cls.within_sla += 1
    else:
        cls.late += 1
        cls.lateness_ns += min(response, w.worst_ns) - w.sla_ns
    cls.quality_milli += r.quality_milli
    cls.intents_answered += 1
    if r.source == 1:
        cls.hit_answers += 1
        cls.hit_response_ns += response
    elif r.source == 2:
        cls.miss_answers += 1
        cls.miss_response_ns += response
        cls.personalised += r.personalised
    _end(w, services, cls, hists, answers, r, OK)
    if r.entry_held == 1:
        s = services[holds[slot, 2]]
        complete(s, hists, holds[slot, 2], w.now - holds[slot, 0])
        give_back_worker(w, services, requests, holds, visits, slot, 0, OK)
    free_slot(w, requests, slot)


@njit(cache=True)
def _end(w: Any, services: Any, cls: Any, hists: Any, answers: Any, r: Any, outcome: int) -> None:
    """What every end of an attempt counts."""
    response = w.now - r.sent_ns
    r.ended = 1
    cls.in_flight -= 1
    cls.response_ns += response
    hists[services.size + r.row, bucket(response)] += 1
    if w.logging == 0:
        return
    a = answers[w.num_answers]
    w.num_answers += 1
    a.request = r.request
    a.attempt = r.attempt
    a.class_ = r.class_
    a.premium = r.premium
    a.user = r.user
    a.sent_ns = r.sent_ns
    a.ended_ns = w.now
    a.outcome = outcome
    a.quality_milli = r.quality_milli if outcome == OK else 0


@njit(cache=True)
def _retry(w: Any, cls: Any, requests: Any, heap: Any, slot: int) -> None:
    """A user whose attempt failed sends another, or gives up."""
    r = requests[slot]
    again = cls.interactive == 1 and r.attempt < w.max_retries
    if not again or draw(r, RETRY, 0, 0) >= w.retry_fraction:
        cls.intents_failed += 1
        return
    cls.thinking += 1
    think = to_ns(exponential(draw(r, THINK, 0, 0), w.think_time_s))
    other = new_slot(w, requests)
    n = requests[other]
    n.request = r.request
    n.key = r.key
    n.attempt = r.attempt + 1
    n.class_ = r.class_
    n.premium = r.premium
    n.user = r.user
    n.row = r.row
    n.sent_ns = w.now + think
    n.item = r.item
    schedule(w, heap, n.sent_ns + w.network_ns, order_of(ARRIVAL_EVENT, n.request, n.attempt, 0), other)


@njit(cache=True)
def _unwind(w: Any, services: Any, requests: Any, holds: Any, visits: Any, slot: int) -> None:
    """Give back the workers held within the entry's, innermost first."""
    r = requests[slot]
    while r.held > 0:
        services[holds[slot, r.held * HOLD + 2]].failed += 1
        give_back_worker(w, services, requests, holds, visits, slot, r.held, FAILED)
        r.held -= 1


@njit(cache=True)
def _fail(
    w: Any, services: Any, classes: Any, requests: Any, holds: Any, heap: Any, hists: Any, visits: Any,
    answers: Any, slot: int, cause: int,
) -> None:  # fmt: skip
    """A step has failed, and with it the attempt."""
    r = requests[slot]
    _unwind(w, services, requests, holds, visits, slot)
    if r.departed == 0:
        cls = classes[r.row]
        if cause == QUEUE_FULL:
            cls.failed_queue_full += 1
        elif cause == FAULT:
            cls.failed_fault += 1
        elif cause == SHED:
            cls.failed_shed += 1
        else:
            cls.failed_dependency += 1
        _end(w, services, cls, hists, answers, r, cause)
        _retry(w, cls, requests, heap, slot)
        if r.entry_held == 1:
            services[holds[slot, 2]].failed += 1
            give_back_worker(w, services, requests, holds, visits, slot, 0, FAILED)
    free_slot(w, requests, slot)


@njit(cache=True)
def deadline(
    w: Any, services: Any, classes: Any, steps: Any, requests: Any, holds: Any, heap: Any, hists: Any,
    visits: Any, answers: Any, slot: int,
) -> None:  # fmt: skip
    """A user's deadline has passed without an answer: the entry answers 504, work under way goes on."""
    r = requests[slot]
    cls = classes[r.row]
    step = steps[r.pc]
    cls.failed_deadline += 1
    services[step.top].deadlines += 1
    _end(w, services, cls, hists, answers, r, DEADLINE)
    _retry(w, cls, requests, heap, slot)
    r.departed = 1
    if r.entry_held == 1:
        services[holds[slot, 2]].failed += 1
        give_back_worker(w, services, requests, holds, visits, slot, 0, DEADLINE)
        r.entry_held = 0
    if r.queue == WORKER_QUEUE:
        s = services[step.service]
        if s.kind == POOL and s.serves_departed == 0:
            remove_from_queue(w, s, requests, slot)
            s.departed += 1
            at = _level_to_be(step, r) * HOLD
            log_visit(w, visits, r, step.number, 0, step.service, holds[slot, at], w.now, DEPARTED)
            _unwind(w, services, requests, holds, visits, slot)
            free_slot(w, requests, slot)


@njit(cache=True)
def lose_patience(
    w: Any, services: Any, classes: Any, steps: Any, requests: Any, holds: Any, heap: Any, hists: Any,
    visits: Any, answers: Any, slot: int, order: int,
) -> None:  # fmt: skip
    """A wait for a worker has reached its limit: if it still lasts, the request is shed."""
    r = requests[slot]
    request, attempt = (order >> REQUEST_SHIFT) & REQUEST_MASK, (order >> ATTEMPT_SHIFT) & ATTEMPT_MASK
    if r.request != request or r.attempt != attempt or r.queue != WORKER_QUEUE:
        return
    step = steps[r.pc]
    if step.op != ENTER or step.number != order & STEP_MASK:
        return
    s = services[step.service]
    remove_from_queue(w, s, requests, slot)
    s.shed += 1
    arrived = holds[slot, _level_to_be(step, r) * HOLD]
    log_visit(w, visits, r, step.number, 0, step.service, arrived, w.now, SHED)
    _fail(w, services, classes, requests, holds, heap, hists, visits, answers, slot, SHED)


@njit(cache=True)
def is_waiting_for(r: Any, request: int, attempt: int) -> bool:
    """Whether the slot still belongs to this attempt and its user still waits."""
    return r.request == request and r.attempt == attempt and r.ended == 0


@njit(cache=True)
def empty_slots(requests: Any, first: int) -> None:
    """Chain the slots from `first` on into a free list."""
    for slot in range(first, requests.size):
        requests[slot].request = -1
        requests[slot].next = slot + 1 if slot + 1 < requests.size else -1
