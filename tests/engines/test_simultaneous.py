"""What happens at the very same nanosecond: events come in the order of their kinds, and this is that order.

CHANGE, READY, ARRIVAL, STEP, RELEASE, DEADLINE, BATCH, PATIENCE, POLL, ENRICH. Where a test needs an instant that an
arrival decides, it makes its system twice: the first tells when requests are sent, which does not depend on the rest.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamflow_env.engines import ENGINE_NAMES
from streamflow_env.episode import Change
from streamflow_env.system import System
from tests.engines.tiny import (
    ENTERED,
    MS,
    NETWORK_MS,
    cache,
    constant,
    control,
    llm,
    pool,
    run,
    schedule,
    tiny_system,
    users_are,
)

pytestmark = pytest.mark.parametrize("engine", ENGINE_NAMES)


@pytest.mark.parametrize(("deadline_ms", "outcome"), [(65, "ok"), (64, "deadline")])
def test_an_answer_at_the_deadline_is_in_time(engine: str, deadline_ms: int, outcome: str) -> None:
    """5 + 10 + 50 ms after it was sent, the request is answered."""
    system = tiny_system({"slow": pool(50)}, [{"call": "slow"}], users={"deadline_s": deadline_ms / 1000})
    episode, (sent,) = schedule(system, {100: 1})

    result = run(engine, system, episode)

    quality = 1000 if outcome == "ok" else 0
    assert result.answers == [(0, 0, sent, sent + deadline_ms * MS, outcome, quality)]


@pytest.mark.parametrize(("after_ns", "work_ms"), [(0, 20), (1, 10)])
def test_a_change_comes_before_an_arrival(engine: str, after_ns: int, work_ms: int) -> None:
    """A slowdown of `front` at the instant of the arrival is felt by it; a nanosecond later it is not."""
    system = tiny_system({"slow": pool(50)}, [{"call": "slow"}])
    episode, (sent,) = schedule(system, {100: 1})
    change = Change(sent + NETWORK_MS * MS + after_ns, "front", "slowdown_factor", 2.0)

    result = run(engine, system, replace(episode, changes=(change,)))

    assert result.answers[0][3] == sent + (NETWORK_MS + work_ms + 50) * MS


@pytest.mark.parametrize(("after_ns", "latency_ms"), [(0, 200), (1, 100)])
def test_a_change_comes_before_a_step(engine: str, after_ns: int, latency_ms: int) -> None:
    system = tiny_system({"llm": llm(100)}, [{"query": "ask"}], calls={"ask": {"to": "llm"}})
    episode, (sent,) = schedule(system, {100: 1})
    change = Change(sent + ENTERED + after_ns, "llm", "slowdown_factor", 2.0)

    result = run(engine, system, replace(episode, changes=(change,)))

    assert result.answers[0][3] == sent + ENTERED + latency_ms * MS


def test_a_call_answered_at_its_timeout_is_answered(engine: str) -> None:
    ask = {"to": "llm", "timeout_s": 0.1, "exhausted_quality": 0.5}
    system = tiny_system({"llm": llm(100)}, [{"query": "ask"}], calls={"ask": ask})
    episode, (sent,) = schedule(system, {100: 1})

    result = run(engine, system, episode)

    assert result.answers == [(0, 0, sent, sent + ENTERED + 100 * MS, "ok", 1000)]
    assert result.call("ask", "timeouts") == [0]


@pytest.mark.parametrize(("after_ns", "outcome"), [(0, "ok"), (1, "queue full")])
def test_replicas_are_ready_before_an_arrival(engine: str, after_ns: int, outcome: str) -> None:
    """The second request finds the first's worker busy, and no queue; a second replica is ready when it arrives."""

    def with_delay(startup_delay_s: float) -> System:
        entry = pool(10, queue_limit=0, serves_abandoned=False, startup_delay_s=startup_delay_s)
        replicas = control("replicas", "front", "replicas", 1, 2)
        return tiny_system({"front": entry, "slow": pool(50, workers=2)}, [{"call": "slow"}], controls=[replicas])

    requests = {100: 1, 120: 1}
    _, (_, b) = schedule(with_delay(1.0), requests)
    system = with_delay((b + NETWORK_MS * MS + after_ns) / 1e9)
    episode, _ = schedule(system, requests)

    result = run(engine, system, episode, [{"replicas": 2}])

    assert [row[4] for row in sorted(result.answers)] == ["ok", outcome]


