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
from streamflow_env.scenarios import scenario_names

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
