"""The LLM endpoint: a call takes a token and waits for the answer, or is rejected with a 429."""

from __future__ import annotations

from typing import Any

from streamflow_env.engines.compiled.event_queue import wait
from streamflow_env.engines.compiled.records import LLM, REJECTED, TOKEN
from streamflow_env.engines.compiled.remote import await_answer
from streamflow_env.engines.compiled.requests import draw
from streamflow_env.engines.compiled.service import log_visit, set_duration, touch
from streamflow_env.engines.compiled.state import Memory, State
from streamflow_env.engines.compiled.tokens import kept_burst, rest_of_burst, take_token
from streamflow_env.engines.compiling import inlined
from streamflow_env.engines.draws.distributions import duration_ns, scaled_ns, to_ns
from streamflow_env.engines.draws.hashing import CALL_LATENCY
from streamflow_env.engines.telemetry import RATE_LIMITED
from streamflow_env.system import LlmEndpoint


def lay_out_llm(record: Any, llm: LlmEndpoint, memory: Memory) -> None:
    """Write `llm`, idle and with a full token bucket, to its record."""
    record["kind"] = LLM
    record["quota"] = record["quota_now"] = llm.quota_per_minute
    record["burst_units"] = llm.burst * TOKEN
    record["background_share"] = llm.background_share_fraction
    record["kept_burst"] = record["kept_units"] = kept_burst(llm.burst * TOKEN, llm.background_share_fraction)
    record["token_units"] = rest_of_burst(llm.burst * TOKEN, int(record["kept_burst"]))
    if llm.token_latency is not None:
        record["num_latencies"] = len(llm.token_latency.latencies_ns)
        record["latencies_at"] = memory.take(llm.token_latency.latencies_ns)
    record["tokens_milli"] = (record["token_units"] + record["kept_units"]) * 1000 // TOKEN
    record["rejection_ns"] = to_ns(llm.rejection_time_s)
    record["retry_after_s"] = llm.retry_after_s
    record["floor_s"] = llm.floor_latency_s
    record["interactive_reserve_fraction"] = llm.interactive_reserve_fraction
    record["premium_reserve_fraction"] = llm.premium_reserve_fraction
    set_duration(record, llm.tail)


@inlined
def ask_llm(state: State, c: Any, s: Any, slot: int, step: Any) -> bool:
    """Take a token and wait for the answer, or be rejected."""
    now = state.world[0].now
    r = state.requests[slot]
    if not take_token(now, s, state.classes[r.row].interactive == 1, r.premium == 1):
        c.rate_limited += 1
        s.rate_limited += 1
        log_visit(state, r, step.number, r.round, step.service, now, now, RATE_LIMITED)
        return wait(state, r, slot, s.rejection_ns, step.number, REJECTED)
    touch(now, s)
    s.in_flight += 1
    s.busy += 1
    latency = latency_ns(s, state.memory, draw(r, CALL_LATENCY, step.number, r.round))
    return await_answer(state, c, r, slot, step, latency)


@inlined
def latency_ns(s: Any, memory: Any, u: float) -> int:
    """How long an answer takes, as a function of the draw `u`."""
    if s.num_latencies > 0:
        return scaled_ns(memory[s.latencies_at + int(u * s.num_latencies)], s.slowdown)
    return to_ns(s.floor_s * s.slowdown) + duration_ns(u, s.family, s.a, s.b, s.slowdown)
