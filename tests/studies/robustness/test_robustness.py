"""The shift tests: what each changes, and that nothing else does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamflow_agents.evaluation.kept_episodes import read_episodes, write_rows
from streamflow_agents.policies.protocol import SinglePolicy
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.errors import ConfigError
from streamflow_env.scenarios import load_scenario
from streamflow_env.system.schema import load
from studies.robustness.measure import play, shifted_episodes
from studies.robustness.report import section
from studies.robustness.shifts import NoisyDelayedPolicy, Shift, ShiftPlan, TelemetryShift, load_shifts, shifted

PLAN = load_shifts()


def episode(name: str, scenario: str) -> Any:
    env = shifted(PLAN.shifts[name], scenario)
    return env.scenario.episode(env.system, 7)


def test_without_a_shift_an_episode_is_the_scenarios_own() -> None:
    env = StreamFlowEnv("compound")
    ours, theirs = episode("none", "compound"), env.scenario.episode(env.system, 7)
    np.testing.assert_array_equal(ours.rates_rps, theirs.rates_rps)
    assert (ours.changes, ours.announcements) == (theirs.changes, theirs.announcements)
    assert ours.horizon_s == theirs.horizon_s


def test_more_load_is_more_users_and_nothing_else() -> None:
    ours, theirs = episode("the load times 1.3", "campaign"), episode("none", "campaign")
    system = StreamFlowEnv("normal").system
    factors = ours.rates_rps[:, 60:].sum(axis=1) / theirs.rates_rps[:, 60:].sum(axis=1)
    users = [c.kind == "interactive" for c in system.classes.values()]
    np.testing.assert_allclose(factors, np.where(users, 1.3, 1.0))
    assert (ours.changes, ours.announcements) == (theirs.changes, theirs.announcements)


def test_stronger_incidents_lie_beyond_all_ranges_of_training() -> None:
    for name in PLAN.scenarios:
        for before, now in zip(
            load_scenario(name).incidents,  # type: ignore[attr-defined]
            shifted(PLAN.shifts["stronger incidents"], name).scenario.incidents,  # type: ignore[attr-defined]
            strict=True,
        ):
            if before.kind == "slowdown":
                assert now.factor[0] >= before.factor[1]
            elif before.kind == "llm_degradation":
                assert now.quota_factor[1] < before.quota_factor[0]
                assert now.latency_factor[0] > before.latency_factor[1]
            elif before.kind == "content_drop":
                assert now.num_items[0] > before.num_items[1]
            else:
                assert now == before


def test_other_distributions_are_of_every_service() -> None:
    before = StreamFlowEnv("normal").system
    after = shifted(PLAN.shifts["other distributions"], "normal").system
    assert "lognormal" in before.model_dump_json()
    assert "lognormal" not in after.model_dump_json()
    assert after.users.think_time_distribution == "full_jitter"
    assert after.control_table.names == before.control_table.names


class Echo(SinglePolicy):
    """Its action is what it sees."""

    def act(self, observation: Any, memory: Any) -> tuple[Any, Any]:
        return observation, (memory or 0) + 1


def test_telemetry_is_late_and_noisy_but_settings_and_clock_are_not() -> None:
    env = StreamFlowEnv("normal")
    shape = env.observation_space.shape
    assert shape is not None
    policy, state, seen = (
        NoisyDelayedPolicy(Echo(), env, TelemetryShift(delay_intervals=1, noise=0.0), seed=3),
        None,
        [],
    )
    for value in (0.2, 0.4, 0.6):
        action, state = policy.predict(np.full(shape, value, dtype=np.float32), state)
        seen.append(action)
    names = [field.name for field in env.observation_table.fields]
    late, known = names.index("auth.p95_s"), names.index("control.auth_replicas")
    assert [round(float(row[late]), 3) for row in seen] == [0.2, 0.2, 0.4]
    assert [round(float(row[known]), 3) for row in seen] == [0.2, 0.4, 0.6]

    noisy = [
        NoisyDelayedPolicy(Echo(), env, TelemetryShift(delay_intervals=1, noise=0.1), seed).predict(
            np.full(shape, 0.5, np.float32)
        )[0]
        for seed in (3, 3, 4)
    ]
    np.testing.assert_array_equal(noisy[0], noisy[1])
    assert noisy[0][late] != noisy[2][late]
    assert noisy[0][known] == noisy[2][known] == 0.5
    assert 0.03 < float(np.std(noisy[0][: names.index("announced.starts_in_s")])) < 0.07


def test_where_a_cascade_is_left_out_others_stand_in() -> None:
    work = shifted_episodes(PLAN, {"expert": "expert", "ppo#0": "a", "ppo#1": "b"}, {"ppo#0": "c"})
    sources = {(t.label, t.source) for t in work if t.shift == "a cascade left out"}
    assert sources == {("expert", "expert~auth slows down"), ("ppo#0", "c"), ("ppo#1", "b")}
    assert {(t.label, t.source) for t in work if t.shift != "a cascade left out"} == {
        ("expert", "expert"), ("ppo#0", "a"), ("ppo#1", "b"),
    }  # fmt: skip
    assert {t.scenario for t in work if t.shift == "a cascade left out"} == {"retry-storm"}
    numbers = {shift: sorted({t.number for t in work if t.shift == shift}) for shift in PLAN.shifts}
    assert set(map(tuple, numbers.values())) == {tuple(range(PLAN.episodes))}


def test_no_two_episodes_of_a_shift_have_the_same_seed() -> None:
    """Otherwise each hour of recorded traffic, which the seed draws, would count once for each scenario."""
    work = shifted_episodes(PLAN, {"expert": "expert"}, {})
    for name in PLAN.shifts:
        assert len({one.seed for one in work if one.shift == name}) == PLAN.episodes


def test_episodes_must_be_shared_out_evenly() -> None:
    odd = load(ShiftPlan, PLAN.model_dump() | {"episodes": 8})
    with pytest.raises(ConfigError, match="multiple of 7"):
        shifted_episodes(odd, {"expert": "expert"}, {})


def test_recorded_traffic_is_shipped() -> None:
    assert episode("a real day's traffic", "normal").horizon_s == episode("none", "normal").horizon_s


def test_a_trace_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.csv"):
        shifted(Shift(meaning="x", trace="nowhere.csv"), "normal")
    with pytest.raises(ConfigError, match="mixed: a mixture"):
        shifted(Shift(meaning="x"), "mixed")


@pytest.mark.slow
def test_a_shift_is_played_and_has_its_table(tmp_path: Path) -> None:
    work = [
        one
        for one in shifted_episodes(PLAN, {"playbook_hpa": "playbook_hpa", "tuned_static": "tuned_static"}, {})
        if one.shift == "late and noisy telemetry" and one.number < 2
    ]
    write_rows(tmp_path / "shifts.csv.gz", [play(one) for one in work])
    text = "\n".join(section(read_episodes(tmp_path / "shifts.csv.gz"), PLAN, "playbook_hpa"))
    assert "### late and noisy telemetry" in text
    assert PLAN.shifts["late and noisy telemetry"].meaning in text
    assert "| tuned_static |" in text
