"""Exact logs of admission at the entry and of limits to waiting, worked out by hand from docs/model.md.

As in test_hand_logs.py a request sent at s enters the pool `front` at s + 5 ms, works there for 10 ms and begins its
plan.
"""

from __future__ import annotations

from typing import Any

import pytest

from streamflow_env.engines import ENGINE_NAMES
from streamflow_env.system import System
from tests.engines.tiny import ENTERED, MS, NETWORK_MS, Drawn, control, front, pool, run, schedule, tiny_system

pytestmark = pytest.mark.parametrize("engine", ENGINE_NAMES)
NETWORK = NETWORK_MS * MS


def with_front(users: dict[str, Any] | None = None, *, slow_ms: float = 10, **more: Any) -> System:
    """A system whose entry has 10 workers unless given, and calls `slow`, which has as many."""
    interval_s = more.pop("interval_s", 10.0)
    entry = pool(10, **{"workers": 10, "serves_abandoned": False, **more})
    rate = control("rate", "front", "rate_limit_rps", 1, 100, off=True)
    return tiny_system(
        {"front": entry, "slow": pool(slow_ms, workers=10)}, [{"call": "slow"}], users=users, controls=[rate],
        interval_s=interval_s,
    )  # fmt: skip


def test_who_has_waited_to_the_limit_at_the_entry_is_shed(engine: str) -> None:
    """One worker, held for 90 ms; a limit of 50 ms. The user retries at once and has a worker within the limit.

    Its first deadline, after 140 ms, does nothing.
    """
    system = with_front({"max_retries": 1, "deadline_s": 0.14}, slow_ms=80, workers=1, waiting_limit_s=0.05)
    episode, (a, b) = schedule(system, {100: 2})

    result = run(engine, system, episode)

    shed, first, second = b + 55 * MS, a + 95 * MS, a + 185 * MS
    assert result.visits == [
        (1, 0, 0, 0, "front", b + NETWORK, shed, shed, "shed"),
        (0, 0, 1, 0, "slow", a + ENTERED, a + ENTERED, first, "ok"),
        front(0, a, first),
        (1, 1, 1, 0, "slow", a + 105 * MS, a + 105 * MS, second, "ok"),
        (1, 1, 0, 0, "front", shed + NETWORK, first, second, "ok"),
    ]
    assert result.answers == [
        (1, 0, b, shed, "shed", 0), (0, 0, a, first, "ok", 1000), (1, 1, shed, second, "ok", 1000),
    ]  # fmt: skip
    assert (result.service("front", "arrivals"), result.service("front", "completions")) == ([3], [2])
    assert result.service("front", "shed") == result.users("failed_shed") == [1]
    assert result.service("front", "queue_ns") == [50 * MS + first - (shed + NETWORK)]
    assert result.service("front", "failed") == result.service("front", "abandoned") == [0]
    assert result.users("failed_deadline") == result.users("intents_failed") == [0]
    assert (result.users("attempts"), result.users("response_ns")) == ([3], [55 * MS + first - a + second - shed])


def test_who_has_waited_to_the_limit_further_in_gives_back_what_it_holds(engine: str) -> None:
    """b holds `outer` and waits 50 ms for `inner`: then c has that worker, and is admitted to `inner` in time."""
    services = {"outer": pool(0, workers=2), "inner": pool(100, waiting_limit_s=0.05)}
    system = tiny_system(services, [{"call": "outer", "holding": [{"call": "inner"}]}])
    episode, (a, b, c) = schedule(system, {100: 2, 101: 1})

    result = run(engine, system, episode)

    shed, first, last = b + 65 * MS, a + 115 * MS, a + 215 * MS
    assert result.visits == [
        (1, 0, 2, 0, "inner", b + ENTERED, shed, shed, "shed"),
        (1, 0, 1, 0, "outer", b + ENTERED, b + ENTERED, shed, "failed"),
        front(1, b, shed, "failed"),
        (0, 0, 2, 0, "inner", a + ENTERED, a + ENTERED, first, "ok"),
        (0, 0, 1, 0, "outer", a + ENTERED, a + ENTERED, first, "ok"),
        front(0, a, first),
        (2, 0, 2, 0, "inner", shed, first, last, "ok"),
        (2, 0, 1, 0, "outer", c + ENTERED, shed, last, "ok"),
        front(2, c, last),
    ]
    assert result.answers == [
        (1, 0, b, shed, "shed", 0), (0, 0, a, first, "ok", 1000), (2, 0, c, last, "ok", 1000),
    ]  # fmt: skip
    assert (result.service("inner", "shed"), result.service("outer", "failed")) == ([1], [1])
    assert result.service("front", "failed") == result.users("failed_shed") == result.users("intents_failed") == [1]
    assert result.service("inner", "queue_ns") == [50 * MS + first - shed]


