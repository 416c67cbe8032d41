"""What the users' clients do: think by another law, share a retry budget, share a breaker; and the linear index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from streamflow_env.engines import ENGINE_NAMES
from streamflow_env.engines.draws.distributions import to_ns
from streamflow_env.engines.draws.hashing import REQUESTS, THINK, draw_index
from streamflow_env.errors import ConfigError
from streamflow_env.system import load_system
from tests.engines.tiny import ENTERED, MS, NETWORK_MS, USER_DEFAULTS, constant, draw, pool, run, schedule, tiny_system

ARRIVES = NETWORK_MS * MS


@pytest.fixture(params=ENGINE_NAMES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def doomed(background: Sequence[Any] = (), **users: Any) -> Any:
    """Every attempt fails, 15 ms after it was sent: there is no room behind the entry."""
    full = pool(1, workers=1, queue_limit=0, fault_fraction=1.0, serves_abandoned=True)
    services = {"full": {**full, "service_time": constant(0)}}
    return tiny_system(services, [{"call": "full"}], users=users, background=background)


@pytest.mark.parametrize(("cap_s", "caps_ms"), [(None, (100, 200, 400)), (0.15, (100, 150, 150))])
def test_full_jitter(engine: str, cap_s: float | None, caps_ms: tuple[int, ...]) -> None:
    """The wait after attempt k is U · min(cap, base · 2^k), of the same draw as the exponential wait."""
    system = doomed(max_retries=3, think_time_s=0.1, think_time_distribution="full_jitter", think_cap_s=cap_s)
    episode, (sent,) = schedule(system, {100: 1})

    result = run(engine, system, episode)

    expected = []
    for attempt in range(4):
        expected.append((0, attempt, sent, sent + ENTERED, "fault", 0))
        if attempt < 3:
            u = draw(episode.seed, REQUESTS, 0, draw_index(THINK, attempt, 0, 0))
            sent += ENTERED + int(to_ns(u * (caps_ms[attempt] / 1000)))
    assert result.answers == expected
    assert (result.users("attempts"), result.users("intents_failed")) == ([4], [1])


def test_a_retry_budget_is_shared_by_all_users(engine: str) -> None:
    """It begins with its cap of one retry and gains half a one with each first attempt, up to the cap.

    The first takes the retry; the second finds half a one, the third a whole one, the fourth half a one.
    """
    system = doomed(max_retries=1, retry_budget_fraction=0.5, retry_budget_cap=1)
    episode, sent = schedule(system, {100: 1, 200: 1, 300: 1, 400: 1})

    result = run(engine, system, episode)

    first = [(request, 0, at, at + ENTERED, "fault", 0) for request, at in enumerate(sent)]
    retry = [(request, 1, at + ENTERED, at + 2 * ENTERED, "fault", 0) for request, at in enumerate(sent)]
    assert result.answers == [first[0], retry[0], first[1], first[2], retry[2], first[3]]
    assert (result.users("intents"), result.users("attempts"), result.users("intents_failed")) == ([4], [6], [4])


def breaker(**more: Any) -> dict[str, Any]:
    return {
        "threshold_fraction": 0.5,
        "window_size": 2,
        "minimum_calls": 2,
        "open_s": 0.1,
        "half_open_calls": 1,
        **more,
    }


def test_a_breaker_is_shared_by_all_users(engine: str) -> None:
    """Two failures open it at the end of the second; who comes within 100 ms never gets there, nor does a retry.

    Then one probe is let through and fails: its retry and the next user find it open again.
    """
    system = doomed(max_retries=1, breaker=breaker())
    episode, sent = schedule(system, {100: 1, 150: 1, 300: 1, 350: 1})

    result = run(engine, system, episode)

    opened = sent[0] + 2 * ENTERED
    refused = "breaker open"
    assert result.answers == [
        (0, 0, sent[0], sent[0] + ENTERED, "fault", 0),
        (0, 1, sent[0] + ENTERED, opened, "fault", 0),
        (1, 0, sent[1], sent[1] + ARRIVES, refused, 0),
        (1, 1, sent[1] + ARRIVES, sent[1] + 2 * ARRIVES, refused, 0),
        (2, 0, sent[2], sent[2] + ENTERED, "fault", 0),
        (2, 1, sent[2] + ENTERED, sent[2] + ENTERED + ARRIVES, refused, 0),
        (3, 0, sent[3], sent[3] + ARRIVES, refused, 0),
        (3, 1, sent[3] + ARRIVES, sent[3] + 2 * ARRIVES, refused, 0),
    ]
    assert opened + 100 * MS < sent[2] + ARRIVES
    assert (result.users("intents"), result.users("attempts"), result.users("intents_failed")) == ([4], [3], [4])
    assert result.service("front", "arrivals") == [3]
    assert (result.users("in_flight"), result.users("thinking")) == ([0], [0])


def test_a_breaker_learns_of_answers_and_of_deadlines(engine: str) -> None:
    """One answered of the last two leaves it closed, being below 0.6; two that passed their deadline open it."""
    work = {"work": pool(20, workers=1, queue_limit=9, serves_abandoned=True)}
    users = {"deadline_s": 0.05, "breaker": breaker(threshold_fraction=0.6)}
    system = tiny_system(work, [{"call": "work"}], users=users)
    episode, sent = schedule(system, {100: 2, 200: 1, 300: 3, 400: 1})

    result = run(engine, system, episode)

    outcomes = [row[4] for row in sorted(result.answers)]
    assert outcomes == ["ok", "deadline", "ok", "ok", "deadline", "deadline", "breaker open"]
    assert result.answers[0][3] == sent[0] + ENTERED + 20 * MS


def test_background_requests_know_no_breaker(engine: str) -> None:
    """Two background requests fail before the user and one after: neither do they open it nor does it refuse them."""
    system = doomed(max_retries=1, breaker=breaker(), background=[{"call": "full"}])
    episode, _ = schedule(system, {150: 1}, background={100: 1, 110: 1, 170: 1, 300: 1})

    result = run(engine, system, episode)

    assert result.background("failed_fault") == [4]
    assert (result.users("attempts"), result.users("failed_fault")) == ([2], [2])


def test_background_requests_know_no_retry_budget(engine: str) -> None:
    """The first user takes its one retry; the four between pay nothing in, so the second has half a one."""
    system = doomed(max_retries=1, retry_budget_fraction=0.5, retry_budget_cap=1, background=[{"call": "full"}])
    episode, _ = schedule(system, {100: 1, 300: 1}, background={150: 1, 160: 1, 170: 1, 180: 1})

    result = run(engine, system, episode)

    assert result.background("failed_fault") == [4]
    assert (result.users("attempts"), result.users("failed_fault")) == ([3], [3])


def test_the_latency_of_an_index_may_grow_by_so_much_a_query(engine: str) -> None:
    """20 ms and 3 ms for each of the queries in flight, this one included; the knee adds nothing."""
    index = {
        "kind": "vector_index", "base_latency_s": 0.02, "saturated_latency_s": 0.02, "knee_in_flight": 1.0,
        "latency_per_query_s": 0.003,
    }  # fmt: skip
    system = tiny_system({"index": index}, [{"query": "ask"}], calls={"ask": {"to": "index"}})
    episode, _ = schedule(system, {100: 3})

    result = run(engine, system, episode)

    assert [row[5] - row[3] for row in sorted(result.of("index"))] == [23 * MS, 26 * MS, 29 * MS]


def test_a_cap_without_full_jitter_is_refused() -> None:
    system = tiny_system({}, [{"call": "front"}]).model_dump(mode="json")
    with pytest.raises(ConfigError, match=r"think_cap_s 1\.0: needs think_time_distribution full_jitter"):
        load_system({**system, "users": {**USER_DEFAULTS, "think_cap_s": 1.0}})
