"""The environment's interface, over every registered id and both engines."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import DeprecatedEnv
from gymnasium.utils.env_checker import check_env

from streamflow_env import ENV_IDS, SCENARIOS
from streamflow_env.engines import ENGINE_NAMES
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.environment.vector_env import StreamFlowVectorEnv
from streamflow_env.errors import ConfigError
from streamflow_env.scenarios import Mixture, load_scenario, scenario_names
from streamflow_env.system import load_system

HEAVY = "{'numba', 'torch', 'simpy', 'stable_baselines3', 'pydantic'}"


def test_every_shipped_scenario_has_an_id() -> None:
    assert sorted(SCENARIOS) == scenario_names()
    assert "StreamFlow-LlmRateLimit-v1" in ENV_IDS


@pytest.mark.filterwarnings("ignore:.*out of date:DeprecationWarning")
@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
@pytest.mark.parametrize("env_id", ENV_IDS)
def test_version_0_is_gone_and_gymnasium_names_the_new_id(env_id: str, make: Callable[[str], Any]) -> None:
    with pytest.raises(DeprecatedEnv, match=f"use `{env_id}`"):
        make(env_id.replace("-v1", "-v0"))


@pytest.mark.parametrize(
    ("env_id", "engine"), [*((env_id, "compiled") for env_id in ENV_IDS), ("StreamFlow-v1", "reference")]
)
def test_gymnasium_finds_nothing_to_remark(env_id: str, engine: str) -> None:
    check_env(gymnasium.make(env_id, engine=engine).unwrapped)


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_stable_baselines_finds_nothing_to_remark(env_id: str) -> None:
    from stable_baselines3.common.env_checker import check_env as sb3_check_env

    sb3_check_env(gymnasium.make(env_id).unwrapped)


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_engines_show_the_same_observations_and_rewards(env_id: str) -> None:
    compiled, reference = (gymnasium.make(env_id, engine=engine) for engine in ENGINE_NAMES)
    first, _ = compiled.reset(seed=3)
    second, _ = reference.reset(seed=3)
    np.testing.assert_array_equal(first, second)
    for _ in range(3):
        action = compiled.action_space.sample()
        first, reward, *_ = compiled.step(action)
        second, other_reward, *_ = reference.step(action)
        np.testing.assert_array_equal(first, second)
        assert reward == other_reward


@pytest.mark.parametrize(
    "code",
    [
        f"import streamflow_env, sys; print({HEAVY} & set(sys.modules))",
        "import gymnasium; e = gymnasium.make('streamflow_env:StreamFlow-v1'); e.reset(seed=0); print(set())",
    ],
)
def test_import_is_light_and_gymnasium_can_do_it(code: str) -> None:
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


@pytest.mark.parametrize("env_id", ENV_IDS)
def test_the_id_says_how_many_steps_an_episode_has(env_id: str) -> None:
    scenario, system = load_scenario(gymnasium.spec(env_id).kwargs["scenario"]), load_system()
    num_steps = gymnasium.spec(env_id).max_episode_steps
    assert num_steps == scenario.longest_s / system.control_interval_s
    members = scenario.scenarios if isinstance(scenario, Mixture) else (scenario,)
    assert {member.longest_s for member in members} == {scenario.longest_s}


@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
def test_an_id_does_not_cut_a_longer_scenario_in_silence(make: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match="max_episode_steps = 240: must be at least the 5760 control steps"):
        make("StreamFlow-v1", scenario="whole-day")
    env = make("StreamFlow-v1", scenario="whole-day", max_episode_steps=5760, max_steps=5760)
    env.reset(seed=0)
    env.close()


@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
def test_a_trace_for_a_mixture_is_told_what_to_use(make: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match="StreamFlow-Trace-v1"):
        make("StreamFlow-v1", trace="example_day")
    make("StreamFlow-Trace-v1", trace="example_day").close()


@pytest.mark.parametrize("make", [StreamFlowEnv, lambda given: StreamFlowVectorEnv(2, given)])
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"scenario": "mixed", "engine": "reference"}, r"scenario, engine is not a scenario.*\*\*env_config"),
        ({"trace": "example_day"}, r"\*\*env_config"),
        ({}, "empty dictionary"),
    ],
)
def test_a_dictionary_of_arguments_is_not_taken_for_a_scenario(make: Any, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make(given)


def test_numpy_integers_are_seeds() -> None:
    single: Any = StreamFlowEnv("normal")
    cells: Any = StreamFlowVectorEnv(2, "normal")
    for ours, plain in ((np.int64(5), 5), (np.uint8(5), 5)):
        np.testing.assert_array_equal(single.reset(seed=ours)[0], single.reset(seed=plain)[0])
        np.testing.assert_array_equal(cells.reset(seed=ours)[0], cells.reset(seed=plain)[0])
    listed = np.array([5, 9])
    for given in (listed, list(listed), tuple(listed)):
        np.testing.assert_array_equal(cells.reset(seed=given)[0], cells.reset(seed=[5, 9])[0])
    for wrong in (-1, 0.5, True, "a"):
        for env in (single, cells):
            with pytest.raises(ConfigError, match="seed = "):
                env.reset(seed=wrong)
    cells.close()


@pytest.mark.parametrize("env_id", ["StreamFlow-v1", "StreamFlow-Storm-v1"])
def test_reset_and_step_give_the_same_keys(env_id: str) -> None:
    def keys(info: Any) -> Any:
        return {key: keys(value) for key, value in info.items()} if isinstance(info, dict) else None

    env: Any = gymnasium.make(env_id)
    first = env.reset(seed=0)[1]
    assert keys(first) == keys(env.step(env.unwrapped.default_action)[4])
    cells: Any = gymnasium.make_vec(env_id, num_envs=2)
    first = cells.reset(seed=0)[1]
    assert keys(first) == keys(cells.step(np.tile(cells.problem.default_action, (2, 1)))[4])
    cells.close()