def test_a_departed_request_waits_to_the_limit_too(engine: str) -> None:
    """Deadlines pass after 80 ms; a limit of 100 ms. Its user has had an answer, and no other."""
    services = {"outer": pool(0, workers=2), "inner": pool(200, waiting_limit_s=0.1)}
    plan = [{"call": "outer", "holding": [{"call": "inner"}]}]
    system = tiny_system(services, plan, users={"deadline_s": 0.08})
    episode, (a, b) = schedule(system, {100: 2})

    result = run(engine, system, episode)

    assert result.visits == [
        front(0, a, a + 80 * MS, "deadline"),
        front(1, b, b + 80 * MS, "deadline"),
        (1, 0, 2, 0, "inner", b + ENTERED, b + 115 * MS, b + 115 * MS, "shed"),
        (1, 0, 1, 0, "outer", b + ENTERED, b + ENTERED, b + 115 * MS, "failed"),
        (0, 0, 2, 0, "inner", a + ENTERED, a + ENTERED, a + 215 * MS, "ok"),
        (0, 0, 1, 0, "outer", a + ENTERED, a + ENTERED, a + 215 * MS, "ok"),
    ]
    assert [row[4] for row in result.answers] == ["deadline", "deadline"]
    assert (result.service("inner", "shed"), result.service("inner", "abandoned")) == ([1], [0])
    assert (result.users("failed_deadline"), result.users("failed_shed")) == ([2], [0])


def test_the_limit_of_an_attempt_is_not_that_of_the_next(engine: str) -> None:
    """It leaves the queue at its deadline, 60 ms, and waits there again when the limit of the first wait, 80, is up."""
    users = {"deadline_s": 0.06, "max_retries": 1}
    system = tiny_system(
        {"slow": pool(300, serves_abandoned=False, waiting_limit_s=0.08)}, [{"call": "slow"}], users=users
    )
    episode, (_, b) = schedule(system, {100: 2})

    result = run(engine, system, episode)

    again = b + 60 * MS
    waits = [row[1:] for row in result.visits if row[0] == 1 and row[4] == "slow"]
    assert waits == [
        (0, 1, 0, "slow", b + ENTERED, again, again, "abandoned"),
        (1, 1, 0, "slow", again + ENTERED, again + 60 * MS, again + 60 * MS, "abandoned"),
    ]
    assert result.service("slow", "shed") == [0]


@pytest.mark.parametrize(("limits", "outcome"), [((0.1, 1.0), "shed"), ((1.0, 0.1), "ok")])
def test_the_limit_is_the_one_in_force_when_the_waiting_begins(
    engine: str, limits: tuple[float, float], outcome: str
) -> None:
    """It is 0.1 s in one of two intervals, the one in which b begins to wait or the next; 1 is off."""
    limit = control("limit", "slow", "waiting_limit_s", 0.1, 1.0, off=True)
    system = tiny_system({"slow": pool(200)}, [{"call": "slow"}], controls=[limit], interval_s=0.15)
    episode, (a, b) = schedule(system, {100: 2})

    result = run(engine, system, episode, [{"limit": limits[0]}, {"limit": limits[1]}, {"limit": limits[1]}, {}])

    shed = b + ENTERED + 100 * MS
    times = (shed, shed) if outcome == "shed" else (a + 215 * MS, a + 415 * MS)
    assert [row[3:] for row in result.of("slow") if row[0] == 1] == [(b + ENTERED, *times, outcome)]


