"""A trained policy as a file of data: it acts as the model did, bit by bit, and what is wrong in it is named."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from streamflow_agents.policies.models import MODELS, NetworkSettings, build_network
from streamflow_agents.policies.policy_file import read_policy, write_policy
from streamflow_agents.training.algorithms import load_settings
from streamflow_agents.training.cells import make_residual
from streamflow_agents.training.checkpoints import save_checkpoint
from streamflow_agents.training.run import train
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.errors import ConfigError
from tests.agents.training.fake_cells import FakeCell
from tests.agents.training.fake_task import fake_arguments
from tests.agents.training.kept import policy, rewrite
from tests.agents.training.test_algorithms import TASK, small
from tests.agents.training.test_resume import Payload
from tests.agents.training.test_same_luck import RESIDUAL, RESIDUAL_TASK


def actions_of(policy: Any, size: int) -> list[Any]:
    """What it does in three cells for some steps, of which one starts anew, and in one cell alone."""
    observations = np.random.default_rng(0).normal(size=(5, 3, size)).astype(np.float32)
    done, state = [], None
    for step, seen in enumerate(observations):
        starts = np.array([step == 0, step in (0, 2), step == 0])
        actions, state = policy.predict(seen, state, starts, deterministic=True)
        done.append(actions)
    return [*done, policy.predict(observations[0, 0], deterministic=True)[0]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the algorithm whose network has most parts; no test changes it."""
    out = tmp_path_factory.mktemp("runs")
    return train(fake_arguments(out, "recurrent_ppo", 128), TASK, small("recurrent_ppo"))


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """What is needed of a run to use its policy."""
    for name in ("policy.npz", "config.yaml"):
        shutil.copyfile(trained / name, tmp_path / name)
    return tmp_path


