"""Tuning: that it searches what it says, keeps what it found, and goes on where it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import yaml

from streamflow_agents.evaluation.episodes import RETURN, run_episode
from streamflow_agents.policies.baselines.expert import ExpertSettings
from streamflow_agents.policies.baselines.static import Playbook
from streamflow_agents.seeds import TUNING
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.errors import ConfigError
from streamflow_env.paths import config_path
from streamflow_env.system import load_system
from streamflow_env.system.schema import load, read_yaml
from studies.tuning.form import FORMS, Form, Range, TuningPlan, load_second_plan, load_tuning_plan
from studies.tuning.run import Arguments, quick_plan
from studies.tuning.search import returns, tune

SHORT = {
    "name": "short",
    "horizon_s": 90,
    "traffic": {"kind": "ramps", "start_hour": 12, "level": [1.0, 2.0], "ramps": []},
    "incidents": [
        {"kind": "slowdown", "service": "auth", "start_s": [20, 60], "duration_s": 10, "factor": [2, 3]},
        {
            "kind": "slowdown", "service": "auth", "start_s": [20, 60], "duration_s": 10, "factor": [2, 3],
            "precursor": {"lead_s": 10, "factor": 1.2},
        },
    ],
}  # fmt: skip


@pytest.fixture
def short(tmp_path: Path) -> str:
    path = tmp_path / "short.yaml"
    path.write_text(yaml.safe_dump(SHORT), encoding="utf-8")
    return str(path)


def tiny(short: str, **changes: Any) -> TuningPlan:
    content = load_tuning_plan().model_dump() | {
        "scenarios": [short], "num_steps": 6 * 4 * 2, "population": 4, "finalists": 1, "judging_seeds": 1, **changes,
    }  # fmt: skip
    return load(TuningPlan, content)


@pytest.mark.parametrize("name", FORMS)
def test_a_form_begins_as_its_file(name: str) -> None:
    form = Form(name, load_tuning_plan())
    content = form.settings(form.start)
    if name == "expert":
        settings = load(ExpertSettings, content)
        refuses = next(rule for rule in settings.rules if rule.name == "the LLM refuses")
        assert refuses.at_most["llm_ask"] == form.start["rules/the LLM refuses/at_most/llm_ask"]
        moved = form.settings({**form.start, "rules/the LLM refuses/at_most/llm_ask": 0.123})
        assert load(ExpertSettings, moved).rules[2].at_most["llm_ask"] == 0.123
    else:
        assert load(Playbook, content).settings["auth_replicas"] == 10
        assert set(content["settings"]) == set(load_system().control_table.names)


def test_a_control_that_the_file_does_not_name_begins_at_its_default() -> None:
    again = load_second_plan()
    assert "settings/llm_ingest_share" in again.expert
    content = load_tuning_plan().model_dump() | {"expert": {"settings/cache_ttl": {"low": 300.0, "high": 7200.0}}}
    assert Form("expert", load(TuningPlan, content)).start == {"settings/cache_ttl": 1800.0}


def test_a_form_without_a_start_is_an_error() -> None:
    content = load_tuning_plan().model_dump() | {"start": {"static": "playbook"}}
    with pytest.raises(ConfigError, match=r"start\.expert"):
        Form("expert", load(TuningPlan, content))


def test_on_cells_that_differ_other_files_are_written_and_no_limit_is_below_what_is_served() -> None:
    first, second = load_tuning_plan("varied"), load_second_plan("varied")
    assert set(first.scenarios) == set(read_yaml(config_path("scenarios", "varied"))["members"])
    found = {form: first.result(form) for form in FORMS}
    assert second.start == found == {"static": "tuned_static_varied", "expert": "tuned_expert_varied"}
    assert load_second_plan().start == {form: load_tuning_plan().result(form) for form in FORMS}
    assert first.expert == second.expert
    assert first.expert["rules/users come again/at_most/gateway_rate_limit/times"].low > 1.0
    for name in FORMS:
        form = Form(name, first)
        assert form.numbers(form.start).keys() <= form.policy(form.start).numbers.keys()


def test_an_unknown_level_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"level 'mild': must be one of calm, varied"):
        Arguments(level="mild")


@pytest.mark.parametrize("name", FORMS)
def test_candidates_simulated_together_return_what_each_returns_alone(name: str, short: str) -> None:
    form, rng = Form(name, tiny(short)), np.random.default_rng(0)
    candidates = [form.values({path: float(rng.random()) for path in form.ranges}) for _ in range(3)]
    env = StreamFlowEnv(short)
    alone = [run_episode(form.policy(values), env, TUNING.first)[RETURN] for values in candidates]
    assert returns(form, candidates, short, TUNING.first) == alone
    assert len(set(alone)) == 3


@pytest.mark.parametrize("axis", [Range(low=-1.0, high=3.0), Range(low=5.0, high=1200.0, log=True)])
def test_a_place_on_an_axis_and_back(axis: Range) -> None:
    assert (axis.value(0.0), axis.value(1.0)) == pytest.approx((axis.low, axis.high))
    assert axis.unit(axis.value(0.3)) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("path", "culprit"), [("predictive/nosuch", "nosuch"), ("rules/no such rule/hold_s", "no such rule")]
)
def test_a_wrong_path_is_an_error(path: str, culprit: str) -> None:
    plan = load_tuning_plan()
    wrong = plan.model_copy(update={"expert": {path: next(iter(plan.expert.values()))}})
    with pytest.raises(ConfigError, match=culprit):
        Form("expert", wrong)


def test_the_two_searches_meet_different_episodes_and_a_quick_one_is_short() -> None:
    first, second = load_tuning_plan(), load_second_plan()
    generations = first.num_steps // (first.population * len(first.scenarios) * 240)
    assert first.skip_seeds + generations < second.skip_seeds
    quick = quick_plan(first)
    assert quick.num_steps // (quick.population * len(quick.scenarios) * 240) == 2


@pytest.mark.slow
def test_tuning_writes_a_file_and_goes_on_where_it_was(short: str, tmp_path: Path) -> None:
    once = tune("static", tiny(short, num_steps=6 * 4), tmp_path).read_text(encoding="utf-8")
    first = [trial.params for trial in optuna.load_study(study_name="static", storage=storage(tmp_path)).trials]
    whole = tune("static", tiny(short), tmp_path).read_text(encoding="utf-8")
    trials = optuna.load_study(study_name="static", storage=storage(tmp_path)).trials
    assert "4 candidates in 1 generations" in once
    assert "8 candidates in 2 generations" in whole
    assert [trial.params for trial in trials[:4]] == first
    assert all(trial.value is not None and trial.value < 0.0 for trial in trials)
    assert set(load(Playbook, yaml.safe_load(whole)).settings) == set(load_system().control_table.names)


def storage(folder: Path) -> str:
    return f"sqlite:///{folder / 'static.db'}"
