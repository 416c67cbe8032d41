"""Who is asked for, falls back at once and is deferred, and what a fallback is worth to whom.

All of it goes by how much a user benefits from the LLM, never by chance.

A user's need is drawn once an episode; the seed is searched under which it lies where a test wants it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from streamflow_env.engines import ENGINE_NAMES
from streamflow_env.engines.draws.hashing import LLM_BENEFIT, REQUESTS, USERS
from streamflow_env.episode import Episode
from streamflow_env.system import System
from tests.engines.tiny import MS, Drawn, benefits_are, cache, control, draw, llm, run, schedule, tiny_system, users_are

pytestmark = pytest.mark.parametrize("engine", ENGINE_NAMES)
ASK: dict[str, Any] = {"to": "llm", "fallback_quality": 0.7, "fallback_spread": 1.0, "exhausted_quality": 0.4}
SHARES = [control(name, "ask", f"{name}_fraction", 0.0, 1.0) for name in ("ask", "fallback")]
TOO_LATE = {"timeout_s": 0.05}
"""The LLM takes 100 ms."""


def asking(
    policy: Mapping[str, Any], *, num_users: int = 1, background: bool = False, interval_s: float = 10.0
) -> System:
    """A system of a call to an LLM of 100 ms, under `policy`; `background` requests make it too."""
    query = [{"query": "ask"}]
    return tiny_system(
        {"llm": llm(100)}, query, calls={"ask": {**ASK, **policy}}, users={"num_users": num_users}, controls=SHARES,
        background=query if background else (), interval_s=interval_s,
    )  # fmt: skip


def need_of_user_0(episode: Episode) -> float:
    return draw(episode.seed, USERS, 0, LLM_BENEFIT)


def test_the_neediest_half_is_asked_in_every_request(engine: str) -> None:
    """Users a and b come twice: a, of the lower half, is never asked, b always; in a retry too."""
    system = asking({"ask_fraction": 0.5}, num_users=2)
    episode, _ = schedule(
        system,
        {100: 2, 900: 2},
        where=lambda drawn: users_are("abab")(drawn) and benefits_are((0.0, 0.5), (0.5, 1.0))(drawn),
    )

    result = run(engine, system, episode)

    assert [row[0] for row in result.of("llm")] == [1, 3]
    assert (result.call("ask", "not_asked"), result.call("ask", "fallbacks")) == ([2], [2])
    assert (result.call("ask", "successes"), result.users("personalised")) == ([2], [0])


def test_a_retry_of_its_user_is_asked_like_the_first_attempt(engine: str) -> None:
    """The call fails and so does the request, four times over: asked in every attempt."""
    policy = {"ask_fraction": 0.5, "exhausted_quality": None, **TOO_LATE}
    users = {"max_retries": 3, "think_time_s": 0.01}
    system = tiny_system({"llm": llm(100)}, [{"query": "ask"}], calls={"ask": {**ASK, **policy}}, users=users)
    episode, _ = schedule(system, {100: 1}, where=benefits_are((0.5, 1.0)))

    result = run(engine, system, episode)

    assert [row[1] for row in result.answers] == [0, 1, 2, 3]
    assert (result.call("ask", "attempts"), result.call("ask", "not_asked")) == ([4], [0])


@pytest.mark.parametrize(("ask", "asked"), [("none", 0), ("just less", 0), ("just enough", 1), ("all", 1)])
def test_the_bounds_of_who_is_asked(engine: str, ask: str, asked: int) -> None:
    """1 - (1 - r) is exactly r where r is at least a half."""
    system = asking({})
    episode, _ = schedule(system, {100: 1}, where=benefits_are((0.5, 1.0)))
    enough = 1.0 - need_of_user_0(episode)
    fraction = {"none": 0.0, "just less": enough - 2.0**-52, "just enough": enough, "all": 1.0}[ask]

    result = run(engine, system, episode, [{"ask": fraction}])

    assert (result.call("ask", "attempts"), result.call("ask", "not_asked")) == ([asked], [1 - asked])


@pytest.mark.parametrize(
    ("spread", "llm_benefit", "quality"),
    [
        (1.0, (0.0, 0.0008), 1000),
        (1.0, (0.2501, 0.2508), 850),  # a loss of 150.06 to 150.48 thousandths
        (1.0, (0.2509, 0.2516), 849),  # of 150.54 to 150.96
        (1.0, (0.9993, 1.0), 400),
        (0.5, (0.5001, 0.5016), 700),
        (0.5, (0.7501, 0.7516), 625),  # of 375.03 to 375.48, of which 75 are the spread's
        (0.0, (0.9, 1.0), 700),
    ],
)
def test_a_fallback_is_worth_less_to_the_needier(
    engine: str, spread: float, llm_benefit: tuple[float, float], quality: int
) -> None:
    """A mean loss of 300 thousandths; of spread 1 it is from none to twice that."""
    system = asking({"ask_fraction": 0.0, "fallback_spread": spread})
    episode, _ = schedule(system, {100: 1}, where=benefits_are(llm_benefit))

    result = run(engine, system, episode)

    assert [row[5] for row in result.answers] == [quality]


def test_an_exhausted_call_is_worth_the_same_to_all(engine: str) -> None:
    system = asking(TOO_LATE)
    episode, _ = schedule(system, {100: 1}, where=benefits_are((0.0, 0.1)))

    result = run(engine, system, episode)

    assert [row[5] for row in result.answers] == [400]


@pytest.mark.parametrize(
    ("llm_benefit", "attempts"),
    [((0.5, 0.6), 1), ((0.6, 0.625), 1), ((0.625, 0.75), 3), ((0.75, 1.0), 3)],
)
def test_of_those_who_ask_the_least_needy_fall_back_at_once(
    engine: str, llm_benefit: tuple[float, float], attempts: int
) -> None:
    """Half of all ask; a quarter of those, up to a need of 0.625, does not try again, the others until exhausted."""
    system = asking({"ask_fraction": 0.5, "fallback_fraction": 0.25, "max_attempts": 3, **TOO_LATE})
    episode, _ = schedule(system, {100: 1}, where=benefits_are(llm_benefit))

    result = run(engine, system, episode)

    at_once = attempts == 1
    assert result.call("ask", "attempts") == [attempts]
    assert (result.call("ask", "fallbacks"), result.call("ask", "exhausted")) == ([at_once], [not at_once])
    assert [row[5] == 400 for row in result.answers] == [not at_once]


@pytest.mark.parametrize(("fallback", "attempts"), [(0.0, 3), (0.05, 1)])
def test_who_would_no_longer_be_asked_falls_back_first(engine: str, fallback: float, attempts: int) -> None:
    """Sent before 0.48 s, while all are asked, given up after 0.5 s, when none is: its rank is 0, below any share."""
    system = asking({"max_attempts": 3, **TOO_LATE}, interval_s=0.5)
    episode, (a,) = schedule(system, {450: 1}, where=benefits_are((0.9, 1.0)))

    result = run(engine, system, episode, [{}, {"ask": 0.0, "fallback": fallback}])

    assert [row[3] for row in result.of("llm")] == [a + 15 * MS + k * 50 * MS for k in range(attempts)]
    assert sum(result.call("ask", "fallbacks")) == (attempts == 1)
    assert sum(result.call("ask", "exhausted")) == (attempts == 3)


@pytest.mark.parametrize(
    ("llm_benefit", "asked", "deferred"),
    [
        ((0.0, 0.3), False, False),
        ((0.3, 0.4), False, True),
        ((0.4, 0.85), True, False),
        ((0.85, 1.0), True, True),
    ],
)
def test_of_either_group_the_neediest_are_deferred(
    engine: str, llm_benefit: tuple[float, float], asked: bool, deferred: bool
) -> None:
    """A share of 0.6 asks, in vain; a quarter of them is deferred, from 0.85 on, and of the others, from 0.3 on."""
    later = {"kind": "deferred_queue", "to": "llm", "queue_limit": 10, "workers": 1, "poll_s": 0.5}
    policy = {**ASK, **TOO_LATE, "ask_fraction": 0.6, "deferred": "later", "defer_fraction": 0.25}
    system = tiny_system(
        {"cache": cache(), "llm": llm(100), "later": later},
        [{"lookup": "cache", "on_miss": [{"query": "ask"}, {"fill": "cache"}]}],
        calls={"ask": policy},
    )
    episode, _ = schedule(system, {100: 1}, where=benefits_are(llm_benefit))

    result = run(engine, system, episode)

    assert (result.call("ask", "attempts"), result.call("ask", "not_asked")) == ([asked], [not asked])
    assert result.call("ask", "deferred") == result.service("later", "enriched") == [deferred]


@pytest.mark.parametrize("needy", [False, True])
def test_a_background_request_has_a_need_of_its_own(engine: str, needy: bool) -> None:
    """It has no user."""
    system = asking({"ask_fraction": 0.5}, background=True)

    def wanted(drawn: Drawn) -> bool:
        return (draw(drawn.seed, REQUESTS, 0, LLM_BENEFIT) >= 0.5) == needy

    episode, _ = schedule(system, {}, background={100: 1}, where=wanted)

    result = run(engine, system, episode)

    assert (result.call("ask", "attempts"), result.call("ask", "not_asked")) == ([needy], [not needy])
