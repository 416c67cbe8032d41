"""Exact logs of databases with read replicas, worked out by hand from docs/model.md.

As in test_hand_logs.py a request sent at s begins its plan, here one query, at s + 15 ms (`ENTERED`).
"""

from __future__ import annotations

from typing import Any

import pytest

from streamflow_env.engines import ENGINE_NAMES
from streamflow_env.engines.draws.hashing import REPLICA, STALE
from streamflow_env.episode import Change
from streamflow_env.system import System
from tests.engines.tiny import ENTERED, MS, Drawn, constant, control, front, run, schedule, tiny_system

pytestmark = pytest.mark.parametrize("engine", ENGINE_NAMES)


def with_database(milliseconds: float, *, interval_s: float = 10.0, **more: Any) -> System:
    """A system of one database of one connection a replica, whose queries take `milliseconds`."""
    database = {"kind": "database", "connections": 1, "queue_limit": 10, "service_time": constant(milliseconds), **more}
    replicas = control("replicas", "db", "read_replicas", 0, 3)
    return tiny_system(
        {"db": database}, [{"query": "read"}], calls={"read": {"to": "db"}}, controls=[replicas], interval_s=interval_s
    )


def test_read_replicas_start_up_are_held_drain_and_are_cancelled(engine: str) -> None:
    """Intervals of 2 s; start-up takes 4 s; a removal waits for one interval. A query takes 3 s."""
    system = with_database(3000, startup_delay_s=4.0, removal_hold_s=2.0, interval_s=2.0)
    episode, (a, b, c, d) = schedule(system, {4500: 3, 6500: 1})

    result = run(engine, system, episode, [{"replicas": n} for n in (2, 2, 0, 0, 1, 0, 0)])

    # In force: 2 2 2 0 1 1 0. At 4 s two are ready beside the primary; at 6 s they are removed, and drain; the one
    # that was asked for at 8 s would be ready at 12 s, and is cancelled at that very instant.
    ends = [sent + ENTERED + 3000 * MS for sent in (a, b, c)]
    assert result.visits == [
        (0, 0, 1, 0, "db", a + ENTERED, a + ENTERED, ends[0], "ok"),
        front(0, a, ends[0]),
        (1, 0, 1, 0, "db", b + ENTERED, b + ENTERED, ends[1], "ok"),
        front(1, b, ends[1]),
        (2, 0, 1, 0, "db", c + ENTERED, c + ENTERED, ends[2], "ok"),
        front(2, c, ends[2]),
        (3, 0, 1, 0, "db", d + ENTERED, ends[2], ends[2] + 3000 * MS, "ok"),
        front(3, d, ends[2] + 3000 * MS),
    ]
    assert result.service("db", "ready_replicas") == [0, 0, 2, 0, 0, 0, 0]
    assert result.service("db", "pending_replicas") == [2, 2, 0, 0, 1, 1, 0]
    assert result.service("db", "draining_replicas") == [0] * 7
    assert result.service("db", "busy") == [0, 0, 3, 1, 1, 0, 0]
    assert result.service("db", "server_ns") == [n * 2000 * MS for n in (1, 1, 3, 1, 1, 1, 1)]
    drained_ns = ends[0] - 6000 * MS + ends[1] - 6000 * MS
    paid_ns = [n * 2000 * MS for n in (2, 2, 2, 0, 1, 1, 0)]
    paid_ns[3] += drained_ns
    assert result.service("db", "replica_ns") == paid_ns
    assert result.service("db", "stale_reads") == [0] * 7


def test_the_primary_is_there_and_costs_nothing(engine: str) -> None:
    system = with_database(50)
    episode, (a, b) = schedule(system, {100: 2})

    result = run(engine, system, episode)

    assert result.of("db") == [
        (0, 1, 0, a + ENTERED, a + ENTERED, a + 65 * MS, "ok"),
        (1, 1, 0, b + ENTERED, a + 65 * MS, a + 115 * MS, "ok"),
    ]
    assert (result.service("db", "ready_replicas"), result.service("db", "replica_ns")) == ([0], [0])
    assert result.service("db", "server_ns") == [10_000 * MS]


