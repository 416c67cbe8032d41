"""The vector of cells behind Stable-Baselines3's interface, against single environments stepped by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from streamflow_agents.training.vec_env import Cut, SeededVecEnv
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.environment.rewards import REWARD_TERMS
from streamflow_env.environment.vector_env import StreamFlowVectorEnv
from streamflow_env.errors import ConfigError
from streamflow_env.system import load_system
from tests.agents.training.fake_cells import DO_NOTHING, FakeCell, FakeCells

SYSTEM = load_system()
NUM, HORIZON, SEED, SEED_LIMIT = 3, 7, 3, 1_000_000
SHORT: dict[str, Any] = {
    "name": "short",
    "horizon_s": 60,
    "traffic": {"kind": "ramps", "start_hour": [19, 20], "level": [1.0, 3.0]},
}
CUT = Cut(below=0.9, patience_steps=2, first_steps=np.array([1, 3, 50]))
Single = gym.Env[NDArray[np.float32], NDArray[np.float32]]


def fake(cut: Cut | None = None) -> SeededVecEnv:
    return SeededVecEnv(FakeCells(NUM, HORIZON), seed=SEED, seed_limit=SEED_LIMIT, cut=cut)


def simulated(*, cut: Cut | None = None, **arguments: Any) -> SeededVecEnv:
    env = StreamFlowVectorEnv(NUM, SHORT, system=SYSTEM, autoreset_mode=AutoresetMode.DISABLED, **arguments)
    return SeededVecEnv(env, seed=SEED, seed_limit=SEED_LIMIT, cut=cut)


def alone() -> list[Single]:
    return [StreamFlowEnv(SHORT, system=SYSTEM) for _ in range(NUM)]


def actions(cells: SeededVecEnv, step: int) -> NDArray[np.float32]:
    shape = (NUM, *(cells.action_space.shape or ()))
    return np.random.default_rng(step).uniform(-1.2, 1.2, shape).astype(np.float32)


def last_seeds(cells: SeededVecEnv) -> list[int]:
    return [info["episode_seed"] for info in cells.reset_infos]


def assert_bitwise(mine: Any, other: Any) -> None:
    mine, other = np.asarray(mine), np.asarray(other)
    assert (mine.dtype, mine.tobytes()) == (other.dtype, other.tobytes())


def assert_as_alone(
    cells: SeededVecEnv, envs: Sequence[Single], num_steps: int, cut: Cut | None = None
) -> NDArray[np.int64]:
    """`cells` step as `envs` do, one by one; returns how many episodes ended in each cell."""
    observations = cells.reset()
    for index, env in enumerate(envs):
        observation, info = env.reset(options={"episode_seed": last_seeds(cells)[index]})
        assert_bitwise(observations[index], observation)
        np.testing.assert_equal(cells.reset_infos[index], info)
    collapsed, num_ended = [0] * NUM, np.zeros(NUM, dtype=np.int64)
    for step in range(num_steps):
        chosen = actions(cells, step)
        stepped, rewards, ended, infos = cells.step(chosen)
        for index, env in enumerate(envs):
            observation, reward, terminated, truncated, info = env.step(chosen[index])
            if cut is not None:
                collapsed[index] = collapsed[index] + 1 if info["metrics"]["sla_fraction"] < cut.below else 0
                truncated |= collapsed[index] >= cut.patience_steps or step + 1 == cut.first_steps[index]
            expected = {**info, "TimeLimit.truncated": truncated and not terminated}
            if terminated or truncated:
                expected["terminal_observation"] = observation
                observation, reset_info = env.reset(options={"episode_seed": last_seeds(cells)[index]})
                np.testing.assert_equal(cells.reset_infos[index], reset_info)
                collapsed[index] = 0
            np.testing.assert_equal(infos[index], expected)
            assert_bitwise(rewards[index], np.float32(reward))
            assert ended[index] == (terminated or truncated)
            assert_bitwise(np.asarray(stepped)[index], observation)
        num_ended += ended
    return num_ended


def test_each_cell_goes_as_it_would_alone() -> None:
    num_ended = assert_as_alone(fake(), [FakeCell(HORIZON) for _ in range(NUM)], 3 * HORIZON + 2)
    assert num_ended.tolist() == [3] * NUM


@pytest.mark.parametrize("num_threads", [1, 2])
def test_it_steps_as_single_environments_do(num_threads: int) -> None:
    cells, envs = simulated(num_threads=num_threads), alone()
    assert assert_as_alone(cells, envs, 9).tolist() == [2, 2, 2]
    cells.set_options([{"episode_seed": seed} for seed in (5, 6, 7)])
    assert_as_alone(cells, envs, 3)
    assert last_seeds(cells) == [5, 6, 7]
    cells.close()


def test_costs_are_an_array_of_each_cell() -> None:
    cells = simulated()
    cells.reset()
    *_, infos = cells.step(actions(cells, 0))
    for info in (*cells.reset_infos, *infos):
        assert type(info["costs"]) is np.ndarray
        assert (info["costs"].dtype, info["costs"].shape) == (np.float64, (len(REWARD_TERMS),))
        assert type(info["cost"]) is float
        assert info["costs"].tolist() == [0.0 - value for value in info["reward_terms"].values()]


def test_it_cuts_episodes_short() -> None:
    num_ended = assert_as_alone(simulated(cut=CUT), alone(), 12, CUT)
    assert (num_ended > 3).any(), "nothing was cut short"


def test_collapsed_episodes_and_the_first_are_cut_short() -> None:
    healthy, awful = np.array([DO_NOTHING], dtype=np.float32), np.array([[-1, -1, 1]], dtype=np.float32)
    cut = Cut(below=0.5, patience_steps=3, first_steps=np.array([5]))
    cells = SeededVecEnv(FakeCells(1, horizon=100), seed_limit=SEED_LIMIT, cut=cut)
    cells.reset()
    assert [cells.step(healthy)[2][0] for _ in range(5)] == [False, False, False, False, True]
    assert [cells.step(action)[2][0] for action in (awful, awful, healthy, awful, awful, awful)] == [False] * 5 + [True]
    assert not any(cells.step(action)[2][0] for action in [awful, awful, healthy] * 10)


def test_the_end_at_the_horizon_is_a_time_limit() -> None:
    cells = simulated()
    cells.reset()
    for step in range(4):
        observations, _, ended, infos = cells.step(actions(cells, step))
    assert np.asarray(ended).all()
    for index, info in enumerate(infos):
        assert info["TimeLimit.truncated"] is True
        assert not np.array_equal(info["terminal_observation"], np.asarray(observations)[index])
        assert cells.observation_space.contains(info["terminal_observation"])


def test_each_cell_draws_its_seeds_from_a_stream_of_its_own() -> None:
    cells, seen = fake(), []
    cells.reset()
    for step in range(3 * HORIZON):
        if step % HORIZON == 0:
            seen.append(last_seeds(cells))
        cells.step(actions(cells, step))
    streams = [np.random.default_rng(child) for child in np.random.SeedSequence(SEED).spawn(NUM)]
    assert seen == [[int(stream.integers(SEED_LIMIT)) for stream in streams] for _ in range(3)]


@pytest.mark.parametrize("seed_limit", [SEED_LIMIT, 5])
def test_no_seed_reaches_the_limit(seed_limit: int) -> None:
    fakes = FakeCells(5, HORIZON)
    cells = SeededVecEnv(fakes, seed=SEED, seed_limit=seed_limit)
    cells.reset()
    for _ in range(4 * HORIZON):
        cells.step(np.zeros((5, 3), dtype=np.float32))
    seeds = [seed for cell in fakes.cells for seed in cell.seeds]
    assert len(seeds) == 5 * 5
    assert all(seed is not None and 0 <= seed < seed_limit for seed in seeds)
    if seed_limit == SEED_LIMIT:
        assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize("make", [fake, simulated])
def test_returned_arrays_are_the_callers(make: Any) -> None:
    cells = make()
    first = cells.reset()
    kept = first.copy()
    second, rewards, *_ = cells.step(actions(cells, 0))
    kept_second, kept_rewards = np.array(second), rewards.copy()
    cells.step(actions(cells, 1))
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(np.asarray(second), kept_second)
    np.testing.assert_array_equal(rewards, kept_rewards)


def test_seed_starts_the_streams_anew() -> None:
    cells = fake()
    drawn = [(cells.seed(11), cells.reset(), last_seeds(cells))[2] for _ in range(2)]
    assert drawn[0] == drawn[1]


def test_attributes_are_one_for_all_cells() -> None:
    cells = fake()
    assert cells.get_attr("horizon") == [HORIZON] * NUM
    assert cells.get_attr("num_envs", indices=[0, 1]) == [NUM, NUM]
    cells.set_attr("note", "a")
    assert cells.get_attr("note") == ["a"] * NUM
    assert cells.env_is_wrapped(gym.Wrapper) == [False] * NUM
    with pytest.raises(ConfigError, match="one for all"):
        cells.set_attr("note", "b", indices=[0])
    with pytest.raises(ConfigError, match="no methods of their own"):
        cells.env_method("reset")
    with pytest.raises(ConfigError, match="Disabled"):
        SeededVecEnv(StreamFlowVectorEnv(1, SHORT, system=SYSTEM), seed_limit=10)


def test_an_error_in_a_cell_reaches_the_caller() -> None:
    cells = fake()
    cells.reset()
    with pytest.raises(ValueError, match="shorter"):
        cells.step(np.zeros((2, 3), dtype=np.float32))
