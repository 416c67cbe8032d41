"""Wrong values of what controls set: admission, read replicas, memory, query cache, deferred asks, budgets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.system.broken import SHIPPED, changed, control, error_of

WRONG: dict[str, tuple[list[tuple[str, Any]], list[str]]] = {
    "admission at an inner pool": (
        [("services.auth.rate_limit_rps", 50)],
        ["services.auth", "rate_limit_rps", "users.entry alone"],
    ),
    "reserve at an inner pool": (
        [("services.auth.admission_reserve_fraction", 0.1)],
        ["services.auth", "admission_reserve_fraction", "users.entry alone"],
    ),
    "admission control of an inner pool": (
        [(f"controls.{control('gateway_rate_limit')}.of", "auth")],
        ["gateway_rate_limit", "'auth'", "must be users.entry, 'gateway'"],
    ),
    "half a request a second": (
        [("services.gateway.rate_limit_rps", 50.5)],
        ["services.gateway", "rate_limit_rps = 50.5", "integer"],
    ),
    "no patience at all": (
        [("services.gateway.waiting_limit_s", 0.0)],
        ["services.gateway", "waiting_limit_s = 0.0", "greater than 0"],
    ),
    "off by default, but never off": (
        [(f"controls.{control('gateway_waiting_limit')}.off_at_high", False)],
        ["gateway_waiting_limit", "it is off by default", "off_at_high must be true"],
    ),
    "cacheable database": (
        [("calls.profile_query.cacheable", True)],
        ["calls.profile_query.cacheable", "vector_index"],
    ),
    "cacheable LLM": ([("calls.engine_llm.cacheable", True)], ["calls.engine_llm.cacheable", "vector_index"]),
    "deferred to a wrong kind": (
        [("calls.engine_llm.deferred", "analytics")],
        ["calls.engine_llm.deferred", "'analytics'", "deferred_queue", "deferred_asks"],
    ),
    "deferred to nowhere": (
        [("calls.engine_llm.deferred", "later")],
        ["calls.engine_llm.deferred", "'later'", "deferred_queue", "deferred_asks"],
    ),
    "deferred to another LLM": (
        [("services.spare", SHIPPED["services"]["llm"]), ("services.deferred_asks.to", "spare")],
        ["calls.engine_llm.deferred", "'spare'", "must ask 'llm'"],
    ),
    "deferred asks of an index": (
        [("services.more", {**SHIPPED["services"]["deferred_asks"], "to": "vector_db"})],
        ["services.more.to", "'vector_db'", "llm_endpoint", "llm"],
    ),
    "deferring without a queue": (
        [("calls.pipeline_llm.defer_fraction", 0.5)],
        ["calls.pipeline_llm.defer_fraction", "`deferred`", "deferred_queue"],
    ),
    "control of deferring without a queue": (
        [(f"controls.{control('llm_defer')}.of", "pipeline_llm")],
        ["llm_defer", "'pipeline_llm'", "no `deferred` queue"],
    ),
    "call to a deferred queue": (
        [("calls.engine_llm.to", "deferred_asks")],
        ["calls.engine_llm.to", "'deferred_asks'", "llm_endpoint"],
    ),
    "event to a deferred queue": (
        [("classes.title.plan.2.emit", "deferred_asks")],
        ["title.plan[2].emit", "'deferred_asks'", "consumer"],
    ),
    "read replicas of a pool": (
        [(f"controls.{control('profile_db_read_replicas')}.of", "auth")],
        ["profile_db_read_replicas", "'auth'", "database", "profile_db"],
    ),
    "fewer than no read replicas": (
        [("services.profile_db.read_replicas", -1)],
        ["services.profile_db", "read_replicas = -1", "greater than or equal to 0"],
    ),
    "written all the time": (
        [("services.profile_db.write_gap_s", 0.0)],
        ["services.profile_db", "write_gap_s = 0.0", "greater than 0"],
    ),
    "too many items": (
        [("users.num_items", 10**9 + 1)],
        ["users.num_items = 1000000001", "less than or equal to 1000000000"],
    ),
    "no items": ([("users.num_items", 0)], ["users.num_items = 0", "greater than or equal to 1"]),
    "key of nothing": (
        [("classes.feed.plan.1.key", "movie")],
        ["classes.feed.plan.1", "key = 'movie'", "'user' or 'item'"],
    ),
    "no memory": ([("services.cache.memory_entries", 0)], ["services.cache", "memory_entries = 0", "equal to 1"]),
    "memory without end": (
        [("services.cache.memory_entries", 10**8 + 1)],
        ["services.cache", "memory_entries = 100000001", "less than or equal to 100000000"],
    ),
    "control down to no memory": (
        [(f"controls.{control('cache_memory')}.low", 0), (f"controls.{control('cache_memory')}.scale", "linear")],
        ["controls", "low 0", "memory_entries", "in [1, 100000000]"],
    ),
    "no sample to evict from": (
        [("services.cache.eviction_samples", 0)],
        ["services.cache", "eviction_samples = 0", "greater than or equal to 1"],
    ),
    "memory that is paid to the customer": (
        [("services.cache.price_per_1000_entries_hour", -1.0)],
        ["services.cache", "price_per_1000_entries_hour = -1.0", "greater than or equal to 0"],
    ),
    "query TTL below zero": (
        [("services.vector_db.query_ttl_s", -1.0)],
        ["services.vector_db", "query_ttl_s = -1.0", "greater than or equal to 0"],
    ),
    "control of a query TTL below zero": (
        [(f"controls.{control('query_cache_ttl')}.low", -1.0)],
        ["controls", "low -1.0", "query_ttl_s", "must be in [0, "],
    ),
    "query cache without slots": (
        [("services.vector_db.query_entries", 0)],
        ["services.vector_db", "query_entries = 0", "greater than or equal to 1"],
    ),
    "TTL that is off": (
        [(f"controls.{control('cache_ttl')}.off_at_high", True)],
        ["controls", "off_at_high", "ttl_s cannot be off"],
    ),
    "budget above one": (
        [("calls.engine_llm.retry_budget_fraction", 1.5)],
        ["calls.engine_llm.retry_budget_fraction = 1.5", "less than or equal to 1"],
    ),
    "share of ingest above one": (
        [("services.llm.background_share_fraction", 1.2)],
        ["services.llm", "background_share_fraction = 1.2", "less than or equal to 1"],
    ),
    "asks polled all the time": (
        [("services.deferred_asks.poll_s", 0.0)],
        ["services.deferred_asks", "poll_s = 0.0", "greater than 0"],
    ),
    "asks by too many workers": (
        [("services.deferred_asks.workers", 65_537)],
        ["services.deferred_asks", "workers = 65537", "less than or equal to 65536"],
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(name: str, tmp_path: Path) -> None:
    changes, parts = WRONG[name]
    message = error_of(changed(*changes), tmp_path)
    assert [part for part in parts if part not in message] == [], message
    assert len(message.splitlines()) == 1, "one mistake, one line"
