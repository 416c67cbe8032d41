"""Exact logs of the vector index's query cache, worked out by hand from docs/model.md.

A request sent at s begins its plan at s + 15 ms (`ENTERED`). A query takes 100 ms, one from the query cache 40 ms.
"""

from __future__ import annotations

from typing import Any

import pytest

from streamflow_env.engines import ENGINE_NAMES
from streamflow_env.episode import Change
from streamflow_env.system import System
from tests.engines.tiny import ENTERED, MS, Wanted, control, front, items_are, run, schedule, spread, tiny_system

pytestmark = pytest.mark.parametrize("engine", ENGINE_NAMES)


def with_index(*, timeout_s: float | None = None, cacheable: bool = True, num_items: int = 1, **more: Any) -> System:
    """A system of one vector index, in intervals of a second unless given; `find` is cacheable, or another call is."""
    interval_s = more.pop("interval_s", 1.0)
    index = {
        "kind": "vector_index", "base_latency_s": 0.1, "saturated_latency_s": 0.1, "knee_in_flight": 1.0,
        "query_ttl_s": 1.0, "query_entries": 8, "cached_latency_s": 0.04, **more,
    }  # fmt: skip
    find = {"to": "index", "cacheable": cacheable, "timeout_s": timeout_s, "exhausted_quality": 0.5}
    calls = {"find": find, "never_made": {"to": "index", "cacheable": True}}
    ttl = control("ttl", "index", "query_ttl_s", 0.0, 100.0)
    users = {"num_items": num_items, "item_exponent": 0.0}
    return tiny_system(
        {"index": index}, [{"query": "find"}], calls=calls, users=users, controls=[ttl], interval_s=interval_s
    )


def test_a_result_is_used_again_while_it_is_fresh(engine: str) -> None:
    """Written at a + 115 ms, read 600 ms later, which makes it no younger: after a second it is too old."""
    system = with_index()
    episode, (a, b, c) = schedule(system, {100: 1, 700: 1, 1300: 1})

    result = run(engine, system, episode, [{}, {}])

    assert result.visits == [
        (0, 0, 1, 0, "index", a + ENTERED, a + ENTERED, a + 115 * MS, "ok"),
        front(0, a, a + 115 * MS),
        (1, 0, 1, 0, "index", b + ENTERED, b + ENTERED, b + 55 * MS, "ok"),
        front(1, b, b + 55 * MS),
        (2, 0, 1, 0, "index", c + ENTERED, c + ENTERED, c + 115 * MS, "ok"),
        front(2, c, c + 115 * MS),
    ]
    assert result.service("index", "query_hits") == [1, 0]
    assert result.service("index", "age_ns") == [b + ENTERED - (a + 115 * MS), 0]
    assert result.service("index", "completions") == result.call("find", "successes") == [2, 1]
    assert result.call("find", "attempts") == result.call("find", "requests") == [2, 1]
    assert result.service("index", "sojourn_ns") == [140 * MS, 100 * MS]
    assert result.service("index", "busy_ns") == [100 * MS, 100 * MS]


def test_an_answer_from_the_query_cache_is_in_flight_and_not_busy(engine: str) -> None:
    """And it loads the index with nothing: another item's query at that time takes as long as one alone, 200 ms."""
    system = with_index(saturated_latency_s=0.3, cached_latency_s=0.4, num_items=2, interval_s=0.8)
    episode, (a, b, c) = schedule(system, {100: 1, 700: 1, 720: 1}, where=items_are("aab"))

    result = run(engine, system, episode, [{}, {}])

    assert result.of("index") == [
        (0, 1, 0, a + ENTERED, a + ENTERED, a + 215 * MS, "ok"),
        (2, 1, 0, c + ENTERED, c + ENTERED, c + 215 * MS, "ok"),
        (1, 1, 0, b + ENTERED, b + ENTERED, b + 415 * MS, "ok"),
    ]
    assert result.service("index", "in_flight") == [2, 0]
    assert result.service("index", "busy") == [1, 0]
    assert result.service("index", "busy_ns") == [200 * MS + 800 * MS - (c + ENTERED), c + 215 * MS - 800 * MS]


def test_a_query_takes_the_longer_the_more_are_in_flight(engine: str) -> None:
    """Alone at the knee: halfway from 0.1 to 0.3 s; with another 4/5 of the way. The first is over when c comes."""
    system = with_index(saturated_latency_s=0.3, cacheable=False)
    episode, (a, b, c) = schedule(system, {100: 1, 150: 1, 350: 1})

    result = run(engine, system, episode)

    assert result.of("index") == [
        (0, 1, 0, a + ENTERED, a + ENTERED, a + 215 * MS, "ok"),
        (1, 1, 0, b + ENTERED, b + ENTERED, b + 275 * MS, "ok"),
        (2, 1, 0, c + ENTERED, c + ENTERED, c + 275 * MS, "ok"),
    ]


def test_the_query_cache_answers_whatever_the_timeout(engine: str) -> None:
    """A call is given up after 150 ms; a query takes 100 ms, an answer of the query cache 400 ms."""
    system = with_index(timeout_s=0.15, cached_latency_s=0.4)
    episode, (a, b) = schedule(system, {100: 1, 300: 1})

    result = run(engine, system, episode)

    assert [row[5:] for row in result.of("index")] == [(a + 115 * MS, "ok"), (b + 415 * MS, "ok")]
    assert (result.service("index", "query_hits"), result.service("index", "timeouts")) == ([1], [0])


