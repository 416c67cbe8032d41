"""Exact logs of a pool in which premium users come first, worked out by hand from docs/model.md.

As in test_hand_logs.py a request sent at s enters the pool `front` at s + 5 ms, works there for 10 ms and begins its
plan.
"""

from __future__ import annotations

from typing import Any

import pytest

from streamflow_env.engines import ENGINE_NAMES
from streamflow_env.system import System
from tests.engines.tiny import ENTERED, MS, NETWORK_MS, Wanted, pool, run, schedule, tiny_system

pytestmark = pytest.mark.parametrize("engine", ENGINE_NAMES)
USERS = {"num_users": 1000, "premium_fraction": 0.5}


def with_slow(discipline: str, *, background: tuple[Any, ...] = (), **more: Any) -> System:
    """A system whose plan is a call to `slow`, one worker; half of its users are premium users."""
    services = {"slow": pool(60, discipline=discipline, **more)}
    return tiny_system(services, [{"call": "slow"}], users=USERS, background=background)


def premium_are(pattern: str) -> Wanted:
    """The requests come from premium (p) and standard users (s)."""
    return lambda drawn: drawn.premium == [letter == "p" for letter in pattern]


@pytest.mark.parametrize(("discipline", "order"), [("fifo", [0, 1, 2, 3, 4]), ("premium_first", [0, 2, 4, 1, 3])])
def test_premium_users_are_served_first_each_group_in_order(engine: str, discipline: str, order: list[int]) -> None:
    """Who works is not interrupted."""
    system = with_slow(discipline)
    episode, sent = schedule(system, {100: 5}, where=premium_are("sspsp"))

    visits = run(engine, system, episode).of("slow")

    begins = [sent[0] + ENTERED + place * 60 * MS for place in range(5)]
    assert visits == [
        (request, 1, 0, sent[request] + ENTERED, begin, begin + 60 * MS, "ok")
        for request, begin in zip(order, begins, strict=True)
    ]


def test_who_leaves_the_queue_leaves_the_others_in_their_order(engine: str) -> None:
    """The premium user b is shed after 50 ms in the queue; d, who comes then, is served before the standard user c."""
    system = with_slow("premium_first", waiting_limit_s=0.05)
    episode, (a, b, c, d) = schedule(system, {100: 2, 120: 1, 155: 1}, where=premium_are("spsp"))

    visits = run(engine, system, episode).of("slow")

    assert visits == [
        (1, 1, 0, b + ENTERED, b + 65 * MS, b + 65 * MS, "shed"),
        (0, 1, 0, a + ENTERED, a + ENTERED, a + 75 * MS, "ok"),
        (2, 1, 0, c + ENTERED, c + 65 * MS, c + 65 * MS, "shed"),
        (3, 1, 0, d + ENTERED, a + 75 * MS, a + 135 * MS, "ok"),
    ]


def test_nobody_gives_way_in_a_full_queue(engine: str) -> None:
    system = with_slow("premium_first", queue_limit=1)
    episode, (a, b, c) = schedule(system, {100: 3}, where=premium_are("ssp"))

    visits = run(engine, system, episode).of("slow")

    assert visits == [
        (2, 1, 0, c + ENTERED, c + ENTERED, c + ENTERED, "queue full"),
        (0, 1, 0, a + ENTERED, a + ENTERED, a + 75 * MS, "ok"),
        (1, 1, 0, b + ENTERED, a + 75 * MS, a + 135 * MS, "ok"),
    ]


def test_background_requests_wait_like_standard_ones(engine: str) -> None:
    """Two of them come first, one waits; a standard user waits behind it, a premium user before it."""
    system = with_slow("premium_first", background=({"call": "slow"},))
    episode, (a, b, c, d) = schedule(system, {101: 2}, background={100: 2}, where=premium_are("sssp"))

    visits = run(engine, system, episode).of("slow")

    network, begins = NETWORK_MS * MS, [a + NETWORK_MS * MS + place * 60 * MS for place in range(4)]
    assert [row[0] for row in visits] == [0, 3, 1, 2]
    assert [row[3] for row in visits] == [a + network, d + ENTERED, b + network, c + ENTERED]
    assert [row[4] for row in visits] == begins
