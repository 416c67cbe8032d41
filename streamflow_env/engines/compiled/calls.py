"""Calls under a policy: ask or not, breaker, attempt, failure, fallback or another round.

Each function brings a request to its next wait: it sets `phase` and returns True if the request goes on at once,
False if it rests. The phases are those of `life.py`.
"""

from __future__ import annotations

import math
from typing import Any, Final

from streamflow_env.engines.compiled.breaker import permits, record
from streamflow_env.engines.compiled.cache import item_of
from streamflow_env.engines.compiled.event_queue import (
    RELEASE_EVENT,
    order_of,
    queue_for_core,
    schedule,
    wait,
)
from streamflow_env.engines.compiled.llm import latency_ns, take_token
from streamflow_env.engines.compiled.llm_benefit import fallback_of, falls_back_at_once, is_asked, is_deferred
from streamflow_env.engines.compiled.records import DATABASE, FULL_BUDGET, LLM, RETRY, VECTOR
from streamflow_env.engines.compiled.services import (
    HAD,
    TURNED_AWAY,
    admit,
    admit_to_cores,
    draw,
    leaf_visit,
    log_visit,
    touch,
    want_server,
)
from streamflow_env.engines.compiling import inlined, kernel
from streamflow_env.engines.draws.distributions import duration_ns, to_ns
from streamflow_env.engines.draws.hashing import ATTEMPT_CPU, BACKOFF, CALL_LATENCY, REPLICA, SERVICE_TIME, STALE
from streamflow_env.engines.telemetry import BREAKER_OPEN, OK, QUEUE_FULL, RATE_LIMITED, TIMEOUT

NEXT_STEP: Final = 0
WORKER_HAD: Final = 1
WORK_DONE: Final = 2
CORE_HAD: Final = 3
CPU_DONE: Final = 4
NEXT_ROUND: Final = 5
SEND: Final = 6
REJECTED: Final = 7
TIMED_OUT: Final = 8
CONNECTION_HAD: Final = 9
ANSWERED: Final = 10
LOOKED_UP: Final = 11
FILLED: Final = 12
STEP_FAILED: Final = 13
REFUSED: Final = 14
REPEATED: Final = 15


@inlined
def want_core(w: Any, s: Any, requests: Any, slot: int) -> bool:
    """Ask for a core of the held pool."""
    r = requests[slot]
    r.arrived_ns = w.now
    r.phase = CORE_HAD
    touch(w.now, s)
    if s.cpu_busy < s.cores:
        s.cpu_busy += 1
        return True
    queue_for_core(s, requests, slot)
    return False


@inlined
def use_core(w: Any, s: Any, heap: Any, r: Any, slot: int, step: Any, c: Any, is_query: bool) -> bool:
    """Work on the core that was had; queued requests slow it down."""
    r.started_ns = w.now
    pressure = 1.0 + s.cpu_pressure * s.queue_length / s.cpu_pressure_queue
    factor = s.slowdown * pressure
    if is_query:
        delay = duration_ns(draw(r, ATTEMPT_CPU, step.number, r.round), c.cpu_family, c.cpu_a, c.cpu_b, factor)
    else:
        delay = duration_ns(draw(r, SERVICE_TIME, step.number, 0), step.family, step.a, step.b, factor)
    return wait(w, heap, r, slot, delay, step.number, CPU_DONE)


@inlined
def give_back_core(w: Any, s: Any, requests: Any, visits: Any, slot: int, step: Any) -> None:
    """The CPU work is done."""
    r = requests[slot]
    touch(w.now, s)
    s.cpu_busy -= 1
    log_visit(w, visits, r, step.number, r.round, step.pool, r.arrived_ns, r.started_ns, OK)
    admit_to_cores(w, s, requests)


@inlined
def begin_call(w: Any, c: Any, r: Any) -> None:
    """A request has come to a call of its plan."""
    c.requests += 1
    r.round = 0
    if c.budget_on == 1:
        c.budget_units = min(FULL_BUDGET, c.budget_units + int(RETRY * c.budget))
    if is_asked(w, c, r):
        r.phase = NEXT_ROUND
    else:
        c.not_asked += 1
        take_fallback(w, c, r)


