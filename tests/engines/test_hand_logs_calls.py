"""Exact logs of calls to an LLM, worked out by hand from docs/model.md: retry budget, background share, token counts.

A request sent at s begins its plan, here one query, at s + 15 ms (`ENTERED`); a background one at s + 5 ms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from streamflow_env.engines import ENGINE_NAMES
from streamflow_env.engines.draws.hashing import CALL_LATENCY
from streamflow_env.episode import Change
from streamflow_env.system import System
from tests.engines.tiny import ENTERED, MS, NETWORK_MS, Drawn, Run, lever, llm, run, schedule, tiny_system

pytestmark = pytest.mark.parametrize("engine", ENGINE_NAMES)
TOKEN = 60 * 10**9
"""One token, in the units of the bucket."""


def one_token(budget: float | None, *, max_attempts: int = 16, **more: Any) -> System:
    """A system whose LLM has a single token: the first request has it, all others get 429s, retried at once."""
    ask = {"to": "llm", "max_attempts": max_attempts, "retry_budget_fraction": budget, **more}
    controls = [lever("budget", "ask", "retry_budget_fraction", 0.0, 1.0, off=True)]
    if "fallback_quality" in more:
        controls.append(lever("fallback", "ask", "fallback_fraction", 0.0, 1.0))
    services = {"llm": llm(100, quota_per_minute=1, burst=1)}
    return tiny_system(services, [{"query": "ask"}], calls={"ask": ask}, controls=controls, interval_s=1.0)


def attempts(result: Run) -> list[int]:
    """How often each request asked the LLM."""
    asked = Counter(row[0] for row in result.of("llm"))
    return [asked[request] for request in sorted(asked)]


@pytest.mark.parametrize("exhausted_quality", [0.25, None])
def test_a_retry_budget_has_a_hundred_retries_to_begin_with(engine: str, exhausted_quality: float | None) -> None:
    """Six requests take 15 each; the seventh finds ten left, and ends as if it had used up attempts of its own."""
    system = one_token(0.0, exhausted_quality=exhausted_quality)
    episode, sent = schedule(system, {100: 8})

    result = run(engine, system, episode)

    assert attempts(result) == [1, 16, 16, 16, 16, 16, 16, 11]
    assert result.of("llm")[-2] == (7, 1, 10, *[sent[7] + ENTERED] * 3, "429")
    ended = ("failed", 0) if exhausted_quality is None else ("ok", 250)
    assert {row[4:] for row in result.answers if row[0] > 0} == {ended}
    assert result.answers[-1] == (0, 0, sent[0], sent[0] + ENTERED + 100 * MS, "ok", 1000)
    assert result.call("ask", "retries_refused") == [1]
    assert (result.call("ask", "retries"), result.call("ask", "exhausted")) == ([100], [7])
    assert result.call("ask", "attempts") == [108]
    assert result.call("ask", "rate_limited") == result.service("llm", "rate_limited") == [107]


def test_every_request_pays_into_the_retry_budget(engine: str) -> None:
    """Half a retry each, but never above a hundred: 100, 85, 70.5, 56, 41.5, 27, 12.5 are left; then 13, and none.

    The ninth has half a retry and is refused; the tenth has one.
    """
    system = one_token(0.5, exhausted_quality=0.25)
    episode, _ = schedule(system, {100: 10})

    result = run(engine, system, episode)

    assert attempts(result) == [1, 16, 16, 16, 16, 16, 16, 14, 1, 2]
    assert (result.call("ask", "retries"), result.call("ask", "retries_refused")) == ([104], [3])


def test_a_retry_budget_that_is_set_on_begins_anew(engine: str) -> None:
    """Used up in the first second; a new rate in the second does not fill it; off in the third; on in the fourth."""
    system = one_token(None, exhausted_quality=0.25)
    episode, _ = schedule(system, {100: 8, 1100: 1, 2100: 1, 3100: 1})

    result = run(engine, system, episode, [{"budget": budget} for budget in (0.0, 0.3, 1.0, 0.0)])

    assert attempts(result) == [1, 16, 16, 16, 16, 16, 16, 11, 1, 16, 16]
    assert result.call("ask", "retries_refused") == [1, 1, 0, 0]
    assert result.call("ask", "retries") == [100, 0, 15, 15]


def test_who_would_not_retry_is_not_refused(engine: str) -> None:
    """Ten requests of ten retries use up the budget exactly, the last with its attempts; then all take the fallback."""
    system = one_token(0.0, max_attempts=11, fallback_quality=0.7, exhausted_quality=0.25)
    episode, _ = schedule(system, {100: 6, 200: 5, 1100: 1, 2100: 1})

    result = run(engine, system, episode, [{}, {"fallback": 1.0}, {}])

    assert attempts(result) == [1, *[11] * 10, 1, 1]
    assert result.call("ask", "retries_refused") == [0, 0, 1]
    assert (result.call("ask", "exhausted"), result.call("ask", "fallbacks")) == ([10, 0, 1], [0, 1, 0])


def shared(share: float, **more: Any) -> System:
    """A system of users and a background class that share an LLM, of ten tokens unless given."""
    calls = {name: {"to": "llm", "exhausted_quality": 0.5} for name in ("ask", "feed")}
    endpoint = llm(100, **{"quota_per_minute": 6, "burst": 10, "background_share_fraction": share, **more})
    controls = [lever("share", "llm", "background_share_fraction", 0.0, 1.0)]
    return tiny_system(
        {"llm": endpoint}, [{"query": "ask"}], calls=calls, background=[{"query": "feed"}], controls=controls,
        interval_s=1.0,
    )  # fmt: skip


def test_users_may_not_touch_the_share_kept_for_the_background(engine: str) -> None:
    """Five tokens are the users', and five the background's. All of the quota, 0.1/s, is of use: no part is full."""
    system = shared(0.5)
    episode, sent = schedule(system, {100: 6}, background={200: 2})

    result = run(engine, system, episode)

    assert (result.call("ask", "successes"), result.call("ask", "rate_limited")) == ([5], [1])
    assert (result.call("feed", "successes"), result.call("feed", "rate_limited")) == ([2], [0])
    assert result.of("llm")[0] == (5, 1, 0, *[sent[5] + ENTERED] * 3, "429")
    fed = sent[6] + NETWORK_MS * MS
    assert result.of("llm")[-2] == (6, 1, 0, fed, fed, fed + 100 * MS, "ok")
    refilled = (1000 * MS - (sent[0] + ENTERED)) * 6
    assert result.service("llm", "tokens_milli") == [(3 * TOKEN + refilled) * 1000 // TOKEN]


@pytest.mark.parametrize(
    ("reserves", "fed", "asked"),
    [
        ({"interactive_reserve_fraction": 1.0}, 6, 4),
        ({"interactive_reserve_fraction": 0.5}, 8, 2),
        ({"premium_reserve_fraction": 0.5}, 8, 0),
        ({}, 10, 0),
    ],
)
def test_the_background_takes_of_the_rest_what_the_reserves_leave(
    engine: str, reserves: Mapping[str, float], fed: int, asked: int
) -> None:
    """Five of its own, and of the rest's five down to the reserve's share of four; standard users down to theirs."""
    system = shared(0.5, **reserves)
    episode, _ = schedule(system, {200: 5}, background={100: 10})

    result = run(engine, system, episode)

    assert (result.call("feed", "successes"), result.call("feed", "rate_limited")) == ([fed], [10 - fed])
    assert (result.call("ask", "successes"), result.call("ask", "rate_limited")) == ([asked], [5 - asked])


def test_the_reserves_are_shares_of_the_rest(engine: str) -> None:
    """Standard users take five tokens down to two: the premium users' half of four."""
    system = shared(0.5, premium_reserve_fraction=0.5)
    episode, _ = schedule(system, {100: 5})

    assert run(engine, system, episode).call("ask", "successes") == [3]


