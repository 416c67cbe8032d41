"""Exact logs of deferred queues, worked out by hand from docs/model.md: asks that nobody waits for.

A request sent at s looks up its user's key, misses at s + 25 ms, takes the fallback of quality 0.5 at once and has
filled the key at s + 35 ms, when its job is enqueued. Polls are half a second apart; the LLM answers in 100 ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from streamflow_env.engines import ENGINE_NAMES
from streamflow_env.engines.draws.hashing import DEFERRED
from streamflow_env.episode import Change
from streamflow_env.system import System
from tests.engines.tiny import MS, Drawn, benefits_are, cache, draw, front, llm, run, schedule, tiny_system, users_are

pytestmark = pytest.mark.parametrize("engine", ENGINE_NAMES)
ASK: dict[str, Any] = {
    "to": "llm", "ask_fraction": 0.0, "fallback_quality": 0.5, "deferred": "later", "defer_fraction": 1.0,
}  # fmt: skip
LATER = {"kind": "deferred_queue", "to": "llm", "queue_limit": 10, "workers": 1, "poll_s": 0.5}
MISS: Sequence[Any] = ({"query": "ask"}, {"fill": "cache"})


def with_queue(
    *,
    ask: dict[str, Any] | None = None,
    calls: dict[str, Any] | None = None,
    services: dict[str, Any] | None = None,
    on_miss: Sequence[Any] = MISS,
    workers: int = 1,
    queue_limit: int = 10,
    **more: Any,
) -> System:
    """A system of a cache, an LLM and a deferred queue between them."""
    later = {**LATER, "queue_limit": queue_limit, "workers": workers}
    return tiny_system(
        {"cache": cache(), "llm": llm(100), "later": later, **(services or {})},
        [{"lookup": "cache", "on_miss": list(on_miss)}],
        calls={"ask": {**ASK, **(ask or {})}, **(calls or {})},
        **more,
    )


def test_an_entry_is_enriched_by_an_ask_that_nobody_waits_for(engine: str) -> None:
    """Polled at a + 535 ms, enriched at a + 635: the hit before is of quality 0.5, the one after of 1."""
    system = with_queue(interval_s=0.7)
    episode, (a, b, c) = schedule(system, {100: 1, 500: 1, 900: 1})

    result = run(engine, system, episode, [{}, {}])

    def visit(request: int, step: int, began: int, outcome: str) -> tuple[object, ...]:
        return (request, 0, step, 0, "cache", began, began, began + 10 * MS, outcome)

    assert result.visits == [
        *(visit(0, 1, a + 15 * MS, "miss"), visit(0, 3, a + 25 * MS, "ok"), front(0, a, a + 35 * MS)),
        *(visit(1, 1, b + 15 * MS, "ok"), front(1, b, b + 25 * MS)),
        *(visit(2, 1, c + 15 * MS, "ok"), front(2, c, c + 25 * MS)),
    ]
    assert [(row[0], row[5]) for row in result.answers] == [(0, 500), (1, 500), (2, 1000)]
    assert result.service("later", "arrivals") == [1, 0]
    assert result.service("later", "completions") == [0, 1]
    assert result.service("later", "in_flight") == result.service("later", "busy") == [1, 0]
    assert result.service("later", "queue_ns") == [500 * MS, 0]
    asked_ns = 700 * MS - (a + 535 * MS)
    assert result.service("later", "busy_ns") == [asked_ns, 100 * MS - asked_ns]
    assert result.service("later", "server_ns") == [700 * MS, 700 * MS]
    assert result.service("later", "sojourn_ns") == [0, 0]
    assert result.service("llm", "arrivals") == result.service("llm", "in_flight") == [1, 0]
    assert result.service("llm", "completions") == [0, 1]
    assert result.service("llm", "sojourn_ns") == [0, 100 * MS]
    assert result.service("llm", "busy_ns") == [asked_ns, 100 * MS - asked_ns]
    assert result.service("later", "enriched") == [0, 1]
    assert (result.call("ask", "deferred"), result.call("ask", "attempts")) == ([1, 0], [0, 0])
    assert (result.call("ask", "fallbacks"), result.users("personalised")) == ([1, 0], [0, 0])


def test_a_poll_leaves_to_the_next_what_finds_no_worker(engine: str) -> None:
    """One at a time: a is asked in the poll of a + 535, b in that of a + 1035 ms. Then nothing waits, and c is polled
    half a second after it was enqueued."""
    system = with_queue(users={"num_users": 3})
    episode, (a, b, _) = schedule(system, {100: 2, 1300: 1}, where=users_are("abc"))

    result = run(engine, system, episode)

    assert result.service("later", "queue_ns") == [500 * MS + a + 1035 * MS - (b + 35 * MS) + 500 * MS]
    assert result.service("later", "completions") == result.service("later", "enriched") == [3]
    assert result.service("later", "busy_ns") == [300 * MS]


@pytest.mark.parametrize(
    ("endpoint", "second_ms"),
    [
        ({"burst": 1}, 1535),
        ({"burst": 2}, 535),
        ({"burst": 2, "interactive_reserve_fraction": 1.0}, 1535),
        ({"burst": 2, "premium_reserve_fraction": 1.0}, 1535),
        ({"burst": 2, "interactive_reserve_fraction": 1.0, "background_share_fraction": 0.5}, 535),
    ],
)
def test_a_poll_leaves_to_the_next_what_finds_no_token(engine: str, endpoint: dict[str, Any], second_ms: int) -> None:
    """One token a second: the first job takes one, the second waits for the next, if one has to be left.

    Of a bucket in two parts the second takes the other part's only token, of which none has to be left.
    """
    services = {"llm": llm(100, quota_per_minute=60, **endpoint)}
    system = with_queue(services=services, workers=2, users={"num_users": 2})
    episode, (a, b) = schedule(system, {100: 2}, where=users_are("ab"))

    result = run(engine, system, episode)

    assert result.service("later", "queue_ns") == [500 * MS + a + second_ms * MS - (b + 35 * MS)]
    assert result.service("llm", "arrivals") == result.service("llm", "completions") == [2]
    assert result.service("llm", "rate_limited") == result.service("later", "abandoned") == [0]
    assert result.service("later", "completions") == result.service("later", "enriched") == [2]


def test_a_full_queue_loses_jobs(engine: str) -> None:
    system = with_queue(queue_limit=1, users={"num_users": 3})
    episode, _ = schedule(system, {100: 3}, where=users_are("abc"))

    result = run(engine, system, episode)

    assert (result.service("later", "arrivals"), result.service("later", "lost")) == ([3], [2])
    assert result.service("later", "completions") == result.service("later", "enriched") == [1]
    assert result.call("ask", "deferred") == [3]


def test_a_job_whose_entry_was_written_again_departs(engine: str) -> None:
    """Two concurrent misses of one key: the poll at a + 535 ms drops the first's job and asks the second's."""
    system = with_queue()
    episode, (a, b) = schedule(system, {100: 2})

    result = run(engine, system, episode)

    assert (result.service("later", "arrivals"), result.service("later", "abandoned")) == ([2], [1])
    assert result.service("later", "completions") == result.service("later", "enriched") == [1]
    assert result.service("later", "queue_ns") == [500 * MS + a + 535 * MS - (b + 35 * MS)]
    assert result.service("cache", "duplicate_fills") == [1]


def test_a_job_whose_entry_gave_way_departs(engine: str) -> None:
    system = with_queue(services={"cache": cache(memory_entries=1)}, users={"num_users": 2})
    episode, (a, b) = schedule(system, {100: 1, 300: 1}, where=users_are("ab"))

    result = run(engine, system, episode)

    assert result.service("cache", "evicted") == result.service("later", "abandoned") == [1]
    assert result.service("later", "completions") == result.service("later", "enriched") == [1]
    assert result.service("later", "queue_ns") == [500 * MS + a + 535 * MS - (b + 35 * MS)]


@pytest.mark.parametrize(
    ("reason", "abandoned"), [("expired", 1), ("invalidated", 1), ("swept once", 0), ("swept twice", 1)]
)
def test_a_job_whose_entry_has_expired_departs(engine: str, reason: str, abandoned: int) -> None:
    """So does one whose key was invalidated. What a sweep has reached expires when the next sweep begins."""
    services = {"cache": cache(ttl_s=0.3 if reason == "expired" else 10.0, keys_per_item=1)}
    system = with_queue(services=services, background=[{"invalidate": "cache"}])
    at_ms = {"swept once": [300], "swept twice": [300, 400]}.get(reason, [])
    changes = [Change(ms * MS, "cache", "invalidate_fraction", 1.0) for ms in at_ms]
    episode, _ = schedule(system, {100: 1}, changes, background={300: 1} if reason == "invalidated" else {})

    result = run(engine, system, episode)

    assert (result.service("later", "arrivals"), result.service("later", "abandoned")) == ([1], [abandoned])
    assert result.service("later", "completions") == result.service("later", "enriched") == [1 - abandoned]
    assert result.service("later", "queue_ns") == [500 * MS]


def test_an_entry_written_again_while_the_llm_was_asked_stays_as_it_is(engine: str) -> None:
    """The LLM takes 400 ms. Swept at 0.7 s, written again at 0.785 s: the answer at 1.035 s comes too late for it.

    The job of b has an answer at b + 35 + 500 + 400 ms: c finds quality 0.5, and d finds 1.
    """
    system = with_queue(services={"llm": llm(400)})
    changes = [Change(700 * MS, "cache", "invalidate_fraction", 1.0)]
    episode, _ = schedule(system, {100: 1, 750: 1, 1200: 1, 1800: 1}, changes)

    result = run(engine, system, episode)

    assert [row[5] for row in result.answers] == [500, 500, 500, 1000]
    assert (result.service("later", "completions"), result.service("later", "enriched")) == ([2], [1])
    assert (result.service("later", "abandoned"), result.service("later", "queue_ns")) == ([0], [1000 * MS])


def test_the_other_fallbacks_remain_in_an_enriched_entry(engine: str) -> None:
    """Qualities 0.6 · 0.5; enriched, 0.6: no call but the one to the LLM is made good."""
    find = {"to": "index", "ask_fraction": 0.0, "fallback_quality": 0.6}
    index = {"kind": "vector_index", "base_latency_s": 0.1, "saturated_latency_s": 0.1, "knee_in_flight": 1.0}
    system = with_queue(services={"index": index}, calls={"find": find}, on_miss=[{"query": "find"}, *MISS])
    episode, _ = schedule(system, {100: 1, 500: 1, 900: 1})

    result = run(engine, system, episode)

    assert [row[5] for row in result.answers] == [300, 300, 600]


def test_one_call_of_an_attempt_is_deferred(engine: str) -> None:
    """Qualities 0.5 · 0.8: the first is made good, the second is not."""
    calls = {"more": {**ASK, "fallback_quality": 0.8}}
    system = with_queue(calls=calls, on_miss=[{"query": "ask"}, {"query": "more"}, {"fill": "cache"}])
    episode, _ = schedule(system, {100: 1, 500: 1, 900: 1})

    result = run(engine, system, episode)

    assert [row[5] for row in result.answers] == [400, 400, 800]
    assert (result.call("ask", "deferred"), result.call("more", "deferred")) == ([1], [0])
    assert result.service("later", "arrivals") == [1]


@pytest.mark.parametrize(("llm_benefit", "deferred"), [((0.0, 0.75), False), ((0.75, 1.0), True)])
def test_a_share_of_the_fallbacks_is_deferred(engine: str, llm_benefit: tuple[float, float], deferred: bool) -> None:
    system = with_queue(ask={"defer_fraction": 0.25})
    episode, _ = schedule(system, {100: 1, 900: 1}, where=benefits_are(llm_benefit))

    result = run(engine, system, episode)

    assert result.call("ask", "deferred") == result.service("later", "arrivals") == [int(deferred)]
    assert [row[5] for row in result.answers] == [500, 1000 if deferred else 500]


def test_an_exhausted_call_is_deferred_and_one_in_earnest_is_not(engine: str) -> None:
    """One token a second: a has it, b is refused. It is back for b's job at the second poll, at b + 1035 ms."""
    services = {"llm": llm(100, quota_per_minute=60, burst=1)}
    ask = {"ask_fraction": 1.0, "fallback_quality": None, "exhausted_quality": 0.4}
    system = with_queue(services=services, ask=ask, users={"num_users": 2})
    episode, (a, b, _, _) = schedule(system, {100: 2, 900: 1, 1300: 1}, where=users_are("abbb"))

    result = run(engine, system, episode)

    assert result.answers[:2] == [(1, 0, b, b + 35 * MS, "ok", 400), (0, 0, a, a + 135 * MS, "ok", 1000)]
    assert [row[5] for row in result.answers[2:]] == [400, 1000]
    assert (result.call("ask", "exhausted"), result.call("ask", "deferred")) == ([1], [1])
    assert (result.service("llm", "arrivals"), result.service("llm", "rate_limited")) == ([3], [1])
    assert result.service("later", "queue_ns") == [1000 * MS]


