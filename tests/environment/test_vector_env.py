"""The vector environment is N single environments, bit for bit, under every convention of autoreset."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numpy.typing import NDArray

import streamflow_env
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.environment.infos import of_cell
from streamflow_env.environment.rewards import REWARD_GROUPS, REWARD_TERMS
from streamflow_env.environment.vector_env import StreamFlowVectorEnv
from streamflow_env.errors import ConfigError
from streamflow_env.system import load_system

SYSTEM = load_system()
NUM = 3
INCIDENT = {"kind": "slowdown", "service": "auth", "start_s": 15, "factor": 8, "duration_s": 30}
CAMPAIGN = {
    "kind": "campaign", "messages_class": "push", "opens_class": "feed", "start_s": 30, "num_messages": 1000,
    "spread_s": 15, "open_fraction": 0.2, "opens_delay_s": 0, "opens_spread_s": 20, "announced_s": 15,
}  # fmt: skip
SHORT: dict[str, Any] = {
    "name": "short",
    "horizon_s": 45,
    "traffic": {"kind": "ramps", "start_hour": [19, 20], "level": [1.0, 3.0]},
    "incidents": [INCIDENT, CAMPAIGN],
}
MODES = pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])


def make(num_envs: int = NUM, **arguments: Any) -> StreamFlowVectorEnv:
    return StreamFlowVectorEnv(num_envs, **{"scenario": SHORT, "system": SYSTEM, **arguments})


def make_sync(mode: AutoresetMode, num_envs: int = NUM, **arguments: Any) -> SyncVectorEnv[Any, Any]:
    settings = {"scenario": SHORT, "system": SYSTEM, **arguments}
    return SyncVectorEnv([lambda: StreamFlowEnv(**settings)] * num_envs, autoreset_mode=mode)


def actions(step: int, num_envs: int = NUM) -> NDArray[np.float32]:
    """Random actions, some beyond the box, and now and then the default action."""
    drawn = np.random.default_rng(step).uniform(-1.2, 1.2, (num_envs, len(SYSTEM.control_table)))
    found = SYSTEM.control_table.action(SYSTEM.control_table.default)
    return np.where(step % 3 == 0, found, drawn).astype(np.float32)


def assert_same(ours: Any, theirs: Any) -> None:
    """Equal to the last bit, types and keys included."""
    if isinstance(theirs, dict):
        assert set(ours) == set(theirs)
        for key, value in theirs.items():
            assert_same(ours[key], value)
    elif isinstance(theirs, tuple):
        assert len(ours) == len(theirs)
        for mine, other in zip(ours, theirs, strict=True):
            assert_same(mine, other)
    elif isinstance(theirs, np.ndarray):
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        if theirs.dtype == object:
            assert_same(tuple(ours), tuple(theirs))
        else:
            assert ours.tobytes() == theirs.tobytes()
    else:
        assert ours == theirs


@MODES
@pytest.mark.parametrize("num_threads", [1, 2])
def test_it_is_gymnasiums_own_vector_of_single_environments(mode: AutoresetMode, num_threads: int) -> None:
    ours, theirs = make(autoreset_mode=mode, num_threads=num_threads), make_sync(mode)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert ours.metadata == theirs.metadata
    assert_same(ours.reset(seed=5), theirs.reset(seed=5))
    for step in range(10):
        assert_same(ours.step(actions(step)), theirs.step(actions(step)))
    ours.close()


@MODES
def test_cells_at_different_times_of_their_episodes(mode: AutoresetMode) -> None:
    """A mask resets some cells: from then on their episodes end at other steps."""
    ours, theirs = make(autoreset_mode=mode), make_sync(mode)
    assert_same(ours.reset(seed=[4, 9, 2]), theirs.reset(seed=[4, 9, 2]))
    assert_same(ours.step(actions(0)), theirs.step(actions(0)))
    mask = np.array([False, True, False])
    some = [env.reset(seed=[1, None, 1], options={"reset_mask": mask.copy()}) for env in (ours, theirs)]
    assert_same(*some)
    for step in range(1, 9):
        assert_same(ours.step(actions(step)), theirs.step(actions(step)))


def test_the_reference_engine_too() -> None:
    ours, theirs = make(2, engine="reference"), make_sync(AutoresetMode.NEXT_STEP, 2)
    assert_same(ours.reset(seed=1), theirs.reset(seed=1))
    for step in range(2):
        assert_same(ours.step(actions(step, 2)), theirs.step(actions(step, 2)))


def test_without_a_warm_up() -> None:
    system = load_system({**SYSTEM.model_dump(exclude_unset=True), "warmup_s": 0.0})
    ours, theirs = make(system=system), make_sync(AutoresetMode.NEXT_STEP, system=system)
    assert_same(ours.reset(seed=1), theirs.reset(seed=1))
    assert_same(ours.step(actions(1)), theirs.step(actions(1)))


def test_many_cells_and_a_mixture() -> None:
    """So many that numpy takes other paths through its loops."""
    ours = make(64, scenario="mixed")
    observations, _ = ours.reset(options={"episode_seed": np.arange(64)})
    alone = StreamFlowEnv("mixed", system=SYSTEM)
    stepped = [ours.step(actions(step, 64)) for step in range(1, 3)]
    for cell in (0, 17, 38, 63):
        observation, _ = alone.reset(options={"episode_seed": cell})
        assert_same(observations[cell], observation)
        for step, (many, rewards, _, _, infos) in enumerate(stepped, start=1):
            observation, reward, _, _, info = alone.step(actions(step, 64)[cell])
            assert_same(many[cell], observation)
            assert rewards[cell] == reward
            assert_same(of_cell(infos, cell), info)


def test_without_autoreset_an_ended_cell_is_reset_by_mask() -> None:
    env = make(autoreset_mode=AutoresetMode.DISABLED)
    env.reset(options={"episode_seed": [7, 8, 9]})
    for step in range(3):
        _, _, _, truncated, _ = env.step(actions(step))
    assert truncated.all()
    with pytest.raises(ResetNeeded, match="reset_mask"):
        env.step(actions(3))
    env.reset(options={"reset_mask": truncated, "episode_seed": 3})
    assert [episode.seed for episode in env.episodes] == [3, 3, 3]
    env.step(actions(4))


def assert_nothing_cost(infos: dict[str, Any], cells: NDArray[np.bool_]) -> None:
    """The `cells` begin an episode; the others do not."""
    of_terms = [values for key, values in infos["reward_terms"].items() if not key.startswith("_")]
    for values in (infos["costs"], np.stack(of_terms, axis=-1)):
        assert values.shape == (len(cells), len(REWARD_TERMS))
        np.testing.assert_array_equal(values.any(axis=1), ~cells)
    assert infos["cost"].shape == cells.shape
    assert not infos["cost"][cells].any()


@pytest.mark.parametrize("mode", AutoresetMode)
def test_every_cell_has_its_costs_at_each_reset_and_step(mode: AutoresetMode) -> None:
    env = make(autoreset_mode=mode)
    _, infos = env.reset(seed=1)
    assert_nothing_cost(infos, np.ones(NUM, dtype=bool))
    keys, ended = set(infos), np.zeros(NUM, dtype=bool)
    for step in range(1, 9):
        if mode == AutoresetMode.DISABLED and ended.any():
            _, infos = env.reset(options={"reset_mask": ended})
            assert set(infos) == keys
            assert_nothing_cost(infos, np.ones(NUM, dtype=bool))
        _, rewards, _, truncated, infos = env.step(actions(step))
        beginning = {AutoresetMode.NEXT_STEP: ended, AutoresetMode.SAME_STEP: truncated}.get(mode, np.zeros_like(ended))
        assert keys <= set(infos)
        assert all(infos[key].all() for key in infos if key.startswith("_"))
        assert_nothing_cost(infos, beginning)
        last = infos.get("final_info", infos)
        np.testing.assert_allclose(rewards, -last["costs"].sum(axis=1), rtol=1e-12)
        np.testing.assert_array_equal(last["cost"], last["costs"][:, : len(REWARD_GROUPS["sla"])].sum(axis=1))
        ended = truncated


def test_only_the_cells_of_a_mask_have_costs_after_its_reset() -> None:
    env = make(autoreset_mode=AutoresetMode.DISABLED)
    env.reset(seed=1)
    mask = np.array([True, False, True])
    _, infos = env.reset(options={"reset_mask": mask})
    for key in ("reward_terms", "costs", "cost"):
        np.testing.assert_array_equal(infos[f"_{key}"], mask)


def test_metrics_can_be_left_out() -> None:
    env = make(metrics=False)
    env.reset(seed=0)
    *_, infos = env.step(actions(0))
    assert "metrics" not in infos
    assert {"reward_terms", "costs", "cost", "controls", "time_s", "scenario", "episode_seed"} <= set(infos)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copy_in_mid_episode_goes_on_identically(duplicate: Any) -> None:
    env = make(num_threads=2)
    env.reset(seed=2)
    env.step(actions(1))
    other = duplicate(env)
    for step in range(2, 6):
        assert_same(other.step(actions(step)), env.step(actions(step)))


def test_arrays_of_a_cell_grow_as_they_must() -> None:
    """In an overload the first sizes do not do; and so many come that their buffer does not either."""
    crowd = {**SHORT, "traffic": {"kind": "ramps", "start_hour": [19, 20], "level": [8.0, 8.0]}}
    ours, theirs = make(2, scenario=crowd), make_sync(AutoresetMode.NEXT_STEP, 2, scenario=crowd)
    assert_same(ours.reset(seed=3), theirs.reset(seed=3))
    for step in range(3):
        assert_same(ours.step(actions(step, 2)), theirs.step(actions(step, 2)))
    engine: Any = ours._fleet._engines[0]
    assert engine._state.requests.size > 512
    assert len(engine._arrivals.stream.buffer) > 4096


@pytest.mark.parametrize("name", streamflow_env.ENV_IDS)
def test_every_id_makes_it(name: str) -> None:
    env = gymnasium.make_vec(name, num_envs=2, vectorization_mode="vector_entry_point")
    assert isinstance(env, StreamFlowVectorEnv)
    assert env.num_envs == 2
    assert env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert env.spec is not None
    assert env.spec.id == name


def test_gymnasium_makes_it_by_default_with_its_options() -> None:
    env = gymnasium.make_vec("StreamFlow-Normal-v1", num_envs=2, autoreset_mode="SameStep", num_threads=2)
    assert isinstance(env, StreamFlowVectorEnv)
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    statistics = gymnasium.wrappers.vector.RecordEpisodeStatistics(env)
    statistics.reset(seed=0)
    statistics.step(np.tile(env.problem.default_action, (2, 1)))
    statistics.close()


def test_what_cannot_be_used_is_said() -> None:
    env = make()
    with pytest.raises(ResetNeeded, match="reset"):
        env.step(actions(0))
    with pytest.raises(ResetNeeded, match="all cells"):
        env.reset(options={"reset_mask": np.array([True, False, False])})
    for options, match in (
        ({"seed": 1}, "known: episode_seed, reset_mask"),
        ({"episode_seed": [1, 2]}, "each of the 3"),
        ({"episode_seed": [1, 2, -1]}, "must be an integer"),
        ({"reset_mask": [True]}, "3 booleans"),
        ({"reset_mask": np.zeros(3, dtype=bool)}, "one of them"),
    ):
        with pytest.raises(ConfigError, match=match):
            env.reset(options=options)
    with pytest.raises(ConfigError, match="each of the 3"):
        env.reset(seed=[1, 2])
    env.reset(seed=0)
    with pytest.raises(ConfigError, match="shape"):
        env.step(actions(0)[0])
    broken = actions(1)
    broken[1, 2] = np.nan
    with pytest.raises(ConfigError, match=SYSTEM.control_table.names[2]):
        env.step(broken)
    assert (env.time_s == 0.0).all()
    for arguments in ({"num_envs": 0}, {"num_threads": 0}):
        with pytest.raises(ConfigError, match="at least 1"):
            make(**arguments)


def test_importing_it_leaves_torch_alone() -> None:
    code = "import sys, streamflow_env.environment.vector_env; print({'torch', 'stable_baselines3'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
