"""The LLM endpoint: a token or a rejection, then a latency."""

from __future__ import annotations

from typing import Any

from streamflow_env.engines.compiled.records import LLM, TOKEN
from streamflow_env.engines.compiled.service import set_duration
from streamflow_env.engines.compiled.state import Memory
from streamflow_env.engines.compiled.tokens import kept_burst, rest_of_burst
from streamflow_env.engines.compiling import inlined
from streamflow_env.engines.draws.distributions import duration_ns, scaled_ns, to_ns
from streamflow_env.system import LlmEndpoint


def lay_out_llm(record: Any, llm: LlmEndpoint, memory: Memory) -> None:
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
    record["interactive_reserve"] = llm.interactive_reserve_fraction
    record["premium_reserve"] = llm.premium_reserve_fraction
    set_duration(record, llm.tail)


@inlined
def latency_ns(s: Any, memory: Any, u: float) -> int:
    """How long the answer to the draw `u` takes."""
    if s.num_latencies > 0:
        return scaled_ns(memory[s.latencies_at + int(u * s.num_latencies)], s.slowdown)
    return to_ns(s.floor_s * s.slowdown) + duration_ns(u, s.family, s.a, s.b, s.slowdown)
