"""The threaded VecEnv against single environments stepped by hand."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from streamflow_agents.training.vec_env import ThreadedVecEnv
from tests.agents.training.fake_cell import FakeCell

NUM_CELLS, HORIZON = 5, 7


def make_cells(num_threads: int, seed: int = 3) -> ThreadedVecEnv:
    return ThreadedVecEnv(
        [lambda: FakeCell(HORIZON)] * NUM_CELLS, num_threads=num_threads, seed=seed, seed_limit=1_000_000
    )


@pytest.fixture
def cells() -> Iterator[ThreadedVecEnv]:
    cells = make_cells(num_threads=2)
    yield cells
    cells.close()


def last_seeds(cells: ThreadedVecEnv) -> list[int]:
    return [seeds[-1] for seeds in cells.get_attr("seeds")]


def actions(step: int) -> NDArray[np.float32]:
    return np.random.default_rng(step).uniform(-1.5, 1.5, (NUM_CELLS, 3)).astype(np.float32)


def test_each_cell_goes_as_it_would_alone(cells: ThreadedVecEnv) -> None:
    observations = cells.reset()
    alone = [FakeCell(HORIZON) for _ in range(NUM_CELLS)]
    expected = [env.reset(seed=seed)[0] for env, seed in zip(alone, last_seeds(cells), strict=True)]
    np.testing.assert_array_equal(observations, expected)
    for step in range(3 * HORIZON + 2):
        stepped, rewards, ended, infos = cells.step(actions(step))
        for index, env in enumerate(alone):
            observation, reward, terminated, truncated, info = env.step(actions(step)[index])
            assert rewards[index] == np.float32(reward)
            assert ended[index] == (terminated or truncated)
            assert infos[index]["reward_terms"] == info["reward_terms"]
            assert infos[index]["TimeLimit.truncated"] is bool(truncated)
            if truncated:
                np.testing.assert_array_equal(infos[index]["terminal_observation"], observation)
                observation, reset_info = env.reset(seed=last_seeds(cells)[index])
                assert cells.reset_infos[index] == reset_info
            else:
                assert "terminal_observation" not in infos[index]
            np.testing.assert_array_equal(np.asarray(stepped)[index], observation)


def test_the_number_of_threads_changes_nothing() -> None:
    trajectories = []
    for num_threads in (1, 4):
        cells = make_cells(num_threads)
        cells.reset()
        trajectories.append([cells.step(actions(step))[:3] for step in range(2 * HORIZON)])
        cells.close()
    for one, four in zip(*trajectories, strict=True):
        for left, right in zip(one, four, strict=True):
            np.testing.assert_array_equal(left, right)


def test_no_two_episodes_are_alike_and_none_is_held_out(cells: ThreadedVecEnv) -> None:
    cells.reset()
    for step in range(4 * HORIZON):
        cells.step(actions(step))
    seeds = [seed for seeds in cells.get_attr("seeds") for seed in seeds]
    assert len(seeds) == NUM_CELLS * 5
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 1_000_000 for seed in seeds)


def test_returned_arrays_are_the_callers(cells: ThreadedVecEnv) -> None:
    first = cells.reset()
    kept = first.copy()
    _, rewards, _, _ = cells.step(actions(0))
    kept_rewards = rewards.copy()
    cells.step(actions(1))
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(rewards, kept_rewards)


def test_seed_starts_the_streams_anew(cells: ThreadedVecEnv) -> None:
    first = [(cells.seed(11), cells.reset(), last_seeds(cells))[2] for _ in range(2)]
    assert first[0] == first[1]


def test_attributes_and_methods_of_the_cells(cells: ThreadedVecEnv) -> None:
    assert cells.get_attr("horizon") == [HORIZON] * NUM_CELLS
    cells.set_attr("horizon", 9, indices=[1])
    assert cells.get_attr("horizon", indices=[0, 1]) == [HORIZON, 9]
    assert cells.env_is_wrapped(type(None)) == [False] * NUM_CELLS  # type: ignore[arg-type]
    assert len(cells.env_method("reset", seed=5, indices=2)) == 1


def test_an_error_in_a_cell_reaches_the_caller(cells: ThreadedVecEnv) -> None:
    cells.reset()
    with pytest.raises(ValueError, match="shorter"):
        cells.step(np.zeros((NUM_CELLS, 2), dtype=np.float32))