@pytest.mark.parametrize(("after_ns", "outcome"), [(0, "queue full"), (1, "ok")])
def test_an_arrival_comes_before_a_step(engine: str, after_ns: int, outcome: str) -> None:
    """There is no queue, and the only worker is free at the instant of the second arrival, or a nanosecond before."""

    def with_work(slow_s: float) -> System:
        slow = pool(0) | {"service_time": {"mean_s": slow_s, "cv": 0.0}}
        return tiny_system({"front": pool(10, queue_limit=0, serves_abandoned=False), "slow": slow}, [{"call": "slow"}])

    requests = {100: 1, 200: 1}
    _, (a, b) = schedule(with_work(0.05), requests)
    system = with_work((b + NETWORK_MS * MS - (a + ENTERED) - after_ns) / 1e9)
    episode, _ = schedule(system, requests)

    result = run(engine, system, episode)

    assert result.answers[-1 if after_ns else 0][:2] == (1, 0)
    assert [row[4] for row in sorted(result.answers)] == ["ok", outcome]


@pytest.mark.parametrize(("after_ns", "replica_reads"), [(0, True), (1, False)])
def test_read_replicas_are_ready_before_a_step(engine: str, after_ns: int, replica_reads: bool) -> None:
    def with_delay(startup_delay_s: float) -> System:
        db = {
            "kind": "database", "connections": 1, "queue_limit": 0, "service_time": constant(50),
            "startup_delay_s": startup_delay_s,
        }  # fmt: skip
        replicas = control("replicas", "db", "read_replicas", 0, 1)
        calls = {"read": {"to": "db", "exhausted_quality": 0.5}}
        return tiny_system({"db": db}, [{"query": "read"}], calls=calls, controls=[replicas])

    requests = {100: 1, 120: 1}
    _, (_, b) = schedule(with_delay(1.0), requests)
    system = with_delay((b + ENTERED + after_ns) / 1e9)
    episode, _ = schedule(system, requests)

    result = run(engine, system, episode, [{"replicas": 1}])

    assert [row[5] for row in sorted(result.answers)] == [1000, 1000 if replica_reads else 500]


def test_a_step_comes_before_a_batch(engine: str) -> None:
    """One event in the running batch and one that waits: a third, sent as the batch ends, finds the queue full."""

    def with_batches(batch_s: float) -> System:
        events = {"kind": "consumer", "queue_limit": 1, "batch_size": 1, "batch_time": {"mean_s": batch_s, "cv": 0.0}}
        return tiny_system({"events": events}, [{"emit": "events"}])

    requests = {100: 1, 150: 1, 200: 1}
    _, (a, _, c) = schedule(with_batches(0.1), requests)

    def lost(after_ns: int) -> list[int]:
        system = with_batches((c - a - after_ns) / 1e9)
        return run(engine, system, schedule(system, requests)[0]).service("events", "lost")

    assert (lost(0), lost(1)) == ([1], [0])