def test_a_removed_replica_drains_until_its_query_is_answered(engine: str) -> None:
    """Two connections in use at 1 s, when the replica goes: at the end of that interval it drains still."""
    system = with_database(1500, read_replicas=1, removal_hold_s=0.0, interval_s=1.0)
    episode, (a, b) = schedule(system, {100: 2})

    result = run(engine, system, episode, [{"replicas": n} for n in (1, 0, 0)])

    assert [row[5] for row in result.of("db")] == [a + 1515 * MS, b + 1515 * MS]
    assert result.service("db", "ready_replicas") == [1, 0, 0]
    assert result.service("db", "busy") == [2, 0, 0]
    assert result.service("db", "server_ns") == [2000 * MS, 1000 * MS, 1000 * MS]
    assert result.service("db", "replica_ns") == [1000 * MS, a + 1515 * MS - 1000 * MS, 0]


@pytest.mark.parametrize(
    ("replicas", "lag_s", "stale"), [(2, 1e9, [1, 1, 0]), (2, 0.0, [0, 0, 0]), (0, 1e9, [0, 0, 0])]
)
def test_a_read_of_a_replica_that_lags_is_stale(engine: str, replicas: int, lag_s: float, stale: list[int]) -> None:
    """Of two replicas and the primary each serves a third: the first and third reads are a replica's."""
    system = with_database(
        100, read_replicas=replicas, replication_lag_s=lag_s, write_gap_s=1.0, interval_s=0.2, removal_hold_s=0.0
    )

    def wanted(drawn: Drawn) -> bool:
        return [drawn.u(request, REPLICA, 1) < 2 / 3 for request in range(3)] == [True, False, True]

    episode, _ = schedule(system, {150: 1, 250: 1, 350: 1}, where=wanted)

    result = run(engine, system, episode, [{}, {}, {}])

    # They have a connection at 165, 265 and 365 ms, when stale reads count, and an answer 100 ms later.
    assert result.service("db", "stale_reads") == stale
    assert result.service("db", "completions") == [0, 2, 1]
    assert result.call("read", "successes") == [0, 2, 1]


@pytest.mark.parametrize("slow", [False, True])
def test_a_slow_database_lags_behind_the_more(engine: str, slow: bool) -> None:
    """Written within the lag of half the gap with 1 - exp(-0.5) = 0.39; of the whole gap with 1 - exp(-1) = 0.63."""
    system = with_database(100, read_replicas=1, replication_lag_s=0.5, write_gap_s=1.0)

    def wanted(drawn: Drawn) -> bool:
        return drawn.u(0, REPLICA, 1) < 0.5 and 0.4 < drawn.u(0, STALE, 1) < 0.6

    changes = [Change(0, "db", "slowdown_factor", 2.0)] if slow else []
    episode, (a,) = schedule(system, {100: 1}, changes, where=wanted)

    result = run(engine, system, episode)

    assert result.service("db", "stale_reads") == [1 if slow else 0]
    assert result.answers == [(0, 0, a, a + ENTERED + (200 if slow else 100) * MS, "ok", 1000)]


def test_a_read_that_waits_is_a_replicas_by_what_is_ready_when_it_gets_its_connection(engine: str) -> None:
    """It begins to wait while nothing but the primary is there, and gets the replica's connection at 1 s."""
    system = with_database(2000, replication_lag_s=1e7, write_gap_s=1.0, startup_delay_s=1.0, interval_s=0.5)

    def wanted(drawn: Drawn) -> bool:
        return drawn.u(0, REPLICA, 1) < 0.5 and drawn.u(1, REPLICA, 1) < 0.5

    episode, (a, b) = schedule(system, {100: 2}, where=wanted)

    result = run(engine, system, episode, [{"replicas": 1}] * 7)

    assert result.of("db") == [
        (0, 1, 0, a + ENTERED, a + ENTERED, a + 2015 * MS, "ok"),
        (1, 1, 0, b + ENTERED, 1000 * MS, 3000 * MS, "ok"),
    ]
    assert result.service("db", "stale_reads") == [0, 0, 1, 0, 0, 0, 0]
