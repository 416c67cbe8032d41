"""Both engines' circuit breakers do what resilience4j does, case by case, and the same under any calls."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamflow_env.engines import circuit_breaker
from streamflow_env.system import Breaker
from studies.validation.breaker_cases import BREAKER_CASES
from studies.validation.breakers import BREAKERS, breaker_cases, play


@pytest.mark.parametrize("engine", BREAKERS)
@pytest.mark.parametrize(
    ("config", "script", "expected"), [case[2:] for case in BREAKER_CASES], ids=[case[0] for case in BREAKER_CASES]
)
def test_it_does_what_resilience4j_does(engine: str, config: dict[str, object], script: str, expected: str) -> None:
    assert play(BREAKERS[engine](Breaker.model_validate(config)), script) == expected


CONFIGS = st.builds(
    Breaker,
    threshold_fraction=st.sampled_from((0.07, 0.3, 0.5, 0.55, 0.99, 1.0, None)),
    window_size=st.integers(1, 20),
    minimum_calls=st.integers(1, 25),
    slow_call_s=st.just(1.0),
    open_s=st.just(2.0),
    half_open_calls=st.integers(1, 8),
)
WORDS = ("ok", "ok:2", "ok:1", "fail", "fail:2", "ask", "ask", "set:0.3", "set:1")
TIMED = st.lists(st.tuples(st.sampled_from((0, 0, 0, 1, 500, 2000)), st.sampled_from(WORDS)), max_size=150)


@settings(deadline=None, max_examples=200)
@given(config=CONFIGS, calls=TIMED)
def test_both_engines_breakers_are_one_under_any_calls(config: Breaker, calls: list[tuple[int, str]]) -> None:
    now_ms, words = 0, []
    for waited_ms, word in calls:
        now_ms += waited_ms
        words += [f"@{now_ms / 1000}", word, "?"]
    script = " ".join(words)

    said = {engine: play(make(config), script) for engine, make in BREAKERS.items()}

    assert said["reference"] == said["compiled"]


def test_record_says_whether_it_opened() -> None:
    for make in BREAKERS.values():
        breaker = make(Breaker(threshold_fraction=0.5, minimum_calls=2))
        said = [breaker.record(failed=True, took_s=0.1, time_s=float(i)) for i in range(3)]
        assert said == [False, True, False]


def test_every_case_of_the_page_passes() -> None:
    cases = breaker_cases()
    assert len(cases) == len(BREAKER_CASES) == len({case.case for case in cases})
    assert all(case.passes for case in cases)


def test_an_unknown_word_is_an_error() -> None:
    with pytest.raises(ValueError, match="shrug"):
        play(BREAKERS["reference"](Breaker()), "shrug")


def test_the_examples_of_the_class() -> None:
    assert doctest.testmod(circuit_breaker).failed == 0
