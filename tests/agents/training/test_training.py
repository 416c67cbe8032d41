"""Training without a simulator: the policy's start, the files of a run, the errors of wrong settings."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecNormalize
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from streamflow_agents.policies.networks import DefaultStartPolicy, ToBox
from streamflow_agents.training.algorithms import PpoSettings, build_model, load_settings
from streamflow_agents.training.run import TrainingArguments, make_run_folder, train
from streamflow_agents.training.vec_env import SeededVecEnv
from streamflow_env.errors import ConfigError
from streamflow_env.paths import config_path
from streamflow_env.system.schema import load, read_yaml
from tests.agents.training import kept
from tests.agents.training.fake_cells import CONTROLS, DO_NOTHING, FakeCell, FakeCells
from tests.agents.training.fake_task import TASK, Constant, fake_arguments, judge


def settings(**changes: Any) -> PpoSettings:
    return load(
        PpoSettings, {**read_yaml(config_path("training", "ppo")), "num_steps": 32, "batch_size": 64, **changes}
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run, which no test changes."""
    return train(fake_arguments(tmp_path_factory.mktemp("runs")), TASK, settings())


def untrained(std: float = 0.1) -> PPO:
    cells = SeededVecEnv(FakeCells(64), seed_limit=1_000_000)
    model = build_model("ppo", settings(start_std=std), VecNormalize(cells, norm_obs=False), DO_NOTHING, seed=0)
    assert isinstance(model, PPO)
    return model


def test_an_untrained_policy_takes_the_default_action() -> None:
    model = untrained()
    observations = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
    chosen, _ = model.predict(observations, deterministic=True)
    np.testing.assert_allclose(chosen, np.tile(DO_NOTHING, (100, 1)), atol=0.03)


def test_exploration_starts_at_the_configured_size() -> None:
    model = untrained(std=0.05)
    observations = torch.as_tensor(FakeCell().reset(seed=0)[0]).repeat(64, 1)
    model.policy.reset_noise(64)
    with torch.no_grad():
        sampled, _, _ = model.policy(observations)
    assert sampled.std(dim=0).numpy() == pytest.approx(0.05, rel=0.4)


def test_exploration_noise_persists_between_draws() -> None:
    model = untrained()
    observations = torch.as_tensor(FakeCell().reset(seed=0)[0]).repeat(64, 1)
    model.policy.reset_noise(64)
    with torch.no_grad():
        first, second = model.policy(observations)[0], model.policy(observations)[0]
    torch.testing.assert_close(first, second)


def test_means_at_an_end_of_the_axis_can_come_back_but_not_leave() -> None:
    means = torch.tensor([1.4, 1.4, -1.4, -1.4, 0.3, 0.3], requires_grad=True)
    bounded = ToBox()(means)
    assert bounded.detach().numpy() == pytest.approx([1.0, 1.0, -1.0, -1.0, 0.3, 0.3])
    bounded.backward(torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0]))
    assert means.grad is not None
    assert means.grad.tolist() == [1.0, 0.0, 0.0, -1.0, 1.0, -1.0]


def test_a_run_leaves_everything_behind(run: Path) -> None:
    assert {"policy.npz", "final_policy.npz", "checkpoints", "config.yaml", "versions.txt"} <= {
        path.name for path in run.iterdir()
    }
    assert [path.name for path in sorted((run / "checkpoints").iterdir())] == [f"{n:012d}" for n in (0, 256, 512)]
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["arguments"]["total_steps"] == 512
    assert config["hyperparameters"]["num_steps"] == 32
    assert config["system"] == {"name": "fake"}
    assert config["versions"]["torch"] == torch.__version__
    assert "torch==" in (run / "versions.txt").read_text()
    policy = kept.policy(run)
    assert isinstance(policy.network, DefaultStartPolicy)
    assert policy.predict(np.zeros(4, dtype=np.float32))[0].shape == (len(CONTROLS),)


def test_tensorboard_shows_the_run(run: Path) -> None:
    log = EventAccumulator(str(run))
    log.Reload()
    tags = set(log.Tags()["scalars"])
    expected = {
        "eval/return",
        "metrics/sla_fraction",
        "metrics/sla_miss_fraction",
        "metrics/errors_429",
        "reward/lateness",
        "controls/threshold",
        "action_mean/threshold",
        "action_std/threshold",
        "rollout/ep_rew_mean",
        "train/value_loss",
    }
    assert expected <= tags
    assert "metrics/response_p95_s" not in tags  # never finite here
    assert [event.step for event in log.Scalars("eval/return")] == [0, 256, 512]
    assert {"configuration/arguments/text_summary", "configuration/system/text_summary"} <= set(log.Tags()["tensors"])
    line = EventAccumulator(str(run / "baseline-do_nothing"))
    line.Reload()
    assert [event.step for event in line.Scalars("eval/return")] == [0, 256, 512]
    assert len({event.value for event in line.Scalars("eval/return")}) == 1


def test_training_learns(tmp_path: Path) -> None:
    quick = settings(learning_rate=6e-3, num_epochs=5, start_std=0.2, discount=0.9)
    folder = train(fake_arguments(tmp_path, total_steps=4_000, evaluate_every=1_000), TASK, quick)
    trained = judge(kept.policy(folder))["return"]
    assert trained > judge(Constant())["return"] + 2.0


def test_same_seed_same_policy(run: Path, tmp_path: Path) -> None:
    folders = run, train(fake_arguments(tmp_path), TASK, settings())
    first, second = ((folder / "final_policy.npz").read_bytes() for folder in folders)
    assert first == second


def test_two_runs_at_once_do_not_collide(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(make_run_folder, [fake_arguments(tmp_path)] * 16))
    assert len(set(folders)) == 16
    assert all(folder.is_dir() for folder in folders)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rte": 1e-3}, "learning_rte: unknown key"),
        ({"discount": 1.5}, "discount = 1.5"),
        ({"num_steps": 0}, "num_steps = 0"),
        ({"num_steps": "64"}, "num_steps = '64'"),
        ({"hidden_layers": []}, "hidden_layers"),
    ],
)
def test_a_wrong_setting_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings(**changes)


@pytest.mark.parametrize("name", ["total_steps", "num_cells", "num_threads", "evaluate_every", "seed"])
def test_a_wrong_argument_is_named_before_anything_is_made(name: str, tmp_path: Path) -> None:
    wrong: dict[str, Any] = {name: -1}
    with pytest.raises(ConfigError, match=f"{name} -1"):
        TrainingArguments(out=str(tmp_path / "runs"), **wrong)
    assert not (tmp_path / "runs").exists()


def test_an_unknown_algorithm_lists_the_known() -> None:
    with pytest.raises(ConfigError, match="ppo"):
        load_settings("ppq")