def test_a_step_comes_before_the_release_of_abandoned_work(engine: str) -> None:
    """A query alone takes as long as there is between the two; both are given up: the second is not alone yet."""

    def with_latency(alone_ns: int) -> System:
        base_s = alone_ns * 0.5e-9
        index = {
            "kind": "vector_index", "base_latency_s": base_s, "saturated_latency_s": 3 * base_s, "knee_in_flight": 1.0,
        }  # fmt: skip
        find = {"to": "index", "timeout_s": 0.05, "exhausted_quality": 0.5}
        return tiny_system({"index": index}, [{"query": "find"}], calls={"find": find})

    requests = {100: 1, 300: 1}
    _, (a, b) = schedule(with_latency(1), requests)

    def busy(alone_ns: int) -> float:
        system = with_latency(alone_ns)
        return run(engine, system, schedule(system, requests)[0]).service("index", "busy_ns")[0] / alone_ns

    assert busy(b - a) == pytest.approx(1.0 + 1.3)  # 0.5 + 1 · 2² / (1 + 2²) for two of them
    assert busy(b - a - 1) == pytest.approx(1.0 + 1.0)


@pytest.mark.parametrize(("more_ns", "outcome"), [(0, "ok"), (-1, "shed")])
def test_a_worker_that_is_free_at_the_waiting_limit_is_in_time(engine: str, more_ns: int, outcome: str) -> None:
    def with_limit(waiting_limit_s: float) -> System:
        return tiny_system({"slow": pool(50, waiting_limit_s=waiting_limit_s)}, [{"call": "slow"}])

    _, (a, b) = schedule(with_limit(1.0), {100: 2})
    system = with_limit((a + 50 * MS - b + more_ns) / 1e9)
    episode, _ = schedule(system, {100: 2})

    result = run(engine, system, episode)

    ended = a + 115 * MS if outcome == "ok" else a + 65 * MS - 1
    assert sorted(result.answers)[1] == (1, 0, b, ended, outcome, 1000 if outcome == "ok" else 0)


@pytest.mark.parametrize(("after_ns", "outcome"), [(0, "ok"), (1, "shed")])
def test_a_replica_that_is_ready_at_the_waiting_limit_is_in_time(engine: str, after_ns: int, outcome: str) -> None:
    def with_delay(startup_delay_s: float) -> System:
        slow = pool(200, waiting_limit_s=0.05, startup_delay_s=startup_delay_s)
        return tiny_system({"slow": slow}, [{"call": "slow"}], controls=[control("replicas", "slow", "replicas", 1, 2)])

    _, (_, b) = schedule(with_delay(1.0), {100: 2})
    system = with_delay((b + ENTERED + 50 * MS + after_ns) / 1e9)
    episode, _ = schedule(system, {100: 2})

    result = run(engine, system, episode, [{"replicas": 2}])

    assert [row[4] for row in sorted(result.answers)] == ["ok", outcome]


@pytest.mark.parametrize(("more_ns", "outcome"), [(0, "deadline"), (-1, "shed")])
def test_a_deadline_comes_before_the_waiting_limit(engine: str, more_ns: int, outcome: str) -> None:
    """The second request waits from 15 ms after it was sent, for a deadline of 50 ms and a limit of 35."""
    slow = pool(200, serves_abandoned=False, waiting_limit_s=(35 * MS + more_ns) / 1e9)
    system = tiny_system({"slow": slow}, [{"call": "slow"}], users={"deadline_s": 0.05})
    episode, (_, b) = schedule(system, {100: 2})

    result = run(engine, system, episode)

    assert sorted(result.answers)[1] == (1, 0, b, b + 50 * MS + more_ns, outcome, 0)
    assert (result.service("slow", "abandoned"), result.service("slow", "shed")) == ([1 + more_ns], [-more_ns])


