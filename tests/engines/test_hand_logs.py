"""Exact logs of tiny systems, worked out by hand from docs/model.md. All durations are constant.

In every system a request sent at s enters the pool `front` at s + 5 ms, works there for 10 ms and begins its plan at
s + 15 ms (`ENTERED`), holding its worker of `front` to the end.
"""

from __future__ import annotations

import pytest

from streamflow_env.engines import ENGINE_NAMES
from streamflow_env.episode import Change
from tests.engines.tiny import ENTERED, MS, constant, front, pool, run, schedule, tiny_system

pytestmark = pytest.mark.parametrize("engine", ENGINE_NAMES)


def test_a_worker_is_held_during_the_calls_below_it(engine: str) -> None:
    system = tiny_system({"outer": pool(20), "inner": pool(30)}, [{"call": "outer", "holding": [{"call": "inner"}]}])
    episode, (a, b) = schedule(system, {100: 2})

    result = run(engine, system, episode)

    first, second = a + 65 * MS, a + 115 * MS  # 15 + 20 + 30; then 20 + 30 more
    assert result.visits == [
        (0, 0, 2, 0, "inner", a + 35 * MS, a + 35 * MS, first, "ok"),
        (0, 0, 1, 0, "outer", a + ENTERED, a + ENTERED, first, "ok"),
        front(0, a, first),
        (1, 0, 2, 0, "inner", a + 85 * MS, a + 85 * MS, second, "ok"),
        (1, 0, 1, 0, "outer", b + ENTERED, first, second, "ok"),
        front(1, b, second),
    ]
    assert result.answers == [(0, 0, a, first, "ok", 1000), (1, 0, b, second, "ok", 1000)]
    assert (result.users("within_sla"), result.users("late")) == ([1], [1])
    assert result.users("lateness_ns") == [second - b - 100 * MS]
    assert result.users("response_ns") == [first - a + second - b]
    assert result.service("outer", "busy_ns") == [100 * MS]
    assert result.service("outer", "queue_ns") == [first - (b + ENTERED)]
    assert result.service("outer", "sojourn_ns") == [50 * MS + second - (b + ENTERED)]


def test_a_full_queue_refuses(engine: str) -> None:
    system = tiny_system({"slow": pool(50, queue_limit=1)}, [{"call": "slow"}])
    episode, (a, b, c) = schedule(system, {100: 3})

    result = run(engine, system, episode)

    assert result.visits == [
        (2, 0, 1, 0, "slow", c + ENTERED, c + ENTERED, c + ENTERED, "queue full"),
        front(2, c, c + ENTERED, "failed"),
        (0, 0, 1, 0, "slow", a + ENTERED, a + ENTERED, a + 65 * MS, "ok"),
        front(0, a, a + 65 * MS),
        (1, 0, 1, 0, "slow", b + ENTERED, a + 65 * MS, a + 115 * MS, "ok"),
        front(1, b, a + 115 * MS),
    ]
    assert result.answers == [
        (2, 0, c, c + ENTERED, "queue full", 0),
        (0, 0, a, a + 65 * MS, "ok", 1000),
        (1, 0, b, a + 115 * MS, "ok", 1000),
    ]
    assert result.users("failed_queue_full") == result.users("intents_failed") == [1]
    assert result.service("slow", "queue_full") == result.service("front", "failed") == [1]


