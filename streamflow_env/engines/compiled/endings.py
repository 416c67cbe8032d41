"""How an attempt ends: answered, failed, given up by its user, or shed; and whether the user comes again."""

from __future__ import annotations

from typing import Any

from streamflow_env.engines.compiled.breaker import record
from streamflow_env.engines.compiled.clients import grants_retry, think_ns
from streamflow_env.engines.compiled.event_queue import (
    ARRIVAL_EVENT,
    ATTEMPT_MASK,
    ATTEMPT_SHIFT,
    REQUEST_MASK,
    REQUEST_SHIFT,
    STEP_MASK,
    WORKER_QUEUE,
    order_of,
    schedule,
)
from streamflow_env.engines.compiled.pools import give_back_worker, level_to_be
from streamflow_env.engines.compiled.records import ENTER, HOLD, POOL
from streamflow_env.engines.compiled.requests import draw, free_slot, new_slot
from streamflow_env.engines.compiled.servers import remove_from_queue
from streamflow_env.engines.compiled.service import complete, log_visit
from streamflow_env.engines.compiling import inlined, kernel
from streamflow_env.engines.draws.hashing import RETRY, THINK
from streamflow_env.engines.telemetry import (
    ABANDONED,
    BREAKER_OPEN,
    DEADLINE,
    FAILED,
    FAULT,
    OK,
    QUEUE_FULL,
    SHED,
    bucket,
)


@inlined
def answer(
    w: Any, services: Any, classes: Any, requests: Any, holds: Any, memory: Any, hists: Any, visits: Any,
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
    _end(w, services, cls, memory, hists, answers, r, OK)
    if r.entry_held == 1:
        s = services[holds[slot, 2]]
        complete(s, hists, holds[slot, 2], w.now - holds[slot, 0])
        give_back_worker(w, services, requests, holds, visits, slot, 0, OK)
    free_slot(w, requests, slot)


@inlined
def _end(
    w: Any, services: Any, cls: Any, memory: Any, hists: Any, answers: Any, r: Any, outcome: int
) -> None:  # fmt: skip
    """What every end of an attempt counts."""
    response = w.now - r.sent_ns
    r.ended = 1
    if cls.interactive == 1:
        record(w, memory, w.now, outcome != OK, response)
    cls.in_flight -= 1
    cls.response_ns += response
    hists[services.size + r.row, bucket(response)] += 1
    _log_answer(w, answers, r, outcome)


@kernel
def _log_answer(w: Any, answers: Any, r: Any, outcome: int) -> None:
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


@inlined
def _retry(w: Any, cls: Any, requests: Any, heap: Any, slot: int) -> None:
    """A user whose attempt failed sends another, or gives up."""
    r = requests[slot]
    again = cls.interactive == 1 and r.attempt < w.max_retries
    if not again or draw(r, RETRY, 0, 0) >= w.retry_fraction or not grants_retry(w):
        cls.intents_failed += 1
        return
    cls.thinking += 1
    think = think_ns(w, draw(r, THINK, 0, 0), r.attempt)
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


@kernel
def refuse(w: Any, classes: Any, requests: Any, heap: Any, answers: Any, slot: int) -> None:
    """The breaker of the users' clients is open: the attempt never reaches the system."""
    r = requests[slot]
    _log_answer(w, answers, r, BREAKER_OPEN)
    _retry(w, classes[r.row], requests, heap, slot)
    free_slot(w, requests, slot)


@kernel
def _unwind(w: Any, services: Any, requests: Any, holds: Any, visits: Any, slot: int) -> None:
    """Give back the workers held within the entry's, innermost first."""
    r = requests[slot]
    while r.held > 0:
        services[holds[slot, r.held * HOLD + 2]].failed += 1
        give_back_worker(w, services, requests, holds, visits, slot, r.held, FAILED)
        r.held -= 1


@kernel
def fail(
    w: Any, services: Any, classes: Any, requests: Any, holds: Any, heap: Any, memory: Any, hists: Any,
    visits: Any, answers: Any, slot: int, cause: int,
) -> None:  # fmt: skip
    """A step has failed, and with it the attempt."""
    r = requests[slot]
    _unwind(w, services, requests, holds, visits, slot)
    if r.abandoned == 0:
        cls = classes[r.row]
        if cause == QUEUE_FULL:
            cls.failed_queue_full += 1
        elif cause == FAULT:
            cls.failed_fault += 1
        elif cause == SHED:
            cls.failed_shed += 1
        else:
            cls.failed_dependency += 1
        _end(w, services, cls, memory, hists, answers, r, cause)
        _retry(w, cls, requests, heap, slot)
        if r.entry_held == 1:
            services[holds[slot, 2]].failed += 1
            give_back_worker(w, services, requests, holds, visits, slot, 0, FAILED)
    free_slot(w, requests, slot)


@inlined
def deadline(
    w: Any, services: Any, classes: Any, steps: Any, requests: Any, holds: Any, heap: Any, memory: Any,
    hists: Any, visits: Any, answers: Any, slot: int,
) -> None:  # fmt: skip
    """A user's deadline has passed without an answer: the entry answers 504, work under way goes on."""
    r = requests[slot]
    cls = classes[r.row]
    step = steps[r.pc]
    cls.failed_deadline += 1
    services[step.top].deadlines += 1
    _end(w, services, cls, memory, hists, answers, r, DEADLINE)
    _retry(w, cls, requests, heap, slot)
    r.abandoned = 1
    if r.entry_held == 1:
        services[holds[slot, 2]].failed += 1
        give_back_worker(w, services, requests, holds, visits, slot, 0, DEADLINE)
        r.entry_held = 0
    if r.queue == WORKER_QUEUE:
        s = services[step.service]
        if s.kind == POOL and s.serves_abandoned == 0:
            remove_from_queue(w, s, requests, slot)
            s.abandoned += 1
            at = level_to_be(step, r) * HOLD
            log_visit(w, visits, r, step.number, 0, step.service, holds[slot, at], w.now, ABANDONED)
            _unwind(w, services, requests, holds, visits, slot)
            free_slot(w, requests, slot)


@kernel
def lose_patience(
    w: Any, services: Any, classes: Any, steps: Any, requests: Any, holds: Any, heap: Any, memory: Any,
    hists: Any, visits: Any, answers: Any, slot: int, order: int,
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
    arrived = holds[slot, level_to_be(step, r) * HOLD]
    log_visit(w, visits, r, step.number, 0, step.service, arrived, w.now, SHED)
    fail(w, services, classes, requests, holds, heap, memory, hists, visits, answers, slot, SHED)