@pytest.mark.parametrize(("more_ns", "outcome"), [(0, "queue full"), (-1, "ok")])
def test_an_arrival_comes_before_the_waiting_limit(engine: str, more_ns: int, outcome: str) -> None:
    """One works, one waits; a third finds the queue full, unless the second has been given up before."""

    def with_limit(waiting_limit_s: float) -> System:
        entry = pool(10, queue_limit=1, serves_abandoned=False, waiting_limit_s=waiting_limit_s)
        return tiny_system({"front": entry, "slow": pool(100)}, [{"call": "slow"}])

    requests = {100: 2, 120: 1}
    _, (_, b, c) = schedule(with_limit(1.0), requests)
    system = with_limit((c - b + more_ns) / 1e9)
    episode, _ = schedule(system, requests)

    result = run(engine, system, episode, [{}])

    third = "shed" if outcome == "ok" else outcome  # for it waits in turn
    assert [row[4] for row in sorted(result.answers)] == ["ok", "shed", third]


def deferring(*, poll_s: float = 0.5, workers: int = 2, latency_ms: float = 100, num_users: int = 1) -> System:
    """Misses take the fallback, 0.5, at once; the entry is filled at s + 35 ms and enriched in the first poll."""
    later = {"kind": "deferred_queue", "to": "llm", "queue_limit": 9, "workers": workers, "poll_s": poll_s}
    ask = {"to": "llm", "ask_fraction": 0.0, "fallback_quality": 0.5, "deferred": "later", "defer_fraction": 1.0}
    plan = [{"lookup": "cache", "on_miss": [{"query": "ask"}, {"fill": "cache"}]}]
    services = {"cache": cache(), "llm": llm(latency_ms), "later": later}
    return tiny_system(services, plan, calls={"ask": ask}, users={"num_users": num_users})


@pytest.mark.parametrize(("after_ns", "latency_ms"), [(0, 200), (1, 100)])
def test_a_change_comes_before_a_poll(engine: str, after_ns: int, latency_ms: int) -> None:
    system = deferring()
    episode, (sent,) = schedule(system, {100: 1})
    change = Change(sent + 535 * MS + after_ns, "llm", "slowdown_factor", 2.0)

    result = run(engine, system, replace(episode, changes=(change,)))

    assert result.service("later", "busy_ns") == [latency_ms * MS]


@pytest.mark.parametrize("more_ns", [0, -1])
def test_a_step_comes_before_a_poll(engine: str, more_ns: int) -> None:
    """The second entry is filled at the instant of the first's poll, and is polled with it; else in the next."""
    requests = {100: 1, 600: 1}
    _, (a, b) = schedule(deferring(num_users=2), requests, where=users_are("ab"))
    poll_ns = b - a + more_ns
    system = deferring(num_users=2, poll_s=poll_ns / 1e9)
    episode, _ = schedule(system, requests, where=users_are("ab"))

    result = run(engine, system, episode)

    assert result.service("later", "queue_ns") == [poll_ns if more_ns == 0 else 2 * poll_ns]
    assert result.service("later", "completions") == [2]


@pytest.mark.parametrize(("latency_ns", "second_ms"), [(500 * MS, 1535), (500 * MS - 1, 1035)])
def test_a_poll_comes_before_an_enrichment(engine: str, latency_ns: int, second_ms: int) -> None:
    """The only worker is free again at the instant of the second poll, or a nanosecond before."""
    system = deferring(workers=1, latency_ms=latency_ns / MS, num_users=2)
    episode, (a, b) = schedule(system, {100: 2}, where=users_are("ab"))

    result = run(engine, system, episode)

    assert result.service("later", "queue_ns") == [500 * MS + a + second_ms * MS - (b + 35 * MS)]


@pytest.mark.parametrize(("more_ns", "quality"), [(0, 500), (-1, 1000)])
def test_a_step_comes_before_an_enrichment(engine: str, more_ns: int, quality: int) -> None:
    """A lookup at the instant of the enrichment finds the entry as it was."""
    requests = {100: 1, 700: 1}
    _, (a, b) = schedule(deferring(), requests)
    system = deferring(latency_ms=(b + 25 * MS - (a + 535 * MS) + more_ns) / MS)
    episode, _ = schedule(system, requests)

    result = run(engine, system, episode)

    assert [row[5] for row in result.answers] == [500, quality]
