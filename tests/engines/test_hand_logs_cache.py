"""Exact logs of the cache, worked out by hand from docs/model.md: keys of users and of items, memory, TTL, duplicates.

As in test_hand_logs.py a request sent at s begins its plan at s + 15 ms; a lookup or a fill takes 10 ms.
"""

from __future__ import annotations

import pytest

from streamflow_env.engines import ENGINE_NAMES
from streamflow_env.engines.draws.hashing import EVICTED, MEMORY
from streamflow_env.episode import Change
from streamflow_env.system import System
from tests.engines.tiny import (
    MS,
    Drawn,
    cache,
    control,
    draw,
    front,
    items_are,
    llm,
    pool,
    run,
    schedule,
    spread,
    tiny_system,
    users_are,
)

pytestmark = pytest.mark.parametrize("engine", ENGINE_NAMES)
USERS_KEY = {"lookup": "cache", "on_miss": [{"fill": "cache"}]}
ITEMS_KEY = {"lookup": "cache", "key": "item", "on_miss": [{"fill": "cache", "key": "item"}]}


def test_two_users_share_the_entry_of_an_item(engine: str) -> None:
    """What is asked for has quality 0.5, but the item's entry 1: an item's key is filled with quality 1."""
    ask = {"to": "llm", "ask_fraction": 0.0, "fallback_quality": 0.5}
    plan = [{"lookup": "cache", "on_miss": [{"query": "ask"}, ITEMS_KEY, {"fill": "cache"}]}]
    services = {"cache": cache(), "llm": llm(100)}
    system = tiny_system(services, plan, calls={"ask": ask}, users={"num_users": 2})
    episode, (a, b, c) = spread(system, 3, 100, where=users_are("aba"))

    result = run(engine, system, episode)

    def visit(request: int, step: int, began: int, outcome: str) -> tuple[object, ...]:
        return (request, 0, step, 0, "cache", began, began, began + 10 * MS, outcome)

    assert result.visits == [
        visit(0, 1, a + 15 * MS, "miss"),
        visit(0, 3, a + 25 * MS, "miss"),
        visit(0, 4, a + 35 * MS, "ok"),
        visit(0, 5, a + 45 * MS, "ok"),
        front(0, a, a + 55 * MS),
        visit(1, 1, b + 15 * MS, "miss"),
        visit(1, 3, b + 25 * MS, "ok"),
        visit(1, 5, b + 35 * MS, "ok"),
        front(1, b, b + 45 * MS),
        visit(2, 1, c + 15 * MS, "ok"),
        front(2, c, c + 25 * MS),
    ]
    assert result.answers == [
        (0, 0, a, a + 55 * MS, "ok", 500),
        (1, 0, b, b + 45 * MS, "ok", 500),
        (2, 0, c, c + 25 * MS, "ok", 500),
    ]
    assert (result.service("cache", "lookups"), result.service("cache", "hits")) == ([3], [1])
    assert (result.service("cache", "item_lookups"), result.service("cache", "item_hits")) == ([2], [1])
    assert (result.service("cache", "fills"), result.service("cache", "duplicate_fills")) == ([3], [0])
    assert result.service("cache", "arrivals") == result.service("cache", "completions") == [8]
    assert result.service("cache", "age_ns") == [b + 35 * MS - (a + 45 * MS) + c + 25 * MS - (a + 55 * MS)]
    assert (result.service("cache", "entries"), result.service("cache", "evicted")) == ([3], [0])
    assert result.service("cache", "memory_ns") == [100_000 * 10_000 * MS]
    assert (result.users("hit_answers"), result.users("miss_answers")) == ([1], [2])
    assert (result.users("hit_response_ns"), result.users("miss_response_ns")) == ([25 * MS], [100 * MS])
    assert result.users("personalised") == [0]


def test_the_first_lookup_decides_whether_an_answer_is_a_hit(engine: str) -> None:
    """The item's key is looked up first: the second user's answer is a hit, although its own key misses."""
    system = tiny_system({"cache": cache()}, [ITEMS_KEY, USERS_KEY], users={"num_users": 2})
    episode, _ = spread(system, 2, 100, where=users_are("ab"))

    result = run(engine, system, episode)

    assert [row[6] for row in result.of("cache")] == ["miss", "ok", "miss", "ok", "ok", "miss", "ok"]
    assert (result.users("hit_answers"), result.users("miss_answers")) == ([1], [1])
    assert (result.users("hit_response_ns"), result.users("miss_response_ns")) == ([45 * MS], [55 * MS])
    assert (result.service("cache", "hits"), result.service("cache", "item_hits")) == ([0], [1])
    assert result.users("personalised") == [1]


