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
from streamflow_env.engines.compiled.state import State
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
def answer(state: State, slot: int) -> None:
    """The plan is at its end: the user gets an answer."""
    w = state.world[0]
    r = state.requests[slot]
    cls = state.classes[r.row]
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
    _end(state, cls, r, OK)
    if r.entry_held == 1:
        s = state.services[state.holds[slot, 2]]
        complete(s, state.hists, state.holds[slot, 2], w.now - state.holds[slot, 0])
        give_back_worker(state, slot, 0, OK)
    free_slot(state, slot)


@inlined
def _end(state: State, cls: Any, r: Any, outcome: int) -> None:
    """Count what is counted at every end of an attempt."""
    w = state.world[0]
    response = w.now - r.sent_ns
    r.ended = 1
    if cls.interactive == 1:
        record(w, state.memory, w.now, outcome != OK, response)
    cls.in_flight -= 1
    cls.response_ns += response
    state.hists[state.services.size + r.row, bucket(response)] += 1
    _log_answer(state, r, outcome)


@inlined
def _log_answer(state: State, r: Any, outcome: int) -> None:
    """Log how an attempt ended."""
    if state.world[0].logging == 1:
        _write_answer(state.world[0], state.answers, r, outcome)


@kernel
def _write_answer(w: Any, answers: Any, r: Any, outcome: int) -> None:
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
def _retry(state: State, cls: Any, slot: int) -> None:
    """After a failed attempt the user sends another one, or gives up."""
    w = state.world[0]
    r = state.requests[slot]
    again = cls.interactive == 1 and r.attempt < w.max_retries
    if not again or draw(r, RETRY, 0, 0) >= w.retry_fraction or not grants_retry(w):
        cls.intents_failed += 1
        return
    cls.thinking += 1
    think = think_ns(w, draw(r, THINK, 0, 0), r.attempt)
    other = new_slot(state)
    n = state.requests[other]
    n.request = r.request
    n.key = r.key
    n.attempt = r.attempt + 1
    n.class_ = r.class_
    n.premium = r.premium
    n.user = r.user
    n.row = r.row
    n.sent_ns = w.now + think
    n.item = r.item
    schedule(state, n.sent_ns + w.network_ns, order_of(ARRIVAL_EVENT, n.request, n.attempt, 0), other)


@kernel
def refuse(state: State, slot: int) -> None:
    """The breaker of the users' clients is open: the attempt does not reach the system."""
    r = state.requests[slot]
    _log_answer(state, r, BREAKER_OPEN)
    _retry(state, state.classes[r.row], slot)
    free_slot(state, slot)


@kernel
def _unwind(state: State, slot: int) -> None:
    """Give back all held workers but the entry's, the innermost first."""
    r = state.requests[slot]
    while r.held > 0:
        state.services[state.holds[slot, r.held * HOLD + 2]].failed += 1
        give_back_worker(state, slot, r.held, FAILED)
        r.held -= 1


@kernel
def fail(state: State, slot: int, cause: int) -> None:
    """A step has failed, and so has the attempt; `cause` is the outcome of the step."""
    r = state.requests[slot]
    _unwind(state, slot)
    if r.abandoned == 0:
        cls = state.classes[r.row]
        if cause == QUEUE_FULL:
            cls.failed_queue_full += 1
        elif cause == FAULT:
            cls.failed_fault += 1
        elif cause == SHED:
            cls.failed_shed += 1
        else:
            cls.failed_dependency += 1
        _end(state, cls, r, cause)
        _retry(state, cls, slot)
        if r.entry_held == 1:
            state.services[state.holds[slot, 2]].failed += 1
            give_back_worker(state, slot, 0, FAILED)
    free_slot(state, slot)


@inlined
def deadline(state: State, slot: int) -> None:
    """A user's deadline has passed without an answer: the entry answers 504. Work under way goes on."""
    w = state.world[0]
    r = state.requests[slot]
    cls = state.classes[r.row]
    step = state.steps[r.pc]
    cls.failed_deadline += 1
    state.services[step.top].deadlines += 1
    _end(state, cls, r, DEADLINE)
    _retry(state, cls, slot)
    r.abandoned = 1
    if r.entry_held == 1:
        state.services[state.holds[slot, 2]].failed += 1
        give_back_worker(state, slot, 0, DEADLINE)
        r.entry_held = 0
    if r.queue == WORKER_QUEUE:
        s = state.services[step.service]
        if s.kind == POOL and s.serves_abandoned == 0:
            remove_from_queue(state, s, slot)
            s.abandoned += 1
            at = level_to_be(step, r) * HOLD
            log_visit(state, r, step.number, 0, step.service, state.holds[slot, at], w.now, ABANDONED)
            _unwind(state, slot)
            free_slot(state, slot)


@kernel
def lose_patience(state: State, slot: int, order: int) -> None:
    """The limit of a wait for a worker is reached: a request that still waits is shed."""
    w = state.world[0]
    r = state.requests[slot]
    request, attempt = (order >> REQUEST_SHIFT) & REQUEST_MASK, (order >> ATTEMPT_SHIFT) & ATTEMPT_MASK
    if r.request != request or r.attempt != attempt or r.queue != WORKER_QUEUE:
        return
    step = state.steps[r.pc]
    if step.op != ENTER or step.number != order & STEP_MASK:
        return
    s = state.services[step.service]
    remove_from_queue(state, s, slot)
    s.shed += 1
    arrived = state.holds[slot, level_to_be(step, r) * HOLD]
    log_visit(state, r, step.number, 0, step.service, arrived, w.now, SHED)
    fail(state, slot, SHED)
