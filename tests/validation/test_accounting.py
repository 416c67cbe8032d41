"""Ten thousand random control steps against every account and bound; `make accounting` runs a million."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamflow_env.validation.campaign import COMPARED_EVERY, COMPARED_OFFSET, Summary, run, run_cases
from streamflow_env.validation.random_cases import STEPS_A_CASE, Case

NUM_STEPS = 10_000
NUM_CASES = NUM_STEPS // STEPS_A_CASE
NUM_PARTS = 8


@pytest.mark.parametrize("part", range(NUM_PARTS))
def test_ten_thousand_random_steps_break_no_rule(part: int) -> None:
    summary = Summary(seed=1)
    for number in range(part, NUM_CASES, NUM_PARTS):
        summary.add(run(Case(1, number)))
    assert summary.violations == []
    assert summary.steps == STEPS_A_CASE * NUM_CASES // NUM_PARTS
    assert summary.attempts > 0


@settings(max_examples=20)
@given(seed=st.integers(min_value=2, max_value=2**31), number=st.integers(min_value=0, max_value=10**6))
def test_any_case_breaks_no_rule(seed: int, number: int) -> None:
    assert run(Case(seed, number)).errors == []


def test_the_cases_hold_dead_cells_and_idle_ones() -> None:
    """Among the first: cells to which nobody comes, and cells in which hardly anybody is answered."""
    results = [run(Case(1, number)) for number in range(48)]
    assert any(result.attempts == 0 for result in results)
    assert any(result.given_up > 0.2 * result.attempts > 0 for result in results)


def test_a_campaign_compares_the_engines_and_is_the_same_in_processes() -> None:
    result = run(Case(0, COMPARED_OFFSET))
    assert result.compared > 0
    assert result.errors == []
    assert COMPARED_OFFSET < COMPARED_EVERY
    assert [r.case.number for r in run_cases(0, 2 * STEPS_A_CASE, 1)] == [0, 1]


def test_what_a_case_raises_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(case: Case, *, compare: bool) -> None:
        raise ZeroDivisionError(f"{case.number} {compare}")

    monkeypatch.setattr("streamflow_env.validation.campaign.run_case", broken)
    summary = Summary(seed=0)
    summary.add(run(Case(0, 7)))
    assert summary.violations == [{"case": 7, "step": 0, "errors": ["raised: ZeroDivisionError: 7 False"]}]