def test_another_item_has_a_key_of_its_own(engine: str) -> None:
    system = tiny_system({"cache": cache()}, [ITEMS_KEY], users={"num_items": 3, "item_exponent": 0.5})
    episode, _ = spread(system, 3, 100, where=items_are("aab"))

    result = run(engine, system, episode)

    assert [(row[0], row[1], row[6]) for row in result.of("cache")] == [
        (0, 1, "miss"), (0, 2, "ok"), (1, 1, "ok"), (2, 1, "miss"), (2, 2, "ok"),
    ]  # fmt: skip
    assert (result.service("cache", "item_lookups"), result.service("cache", "entries")) == ([3], [2])


@pytest.mark.parametrize("rate", [None, 2])
def test_a_sweep_passes_the_items_keys_by(engine: str, rate: int | None) -> None:
    """A bulk invalidation at 250 ms reaches the only user's key at once, or half a second later."""
    services = {"cache": cache(invalidation_rate_keys_per_s=rate)}
    system = tiny_system(services, [ITEMS_KEY, USERS_KEY])
    changes = [Change(250 * MS, "cache", "invalidate_fraction", 1.0)]
    episode, _ = schedule(system, {100: 1, 300: 1}, changes)

    result = run(engine, system, episode)

    second = [(row[1], row[6]) for row in result.of("cache") if row[0] == 1]
    assert second == ([(1, "ok"), (3, "ok")] if rate else [(1, "ok"), (3, "miss"), (4, "ok")])
    assert result.service("cache", "stale_hits") == result.service("cache", "hits") == [1 if rate else 0]
    assert (result.service("cache", "item_hits"), result.service("cache", "invalidated")) == ([1], [1])
    assert result.service("cache", "entries") == [2]


def test_the_entry_least_recently_used_gives_way(engine: str) -> None:
    """Room for two, and a sample that sees both: a, b, a again; c takes b's place, b takes a's, and c is found."""
    services = {"cache": cache(memory_entries=2, eviction_samples=64)}
    system = tiny_system(services, [USERS_KEY], users={"num_users": 3})
    episode, sent = spread(system, 6, 60, where=users_are("abacbc"))

    result = run(engine, system, episode)

    outcomes = {0: "miss", 1: "miss", 2: "ok", 3: "miss", 4: "miss", 5: "ok"}
    assert {row[0]: row[6] for row in result.of("cache") if row[1] == 1} == outcomes
    assert (result.service("cache", "evicted"), result.service("cache", "entries")) == ([2], [2])
    ages = sent[2] + 25 * MS - (sent[0] + 35 * MS) + sent[5] + 25 * MS - (sent[3] + 35 * MS)
    assert (result.service("cache", "age_ns"), result.service("cache", "fills")) == ([ages], [4])
    assert result.service("cache", "memory_ns") == [2 * 10_000 * MS]


def test_only_a_sampled_entry_gives_way(engine: str) -> None:
    """One slot is sampled, the second: b gives way to c, although a was used less recently."""
    services = {"cache": cache(memory_entries=2, eviction_samples=1)}
    system = tiny_system(services, [USERS_KEY], users={"num_users": 3})

    def wanted(drawn: Drawn) -> bool:
        return drawn.u(2, EVICTED, 2) >= 0.5 and users_are("abca")(drawn)

    episode, _ = spread(system, 4, 60, where=wanted)

    result = run(engine, system, episode)

    assert {row[0]: row[6] for row in result.of("cache") if row[1] == 1} == {0: "miss", 1: "miss", 2: "miss", 3: "ok"}
    assert result.service("cache", "evicted") == [1]


def test_an_expired_entry_gives_way_first(engine: str) -> None:
    """Entries live for 1 s. When c comes, a's has expired, though it was used later than b's: b's stays."""
    services = {"cache": cache(memory_entries=2, eviction_samples=64, ttl_s=1.0)}
    system = tiny_system(services, [USERS_KEY], users={"num_users": 3})
    episode, _ = schedule(system, {100: 1, 300: 1, 900: 1, 1150: 1, 1200: 1}, where=users_are("abacb"))

    result = run(engine, system, episode)

    outcomes = {0: "miss", 1: "miss", 2: "ok", 3: "miss", 4: "ok"}
    assert {row[0]: row[6] for row in result.of("cache") if row[1] == 1} == outcomes
    assert (result.service("cache", "evicted"), result.service("cache", "entries")) == ([0], [2])