@inlined
def begin_round(w: Any, c: Any, s: Any, visits: Any, r: Any, step: Any) -> None:
    """Ask the breaker; go to the CPU or send at once."""
    if permits(c, w.now):
        r.phase = SEND
        return
    c.breaker_open += 1
    s.arrivals += 1
    s.breaker_open += 1
    log_visit(w, visits, r, step.number, r.round, step.service, w.now, w.now, BREAKER_OPEN)
    if c.fallback_milli >= 0:
        take_fallback(w, c, r)
    else:
        take_exhausted(w, c, r)


@inlined
def take_fallback(w: Any, c: Any, r: Any) -> None:
    """Go on with what the fallback is worth to the user."""
    c.fallbacks += 1
    _take(w, c, r, fallback_of(w, c, r))


@inlined
def take_exhausted(w: Any, c: Any, r: Any) -> None:
    """Go on without an answer, or fail where that is not possible."""
    c.exhausted += 1
    if c.exhausted_milli < 0:
        r.phase = STEP_FAILED
    else:
        _take(w, c, r, c.exhausted_milli)


@inlined
def _take(w: Any, c: Any, r: Any, milli: int) -> None:
    r.quality_milli = r.quality_milli * milli // 1000
    if r.deferred < 0 and c.deferred_to >= 0 and is_deferred(w, c, r):
        c.deferred += 1
        r.deferred = c.deferred_to
    else:
        r.potential_milli = r.potential_milli * milli // 1000
    r.personalised = 0
    r.pc += 1
    r.phase = NEXT_STEP


@inlined
def send(
    w: Any, c: Any, s: Any, requests: Any, heap: Any, memory: Any, visits: Any, classes: Any, slot: int, step: Any
) -> bool:
    """Send one attempt of a call to its service."""
    r = requests[slot]
    c.attempts += 1
    if r.round > 0:
        c.retries += 1
    s.arrivals += 1
    r.call_sent_ns = w.now
    r.arrived_ns = w.now
    if s.kind == DATABASE:
        return _ask_database(w, c, s, requests, visits, slot, step)
    u = draw(r, CALL_LATENCY, step.number, r.round)
    if s.kind == LLM:
        if not take_token(w.now, s, classes[r.row].interactive == 1, r.premium == 1):
            c.rate_limited += 1
            s.rate_limited += 1
            log_visit(w, visits, r, step.number, r.round, step.service, w.now, w.now, RATE_LIMITED)
            return wait(w, heap, r, slot, s.rejection_ns, step.number, REJECTED)
        latency = latency_ns(s, memory, u)
        touch(w.now, s)
        s.in_flight += 1
        s.busy += 1
    else:
        touch(w.now, s)
        s.in_flight += 1
        if c.cacheable == 1 and s.query_ttl_ns > 0 and _is_repeated(w, s, memory, r):
            return wait(w, heap, r, slot, to_ns(s.cached_s * s.slowdown), step.number, REPEATED)
        s.busy += 1
        x = s.busy / s.knee
        mean = s.base_s + s.per_query_s * s.busy + s.span_s * x * x / (1.0 + x * x)
        latency = duration_ns(u, s.family, s.a, s.b, mean * s.slowdown)
    if latency > c.timeout_ns:
        order = order_of(RELEASE_EVENT, r.request, r.attempt, step.number)
        schedule(w, heap, w.now + latency, order, step.service)
        return wait(w, heap, r, slot, c.timeout_ns, step.number, TIMED_OUT)
    return wait(w, heap, r, slot, latency, step.number, ANSWERED)


@inlined
def _is_repeated(w: Any, s: Any, memory: Any, r: Any) -> bool:
    """Whether the query cache has the result."""
    item = item_of(w, r)
    at = s.queries_at + 2 * (item % s.query_slots)
    age_ns = w.now - memory[at + 1]
    if memory[at] != item or age_ns >= s.query_ttl_ns:
        return False
    s.query_hits += 1
    s.age_ns += age_ns
    return True


@inlined
def _keep_result(w: Any, s: Any, memory: Any, r: Any) -> None:
    item = item_of(w, r)
    at = s.queries_at + 2 * (item % s.query_slots)
    memory[at] = item
    memory[at + 1] = w.now