@pytest.mark.parametrize("serves_abandoned", [False, True])
def test_a_deadline_passes_in_a_queue_and_the_user_retries(engine: str, serves_abandoned: bool) -> None:
    """A deadline of 150 ms; work of 100 ms, one at a time; one retry, at once."""
    users = {"deadline_s": 0.15, "max_retries": 1}
    system = tiny_system({"slow": pool(100, serves_abandoned=serves_abandoned)}, [{"call": "slow"}], users=users)
    episode, (a, b, c) = schedule(system, {100: 3})

    result = run(engine, system, episode)

    again_b, again_c = b + 150 * MS, c + 150 * MS  # sent when the first deadline has passed
    given_up_b, given_up_c = b + 300 * MS, c + 300 * MS
    turn = [a + (15 + 100 * n) * MS for n in range(6)]  # when the worker of `slow` is free again
    served = [
        (0, 0, 1, 0, "slow", a + ENTERED, turn[0], turn[1], "ok"),
        front(0, a, turn[1]),
        front(1, b, again_b, "deadline"),
        front(2, c, again_c, "deadline"),
    ]
    gone = [front(1, again_b, given_up_b, "deadline", 1), front(2, again_c, given_up_c, "deadline", 1)]
    first_b = (1, 0, 1, 0, "slow", b + ENTERED, turn[1], turn[2], "ok")
    if serves_abandoned:
        assert result.visits == [
            *served,
            first_b,
            *gone,
            (2, 0, 1, 0, "slow", c + ENTERED, turn[2], turn[3], "ok"),
            (1, 1, 1, 0, "slow", again_b + ENTERED, turn[3], turn[4], "ok"),
            (2, 1, 1, 0, "slow", again_c + ENTERED, turn[4], turn[5], "ok"),
        ]
    else:
        assert result.visits == [
            *served,
            (2, 0, 1, 0, "slow", c + ENTERED, again_c, again_c, "abandoned"),
            first_b,
            *gone,
            (2, 1, 1, 0, "slow", again_c + ENTERED, given_up_c, given_up_c, "abandoned"),
            (1, 1, 1, 0, "slow", again_b + ENTERED, turn[2], turn[3], "ok"),
        ]
    assert result.answers == [
        (0, 0, a, turn[1], "ok", 1000),
        (1, 0, b, again_b, "deadline", 0),
        (2, 0, c, again_c, "deadline", 0),
        (1, 1, again_b, given_up_b, "deadline", 0),
        (2, 1, again_c, given_up_c, "deadline", 0),
    ]
    assert (result.users("intents"), result.users("attempts"), result.users("intents_failed")) == ([3], [5], [2])
    assert result.users("failed_deadline") == result.service("slow", "deadlines") == [4]
    assert result.service("slow", "abandoned") == [0 if serves_abandoned else 2]


def test_a_departed_request_gives_back_the_workers_it_holds(engine: str) -> None:
    """It holds `outer` and waits for `inner`, which serves no abandoned users: `outer` is free for the next at once."""
    services = {"outer": pool(0, workers=2), "inner": pool(100, serves_abandoned=False)}
    plan = [{"call": "outer", "holding": [{"call": "inner"}]}]
    system = tiny_system(services, plan, users={"deadline_s": 0.15})
    slowdown = Change(0, "inner", "slowdown_factor", 2.0)
    episode, (a, b, c) = schedule(system, {100: 2, 101: 1}, [slowdown])

    result = run(engine, system, episode)

    assert result.visits == [
        front(0, a, a + 150 * MS, "deadline"),
        front(1, b, b + 150 * MS, "deadline"),
        (1, 0, 2, 0, "inner", b + ENTERED, b + 150 * MS, b + 150 * MS, "abandoned"),
        (1, 0, 1, 0, "outer", b + ENTERED, b + ENTERED, b + 150 * MS, "failed"),
        front(2, c, c + 150 * MS, "deadline"),
        (2, 0, 2, 0, "inner", b + 150 * MS, c + 150 * MS, c + 150 * MS, "abandoned"),
        (2, 0, 1, 0, "outer", c + ENTERED, b + 150 * MS, c + 150 * MS, "failed"),
        (0, 0, 2, 0, "inner", a + ENTERED, a + ENTERED, a + 215 * MS, "ok"),
        (0, 0, 1, 0, "outer", a + ENTERED, a + ENTERED, a + 215 * MS, "ok"),
    ]


def test_the_entry_makes_no_further_call_for_a_departed_user(engine: str) -> None:
    """The deadline passes in the first step under `on_miss`: that step is completed, what follows is not begun."""
    services = {"cache": {"kind": "cache", "lookup_time": constant(10), "ttl_s": 10.0}, "slow": pool(100)}
    plan = [{"lookup": "cache", "on_miss": [{"call": "slow"}, {"fill": "cache"}]}]
    system = tiny_system(services, plan, users={"deadline_s": 0.06})
    episode, (a,) = schedule(system, {100: 1})

    result = run(engine, system, episode)

    assert result.visits == [
        (0, 0, 1, 0, "cache", a + ENTERED, a + ENTERED, a + 25 * MS, "miss"),
        front(0, a, a + 60 * MS, "deadline"),
        (0, 0, 2, 0, "slow", a + 25 * MS, a + 25 * MS, a + 125 * MS, "ok"),
    ]
    assert (result.service("slow", "deadlines"), result.service("cache", "deadlines")) == ([1], [0])
    assert (result.service("cache", "fills"), result.users("miss_answers")) == ([0], [0])