def resized(memory_entries: int, samples: int, **service: float) -> System:
    """A cache whose memory is a control from 1 to `memory_entries`, set every second."""
    memory = control("memory", "cache", "memory_entries", 1, memory_entries)
    services = {"cache": cache(memory_entries=memory_entries, eviction_samples=samples, **service)}
    return tiny_system(services, [USERS_KEY], users={"num_users": 3}, controls=[memory], interval_s=1.0)


def test_less_memory_evicts_the_least_recently_used(engine: str) -> None:
    """Three entries, used in the order a, c, b. At 1 s there is room for one, and b's stays. At 2 s there is more."""
    system = resized(3, samples=64)
    episode, _ = schedule(system, {100: 3, 500: 1, 1100: 1, 2100: 1}, where=users_are("abcbba"))

    result = run(engine, system, episode, [{}, {"memory": 1}, {}])

    outcomes = ["miss", "miss", "miss", "ok", "ok", "miss"]
    assert [row[6] for row in result.of("cache") if row[1] == 1] == outcomes
    assert result.service("cache", "evicted") == [0, 2, 0]
    assert result.service("cache", "entries") == [3, 1, 2]
    assert result.service("cache", "memory_ns") == [3000 * MS, 1000 * MS, 3000 * MS]


@pytest.mark.parametrize(("second_draw", "stays"), [(0, "b"), (1, "c")])
def test_less_memory_evicts_what_is_sampled(engine: str, second_draw: int, stays: str) -> None:
    """Draw 0 samples the first of a, b, c; so c takes a's place. Draw 1 samples the first of c, b, or the second."""
    system = resized(3, samples=1)
    cache_row = system.service_names.index("cache")

    def wanted(drawn: Drawn) -> bool:
        first, second = (draw(drawn.seed, MEMORY, cache_row, n) for n in (0, 1))
        return first < 1 / 3 and int(second * 2) == second_draw and users_are(f"abc{stays}")(drawn)

    episode, _ = schedule(system, {100: 3, 1100: 1}, where=wanted)

    result = run(engine, system, episode, [{}, {"memory": 1}])

    assert [row[6] for row in result.of("cache") if row[1] == 1] == ["miss", "miss", "miss", "ok"]
    assert (result.service("cache", "evicted"), result.service("cache", "entries")) == ([0, 2], [3, 1])


def test_less_memory_evicts_expired_entries_first(engine: str) -> None:
    """Entries live for 0.5 s: a's from 0.135 s, b's from 0.575 s. At 1 s a's has expired, though it was used later, at
    0.625 s: b's stays. What has expired does not count as evicted."""
    system = resized(2, samples=64, ttl_s=0.5)
    episode, _ = schedule(system, {100: 1, 540: 1, 600: 1, 1040: 1}, where=users_are("abab"))

    result = run(engine, system, episode, [{}, {"memory": 1}])

    assert [row[6] for row in result.of("cache") if row[1] == 1] == ["miss", "miss", "ok", "ok"]
    assert (result.service("cache", "evicted"), result.service("cache", "entries")) == ([0, 0], [2, 1])


def test_a_ttl_holds_for_the_entries_written_under_it(engine: str) -> None:
    """0.3 s in the second half second alone: what was written before lives on, what is written then does not."""
    ttl = control("ttl", "cache", "ttl_s", 0.3, 10.0)
    services = {"cache": cache(ttl_s=10.0)}
    system = tiny_system(services, [USERS_KEY], users={"num_users": 2}, controls=[ttl], interval_s=0.5)
    requests = {100: 1, 600: 1, 700: 1, 1100: 1, 1200: 1}
    episode, _ = schedule(system, requests, where=users_are("aabba"))

    result = run(engine, system, episode, [{}, {"ttl": 0.3}, {}])

    assert [row[6] for row in result.of("cache") if row[1] == 1] == ["miss", "ok", "miss", "miss", "ok"]
    assert (result.service("cache", "fills"), result.service("cache", "entries")) == ([1, 1, 1], [1, 2, 2])


def test_the_age_beyond_what_is_fresh_is_counted(engine: str) -> None:
    """An entry is written at 0.135 s and fresh for 0.2 s. It is found at 0.225 s, when it is, and at 0.525 s."""
    system = tiny_system({"cache": cache(fresh_s=0.2)}, [USERS_KEY], users={"num_users": 1})
    episode, (a, b, c) = schedule(system, {100: 1, 200: 1, 500: 1})

    result = run(engine, system, episode)

    written = a + 35 * MS
    assert result.service("cache", "excess_age_ns") == [c + 25 * MS - written - 200 * MS]
    assert result.service("cache", "age_ns") == [b + c + 2 * 25 * MS - 2 * written]


