"""Ten thousand random control steps break no rule, nor does an idle or a dead cell; and what breaks one is named.

The study `accounting` checks a million.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamflow_env.engines import make_engine
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.system import System, load_system
from studies.accounting import random_cases
from studies.accounting.campaign import Summary, run
from studies.accounting.invariants import RULES
from studies.accounting.random_cases import STEPS_A_CASE, Case, follow, run_case
from studies.accounting.random_episodes import (
    ACTION_MODES,
    COURSES,
    ActionMode,
    Course,
    RandomScenario,
    random_actions,
)
from studies.accounting.random_systems import random_data
from studies.accounting.run import repeat
from tests.studies.accounting.small import small_system

SEED = 4
STEPS = 10_000
ENDS = (-1.0, 1.0, 0.0, -0.9, 0.3)


@pytest.mark.slow
def test_ten_thousand_random_steps_break_no_rule() -> None:
    summary = Summary(SEED)
    for number in range(STEPS // STEPS_A_CASE):
        case = Case(SEED, number)
        summary.add(case, run(case))
    assert summary.violations == []
    assert summary.steps == STEPS
    assert summary.never_counted == set()
    assert summary.attempts > 100_000
    assert summary.answered > 10_000
    assert summary.idle_episodes > 10
    assert summary.dead_episodes > 10
    assert summary.shipped_episodes > 10
    assert summary.compared_intervals > 100


@pytest.mark.parametrize("make_system", [load_system, small_system])
@pytest.mark.parametrize("mode", ACTION_MODES)
@pytest.mark.parametrize("course", ["idle", "dead"])
def test_an_idle_and_a_dead_cell_break_no_rule(
    course: Course, mode: ActionMode, make_system: Callable[[], System]
) -> None:
    system = make_system()
    env = StreamFlowEnv(RandomScenario(num_intervals=12, course=course), system=system)
    result, _ = follow(env, 5, random_actions(system, mode, 5))
    assert result.errors == []
    assert result.steps == 12
    assert result.answered == 0
    assert (result.attempts > 0) == (course == "dead")
    assert (result.given_up > 0) == (course == "dead")


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(rng=st.randoms(use_true_random=False), seed=st.integers(0, 2**31 - 1), course=st.sampled_from(COURSES))
def test_no_system_breaks_a_rule_whatever_the_actions(rng: random.Random, seed: int, course: Course) -> None:
    """Hypothesis draws every number of the system and of the actions, so it can make smaller what it finds."""
    system = load_system(random_data(rng))
    env = StreamFlowEnv(RandomScenario(num_intervals=6, course=course), system=system)
    size = len(system.controls)
    actions = (np.array([rng.choice(ENDS) for _ in range(size)], dtype=np.float32) for _ in range(6))
    result, _ = follow(env, seed, actions)
    assert result.errors == []


def test_a_case_is_the_same_again() -> None:
    first, again = (run_case(Case(1, 1)) for _ in range(2))
    assert first == again
    assert first.attempts > 0


def test_what_breaks_a_rule_ends_a_case_and_is_named_in_the_summary(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(RULES, "all: at most 20 attempts", lambda v: v.classes["attempts"].sum() > 20)
    summary = Summary(1)
    summary.add(Case(1, 8), run(Case(1, 8)))
    summary.write(tmp_path / "deep" / "summary.json", duration_s=1.4)
    figures = json.loads((tmp_path / "deep" / "summary.json").read_text(encoding="utf-8"))
    assert figures["violations"] == [{"case": 8, "step": 1, "errors": ["all: at most 20 attempts"]}]
    assert (figures["systems"], figures["episodes"], figures["duration_s"]) == (1, 1, 1)
    assert "1 violations" in str(summary)
    assert repeat(Case(1, 8)) == 1
    assert "VIOLATED in step 1: all: at most 20 attempts" in capsys.readouterr().out


def test_what_raises_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object) -> bool:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setitem(RULES, "all: this fails", fails)
    assert run(Case(1, 1)).errors == ["raised: ZeroDivisionError: by nothing"]


def test_engines_that_differ_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where only the log of one of them does."""
    case = next(case for case in (Case(1, number) for number in itertools.count()) if case.is_compared)
    honest = run(case)
    assert honest.errors == []
    assert honest.compared > 1

    def make_late(name: str, system: System, **more: Any) -> Any:
        later = system.model_copy(update={"warmup_s": system.warmup_s + system.control_interval_s})
        return make_engine(name, later if name == "reference" else system, **more)

    monkeypatch.setattr(random_cases, "make_engine", make_late)
    assert any(line.startswith("engines differ: ") for line in run(case).errors)
