"""Vector indices: latency grows with the queries in flight. A query cache keeps results, by item."""

from __future__ import annotations

from typing import Any

import numpy as np

from streamflow_env.engines.compiled.records import VECTOR
from streamflow_env.engines.compiled.requests import item_of
from streamflow_env.engines.compiled.service import set_duration
from streamflow_env.engines.compiled.state import Memory
from streamflow_env.engines.compiling import inlined
from streamflow_env.engines.draws.distributions import to_ns
from streamflow_env.system import Duration, VectorIndex


def lay_out_vector_index(record: Any, index: VectorIndex, memory: Memory) -> None:
    record["kind"] = VECTOR
    record["base_s"] = index.base_latency_s
    record["span_s"] = index.saturated_latency_s - index.base_latency_s
    record["knee"] = index.knee_in_flight
    record["per_query_s"] = index.latency_per_query_s
    record["query_slots"] = index.query_slots
    record["query_ttl_ns"] = to_ns(index.query_ttl_s)
    record["cached_s"] = index.cached_latency_s
    table = np.zeros((index.query_slots, 2), dtype=np.int64)
    table[:, 0] = -1
    record["queries_at"] = memory.take(table.reshape(-1))
    set_duration(record, Duration(mean_s=1.0, cv=index.cv))


@inlined
def is_repeated(w: Any, s: Any, memory: Any, r: Any) -> bool:
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
def keep_result(w: Any, s: Any, memory: Any, r: Any) -> None:
    item = item_of(w, r)
    at = s.queries_at + 2 * (item % s.query_slots)
    memory[at] = item
    memory[at + 1] = w.now
