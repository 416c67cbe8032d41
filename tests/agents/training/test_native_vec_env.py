"""The environment's own vector behind Stable-Baselines3's interface, against single environments stepped by threads."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from streamflow_agents.training.native_vec_env import Cut, NativeVecEnv
from streamflow_agents.training.task import CutShort
from streamflow_agents.training.vec_env import Cell, ThreadedVecEnv
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.environment.vector_env import StreamFlowVectorEnv
from streamflow_env.errors import ConfigError
from streamflow_env.system import load_system

SYSTEM = load_system()
NUM = 3
SHORT: dict[str, Any] = {
    "name": "short",
    "horizon_s": 60,
    "traffic": {"kind": "ramps", "start_hour": [19, 20], "level": [1.0, 3.0]},
}
BELOW, PATIENCE = 0.9, 2
FIRST = np.array([1, 3, 50])


def make(*, cut: Cut | None = None, **arguments: Any) -> NativeVecEnv:
    env = StreamFlowVectorEnv(NUM, SHORT, system=SYSTEM, autoreset_mode=AutoresetMode.DISABLED, **arguments)
    return NativeVecEnv(env, seed=3, seed_limit=1_000_000, cut=cut)


def make_threaded(wrap: Callable[[Cell, int], Cell]) -> ThreadedVecEnv:
    makers = [partial(lambda steps: wrap(StreamFlowEnv(SHORT, system=SYSTEM), steps), int(steps)) for steps in FIRST]
    return ThreadedVecEnv(makers, seed=3, seed_limit=1_000_000)


def actions(step: int) -> NDArray[np.float32]:
    return np.random.default_rng(step).uniform(-1.2, 1.2, (NUM, len(SYSTEM.control_table))).astype(np.float32)


def assert_same_steps(ours: NativeVecEnv, theirs: ThreadedVecEnv, num_steps: int) -> NDArray[np.int64]:
    """Which also counts the episodes that ended in each cell."""
    np.testing.assert_array_equal(ours.reset(), theirs.reset())
    assert ours.reset_infos == theirs.reset_infos
    num_ended = np.zeros(NUM, dtype=np.int64)
    for step in range(num_steps):
        observations, rewards, ended, infos = ours.step(actions(step))
        expected = theirs.step(actions(step))
        for mine, other in zip((observations, rewards, ended), expected[:3], strict=True):
            mine, other = np.asarray(mine), np.asarray(other)
            assert (mine.dtype, mine.tobytes()) == (other.dtype, other.tobytes())
        for info, other_info in zip(infos, expected[3], strict=True):
            assert ("terminal_observation" in info) == ("terminal_observation" in other_info)
            last, other_last = info.pop("terminal_observation", None), other_info.pop("terminal_observation", None)
            np.testing.assert_array_equal(last, other_last)
            assert info == other_info
        assert ours.reset_infos == theirs.reset_infos
        num_ended += ended
    return num_ended


@pytest.mark.parametrize("num_threads", [1, 2])
def test_it_steps_as_single_environments_do(num_threads: int) -> None:
    ours, theirs = make(num_threads=num_threads), make_threaded(lambda cell, _: cell)
    assert assert_same_steps(ours, theirs, 9).tolist() == [2, 2, 2]
    assert ours.seed(8) == theirs.seed(8)
    ours.set_options([{"episode_seed": seed} for seed in (5, 6, 7)])
    theirs.set_options([{"episode_seed": seed} for seed in (5, 6, 7)])
    assert_same_steps(ours, theirs, 5)
    ours.close()
    theirs.close()


def test_it_cuts_episodes_short_as_the_wrapper_does() -> None:
    ours = make(cut=Cut(BELOW, PATIENCE, FIRST))
    theirs = make_threaded(lambda cell, steps: CutShort(cell, BELOW, PATIENCE, steps))
    num_ended = assert_same_steps(ours, theirs, 12)
    assert (num_ended > 3).any(), "nothing was cut short"
    theirs.close()


def test_the_end_at_the_horizon_is_a_time_limit() -> None:
    env = make()
    env.reset()
    for step in range(4):
        observations, _, ended, infos = env.step(actions(step))
    assert np.asarray(ended).all()
    for cell, info in enumerate(infos):
        assert info["TimeLimit.truncated"] is True
        assert not np.array_equal(info["terminal_observation"], np.asarray(observations)[cell])
        assert env.env.single_observation_space.contains(info["terminal_observation"])


def test_returned_arrays_are_the_callers() -> None:
    env = make()
    first = env.reset()
    kept = first.copy()
    second, *_ = env.step(actions(0))
    kept_second = np.array(second)
    env.step(actions(1))
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(np.asarray(second), kept_second)


def test_attributes_are_one_for_all_cells() -> None:
    env = make()
    assert env.get_attr("num_envs", indices=[0, 1]) == [NUM, NUM]
    env.set_attr("note", "a")
    assert env.get_attr("note") == ["a"] * NUM
    assert env.env_is_wrapped(CutShort) == [False] * NUM
    with pytest.raises(ConfigError, match="one for all"):
        env.set_attr("note", "b", indices=[0])
    with pytest.raises(ConfigError, match="none of their own"):
        env.env_method("reset")
    with pytest.raises(ConfigError, match="Disabled"):
        NativeVecEnv(StreamFlowVectorEnv(1, SHORT, system=SYSTEM), seed_limit=10)