@pytest.mark.parametrize("swept", [False, True])
def test_concurrent_misses_of_one_key_fill_it_twice(engine: str, swept: bool) -> None:
    """Both look up before either fills; between their fills a sweep may make the entry invalid, which is no matter."""
    plan = [{"lookup": "cache", "on_miss": [{"call": "slow"}, {"fill": "cache"}]}]
    system = tiny_system({"cache": cache(), "slow": pool(50)}, plan)
    changes = [Change(210 * MS, "cache", "invalidate_fraction", 1.0)] if swept else []
    episode, (a, b, c, d) = schedule(system, {100: 2, 400: 1, 700: 1}, changes)

    result = run(engine, system, episode)

    assert [(row[0], row[1], row[5], row[6]) for row in result.of("cache")] == [
        (0, 1, a + 25 * MS, "miss"),
        (1, 1, b + 25 * MS, "miss"),
        (0, 3, a + 85 * MS, "ok"),
        (1, 3, a + 135 * MS, "ok"),  # it had to wait for `slow`
        (2, 1, c + 25 * MS, "ok"),
        (3, 1, d + 25 * MS, "ok"),
    ]
    assert (result.service("cache", "fills"), result.service("cache", "duplicate_fills")) == ([2], [1])
    assert result.service("cache", "age_ns") == [c + 25 * MS + d + 25 * MS - 2 * (a + 135 * MS)]


def test_a_fill_over_an_entry_that_was_there_at_the_miss_is_none_too_many(engine: str) -> None:
    """The sweep of 250 ms makes the entry invalid: the miss of b is its doing."""
    system = tiny_system({"cache": cache()}, [USERS_KEY])
    episode, _ = schedule(system, {100: 1, 300: 1}, [Change(250 * MS, "cache", "invalidate_fraction", 1.0)])

    result = run(engine, system, episode)

    assert (result.service("cache", "fills"), result.service("cache", "duplicate_fills")) == ([2], [0])


def test_the_misses_of_user_and_item_are_remembered_apart(engine: str) -> None:
    """b misses its user's key before a fills it and the key of its own item after that: the user's fill is too many."""
    plan = [{"lookup": "cache", "on_miss": [ITEMS_KEY, {"fill": "cache"}]}]
    system = tiny_system({"cache": cache()}, plan, users={"num_items": 2})
    episode, (a, b) = schedule(system, {100: 1, 125: 1}, where=items_are("ab"))

    result = run(engine, system, episode)

    assert [(row[0], row[1], row[5], row[6]) for row in result.of("cache")] == [
        (0, 1, a + 25 * MS, "miss"),
        (0, 2, a + 35 * MS, "miss"),
        (0, 3, a + 45 * MS, "ok"),
        (1, 1, b + 25 * MS, "miss"),
        (0, 4, a + 55 * MS, "ok"),
        (1, 2, b + 35 * MS, "miss"),
        (1, 3, b + 45 * MS, "ok"),
        (1, 4, b + 55 * MS, "ok"),
    ]
    assert (result.service("cache", "fills"), result.service("cache", "duplicate_fills")) == ([4], [1])


@pytest.mark.parametrize(("more_ns", "outcome"), [(0, "miss"), (1, "ok")])
def test_an_entry_has_expired_at_the_end_of_its_time_to_live(engine: str, more_ns: int, outcome: str) -> None:
    requests = {100: 1, 300: 1}
    _, (a, b) = schedule(tiny_system({"cache": cache()}, [USERS_KEY]), requests)
    age_ns = b + 25 * MS - (a + 35 * MS)
    system = tiny_system({"cache": cache(ttl_s=(age_ns + more_ns + 0.5) / 1e9)}, [USERS_KEY])  # it is rounded down
    episode, _ = schedule(system, requests)

    result = run(engine, system, episode)

    assert [row[6] for row in result.of("cache") if row[0] == 1 and row[1] == 1] == [outcome]


def test_a_retry_is_about_the_same_item(engine: str) -> None:
    """The second request is refused by `slow` with the item's key filled; its retry finds that."""
    services = {"cache": cache(), "slow": pool(100, queue_limit=0)}
    users = {"num_items": 1000, "item_exponent": 0.0, "max_retries": 1}
    system = tiny_system(services, [ITEMS_KEY, {"call": "slow"}], users=users)
    episode, (_, b) = schedule(system, {100: 2}, where=items_are("ab"))

    result = run(engine, system, episode)

    assert [row[4:] for row in result.answers if row[0] == 1] == [("queue full", 0), ("queue full", 0)]
    assert result.answers[1][2:4] == (b + 35 * MS, b + 60 * MS)
    assert (result.service("cache", "item_lookups"), result.service("cache", "item_hits")) == ([3], [1])
