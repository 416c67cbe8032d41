"""Calls under a policy: ask or not, breaker, attempt, failure, fallback or another round.

Each function brings a request to its next wait: it sets `phase`. Those that return a bool return True if the request
goes on at once, False if it waits.
"""

from __future__ import annotations

from typing import Any

from streamflow_env.engines.compiled.breaker import lay_out_breaker, permits, record
from streamflow_env.engines.compiled.database import ask_database
from streamflow_env.engines.compiled.event_queue import wait
from streamflow_env.engines.compiled.llm import ask_llm
from streamflow_env.engines.compiled.llm_benefit import fallback_of, falls_back_at_once, is_asked, is_deferred
from streamflow_env.engines.compiled.records import (
    DATABASE,
    FULL_BUDGET,
    LLM,
    NEVER,
    NEXT_ROUND,
    NEXT_STEP,
    REPEATED,
    RETRY,
    SEND,
    STEP_FAILED,
    VECTOR,
)
from streamflow_env.engines.compiled.remote import leave_remote
from streamflow_env.engines.compiled.requests import draw
from streamflow_env.engines.compiled.servers import admit
from streamflow_env.engines.compiled.service import log_visit, touch
from streamflow_env.engines.compiled.state import Memory, State
from streamflow_env.engines.compiled.vector_index import keep_result, search
from streamflow_env.engines.compiling import inlined, kernel
from streamflow_env.engines.draws.distributions import duration_code, to_ns
from streamflow_env.engines.draws.hashing import BACKOFF
from streamflow_env.engines.telemetry import BREAKER_OPEN
from streamflow_env.system import System


def _milli(quality: float | None) -> int:
    return -1 if quality is None else round(1000 * quality)


def lay_out_call(record: Any, system: System, name: str, memory: Memory) -> None:
    """Write the policy of the call `name` to its record."""
    policy = system.calls[name]
    record["to"] = system.service_names.index(policy.to)
    record["max_attempts"] = policy.max_attempts
    record["timeout_ns"] = NEVER if policy.timeout_s is None else to_ns(policy.timeout_s)
    record["fallback_milli"] = _milli(policy.fallback_quality)
    record["fallback_spread"] = policy.fallback_spread
    record["exhausted_milli"] = _milli(policy.exhausted_quality)
    record["backoff_base_s"] = policy.backoff_base_s
    record["jitter_low"], record["jitter_high"] = policy.backoff_jitter
    record["ask_fraction"] = policy.ask_fraction
    record["fallback_fraction"] = policy.fallback_fraction
    record["budget_on"] = policy.retry_budget_fraction is not None
    record["budget"] = policy.retry_budget_fraction or 0.0
    record["budget_units"] = FULL_BUDGET
    record["deferred_to"] = -1 if policy.deferred is None else system.service_names.index(policy.deferred)
    record["defer_fraction"] = policy.defer_fraction
    record["cacheable"] = policy.cacheable
    if policy.attempt_cpu is not None:
        cpu = policy.attempt_cpu
        record["has_cpu"] = 1
        record["cpu_family"], record["cpu_a"], record["cpu_b"] = duration_code(cpu.mean_s, cpu.cv, cpu.distribution)
    lay_out_breaker(record, policy.breaker, memory)


@inlined
def begin_call(w: Any, c: Any, r: Any) -> None:
    """A request has come to a call of its plan: is the service asked at all?"""
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
def begin_round(state: State, c: Any, s: Any, r: Any, step: Any) -> None:
    """Begin an attempt of the call, if the breaker permits it."""
    w = state.world[0]
    if permits(c, w.now):
        r.phase = SEND
        return
    c.breaker_open += 1
    s.arrivals += 1
    s.breaker_open += 1
    log_visit(state, r, step.number, r.round, step.service, w.now, w.now, BREAKER_OPEN)
    if c.fallback_milli >= 0:
        take_fallback(w, c, r)
    else:
        take_exhausted(w, c, r)


@inlined
def take_fallback(w: Any, c: Any, r: Any) -> None:
    """Go on with the fallback, at its quality for this user."""
    c.fallbacks += 1
    _take(w, c, r, fallback_of(w, c, r))


@inlined
def take_exhausted(w: Any, c: Any, r: Any) -> None:
    """All attempts have failed: go on without an answer, or fail the step where the plan needs one."""
    c.exhausted += 1
    if c.exhausted_milli < 0:
        r.phase = STEP_FAILED
    else:
        _take(w, c, r, c.exhausted_milli)


@inlined
def _take(w: Any, c: Any, r: Any, milli: int) -> None:
    """Go on with an answer of this quality, in thousandths. It may be improved later, by a deferred ask."""
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
def send(state: State, c: Any, s: Any, slot: int, step: Any) -> bool:
    """Send an attempt of the call to its service."""
    w = state.world[0]
    r = state.requests[slot]
    c.attempts += 1
    if r.round > 0:
        c.retries += 1
    s.arrivals += 1
    r.call_sent_ns = w.now
    r.arrived_ns = w.now
    if s.kind == DATABASE:
        return ask_database(state, c, s, slot, step)
    if s.kind == LLM:
        return ask_llm(state, c, s, slot, step)
    return search(state, c, s, slot, step)


@inlined
def answered(state: State, c: Any, s: Any, slot: int, step: Any) -> None:
    """The service has answered: the request goes on in its plan."""
    w = state.world[0]
    r = state.requests[slot]
    started = r.started_ns if s.kind == DATABASE else r.arrived_ns
    if r.phase == REPEATED:
        touch(w.now, s)
        s.busy += 1  # a repeated query was not busy, and leave_remote counts one down
    leave_remote(state, s, r, started, step)
    if s.kind == DATABASE:
        admit(state, s)
    elif s.kind == VECTOR and c.cacheable == 1 and s.query_ttl_ns > 0 and r.phase != REPEATED:
        keep_result(state, s, r)
    c.successes += 1
    record(c, state.memory, w.now, False, w.now - r.call_sent_ns)
    r.pc += 1
    r.phase = NEXT_STEP


@inlined
def attempt_failed(state: State, c: Any, s: Any, r: Any, slot: int, step: Any, rate_limited: bool) -> bool:
    """An attempt of the call has failed: fall back, give up, or try again after a backoff."""
    w = state.world[0]
    record(c, state.memory, w.now, True, w.now - r.call_sent_ns)
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
    return wait(state, r, slot, to_ns(backoff_s), step.number, NEXT_ROUND)


@inlined
def _may_retry(c: Any) -> bool:
    """Whether the retry budget, if there is one, has a retry left. If so, use it."""
    if c.budget_on == 0:
        return True
    if c.budget_units < RETRY:
        c.retries_refused += 1
        return False
    c.budget_units -= RETRY
    return True


@kernel
def set_budget(c: Any, off: bool, budget: float) -> None:
    """Set the retry budget, or no limit. A budget that was off begins full."""
    if c.budget_on == 0 and not off:
        c.budget_units = FULL_BUDGET
    c.budget_on = 0 if off else 1
    c.budget = budget