def test_a_small_share_keeps_one_token(engine: str) -> None:
    """And refills it with nothing where the share of the quota is below one a minute: of the rest, eight are kept."""
    system = shared(0.01, interactive_reserve_fraction=1.0)
    episode, _ = schedule(system, {}, background={100: 3})

    result = run(engine, system, episode, [{}, {}])

    assert (result.call("feed", "successes"), result.call("feed", "rate_limited")) == ([2, 0], [1, 0])
    assert result.service("llm", "in_flight") == [0, 0]


@pytest.mark.parametrize(
    ("burst", "before", "after", "milli", "successes"),
    [
        (10, 0.5, 0.1, [10_000, 10_000], 9),
        (10, 0.5, 0.0, [10_000, 10_000], 10),
        (10, 0.1, 0.5, [10_000, 6050], 5),
        (10, 0.0, 0.5, [10_000, 5050], 5),
        (1, 0.5, 0.0, [2000, 1000], 1),
    ],
)
def test_a_change_of_the_share_moves_what_it_can_no_longer_hold(
    engine: str, burst: int, before: float, after: float, milli: list[int], successes: int
) -> None:
    """To the users' part, as far as that has room. What is kept anew has to be refilled: 0.05 tokens in a second."""
    system = shared(before, burst=burst)
    episode, _ = schedule(system, {2100: 10})

    result = run(engine, system, episode, [{}, {"share": after}, {"share": after}])

    assert result.service("llm", "tokens_milli")[:2] == milli
    assert result.call("ask", "successes") == [0, 0, successes]


@pytest.mark.parametrize("slow", [False, True])
def test_latencies_are_drawn_from_the_token_counts_of_a_trace(engine: str, tmp_path: Path, slow: bool) -> None:
    """Of 0.1, 0.2, 0.3 and 0.5 s: as drawn the third, the first, the last, which is given up, and the second."""
    trace = tmp_path / "trace.csv"
    trace.write_text("model,in,out\nx,100,30\nx,0,0\n\nx,0,20\nx,100,0\n", encoding="utf-8")
    tokens = {
        "trace": str(trace), "input_column": "in", "output_column": "out", "base_s": 0.1,
        "seconds_per_input_token": 0.001, "seconds_per_output_token": 0.01,
    }  # fmt: skip
    services = {"llm": llm(7000, token_latency=tokens, tail={"mean_s": 7.0, "cv": 1.0})}
    ask = {"to": "llm", "timeout_s": 0.48, "exhausted_quality": 0.5}
    system = tiny_system(services, [{"query": "ask"}], calls={"ask": ask})
    changes = [Change(0, "llm", "slowdown_factor", 1.5)] if slow else []

    def wanted(drawn: Drawn) -> bool:
        return [int(drawn.u(request, CALL_LATENCY, 1) * 4) for request in range(4)] == [2, 0, 3, 1]

    episode, sent = schedule(system, {100: 4}, changes, where=wanted)

    result = run(engine, system, episode)

    latencies = [450, 150, 480, 300] if slow else [300, 100, 480, 200]
    assert sorted(result.of("llm")) == [
        (i, 1, 0, s + ENTERED, s + ENTERED, s + ENTERED + ms * MS, "timeout" if i == 2 else "ok")
        for i, (s, ms) in enumerate(zip(sent, latencies, strict=True))
    ]
    work_ms = sum(latencies) - 480 + (750 if slow else 500)
    assert result.service("llm", "busy_ns") == [work_ms * MS]
