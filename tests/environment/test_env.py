"""The environment: episodes, seeds, errors, pickles."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import data_equivalence

from streamflow_env.engines import ENGINE_NAMES
from streamflow_env.environment import env as env_module
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.environment.rewards import REWARD_TERMS
from streamflow_env.environment.sequential_sum import sequential_sum
from streamflow_env.errors import ConfigError
from streamflow_env.scenarios import load_scenario
from streamflow_env.system import load_system
from studies.accounting.balance import accounting_errors
from tests.environment.fake import FakeEngine

SYSTEM = load_system()
MINUTE: dict[str, Any] = {
    "name": "minute",
    "horizon_s": 60,
    "traffic": {"kind": "ramps", "start_hour": [19, 20], "level": [1.0, 2.0]},
}


def make(engine: str = "compiled", **arguments: Any) -> StreamFlowEnv:
    return StreamFlowEnv(**{"scenario": MINUTE, "engine": engine, "system": SYSTEM, **arguments})


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> StreamFlowEnv:
    """An environment over the fake engine."""
    monkeypatch.setattr(env_module, "make_engine", lambda name, system: FakeEngine(system))
    return make()


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_every_request_is_accounted_for_at_every_step(engine: str) -> None:
    env = make(engine)
    env.action_space.seed(1)
    env.reset(seed=1)
    for _ in range(4):
        before = env.telemetry
        env.step(env.action_space.sample())
        assert accounting_errors(before, env.telemetry) == []


@pytest.mark.parametrize("engine", ENGINE_NAMES)
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copy_in_mid_episode_goes_on_identically(engine: str, duplicate: Any) -> None:
    env = make(engine)
    env.reset(seed=2)
    env.step(env.default_action)
    other = duplicate(env)
    for _ in range(2):
        observation, reward, _, _, info = env.step(env.default_action)
        other_observation, other_reward, _, _, other_info = other.step(env.default_action)
        np.testing.assert_array_equal(observation, other_observation)
        assert reward == other_reward
        assert data_equivalence(info, other_info, exact=True)
    np.testing.assert_array_equal(env.reset()[0], other.reset()[0])


def test_an_episode_is_truncated_at_its_horizon_and_never_terminated(fake: StreamFlowEnv) -> None:
    fake.reset(seed=0)
    ends = [fake.step(fake.default_action)[2:4] for _ in range(4)]
    assert ends == [(False, False)] * 3 + [(False, True)]
    assert fake.time_s == 60.0
    with pytest.raises(ResetNeeded, match="horizon"):
        fake.step(fake.default_action)
    fake.reset()
    fake.step(fake.default_action)


def test_nothing_goes_before_reset(fake: StreamFlowEnv) -> None:
    with pytest.raises(ResetNeeded, match="reset"):
        fake.step(fake.default_action)
    with pytest.raises(ResetNeeded):
        _ = fake.telemetry
    with pytest.raises(ResetNeeded):
        _ = fake.episode


def test_a_seed_gives_the_same_episodes_and_no_seed_new_ones(fake: StreamFlowEnv) -> None:
    first = [fake.reset(seed=7)[1]["episode_seed"], *(fake.reset()[1]["episode_seed"] for _ in range(3))]
    again = [fake.reset(seed=7)[1]["episode_seed"], *(fake.reset()[1]["episode_seed"] for _ in range(3))]
    assert first == again
    assert len(set(first)) == 4


def test_a_seed_means_the_same_in_another_process() -> None:
    code = (
        "from tests.environment.test_env import make; e = make(); o, i = e.reset(seed=11); "
        "print(i['episode_seed'], e.step(e.default_action)[0].tobytes().hex())"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    env = make()
    _, info = env.reset(seed=11)
    assert result.stdout.split() == [str(info["episode_seed"]), env.step(env.default_action)[0].tobytes().hex()]


def test_an_option_picks_the_episode(fake: StreamFlowEnv) -> None:
    first, info = fake.reset(seed=1, options={"episode_seed": 42})
    second, _ = fake.reset(seed=2, options={"episode_seed": 42})
    assert info["episode_seed"] == fake.episode.seed == 42
    np.testing.assert_array_equal(first, second)


def test_a_mixture_names_the_scenario_drawn() -> None:
    env = make(scenario="mixed")
    infos = [env.reset(options={"episode_seed": seed})[1] for seed in range(4)]
    assert [info["episode_seed"] for info in infos] == [0, 1, 2, 3]
    assert len({info["scenario"] for info in infos}) > 1


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"seed": 1}, "known: episode_seed"),
        ({"episode_seed": -1}, "must be an integer"),
        ({"episode_seed": 1.5}, "must be an integer"),
        ({"episode_seed": True}, "must be an integer"),
    ],
)
def test_wrong_options_are_errors(fake: StreamFlowEnv, options: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        fake.reset(options=options)


def test_actions_that_cannot_be_used_name_the_control(fake: StreamFlowEnv) -> None:
    fake.reset(seed=0)
    action = fake.default_action.copy()
    action[2] = np.nan
    with pytest.raises(ConfigError, match=fake.control_table.names[2]):
        fake.step(action)
    with pytest.raises(ConfigError, match="shape"):
        fake.step(action[:3])
    assert fake.time_s == 0.0


def test_actions_beyond_the_box_are_clipped(fake: StreamFlowEnv) -> None:
    fake.reset(seed=0)
    observation, *_ = fake.step(np.full(len(fake.control_table), 9.0, dtype=np.float32))
    np.testing.assert_array_equal(fake.telemetry.controls, [control.high for control in SYSTEM.controls])
    assert fake.observation_space.contains(observation)


def test_the_default_action_is_the_default_configuration(fake: StreamFlowEnv) -> None:
    assert fake.default_action.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        fake.default_action[0] = 1.0
    fake.reset(seed=0)
    *_, info = fake.step(fake.default_action)
    found = dict(zip(SYSTEM.control_table.names, SYSTEM.control_table.default, strict=True))
    assert info["controls"] == pytest.approx(found, rel=1e-6)  # an action is a float32
    assert info["reward_terms"]["churn"] == 0.0


def test_info_is_flat_finite_and_sums_up_to_the_reward(fake: StreamFlowEnv) -> None:
    _, info = fake.reset(seed=0)
    first = {"episode_seed", "scenario", "time_s", "controls", "metrics", "reward_terms", "costs", "cost"}
    assert set(info) == first
    _, reward, _, _, info = fake.step(fake.action_space.sample())
    assert data_equivalence(pickle.loads(pickle.dumps(info)), info, exact=True)
    assert info["scenario"] == "minute"
    assert info["time_s"] == SYSTEM.control_interval_s
    assert tuple(info["reward_terms"]) == tuple(REWARD_TERMS)
    assert reward == sequential_sum(info["reward_terms"].values())
    for part in ("metrics", "reward_terms", "controls"):
        assert all(type(value) is float and np.isfinite(value) for value in info[part].values())


def test_costs_are_the_reward_by_term_and_the_cost_is_that_of_the_sla() -> None:
    env = make()
    env.action_space.seed(0)
    env.reset(seed=0)
    for _ in range(4):
        _, reward, _, _, info = env.step(env.action_space.sample())
        terms, costs = info["reward_terms"], info["costs"]
        assert (costs.dtype, costs.shape) == (np.float64, (len(REWARD_TERMS),))
        assert (costs >= 0.0).all()
        assert dict(zip(REWARD_TERMS, (-costs).tolist(), strict=True)) == terms
        assert reward == pytest.approx(-costs.sum(), rel=1e-12)
        assert type(info["cost"]) is float
        assert info["cost"] == -terms["late"] - terms["failed"] - terms["premium"] > 0.0


def test_an_info_has_the_same_form_at_reset_as_at_a_step(fake: StreamFlowEnv) -> None:
    """Minari and TorchRL stack infos, so keys, types and shapes must be equal."""

    def form(value: Any) -> Any:
        if isinstance(value, dict):
            return [(key, form(item)) for key, item in value.items()]
        return value.shape if isinstance(value, np.ndarray) else type(value)

    _, at_reset = fake.reset(seed=0)
    *_, at_step = fake.step(fake.default_action)
    assert form(at_reset) == form(at_step)
    assert at_reset["reward_terms"] == dict.fromkeys(REWARD_TERMS, 0.0)
    assert at_reset["costs"].tolist() == [0.0] * len(REWARD_TERMS)
    assert at_reset["cost"] == 0.0
    _, again = fake.reset()
    assert again["cost"] == 0.0
    assert at_step["costs"].any(), "a later reset must not change an earlier info"


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"engine": "steam"}, "compiled, reference"),
        ({"render_mode": "human"}, "render_mode"),
        ({"reward": {"speed": 1.0}}, "speed: unknown key"),
        ({"scenario": "no-such"}, "no-such"),
    ],
)
def test_wrong_arguments_say_what_is_allowed(arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        make(**arguments)


def test_a_scenario_that_does_not_fit_the_system_is_known_at_once(tmp_path: Path) -> None:
    incident = {"kind": "slowdown", "service": "steam", "start_s": 10, "factor": 2, "duration_s": 10}
    with pytest.raises(ConfigError, match=r"incidents\.0\.slowdown\.service = 'steam'"):
        make(scenario={**MINUTE, "incidents": [incident]})
    member = tmp_path / "member.yaml"
    member.write_text(yaml.safe_dump({**MINUTE, "incidents": [incident]}), encoding="utf-8")
    with pytest.raises(ConfigError, match="'steam'"):
        make(scenario={"name": "both", "members": {"normal": 1.0, str(member): 0.001}})


@pytest.mark.parametrize("warmup_s", [0.0, 46.0, 60.0])
def test_an_incident_is_as_late_in_the_episode_as_its_scenario_says(warmup_s: float) -> None:
    """Also where the warm-up is not a whole number of control intervals."""
    system = load_system({**SYSTEM.model_dump(exclude_unset=True), "warmup_s": warmup_s})
    incident = {"kind": "slowdown", "service": "auth", "start_s": 30, "factor": 8, "duration_s": 15}
    env = make(scenario={**MINUTE, "incidents": [incident]}, system=system)
    env.reset(seed=0)
    began_ns = env.telemetry.end_ns
    assert [change.at_ns - began_ns for change in env.episode.changes] == [30 * 10**9, 45 * 10**9]


def test_a_campaign_is_announced_in_the_observation(fake: StreamFlowEnv) -> None:
    campaign = {
        "kind": "campaign", "messages_class": "push", "opens_class": "feed", "start_s": 30, "num_messages": 1000,
        "spread_s": 15, "open_fraction": 0.2, "opens_delay_s": 0, "opens_spread_s": 20, "announced_s": 15,
    }  # fmt: skip
    fake.scenario = load_scenario({**MINUTE, "incidents": [campaign]})
    observations = [fake.reset(seed=0)[0], *(fake.step(fake.default_action)[0] for _ in range(4))]
    decoded = fake.observation_table.decode(np.array(observations))
    assert decoded["announced.starts_in_s"] == pytest.approx([1800, 15, 0, 0, 1800], abs=1e-3)
    assert decoded["announced.expected_rps"] == pytest.approx([0, 10, 10, 10, 0], abs=1e-4)


def test_a_trace_replaces_the_traffic() -> None:
    usual, recorded = make(), make(trace="example_day")
    usual.reset(options={"episode_seed": 5})
    recorded.reset(options={"episode_seed": 5})
    assert not np.array_equal(usual.episode.rates_rps, recorded.episode.rates_rps)