def test_replicas_start_up_are_held_drain_and_are_cancelled(engine: str) -> None:
    """Intervals of 2 s; start-up takes 4 s; a removal waits for one interval. Work takes 3 s."""
    slow = pool(3000, startup_delay_s=4.0, removal_hold_s=2.0)
    replicas = {"name": "replicas", "of": "slow", "parameter": "replicas", "low": 1, "high": 3}
    system = tiny_system({"slow": slow}, [{"call": "slow"}], controls=[replicas], interval_s=2.0)
    episode, (a, b, c, d) = schedule(system, {4500: 3, 6500: 1})

    result = run(engine, system, episode, [{"replicas": n} for n in (3, 3, 1, 1, 2, 1, 1)])

    # In force: 3 3 3 1 2 2 1. At 4 s three are ready; at 6 s two are removed, and drain; the one that was asked for
    # at 8 s would be ready at 12 s, and is cancelled at that very instant.
    ends = [sent + ENTERED + 3000 * MS for sent in (a, b, c)]
    assert [row for row in result.visits if row[4] == "slow"] == [
        (0, 0, 1, 0, "slow", a + ENTERED, a + ENTERED, ends[0], "ok"),
        (1, 0, 1, 0, "slow", b + ENTERED, b + ENTERED, ends[1], "ok"),
        (2, 0, 1, 0, "slow", c + ENTERED, c + ENTERED, ends[2], "ok"),
        (3, 0, 1, 0, "slow", d + ENTERED, ends[2], ends[2] + 3000 * MS, "ok"),
    ]
    assert result.service("slow", "ready_replicas") == [1, 1, 3, 1, 1, 1, 1]
    assert result.service("slow", "pending_replicas") == [2, 2, 0, 0, 1, 1, 0]
    assert result.service("slow", "busy") == [0, 0, 3, 1, 1, 0, 0]
    assert result.service("slow", "server_ns") == [n * 2000 * MS for n in (1, 1, 3, 1, 1, 1, 1)]
    drained_ns = ends[0] - 6000 * MS + ends[1] - 6000 * MS
    paid_ns = [n * 2000 * MS for n in (3, 3, 3, 1, 2, 2, 1)]
    paid_ns[3] += drained_ns
    assert result.service("slow", "replica_ns") == paid_ns


def test_work_waits_for_a_core(engine: str) -> None:
    """Two workers share one core. Pressure is read when work goes on with its core, and by then nobody waits."""
    worker = pool(0, workers=2, cores_per_replica=1, cpu_pressure=3.0, cpu_pressure_queue=2)
    system = tiny_system({"worker": worker}, [{"call": "worker", "holding": [{"compute": constant(40)}]}])
    episode, (a, b, c) = schedule(system, {100: 3})

    result = run(engine, system, episode)

    first = a + 55 * MS  # nobody waits when it begins
    second = first + 40 * MS  # b got the core from a, but goes on after a has left, and c has got a's worker
    third = second + 40 * MS
    assert [row for row in result.visits if row[4] == "worker"] == [
        (0, 0, 2, 0, "worker", a + ENTERED, a + ENTERED, first, "ok"),
        (0, 0, 1, 0, "worker", a + ENTERED, a + ENTERED, first, "ok"),
        (1, 0, 2, 0, "worker", b + ENTERED, first, second, "ok"),
        (1, 0, 1, 0, "worker", b + ENTERED, b + ENTERED, second, "ok"),
        (2, 0, 2, 0, "worker", first, second, third, "ok"),
        (2, 0, 1, 0, "worker", c + ENTERED, first, third, "ok"),
    ]
    assert result.service("worker", "cpu_busy_ns") == [120 * MS]


def test_cpu_pressure_stretches_work(engine: str) -> None:
    """One worker, three requests: two wait when the first computes, then one, then none: 40 · (1 + 3 · n/2) ms."""
    worker = pool(20, cores_per_replica=1, cpu_pressure=3.0, cpu_pressure_queue=2)
    system = tiny_system({"worker": worker}, [{"call": "worker", "holding": [{"compute": constant(40)}]}])
    episode, (a, _, _) = schedule(system, {100: 3})

    result = run(engine, system, episode)

    ended = [a + ENTERED + ms * MS for ms in (20 + 160, 20 + 160 + 20 + 100, 20 + 160 + 20 + 100 + 20 + 40)]
    assert [row[7] for row in result.visits if row[4] == "worker" and row[2] == 1] == ended


