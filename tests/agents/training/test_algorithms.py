"""Every algorithm by name: it starts at the default action, trains, goes on, and is loaded and evaluated."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3.common.vec_env import VecNormalize

from streamflow_agents.training.algorithms import ALGORITHMS, Settings, build_model, find_algorithm, load_settings
from streamflow_agents.training.run import read_run, resume, train
from streamflow_agents.training.vec_env import SeededVecEnv
from streamflow_env.errors import ConfigError
from streamflow_env.paths import config_names, config_path
from streamflow_env.system.schema import load, read_yaml
from tests.agents.training import kept
from tests.agents.training.fake_cells import DO_NOTHING, FakeCell, FakeCells
from tests.agents.training.fake_task import TASK as SHORT_TASK
from tests.agents.training.fake_task import fake_arguments, judge

TASK = replace(SHORT_TASK, make_cells=partial(FakeCells, horizon=16))
"""Its episodes are as long as a rollout of `SMALL`, or half of it."""

SMALL: dict[str, dict[str, Any]] = {
    "ppo": {"num_steps": 32, "batch_size": 64, "num_epochs": 2},
    "recurrent_ppo": {"num_steps": 32, "batch_size": 64, "num_epochs": 2, "memory_size": 8},
    "same_luck_ppo": {"num_steps": 32, "batch_size": 64, "num_epochs": 2, "group_size": 2, "residual": None},
    "sac": {"num_steps": 8, "num_updates": 4, "batch_size": 32, "first_update_at": 64, "hidden_layers": [32]},
    "tqc": {"num_steps": 8, "num_updates": 4, "batch_size": 32, "first_update_at": 64, "hidden_layers": [32]},
}


def small(name: str, **changes: Any) -> Settings:
    shipped = read_yaml(config_path("training", name))
    return load(find_algorithm(name).settings, {**shipped, **SMALL[name], **changes})


def start(name: str, out: Path, total_steps: int = 256) -> Path:
    return train(fake_arguments(out, name, total_steps, evaluate_every=128), TASK, small(name))


def test_each_has_its_hyperparameters_in_a_file() -> None:
    assert set(ALGORITHMS) == set(config_names("training")) == set(SMALL)
    for name in ALGORITHMS:
        assert type(load_settings(name)) is ALGORITHMS[name].settings


@pytest.mark.parametrize("name", ALGORITHMS)
def test_an_unknown_key_is_an_error(name: str) -> None:
    with pytest.raises(ConfigError, match="learning_rte: unknown key"):
        small(name, learning_rte=1.0)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_it_starts_at_the_default_action_with_a_little_noise(name: str) -> None:
    cells = VecNormalize(SeededVecEnv(FakeCells(64), seed_limit=1_000_000), norm_obs=False)
    model = build_model(name, small(name, start_std=0.1), cells, DO_NOTHING, seed=0)
    observations = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    chosen, _ = model.predict(observations, deterministic=True)
    np.testing.assert_allclose(chosen, np.tile(DO_NOTHING, (64, 1)), atol=0.05)
    actor: Any = getattr(model, "actor", model.policy)
    actor.reset_noise(64)
    noisy, _ = model.predict(np.tile(FakeCell().reset(seed=0)[0], (64, 1)))
    assert 0.03 < noisy[:, 0].std() < 0.2


@pytest.mark.parametrize("name", ALGORITHMS)
def test_it_trains_goes_on_and_is_loaded(name: str, tmp_path: Path) -> None:
    folder = start(name, tmp_path)
    before = kept.model(folder, TASK)
    assert before.num_timesteps == 256
    resume(read_run(folder, total_steps=384), TASK)
    after = kept.model(folder, TASK)
    assert after.num_timesteps == 384
    assert after._n_updates > before._n_updates > 0
    assert np.isfinite(judge(kept.policy(folder))["return"])


def test_a_recurrent_policy_remembers_until_the_episode_starts(tmp_path: Path) -> None:
    policy = kept.policy(start("recurrent_ppo", tmp_path, 128))
    with torch.no_grad():
        for weights in policy.network.action_net.parameters():
            weights.mul_(0.5).add_(torch.randn(weights.shape, generator=torch.Generator().manual_seed(0)) * 0.1)
    observations = np.random.default_rng(0).normal(size=(3, 2, 4)).astype(np.float32)
    _, state = policy.predict(observations[0], None, np.array([True, True]), deterministic=True)
    remembering, _ = policy.predict(observations[1], state, np.array([False, True]), deterministic=True)
    fresh, _ = policy.predict(observations[1], None, np.array([True, True]), deterministic=True)
    assert not np.allclose(remembering[0], fresh[0], atol=1e-6)
    np.testing.assert_allclose(remembering[1], fresh[1], atol=1e-6)
