"""Exact logs of calls to an LLM, worked out by hand from docs/model.md: breaker, timeout, 429s, retry budget, quota.

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
from streamflow_env.engines.telemetry import CLOSED, HALF_OPEN, OPEN
from streamflow_env.episode import Change
from streamflow_env.system import System
from tests.engines.tiny import (
    ENTERED,
    MS,
    NETWORK_MS,
    Drawn,
    Run,
    constant,
    control,
    front,
    llm,
    pool,
    run,
    schedule,
    tiny_system,
)

pytestmark = pytest.mark.parametrize("engine", ENGINE_NAMES)
TOKEN = 60 * 10**9
"""One token, in the units of the bucket."""


def one_token(budget: float | None, *, max_attempts: int = 16, **more: Any) -> System:
    """A system whose LLM has a single token: the first request has it, all others get 429s, retried at once."""
    ask = {"to": "llm", "max_attempts": max_attempts, "retry_budget_fraction": budget, **more}
    controls = [control("budget", "ask", "retry_budget_fraction", 0.0, 1.0, off=True)]
    if "fallback_quality" in more:
        controls.append(control("fallback", "ask", "fallback_fraction", 0.0, 1.0))
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
    controls = [control("share", "llm", "background_share_fraction", 0.0, 1.0)]
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


def test_the_share_kept_for_the_background_is_refilled_with_its_share_of_the_quota(engine: str) -> None:
    """Five of its own and one of the rest; 1.05 s later, at four tokens a second, two and one."""
    system = shared(0.5, interactive_reserve_fraction=1.0, quota_per_minute=240)
    episode, _ = schedule(system, {}, background={100: 10, 1150: 10})

    result = run(engine, system, episode, [{}, {}])

    assert (result.call("feed", "successes"), result.call("feed", "rate_limited")) == ([6, 3], [4, 7])


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
        (10, 0.1, 0.5, [10_000, 10_000], 5),
        (10, 0.0, 0.5, [10_000, 10_000], 5),
        (1, 0.5, 0.0, [2000, 1000], 1),
    ],
)
def test_a_change_of_the_share_moves_what_it_can_no_longer_hold(
    engine: str, burst: int, before: float, after: float, milli: list[int], successes: int
) -> None:
    """To the other part, as far as that has room. A burst of one is two while a token of it is kept."""
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


def test_a_breaker_opens_refuses_probes_and_closes(engine: str) -> None:
    """Answers take 200 ms until t = 3 s, then 100 ms; calls are given up after 150 ms; open for 1 s, 2 probes."""
    breaker = {
        "threshold_fraction": 0.5, "window_size": 4, "minimum_calls": 2, "slow_call_s": 9.0, "open_s": 1.0,
        "half_open_calls": 2,
    }  # fmt: skip
    ask = {"to": "llm", "timeout_s": 0.15, "fallback_quality": 0.5, "exhausted_quality": 0.25, "breaker": breaker}
    system = tiny_system({"llm": llm(100)}, [{"query": "ask"}], calls={"ask": ask}, interval_s=1.0)
    changes = [Change(0, "llm", "slowdown_factor", 2.0), Change(3000 * MS, "llm", "slowdown_factor", 1.0)]
    requests = {1000: 1, 1200: 1, 1500: 1, 2500: 1, 2550: 1, 2600: 1, 4100: 1, 4300: 1, 4500: 1}
    episode, sent = schedule(system, requests, changes)

    result = run(engine, system, episode, [{}] * 6)

    timeout, refused, answered = ("timeout", 150 * MS, 250), ("breaker open", 0, 500), ("ok", 100 * MS, 1000)
    wanted = [
        (0, *timeout),
        (1, *timeout),  # the second failure of two: opens until 1.2 + 0.165 + 1 s
        (2, *refused),
        (5, *refused),  # at 2.6 s half open, and both permits are in use
        (3, *timeout),  # a probe at 2.5 s
        (4, *timeout),  # a probe at 2.55 s; both failed: opens again, until 2.55 + 0.165 + 1 s
        (6, *answered),  # a probe at 4.1 s
        (7, *answered),  # a probe at 4.3 s; both answered: closes
        (8, *answered),
    ]
    assert [row for row in result.visits if row[4] == "llm"] == [
        (i, 0, 1, 0, "llm", sent[i] + ENTERED, sent[i] + ENTERED, sent[i] + ENTERED + took, outcome)
        for i, outcome, took, _ in wanted
    ]
    assert result.answers == [(i, 0, sent[i], sent[i] + ENTERED + took, "ok", q) for i, _, took, q in wanted]
    assert result.call("ask", "breaker_state") == [CLOSED, OPEN, OPEN, OPEN, CLOSED, CLOSED]
    assert result.call("ask", "opened") == [0, 1, 1, 0, 0, 0]
    assert result.call("ask", "requests") == [0, 3, 3, 0, 3, 0]
    assert result.call("ask", "attempts") == [0, 2, 2, 0, 3, 0]
    assert result.call("ask", "breaker_open") == result.call("ask", "fallbacks") == [0, 1, 1, 0, 0, 0]
    assert result.call("ask", "timeouts") == result.call("ask", "exhausted") == [0, 2, 2, 0, 0, 0]
    assert result.service("llm", "orphaned") == [0, 2, 2, 0, 0, 0]
    assert result.users("personalised") == [0] * 6  # there is no lookup, so no miss


def test_a_breaker_is_half_open_until_its_probes_are_back(engine: str) -> None:
    """As above, seen between the two probes; slow answers alone open it."""
    breaker = {
        "threshold_fraction": 1.0, "window_size": 2, "minimum_calls": 9, "slow_call_s": 0.05, "open_s": 0.5,
        "half_open_calls": 2,
    }  # fmt: skip
    ask = {"to": "llm", "fallback_quality": 0.5, "breaker": breaker}
    threshold = {
        "name": "threshold", "of": "ask", "parameter": "breaker_threshold_fraction", "low": 0.1,
        "high": 1.0, "off_at_high": True,
    }  # fmt: skip
    system = tiny_system(
        {"llm": llm(100)}, [{"query": "ask"}], calls={"ask": ask}, controls=[threshold], interval_s=1.0
    )
    episode, _ = schedule(system, {100: 1, 200: 1, 300: 1, 1100: 1, 1300: 1, 1600: 1, 2500: 1, 3500: 1})

    result = run(engine, system, episode, [{}, {"threshold": 0.5}, {"threshold": 0.5}, {}])

    # Off, so nothing recorded; then two slow answers of two (at 1.215 and 1.415 s) open it; the request of 1.6 s is
    # refused; that of 2.5 s is a probe, and waits for a second; turned off, it closes.
    assert result.call("ask", "breaker_state") == [CLOSED, OPEN, HALF_OPEN, CLOSED]
    assert result.call("ask", "attempts") == [3, 2, 1, 1]
    assert result.call("ask", "breaker_open") == [0, 1, 0, 0]
    assert result.call("ask", "opened") == [0, 1, 0, 0]


@pytest.mark.parametrize("slow_down", [False, True])
def test_a_429_is_retried_after_backoff_or_retry_after(engine: str, slow_down: bool) -> None:
    """One token, refilled at 1/s; a 429 takes 20 ms. Backoff 200, then 400 ms; or 900 ms as the 429 says."""
    ask = {"to": "llm", "max_attempts": 3, "backoff_base_s": 0.2}
    endpoint = llm(100, quota_per_minute=60, burst=1, rejection_time_s=0.02, retry_after_s=0.1)
    system = tiny_system({"llm": endpoint}, [{"query": "ask"}], calls={"ask": ask})
    changes = [Change(0, "llm", "retry_after_s", 0.9)] if slow_down else []
    episode, (a, b) = schedule(system, {100: 2}, changes)

    result = run(engine, system, episode)

    again = (935 * MS, 1855 * MS) if slow_down else (235 * MS, 655 * MS)  # 15 + 20 + 900, + 20 + 900
    last = (b + again[1] + 100 * MS, "ok", 1000) if slow_down else (b + again[1] + 20 * MS, "failed", 0)
    answered = (0, 0, 1, 0, "llm", a + ENTERED, a + ENTERED, a + 115 * MS, "ok")
    rejected = [(1, 0, 1, k, "llm", b + ns, b + ns, b + ns, "429") for k, ns in enumerate((ENTERED, *again))]
    third = (1, 0, 1, 2, "llm", b + again[1], b + again[1], last[0], "ok")
    assert result.visits == [
        rejected[0],
        answered,
        front(0, a, a + 115 * MS),
        rejected[1],
        third if slow_down else rejected[2],
        front(1, b, *last[:2]),
    ]
    assert result.answers == [(0, 0, a, a + 115 * MS, "ok", 1000), (1, 0, b, *last)]
    assert result.call("ask", "rate_limited") == result.service("llm", "rate_limited") == [2 if slow_down else 3]
    assert (result.call("ask", "attempts"), result.call("ask", "retries")) == ([4], [2])
    assert result.call("ask", "exhausted") == result.users("failed_dependency") == [0 if slow_down else 1]
    assert result.service("llm", "tokens_milli") == [1000]


def test_a_timed_out_llm_call_goes_on_and_is_abandoned(engine: str) -> None:
    """Answers take 400 ms, are given up after 150; each attempt costs 10 ms of CPU; then fallbacks; then no asking."""
    ask = {
        "to": "llm", "max_attempts": 2, "backoff_base_s": 0.05, "timeout_s": 0.15, "attempt_cpu": constant(10),
        "fallback_quality": 0.7, "exhausted_quality": 0.4,
    }  # fmt: skip
    controls = [
        {"name": name, "of": "ask", "parameter": f"{name}_fraction", "low": 0.0, "high": 1.0}
        for name in ("fallback", "ask")
    ]
    services = {"worker": pool(0, workers=5, cores_per_replica=1), "llm": llm(400)}
    plan = [{"call": "worker", "holding": [{"query": "ask"}]}]
    system = tiny_system(services, plan, calls={"ask": ask}, controls=controls, interval_s=2.0)
    episode, (a, b, c, d) = schedule(system, {1000: 1, 3000: 1, 3800: 1, 4500: 1})

    result = run(engine, system, episode, [{}, {"fallback": 1.0}, {"ask": 0.0}])

    def cpu(request: int, k: int, began: int) -> tuple[object, ...]:
        return (request, 0, 2, k, "worker", began, began, began + 10 * MS, "ok")

    def given_up(request: int, k: int, asked: int) -> tuple[object, ...]:
        return (request, 0, 2, k, "llm", asked, asked, asked + 150 * MS, "timeout")

    def worker(request: int, sent: int, left: int) -> tuple[object, ...]:
        return (request, 0, 1, 0, "worker", sent + ENTERED, sent + ENTERED, left, "ok")

    end_a, end_b, end_c = a + 385 * MS, b + 175 * MS, c + 175 * MS
    assert result.visits == [
        cpu(0, 0, a + 15 * MS),
        given_up(0, 0, a + 25 * MS),
        cpu(0, 1, a + 225 * MS),
        given_up(0, 1, a + 235 * MS),
        worker(0, a, end_a),
        front(0, a, end_a),
        *(cpu(1, 0, b + 15 * MS), given_up(1, 0, b + 25 * MS), worker(1, b, end_b), front(1, b, end_b)),
        *(cpu(2, 0, c + 15 * MS), given_up(2, 0, c + 25 * MS), worker(2, c, end_c), front(2, c, end_c)),
        *(worker(3, d, d + ENTERED), front(3, d, d + ENTERED)),
    ]
    assert result.answers == [
        (0, 0, a, end_a, "ok", 400),
        (1, 0, b, end_b, "ok", 700),
        (2, 0, c, end_c, "ok", 700),
        (3, 0, d, d + ENTERED, "ok", 700),
    ]
    assert result.service("llm", "timeouts") == [2, 2, 0]
    assert result.service("llm", "orphaned") == [2, 1, 1]
    assert result.service("llm", "in_flight") == [0, 1, 0]
    crossing = 4000 * MS - (c + 25 * MS)
    assert result.service("llm", "busy_ns") == [800 * MS, 400 * MS + crossing, 400 * MS - crossing]
    assert result.service("worker", "cpu_busy_ns") == [20 * MS, 20 * MS, 0]
    assert (result.call("ask", "fallbacks"), result.call("ask", "not_asked")) == ([0, 2, 1], [0, 0, 1])
    assert (result.call("ask", "exhausted"), result.call("ask", "attempts")) == ([1, 0, 0], [2, 2, 0])