def test_a_cache_misses_fills_hits_and_is_swept(engine: str) -> None:
    """One key; lookups and fills of 10 ms. A bulk invalidation at 0.5 s, at 2 keys/s, reaches the key at 1 s."""
    cache = {"kind": "cache", "lookup_time": constant(10), "ttl_s": 10.0, "invalidation_rate_keys_per_s": 2}
    system = tiny_system({"cache": cache}, [{"lookup": "cache", "on_miss": [{"fill": "cache"}]}], interval_s=0.8)
    changes = [Change(500 * MS, "cache", "invalidate_fraction", 1.0)]
    episode, (a, b, c, d, e) = schedule(system, {100: 1, 300: 1, 700: 1, 1200: 1, 1400: 1}, changes)

    result = run(engine, system, episode, [{}, {}])

    def looked_up(request: int, sent: int, outcome: str) -> tuple[object, ...]:
        return (request, 0, 1, 0, "cache", sent + ENTERED, sent + ENTERED, sent + 25 * MS, outcome)

    def filled(request: int, sent: int) -> tuple[object, ...]:
        return (request, 0, 2, 0, "cache", sent + 25 * MS, sent + 25 * MS, sent + 35 * MS, "ok")

    assert [row for row in result.visits if row[4] == "cache"] == [
        looked_up(0, a, "miss"),
        filled(0, a),
        looked_up(1, b, "ok"),
        looked_up(2, c, "ok"),  # stale
        looked_up(3, d, "miss"),
        filled(3, d),
        looked_up(4, e, "ok"),  # written since
    ]
    assert (result.service("cache", "hits"), result.service("cache", "stale_hits")) == ([2, 1], [1, 0])
    ages = [b + 25 * MS - (a + 35 * MS) + c + 25 * MS - (a + 35 * MS), e + 25 * MS - (d + 35 * MS)]
    assert result.service("cache", "age_ns") == ages
    assert (result.service("cache", "invalidated"), result.service("cache", "sweep_backlog")) == ([0, 1], [1, 0])
    assert (result.users("hit_answers"), result.users("miss_answers")) == ([2, 1], [1, 1])
    assert result.users("miss_response_ns") == [35 * MS, 35 * MS]
    assert result.users("personalised") == [1, 1]


def test_a_consumer_takes_batches_and_loses_what_overflows(engine: str) -> None:
    """Batches of two take 100 ms; two may wait. Of five events the first is a batch, two wait, two are lost."""
    events = {"kind": "consumer", "queue_limit": 2, "batch_size": 2, "batch_time": constant(100)}
    system = tiny_system({"events": events}, [{"emit": "events"}], interval_s=0.25)
    episode, (a, b, c, *_) = schedule(system, {100: 5})

    result = run(engine, system, episode, [{}, {}])

    assert [row[4] for row in result.visits] == ["front"] * 5
    assert (result.service("events", "arrivals"), result.service("events", "lost")) == ([5, 0], [2, 0])
    assert result.service("events", "completions") == [1, 2]
    assert (result.service("events", "busy"), result.service("events", "in_flight")) == ([1, 0], [2, 0])
    assert result.service("events", "queue_ns") == [2 * (a + 115 * MS) - (b + ENTERED) - (c + ENTERED), 0]
    assert sum(result.service("events", "busy_ns")) == 200 * MS


def test_a_cache_entry_expires(engine: str) -> None:
    """One key with a TTL of 0.4 s: written at a + 35 ms, so valid 0.2 s later and gone 0.5 s later."""
    cache = {"kind": "cache", "lookup_time": constant(10), "ttl_s": 0.4}
    system = tiny_system({"cache": cache}, [{"lookup": "cache", "on_miss": [{"fill": "cache"}]}], interval_s=0.8)
    episode, (a, b, c) = schedule(system, {100: 1, 300: 1, 600: 1})

    result = run(engine, system, episode)

    assert [(row[0], row[2], row[7], row[8]) for row in result.visits if row[4] == "cache"] == [
        (0, 1, a + 25 * MS, "miss"),
        (0, 2, a + 35 * MS, "ok"),
        (1, 1, b + 25 * MS, "ok"),
        (2, 1, c + 25 * MS, "miss"),
        (2, 2, c + 35 * MS, "ok"),
    ]
    assert (result.service("cache", "hits"), result.service("cache", "fills")) == ([1], [2])