def test_admission_sheds_what_exceeds_the_rate(engine: str) -> None:
    """Two tokens, and two more a second: the third request is shed, its retry too; 0.6 s later there is one again.

    The deadlines of the shed attempts, after 50 ms, do nothing.
    """
    system = with_front({"max_retries": 1, "deadline_s": 0.05}, rate_limit_rps=2)
    episode, (a, b, c, d) = schedule(system, {100: 3, 700: 1})

    result = run(engine, system, episode)

    def served(request: int, sent: int) -> list[tuple[object, ...]]:
        visit = (request, 0, 1, 0, "slow", sent + ENTERED, sent + ENTERED, sent + 25 * MS, "ok")
        return [visit, front(request, sent, sent + 25 * MS)]

    again = c + NETWORK
    assert result.visits == [
        front(2, c, again, "shed"),
        front(2, again, again + NETWORK, "shed", 1),
        *(*served(0, a), *served(1, b), *served(3, d)),
    ]
    assert result.answers == [
        (2, 0, c, again, "shed", 0),
        (2, 1, again, again + NETWORK, "shed", 0),
        *((i, 0, sent, sent + 25 * MS, "ok", 1000) for i, sent in ((0, a), (1, b), (3, d))),
    ]
    assert (result.service("front", "arrivals"), result.service("front", "completions")) == ([5], [3])
    assert result.service("front", "shed") == result.users("failed_shed") == [2]
    assert (result.users("intents_failed"), result.users("failed_deadline")) == ([1], [0])
    assert result.service("front", "failed") == result.users("in_flight") == result.users("thinking") == [0]
    assert result.service("front", "busy_ns") == [3 * 20 * MS]


@pytest.mark.parametrize(("ms", "outcome"), [(599, "shed"), (600, "ok")])
def test_a_token_is_back_when_its_time_has_come(engine: str, ms: int, outcome: str) -> None:
    """At two a second, 500 ms after the first was taken of a full bucket: the third comes just before or after."""
    system = with_front(rate_limit_rps=2)

    def wanted(drawn: Drawn) -> bool:
        return (drawn.sent[2] - drawn.sent[0] >= 500 * MS) == (outcome == "ok")

    episode, _ = schedule(system, {100: 2, ms: 1}, where=wanted)

    assert [row[4] for row in run(engine, system, episode).answers] == ["ok", "ok", outcome]


@pytest.mark.parametrize(
    ("reserve", "outcomes"),
    [(0.0, "ok ok ok ok shed shed"), (0.5, "ok ok shed ok ok shed"), (1.0, "ok shed shed ok ok ok")],
)
def test_standard_users_are_shed_first(engine: str, reserve: float, outcomes: str) -> None:
    """Four tokens, asked for by three standard and then three premium users; 0, 1.5 or 3 are left to premium."""
    users = {"num_users": 1000, "premium_fraction": 0.5}
    system = with_front(users, rate_limit_rps=4, admission_reserve_fraction=reserve)
    episode, _ = schedule(system, {100: 6}, where=lambda drawn: drawn.premium == [False] * 3 + [True] * 3)

    result = run(engine, system, episode)

    assert [row[4] for row in sorted(result.answers)] == outcomes.split()
    shed = [outcome == "shed" for outcome in outcomes.split()]
    assert result.by_priority("failed_shed") == [(sum(shed[:3]), sum(shed[3:]))]


def test_a_request_that_finds_the_queue_full_has_taken_its_token(engine: str) -> None:
    system = with_front(workers=1, queue_limit=0, rate_limit_rps=2)
    episode, _ = schedule(system, {100: 3})

    result = run(engine, system, episode)

    assert [row[4] for row in sorted(result.answers)] == ["ok", "queue full", "shed"]
    assert (result.service("front", "queue_full"), result.service("front", "shed")) == ([1], [1])


def test_a_lower_rate_cuts_what_the_bucket_holds_and_a_higher_one_does_not_fill_it(engine: str) -> None:
    """Ten tokens at first, two in the second second; in the third, 6 ms at ten a second make it no three."""
    system = with_front(rate_limit_rps=10, interval_s=1.0)
    episode, _ = schedule(system, {2001: 3})

    result = run(engine, system, episode, [{}, {"rate": 2}, {"rate": 10}])

    assert [row[4] for row in sorted(result.answers)] == ["ok", "ok", "shed"]


def test_the_bucket_is_full_when_the_limit_is_set_on(engine: str) -> None:
    """Two tokens, both taken; then there is no limit for a tenth of a second; then there are two tokens again."""
    system = with_front(rate_limit_rps=2, interval_s=0.1)
    episode, _ = schedule(system, {50: 2, 150: 3, 205: 3})

    result = run(engine, system, episode, [{}, {"rate": 100}, {}])

    assert [row[4] for row in sorted(result.answers)] == [*["ok"] * 7, "shed"]
    assert result.service("front", "shed") == [0, 0, 1]
