"""Zips of Stable-Baselines3: only with trust; their statistics are found where others keep them, or asked for."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from streamflow_agents.policies.loading import load_policy
from streamflow_env.errors import ConfigError
from tests.agents.training.fake_cells import FakeCell
from tests.agents.training.test_resume import Payload

OBSERVATION = np.array([0.5, 1.0, -1.0, 2.0], np.float32)


def normalised(mean: float = 5.0) -> VecNormalize:
    cells = VecNormalize(DummyVecEnv([FakeCell]))
    assert isinstance(cells.obs_rms, RunningMeanStd)
    cells.obs_rms.mean[:] = mean
    return cells


@pytest.fixture(scope="module")
def zipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "model.zip"
    PPO("MlpPolicy", normalised(), n_steps=8, batch_size=8, seed=0, device="cpu").save(path)
    return path


def load(path: Path | str, *, trust: bool = True) -> Any:
    return load_policy(str(path), FakeCell(), trust=trust)  # type: ignore[arg-type]


def acts(policy: Any) -> Any:
    return policy.predict(OBSERVATION, deterministic=True)[0].tolist()


@pytest.mark.parametrize("name", ["best_model.zip", "other.zip", "other"])
def test_without_trust_it_is_not_loaded(name: str, zipped: Path, tmp_path: Path) -> None:
    path = tmp_path / name
    shutil.copyfile(zipped, path)
    expected = PPO.load(zipped, device="cpu").predict(OBSERVATION, deterministic=True)[0].tolist()
    for source in (path, tmp_path) if name == "best_model.zip" else (path,):
        with pytest.raises(ConfigError, match=r"a zip of Stable-Baselines3 .* runs any code .* --trust"):
            load(source, trust=False)
        assert acts(load(source)) == expected


def test_a_payload_in_the_zip_runs_only_with_trust(tmp_path: Path) -> None:
    made = tmp_path / "made"
    model: Any = PPO("MlpPolicy", DummyVecEnv([FakeCell]), n_steps=8, batch_size=8, device="cpu")
    model.payload = Payload(made)
    model.save(tmp_path / "best_model.zip")
    with pytest.raises(ConfigError, match="--trust"):
        load(tmp_path, trust=False)
    assert not made.exists()
    load(tmp_path)
    assert made.exists()


def test_a_payload_in_the_statistics_runs_only_with_trust(zipped: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    shutil.copyfile(zipped, tmp_path / "best_model.zip")
    (tmp_path / "vecnormalize.pkl").write_bytes(pickle.dumps(Payload(made)))
    with pytest.raises(ConfigError, match="--trust"):
        load(tmp_path, trust=False)
    assert not made.exists()
    with pytest.raises(ConfigError, match=r"vecnormalize\.pkl: holds a NoneType, must be a VecNormalize"):
        load(tmp_path)
    assert made.exists()


@pytest.mark.parametrize(
    ("model", "statistics"),
    [
        ("best_model.zip", "vecnormalize.pkl"),
        ("StreamFlow-v1.zip", "StreamFlow-v1/vecnormalize.pkl"),  # the folder of RL Zoo
        ("models/best_model.zip", "vecnormalize.pkl"),
        ("rl_model_2000_steps.zip", "rl_model_vecnormalize_2000_steps.pkl"),  # of SB3's CheckpointCallback
    ],
)
def test_statistics_are_found_beside_it_and_one_folder_away(
    model: str, statistics: str, zipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run" / model
    (tmp_path / "run" / statistics).parent.mkdir(parents=True)
    path.parent.mkdir(exist_ok=True)
    shutil.copyfile(zipped, path)
    plain, cells = acts(load(path)), normalised()
    cells.save(str(tmp_path / "run" / statistics))
    loaded = PPO.load(zipped, device="cpu")
    expected = loaded.predict(cells.normalize_obs(OBSERVATION), deterministic=True)[0].tolist()
    assert acts(load(path)) == expected != plain
    monkeypatch.chdir(path.parent)
    assert acts(load(path.name)) == expected


def test_where_it_would_be_a_guess_it_asks(zipped: Path, tmp_path: Path) -> None:
    path = tmp_path / "run" / "rl_model_2000_steps.zip"
    for folder in ("a", "b"):
        (path.parent / folder).mkdir(parents=True)
        normalised().save(str(path.parent / folder / "vecnormalize.pkl"))
    shutil.copyfile(zipped, path)
    with pytest.raises(
        ConfigError, match=r"which statistics belong to it\? .*a/vecnormalize\.pkl, .*b/vecnormalize\.p"
    ):
        load(path)
    shutil.rmtree(path.parent / "a")
    shutil.rmtree(path.parent / "b")
    normalised().save(str(path.parent / "rl_model_vecnormalize_1000_steps.pkl"))
    with pytest.raises(ConfigError, match=r"which statistics belong to it\? .*vecnormalize_1000_steps\.pkl"):
        load(path)
    normalised().save(str(path.parent / "vecnormalize.pkl"))
    load(path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("mean", np.zeros(3), r"normalisation\.mean: has shape \(3,\), must be \(4,\)"),
        ("mean", np.array([0.0, np.nan, 0.0, 0.0]), r"normalisation\.mean: .* not finite"),
        ("var", np.full(4, -1.0), r"normalisation\.variance: is -1\.0, must be at least 0"),
    ],
)
def test_wrong_statistics_are_named(name: str, value: Any, message: str, zipped: Path, tmp_path: Path) -> None:
    shutil.copyfile(zipped, tmp_path / "best_model.zip")
    cells = normalised()
    setattr(cells.obs_rms, name, value)
    cells.save(str(tmp_path / "vecnormalize.pkl"))
    with pytest.raises(ConfigError, match=rf"vecnormalize\.pkl: {message}"):
        load(tmp_path)


def test_weights_that_are_not_finite_are_named(zipped: Path, tmp_path: Path) -> None:
    model: Any = PPO.load(zipped, device="cpu")
    with torch.no_grad():
        model.policy.action_net.bias[0] = float("nan")
    model.save(tmp_path / "best_model.zip")
    with pytest.raises(ConfigError, match=r"best_model\.zip: action_net\.bias: holds a number that is not finite"):
        load(tmp_path)
