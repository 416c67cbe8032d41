"""Vector indices: latency grows with the queries in flight. A query cache keeps results, by item."""

from __future__ import annotations

from typing import Any

import numpy as np

from streamflow_env.engines.compiled.event_queue import wait
from streamflow_env.engines.compiled.records import REPEATED, VECTOR
from streamflow_env.engines.compiled.remote import await_answer
from streamflow_env.engines.compiled.requests import draw, item_of
from streamflow_env.engines.compiled.service import set_duration, touch
from streamflow_env.engines.compiled.state import Memory, State
from streamflow_env.engines.compiling import inlined
from streamflow_env.engines.draws.distributions import duration_ns, to_ns
from streamflow_env.engines.draws.hashing import CALL_LATENCY
from streamflow_env.system import Duration, VectorIndex


def lay_out_vector_index(record: Any, index: VectorIndex, memory: Memory) -> None:
    """Write `index`, idle and with an empty query cache, to its record."""
    record["kind"] = VECTOR
    record["base_s"] = index.base_latency_s
    record["span_s"] = index.saturated_latency_s - index.base_latency_s
    record["knee"] = index.knee_in_flight
    record["per_query_s"] = index.latency_per_query_s
    record["query_entries"] = index.query_entries
    record["query_ttl_ns"] = to_ns(index.query_ttl_s)
    record["cached_s"] = index.cached_latency_s
    table = np.zeros((index.query_entries, 2), dtype=np.int64)
    table[:, 0] = -1
    record["queries_at"] = memory.take(table.reshape(-1))
    set_duration(record, Duration(mean_s=1.0, cv=index.cv))


@inlined
def search(state: State, c: Any, s: Any, slot: int, step: Any) -> bool:
    """Answer a query out of the query cache, or search. More queries in flight make a search slower."""
    r = state.requests[slot]
    touch(state.world[0].now, s)
    s.in_flight += 1
    if c.cacheable == 1 and s.query_ttl_ns > 0 and _is_repeated(state, s, r):
        return wait(state, r, slot, to_ns(s.cached_s * s.slowdown), step.number, REPEATED)
    s.busy += 1
    x = s.busy / s.knee
    mean_s = s.base_s + s.per_query_s * s.busy + s.span_s * x * x / (1.0 + x * x)
    u = draw(r, CALL_LATENCY, step.number, r.round)
    return await_answer(state, c, r, slot, step, duration_ns(u, s.family, s.a, s.b, mean_s * s.slowdown))


@inlined
def _is_repeated(state: State, s: Any, r: Any) -> bool:
    """Whether the query cache has the result for the request's item; a hit is counted."""
    w, memory = state.world[0], state.memory
    item = item_of(w, r)
    at = s.queries_at + 2 * (item % s.query_entries)
    age_ns = w.now - memory[at + 1]
    if memory[at] != item or age_ns >= s.query_ttl_ns:
        return False
    s.query_hits += 1
    s.age_ns += age_ns
    return True


@inlined
def keep_result(state: State, s: Any, r: Any) -> None:
    """Keep the result for the request's item, in place of that which has its query entry."""
    w, memory = state.world[0], state.memory
    item = item_of(w, r)
    at = s.queries_at + 2 * (item % s.query_entries)
    memory[at] = item
    memory[at + 1] = w.now
