"""More exact logs of tiny systems, worked out by hand: what sheds, keeps, gives way, is deferred, scales."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamflow_env.engines import ENGINE_NAMES
from streamflow_env.engines.draws.hashing import REPLICA, REQUESTS, draw_index, stream_key, uniform
from tests.engines.tiny import ENTERED, ENTRY_MS, MS, NETWORK_MS, constant, llm, pool, run, schedule, tiny_system

NETWORK = NETWORK_MS * MS
pytestmark = pytest.mark.parametrize("engine", ENGINE_NAMES)


def cache(ttl_s: float = 10.0, **more: Any) -> dict[str, Any]:
    """A cache of lookups and fills of 10 ms."""
    return {"kind": "cache", "lookup_time": constant(10), "ttl_s": ttl_s, **more}


def control(of: str, parameter: str, low: float, high: float, **more: Any) -> dict[str, Any]:
    """A control that has the name of its parameter."""
    return {"name": parameter, "of": of, "parameter": parameter, "low": low, "high": high, **more}


def test_who_waits_for_too_long_is_shed(engine: str) -> None:
    """A worker works for 50 ms; the second request gives up after 20 ms, and the worker of `outer` is given back."""
    slow = pool(50, waiting_limit_s=0.02)
    plan = [{"call": "outer", "holding": [{"call": "slow"}]}]
    system = tiny_system({"outer": pool(0, workers=9), "slow": slow}, plan)
    episode, (a, b) = schedule(system, {100: 2})

    result = run(engine, system, episode)

    gave_up, first = b + ENTERED + 20 * MS, a + ENTERED + 50 * MS
    assert result.visits == [
        (1, 0, 2, 0, "slow", b + ENTERED, gave_up, gave_up, "shed"),
        (1, 0, 1, 0, "outer", b + ENTERED, b + ENTERED, gave_up, "failed"),
        (1, 0, 0, 0, "front", b + NETWORK, b + NETWORK, gave_up, "failed"),
        (0, 0, 2, 0, "slow", a + ENTERED, a + ENTERED, first, "ok"),
        (0, 0, 1, 0, "outer", a + ENTERED, a + ENTERED, first, "ok"),
        (0, 0, 0, 0, "front", a + NETWORK, a + NETWORK, first, "ok"),
    ]
    assert result.answers == [(1, 0, b, gave_up, "shed", 0), (0, 0, a, first, "ok", 1000)]
    assert result.users("failed_shed") == result.service("slow", "shed") == [1]
    assert result.service("slow", "queue_ns") == [20 * MS]


def test_who_waits_for_too_long_to_enter_is_shed(engine: str) -> None:
    front = pool(ENTRY_MS, serves_abandoned=False, waiting_limit_s=0.004)
    system = tiny_system({"front": front, "slow": pool(0)}, [{"call": "slow"}])
    episode, (a, b) = schedule(system, {100: 2})

    result = run(engine, system, episode)

    gave_up = b + NETWORK + 4 * MS
    assert result.visits[0] == (1, 0, 0, 0, "front", b + NETWORK, gave_up, gave_up, "shed")
    assert result.answers == [(1, 0, b, gave_up, "shed", 0), (0, 0, a, a + ENTERED, "ok", 1000)]
    assert (result.service("front", "shed"), result.service("front", "failed")) == ([1], [0])


@pytest.mark.parametrize(("reserve", "num_admitted"), [(0.0, 2), (0.5, 1), (1.0, 1)])
def test_admission_keeps_some_for_premium_users(engine: str, reserve: float, num_admitted: int) -> None:
    """Two a second: of three standard requests in one millisecond two are admitted, or one, and one 0.6 s later."""
    front = pool(ENTRY_MS, workers=9, serves_abandoned=False, rate_limit_rps=2, admission_reserve_fraction=reserve)
    system = tiny_system({"front": front, "slow": pool(0, workers=9)}, [{"call": "slow"}])
    episode, sent = schedule(system, {100: 3, 701: 1})

    result = run(engine, system, episode)

    admitted = [*range(num_admitted), 3]
    shed = [i for i in range(4) if i not in admitted]
    assert [row for row in result.visits if row[8] == "shed"] == [
        (i, 0, 0, 0, "front", *[sent[i] + NETWORK] * 3, "shed") for i in shed
    ]
    assert sorted(row[0] for row in result.answers if row[4] == "ok") == admitted
    assert result.users("failed_shed") == result.service("front", "shed") == [len(shed)]
    assert result.service("front", "arrivals") == [4]


def test_a_query_is_answered_again_from_the_query_cache(engine: str) -> None:
    """One query in flight takes 100 + (300 - 100) / 2 ms, its result is kept for 0.5 s and had within 5 ms."""
    index = {
        "kind": "vector_index", "base_latency_s": 0.1, "saturated_latency_s": 0.3, "knee_in_flight": 1.0,
        "query_ttl_s": 0.5, "cached_latency_s": 0.005,
    }  # fmt: skip
    find = {"to": "map", "cacheable": True, "timeout_s": 9.0}
    system = tiny_system({"map": index}, [{"query": "find"}], calls={"find": find})
    episode, (a, b, c) = schedule(system, {100: 1, 500: 1, 900: 1})

    result = run(engine, system, episode)

    assert [row[7:] for row in result.visits if row[4] == "map"] == [
        (a + ENTERED + 200 * MS, "ok"),
        (b + ENTERED + 5 * MS, "ok"),
        (c + ENTERED + 200 * MS, "ok"),
    ]
    assert (result.service("map", "query_hits"), result.service("map", "completions")) == ([1], [3])
    assert result.service("map", "age_ns") == [b - a - 200 * MS]
    assert result.service("map", "busy_ns") == [400 * MS]


@pytest.mark.parametrize(("lag_s", "share_stale"), [(0.0, 0), (1e6, 1)])
def test_read_replicas_bring_connections_and_stale_reads(engine: str, lag_s: float, share_stale: int) -> None:
    """A read replica, asked for at 1 s, is there at 1.5 s; then two queries of 100 ms are served at a time."""
    database = {
        "kind": "database", "connections": 1, "queue_limit": 9, "service_time": constant(100),
        "startup_delay_s": 0.5, "replication_lag_s": lag_s, "write_gap_s": 1.0,
    }  # fmt: skip
    system = tiny_system(
        {"db": database},
        [{"query": "read"}],
        calls={"read": {"to": "db"}},
        controls=[control("db", "read_replicas", 0, 9)],
        interval_s=1.0,
    )
    episode, (a, _, c, d) = schedule(system, {100: 2, 1600: 2})

    result = run(engine, system, episode, [{}, {"read_replicas": 1}])

    ended = (a + 115 * MS, a + 215 * MS, c + 115 * MS, d + 115 * MS)
    assert tuple(row[7] for row in result.visits if row[4] == "db") == ended
    keys = (np.uint64(stream_key(episode.seed, REQUESTS, i)) for i in (2, 3))
    num_by_replica = sum(uniform(key, draw_index(REPLICA, 0, 1, 0)) < 0.5 for key in keys)
    assert result.service("db", "stale_reads") == [0, share_stale * num_by_replica]
    assert (result.service("db", "ready_replicas"), result.service("db", "replica_ns")) == ([0, 1], [0, 1000 * MS])
    assert result.service("db", "server_ns") == [1000 * MS, 1500 * MS]


def test_a_deferred_ask_enriches_the_entry(engine: str) -> None:
    """Nobody asks; the entry written at a + 35 ms is asked for 200 ms later, and answered 100 ms after that."""
    ask = {"to": "llm", "ask_fraction": 0.0, "fallback_quality": 0.5, "deferred": "later", "defer_fraction": 1.0}
    later = {"kind": "deferred_queue", "to": "llm", "queue_limit": 1, "workers": 1, "poll_s": 0.2}
    plan = [{"lookup": "cache", "on_miss": [{"query": "ask"}, {"fill": "cache"}]}]
    system = tiny_system({"cache": cache(), "llm": llm(100), "later": later}, plan, calls={"ask": ask}, interval_s=0.4)
    episode, (a, b, c) = schedule(system, {50: 1, 300: 1, 401: 1})

    result = run(engine, system, episode, [{}, {}])

    assert result.answers == [
        (0, 0, a, a + 35 * MS, "ok", 500),
        (1, 0, b, b + 25 * MS, "ok", 500),  # at 325 ms, before 385 ms
        (2, 0, c, c + 25 * MS, "ok", 1000),
    ]
    assert result.call("ask", "deferred") == result.service("later", "enriched") == [1, 0]
    assert result.service("later", "completions") == result.service("llm", "completions") == [1, 0]
    assert (result.service("later", "queue_ns"), result.service("later", "busy_ns")) == ([200 * MS, 0], [100 * MS, 0])
    assert result.service("llm", "sojourn_ns") == [100 * MS, 0]
    assert [row for row in result.visits if row[4] in ("llm", "later")] == []


def test_a_deferred_ask_leaves_when_its_entry_is_gone(engine: str) -> None:
    """The entry lives for 0.1 s, and the queue is looked at after 0.2 s."""
    ask = {"to": "llm", "ask_fraction": 0.0, "fallback_quality": 0.5, "deferred": "later", "defer_fraction": 1.0}
    later = {"kind": "deferred_queue", "to": "llm", "queue_limit": 1, "workers": 1, "poll_s": 0.2}
    system = tiny_system(
        {"cache": cache(0.1), "llm": llm(100), "later": later},
        [{"query": "ask"}, {"fill": "cache"}],
        calls={"ask": ask},
    )
    episode, _ = schedule(system, {100: 1, 150: 1})

    result = run(engine, system, episode)

    assert [result.service("later", name) for name in ("arrivals", "lost", "abandoned")] == [[2], [1], [1]]
    assert result.service("llm", "arrivals") == [0]


def test_retries_end_with_their_budget(engine: str) -> None:
    """One token for nine requests; of the eight others six retry 15 times, one 10 times, which is all there are."""
    ask = {"to": "llm", "max_attempts": 16, "exhausted_quality": 0.5, "retry_budget_fraction": 0.0}
    endpoint = llm(100, quota_per_minute=1, burst=1)
    system = tiny_system({"llm": endpoint}, [{"query": "ask"}], calls={"ask": ask})
    episode, _ = schedule(system, {100: 9})

    result = run(engine, system, episode)

    assert result.call("ask", "retries") == [100]
    assert result.call("ask", "retries_refused") == [2]
    assert result.call("ask", "exhausted") == [8]
    assert result.users("failed_dependency") == [0]


def test_a_fill_is_a_duplicate_after_a_concurrent_miss(engine: str) -> None:
    plan = [{"lookup": "cache", "on_miss": [{"fill": "cache"}]}]
    system = tiny_system({"cache": cache()}, plan)
    episode, _ = schedule(system, {100: 3})

    result = run(engine, system, episode)

    assert (result.service("cache", "fills"), result.service("cache", "duplicate_fills")) == ([3], [2])


def test_a_fill_without_a_miss_is_no_duplicate(engine: str) -> None:
    """The first request misses, the others fill what they never looked up."""
    plan = [{"lookup": "cache", "key": "item", "on_miss": [{"fill": "cache", "key": "item"}]}, {"fill": "cache"}]
    system = tiny_system({"cache": cache()}, plan)
    episode, _ = schedule(system, {100: 1, 200: 1, 300: 1})

    result = run(engine, system, episode)

    assert (result.service("cache", "fills"), result.service("cache", "duplicate_fills")) == ([4], [0])
    assert (result.service("cache", "item_lookups"), result.service("cache", "item_hits")) == ([3], [2])
    assert (result.service("cache", "lookups"), result.service("cache", "hits")) == ([0], [0])


def test_a_full_cache_evicts(engine: str) -> None:
    """Room for one entry: the item's and the user's drive each other out. With room for two, until that is taken."""
    plan = [
        {"lookup": "cache", "on_miss": [{"fill": "cache"}]},
        {"lookup": "cache", "key": "item", "on_miss": [{"fill": "cache", "key": "item"}]},
    ]
    system = tiny_system(
        {"cache": cache(memory_entries=1)}, plan, controls=[control("cache", "memory_entries", 1, 2)], interval_s=1.0
    )
    episode, _ = schedule(system, {100: 1, 1100: 1, 1200: 1, 2100: 1})

    result = run(engine, system, episode, [{}, {"memory_entries": 2}, {"memory_entries": 1}])

    # The item drove the user out; then both are there, the user used last; the item gives way; and so on.
    assert result.service("cache", "evicted") == [1, 0, 1 + 2]
    assert result.service("cache", "fills") == [2, 1, 2]
    assert result.service("cache", "entries") == [1, 2, 1]
    assert result.service("cache", "memory_ns") == [1000 * MS, 2000 * MS, 1000 * MS]
    assert (result.users("hit_answers"), result.users("miss_answers")) == ([0, 1, 0], [1, 1, 1])  # of the first lookup