class AsInTraining:
    """`model` behind the normalisation of Stable-Baselines3 itself."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def predict(self, observation: Any, *others: Any, **options: Any) -> Any:
        return self._model.predict(self._model.get_vec_normalize_env().normalize_obs(observation), *others, **options)


@pytest.mark.parametrize("name", [*MODELS, "a residual"])
def test_it_acts_as_the_model_that_was_saved(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected: list[Any] = []

    def save_and_act(run: Path, algorithm: str, model: Any, cells: Any, progress: Any) -> Any:
        expected.append(actions_of(AsInTraining(model), *model.observation_space.shape))
        return save_checkpoint(run, algorithm, model, cells, progress)

    monkeypatch.setattr("streamflow_agents.training.run.save_checkpoint", save_and_act)
    if name in MODELS:
        algorithm, task, settings, space = name, TASK, small(name), FakeCell().observation_space
        moved = FakeCell().action_space
    else:
        algorithm, task, settings = "same_luck_ppo", RESIDUAL_TASK, small("same_luck_ppo", residual=RESIDUAL)
        residual = make_residual(settings, task)
        assert residual is not None
        space, moved = residual.observation_space, residual.action_space
    folder = train(fake_arguments(tmp_path, algorithm, 256, 128), task, settings)
    network, shape = NetworkSettings.model_validate(settings.model_dump()), space.shape
    assert shape is not None
    loaded = read_policy(folder / "final_policy.npz", algorithm, network, space, moved)
    assert (loaded.normalisation is not None) == (name not in MODELS)
    for mine, models in zip(actions_of(loaded, *shape), expected[-1], strict=True):
        assert mine.tobytes() == models.tobytes()
        assert mine.shape == models.shape
    assert not np.array_equal(expected[0][0], expected[-1][0])
    assert np.isfinite(loaded.predict(np.zeros(shape, np.float32))[0]).all()  # with its noise


@pytest.mark.parametrize("name", MODELS)
def test_the_shipped_size_fits_into_a_repository(name: str, tmp_path: Path) -> None:
    env, settings = StreamFlowEnv("normal"), NetworkSettings.model_validate(load_settings(name).model_dump())
    network = build_network(name, settings, env.observation_space, env.action_space)
    write_policy(tmp_path / "policy.npz", name, network, None)
    assert (tmp_path / "policy.npz").stat().st_size < 300_000


def test_a_folder_with_two_files_is_enough(folder: Path) -> None:
    """The configuration may be short; what is not needed to act may be left out."""
    short = {"arguments": {"algorithm": "recurrent_ppo"}, "hyperparameters": {"hidden_layers": [64], "memory_size": 8}}
    before = actions_of(policy(folder), 4)
    (folder / "config.yaml").write_text(yaml.safe_dump(short))
    after = actions_of(policy(folder), 4)
    assert all(first.tobytes() == second.tobytes() for first, second in zip(before, after, strict=True))


def header(**changes: Any) -> Any:
    content = {
        "format": 1, "algorithm": "recurrent_ppo", "observation_size": 4, "action_size": 3, "normalised": False
    }  # fmt: skip
    return np.frombuffer(json.dumps(content | changes).encode(), np.uint8)


FOUR = np.ones(4)
SCALES: dict[str, Any] = {"normalisation.epsilon": np.float64(1e-8), "normalisation.clip": np.float64(5.0)}
STATISTICS: dict[str, Any] = SCALES | {"normalisation.mean": FOUR, "normalisation.variance": FOUR}
NORMALISED: dict[str, Any] = {"header": header(normalised=True)} | STATISTICS


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"header": None}, "header: is missing"),
        ({"header": np.zeros(3, np.uint8)}, "header: not JSON"),
        ({"header": header(format=2)}, "header: format = 2: must be 1"),
        ({"header": header(algorithm="ppo")}, "was trained by ppo, its configuration says recurrent_ppo"),
        ({"header": header(observation_size=5)}, r"its observations have shape \(5,\), those of this system \(4,\)"),
        ({"header": header(action_size=2)}, "its actions have shape"),
        ({"header": header(more=1)}, "header: more: unknown key"),
        ({"network.log_std": None}, r"network\.log_std: is missing"),
        ({"network.log_std": np.zeros((2, 2), np.float32)}, r"network\.log_std: has shape \(2, 2\), must be \(64, 3\)"),
        ({"network.log_std": np.zeros((64, 3))}, r"network\.log_std: holds float64, must be float32"),
        ({"network.log_std": np.full((64, 3), np.nan, np.float32)}, r"network\.log_std: .* not finite"),
        ({"network.more": np.zeros(3, np.float32)}, r"network\.more: its network has no such array"),
        (STATISTICS, r"normalisation\.\w+: its network has no such array"),
        ({"header": header(normalised=True)}, r"normalisation\.mean: is missing"),
        (NORMALISED | {"normalisation.mean": np.ones(3)}, r"normalisation\.mean: has shape \(3,\), must be \(4,\)"),
        (NORMALISED | {"normalisation.variance": np.full(4, np.inf)}, r"normalisation\.variance: .* not finite"),
        (NORMALISED | {"normalisation.variance": -FOUR}, r"normalisation\.variance: is -1\.0, must be at least 0"),
        (NORMALISED | {"normalisation.clip": np.float64(np.nan)}, r"normalisation\.clip: .* not finite"),
    ],
)
def test_what_is_wrong_in_it_is_named(folder: Path, changes: dict[str, Any], message: str) -> None:
    rewrite(folder / "policy.npz", **changes)
    with pytest.raises(ConfigError, match=rf"^{re.escape(str(folder))}/policy\.npz: {message}"):
        policy(folder)


def test_with_good_statistics_it_is_loaded(folder: Path) -> None:
    plain = actions_of(policy(folder), 4)
    rewrite(folder / "policy.npz", **NORMALISED)
    assert not np.array_equal(actions_of(policy(folder), 4)[0], plain[0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arguments": {"algorithm": "nosuch"}}, "algorithm 'nosuch'"),
        ({"hyperparameters": None}, "needs it, with arguments.algorithm and hyperparameters"),
        ({"hyperparameters": {"hidden_layers": [64]}}, "memory_size: required key is missing"),
        ({"hyperparameters": {"hidden_layers": [], "memory_size": 8}}, "hyperparameters: hidden_layers"),
        ({"hyperparameters": {"hidden_layers": [64], "memory_size": 9}}, r"policy\.npz: network\..* has shape"),
    ],
)
def test_what_is_wrong_in_the_configuration_is_named(folder: Path, changes: dict[str, Any], message: str) -> None:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))
    with pytest.raises(ConfigError, match=message):
        policy(folder)
    path.unlink()
    with pytest.raises(ConfigError, match=r"config\.yaml: policy\.npz needs it"):
        policy(folder)


def test_a_file_that_runs_code_is_an_error_and_runs_nothing(folder: Path) -> None:
    made, file = folder / "made", folder / "policy.npz"
    rewrite(file, **{"network.log_std": np.array([Payload(made)], dtype=object)})
    with pytest.raises(ConfigError, match="not a file of arrays: Object arrays cannot be loaded"):
        policy(folder)
    file.write_bytes(pickle.dumps(Payload(made)))
    with pytest.raises(ConfigError, match="not a file of arrays"):
        policy(folder)
    assert not made.exists()
    pickle.loads(file.read_bytes())
    assert made.exists()


def test_other_files_are_errors(folder: Path) -> None:
    file = folder / "policy.npz"
    whole = file.read_bytes()
    with np.load(file) as kept:
        arrays = {name: kept[name] for name in kept.files}
    np.savez_compressed(file, **arrays)
    with pytest.raises(ConfigError, match=r"not a file of arrays: header\.npy is compressed"):
        policy(folder)
    for content in (b"", b"not a model", whole[:100], whole[: len(whole) // 2], whole[:-1]):
        file.write_bytes(content)
        with pytest.raises(ConfigError, match="not a file of arrays"):
            policy(folder)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("header.npy", b"something else")
    with pytest.raises(ConfigError, match="header: not an array"):
        policy(folder)