def test_a_query_that_was_given_up_leaves_no_result(engine: str) -> None:
    system = with_index(timeout_s=0.05)
    episode, _ = schedule(system, {100: 1, 300: 1})

    result = run(engine, system, episode)

    assert (result.service("index", "query_hits"), result.service("index", "timeouts")) == ([0], [2])
    assert result.service("index", "orphaned") == [2]


def test_an_answer_of_the_query_cache_slows_down_with_the_index(engine: str) -> None:
    system = with_index()
    slowdown = Change(250 * MS, "index", "slowdown_factor", 2.5)
    episode, (_, b) = schedule(system, {100: 1, 300: 1}, [slowdown])

    result = run(engine, system, episode)

    assert result.answers[1] == (1, 0, b, b + ENTERED + 100 * MS, "ok", 1000)
    assert result.service("index", "query_hits") == [1]


@pytest.mark.parametrize("cacheable", [False, True])
def test_the_query_cache_is_for_calls_that_are_cacheable_while_it_is_on(engine: str, cacheable: bool) -> None:
    """Off in the first second, which leaves no result; on in the second; in the third, 0.8 s is too old and 0.1 not."""
    system = with_index(cacheable=cacheable, query_ttl_s=0.0)
    episode, _ = schedule(system, {500: 1, 1100: 1, 1300: 1, 2000: 1, 2200: 1})

    result = run(engine, system, episode, [{}, {"ttl": 1.0}, {"ttl": 0.3}])

    took = [row[5] - row[4] for row in result.of("index")]
    assert took == [ms * MS for ms in ((100, 100, 40, 100, 40) if cacheable else (100,) * 5)]
    assert result.service("index", "query_hits") == ([0, 1, 1] if cacheable else [0, 0, 0])


def test_a_ttl_of_nothing_forgets_no_result(engine: str) -> None:
    """Off in the second second alone: what was found in the first is found again in the third."""
    system = with_index(query_ttl_s=5.0)
    episode, (a, *_, c) = schedule(system, {500: 1, 1500: 1, 2500: 1})

    result = run(engine, system, episode, [{}, {"ttl": 0.0}, {}])

    assert result.service("index", "query_hits") == [0, 0, 1]
    assert result.service("index", "age_ns") == [0, 0, c + ENTERED - (a + 115 * MS)]


@pytest.mark.parametrize(("slots", "hits"), [(1, 1), (2, 2)])
def test_an_item_takes_its_slot_from_whoever_holds_it(engine: str, slots: int, hits: int) -> None:
    """Items 0, 1, 1, 0: with one slot for both, the last finds the other's result."""
    system = with_index(query_entries=slots, query_ttl_s=100.0, num_items=2, interval_s=10.0)
    episode, _ = spread(system, 4, 150, where=items_are("abba"))

    result = run(engine, system, episode)

    assert result.service("index", "query_hits") == [hits]


def test_the_slot_of_an_item_is_its_number_modulo_the_slots(engine: str) -> None:
    """Items 0 and 2 share one of two slots, and 1 has the other."""
    system = with_index(query_entries=2, query_ttl_s=100.0, num_items=3, interval_s=20.0)
    wanted: Wanted = lambda drawn: [drawn.item(request) for request in range(5)] == [0, 1, 2, 1, 0]  # noqa: E731
    episode, sent = spread(system, 5, 150, where=wanted)

    result = run(engine, system, episode)

    assert result.service("index", "query_hits") == [1]
    assert result.service("index", "age_ns") == [sent[3] + ENTERED - (sent[1] + 115 * MS)]


def test_of_two_queries_of_one_item_at_once_both_are_made(engine: str) -> None:
    """The result is that of the later one, and as old as that: fresh still, 1 s after the earlier was answered."""
    system = with_index(query_ttl_s=1.0, interval_s=10.0)
    episode, (a, b, c) = schedule(system, {100: 1, 150: 1, 1225: 1})

    result = run(engine, system, episode)

    assert result.of("index") == [
        (0, 1, 0, a + ENTERED, a + ENTERED, a + 115 * MS, "ok"),
        (1, 1, 0, b + ENTERED, b + ENTERED, b + 115 * MS, "ok"),
        (2, 1, 0, c + ENTERED, c + ENTERED, c + 55 * MS, "ok"),
    ]
    assert result.service("index", "age_ns") == [c + ENTERED - (b + 115 * MS)]


@pytest.mark.parametrize(("more_ns", "took_ms"), [(0, 100), (1, 40)])
def test_a_result_is_too_old_when_it_is_as_old_as_its_time_to_live(engine: str, more_ns: int, took_ms: int) -> None:
    requests = {100: 1, 700: 1}
    _, (a, b) = schedule(with_index(), requests)
    age_ns = b + ENTERED - (a + 115 * MS)
    system = with_index(query_ttl_s=(age_ns + more_ns) / 1e9)
    episode, _ = schedule(system, requests)

    result = run(engine, system, episode)

    assert result.answers[1] == (1, 0, b, b + ENTERED + took_ms * MS, "ok", 1000)