def test_a_departed_users_entry_is_enriched_too_and_an_items_is_not(engine: str) -> None:
    """The deadline of 30 ms passes during the fill, which is completed: nothing after it is begun."""
    system = with_queue(on_miss=[*MISS, {"fill": "cache", "key": "item"}], users={"deadline_s": 0.03})
    episode, _ = schedule(system, {100: 1})

    result = run(engine, system, episode)

    assert [(row[1], row[6]) for row in result.of("cache")] == [(1, "miss"), (3, "ok")]
    assert result.users("failed_deadline") == result.service("later", "enriched") == [1]
    system = with_queue(on_miss=[{"query": "ask"}, {"fill": "cache", "key": "item"}])
    result = run(engine, system, schedule(system, {100: 1})[0])
    assert (result.call("ask", "deferred"), result.service("later", "arrivals")) == ([1], [0])


def test_the_latency_of_a_job_is_drawn_by_its_number(engine: str, tmp_path: Path) -> None:
    """Answers take 100 or 300 ms: as drawn, the first job 100 and the second 300; both twice that when it is slow."""
    trace = tmp_path / "trace.csv"
    trace.write_text("ContextTokens,GeneratedTokens\n300,0\n100,0\n", encoding="utf-8")
    tokens = {"trace": str(trace), "seconds_per_input_token": 0.001, "seconds_per_output_token": 0.0}
    system = with_queue(services={"llm": llm(7000, token_latency=tokens)}, workers=2, users={"num_users": 2})
    queue = system.service_names.index("later")

    def wanted(drawn: Drawn) -> bool:
        draws = [draw(drawn.seed, DEFERRED, index, number) >= 0.5 for index in (queue, 0) for number in range(2)]
        return draws == [False, True, False, False] and users_are("ab")(drawn)

    episode, _ = schedule(system, {100: 2}, [Change(0, "llm", "slowdown_factor", 2.0)], where=wanted)

    result = run(engine, system, episode)

    assert result.service("later", "busy_ns") == result.service("llm", "sojourn_ns") == [800 * MS]
    assert result.service("later", "enriched") == [2]


def test_the_quality_of_a_hit_remains_in_an_enriched_entry(engine: str) -> None:
    """Each request asks and fills whatever it found: the second found 0.5 and writes 0.25, which becomes 0.5."""
    services = {"cache": cache(), "llm": llm(100), "later": LATER}
    system = tiny_system(services, [{"lookup": "cache"}, *MISS], calls={"ask": ASK})
    episode, _ = schedule(system, {100: 1, 300: 1, 900: 1})

    result = run(engine, system, episode)

    assert [row[5] for row in result.answers] == [500, 250, 250]
    assert (result.service("later", "arrivals"), result.service("later", "abandoned")) == ([3], [1])
    assert result.service("cache", "duplicate_fills") == [0]