@inlined
def _ask_database(w: Any, c: Any, s: Any, requests: Any, visits: Any, slot: int, step: Any) -> bool:
    r = requests[slot]
    r.phase = CONNECTION_HAD
    got = want_server(w.now, s, requests, slot)
    if got != TURNED_AWAY:
        return got == HAD
    c.queue_full += 1
    log_visit(w, visits, r, step.number, r.round, step.service, w.now, w.now, QUEUE_FULL)
    r.phase = REFUSED
    return True


@inlined
def use_connection(w: Any, s: Any, heap: Any, r: Any, slot: int, step: Any) -> bool:
    """Query over the connection that was had."""
    r.started_ns = w.now
    if s.ready_replicas > 0 and draw(r, REPLICA, step.number, r.round) < s.ready_replicas / (1 + s.ready_replicas):
        stale = 1.0 - math.exp(-s.lag_s * s.slowdown / s.write_gap_s)
        if draw(r, STALE, step.number, r.round) < stale:
            s.stale_reads += 1
    u = draw(r, CALL_LATENCY, step.number, r.round)
    return wait(w, heap, r, slot, duration_ns(u, s.family, s.a, s.b, s.slowdown), step.number, ANSWERED)


@inlined
def answered(w: Any, c: Any, s: Any, requests: Any, memory: Any, hists: Any, visits: Any, slot: int, step: Any) -> None:
    """The service has answered."""
    r = requests[slot]
    started = r.started_ns if s.kind == DATABASE else r.arrived_ns
    if r.phase == REPEATED:
        touch(w.now, s)
        s.busy += 1  # leaf_visit takes it back: a repeated query was never busy
    leaf_visit(w, s, hists, visits, r, step.number, r.round, step.service, started)
    if s.kind == DATABASE:
        admit(w, s, requests)
    elif s.kind == VECTOR and c.cacheable == 1 and s.query_ttl_ns > 0 and r.phase != REPEATED:
        _keep_result(w, s, memory, r)
    c.successes += 1
    record(c, memory, w.now, False, w.now - r.call_sent_ns)
    r.pc += 1
    r.phase = NEXT_STEP


@inlined
def timed_out(w: Any, c: Any, s: Any, visits: Any, r: Any, step: Any) -> None:
    """The caller no longer waits; the service does not know."""
    s.timeouts += 1
    c.timeouts += 1
    log_visit(w, visits, r, step.number, r.round, step.service, r.arrived_ns, r.arrived_ns, TIMEOUT)


@inlined
def attempt_failed(
    w: Any, c: Any, s: Any, heap: Any, memory: Any, r: Any, slot: int, step: Any, rate_limited: bool
) -> bool:
    """An attempt has failed: fall back, give up, or wait and try again."""
    record(c, memory, w.now, True, w.now - r.call_sent_ns)
    if c.fallback_milli >= 0 and falls_back_at_once(w, c, r):
        take_fallback(w, c, r)
        return True
    if r.round + 1 == c.max_attempts or not _may_retry(c):
        take_exhausted(w, c, r)
        return True
    jitter = c.jitter_low + (c.jitter_high - c.jitter_low) * draw(r, BACKOFF, step.number, r.round)
    backoff_s = c.backoff_base_s * (1 << r.round) * jitter
    if rate_limited:
        backoff_s = max(backoff_s, s.retry_after_s, s.retry_after_now_s)
    r.round += 1
    return wait(w, heap, r, slot, to_ns(backoff_s), step.number, NEXT_ROUND)


@inlined
def _may_retry(c: Any) -> bool:
    """Whether the retry budget, if there is one, has a retry left; it is then used."""
    if c.budget_on == 0:
        return True
    if c.budget_units < RETRY:
        c.retries_refused += 1
        return False
    c.budget_units -= RETRY
    return True


@kernel
def set_budget(c: Any, off: bool, budget: float) -> None:
    """Set the retry budget, or no limit; it begins full."""
    if c.budget_on == 0 and not off:
        c.budget_units = FULL_BUDGET
    c.budget_on = 0 if off else 1
    c.budget = budget


@inlined
def release(w: Any, s: Any) -> None:
    """Work that nobody waits for any more is done."""
    touch(w.now, s)
    s.busy -= 1
    s.in_flight -= 1
    s.orphaned += 1
