"""What happens at the very same nanosecond: changes, arrivals, steps, releases and deadlines, in this order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamflow_env.engines import ENGINE_NAMES
from streamflow_env.episode import Change
from tests.engines.tiny import ENTERED, MS, NETWORK_MS, llm, pool, run, schedule, tiny_system

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
