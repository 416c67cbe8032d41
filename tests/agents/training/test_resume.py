"""A run that was killed goes on: counters, curves, optimiser, best score; damaged checkpoints are passed over."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import random
import re
import shutil
import signal
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from streamflow_agents.training import run as training
from streamflow_agents.training.algorithms import ALGORITHMS
from streamflow_agents.training.checkpoints import Checkpoint, TrainingProgress, newest_checkpoint, save_checkpoint
from streamflow_agents.training.run import read_run, resume, run_training, train
from streamflow_env.errors import ConfigError
from tests.agents.training.fake_cells import FakeCells
from tests.agents.training.fake_task import TASK, fake_arguments, judge
from tests.agents.training.kept import model, newest, policy, rewrite, state
from tests.agents.training.test_algorithms import TASK as LONGER_TASK
from tests.agents.training.test_algorithms import small


class Killed(BaseException):
    """Ends a training run on the spot."""


class Mortal(FakeCells):
    """Dies at the step number `dies_at` of its life."""

    def __init__(self, num_envs: int, dies_at: int) -> None:
        super().__init__(num_envs)
        self.steps_left = dies_at

    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        self.steps_left -= 1
        if not self.steps_left:
            self.die()
        return super().step(actions)

    def die(self) -> None:
        raise Killed


class Killing(Mortal):
    """Ends its whole process."""

    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Payload:
    """Makes the file `path` when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def killed(out: Path, name: str = "ppo", steps: int = 600) -> Path:
    """The folder of a run killed at about `steps`, after its checkpoints at 0, 256 and 512."""
    with pytest.raises(Killed):
        train(
            fake_arguments(out, name, 768), replace(TASK, make_cells=lambda num: Mortal(num, steps // num)), small(name)
        )
    (folder,) = out.iterdir()
    return folder


@pytest.fixture(scope="module")
def killed_ppo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return killed(tmp_path_factory.mktemp("killed"))


@pytest.fixture
def folder(killed_ppo: Path, tmp_path: Path) -> Path:
    """A copy of a run of PPO that was killed after its checkpoint at 512."""
    return Path(shutil.copytree(killed_ppo, tmp_path / "copies" / killed_ppo.name))


def read_curves(folder: Path) -> EventAccumulator:
    log = EventAccumulator(str(folder))
    log.Reload()
    return log


def loaded_at_the_start(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Filled, at the resumption, with what the run goes on with."""
    seen: list[Any] = []
    load = Checkpoint.load

    def load_and_look(self: Checkpoint, model: Any, cells: Any) -> None:
        load(self, model, cells)
        seen.append(everything(model, cells))

    monkeypatch.setattr(Checkpoint, "load", load_and_look)
    return seen


def everything(model: Any, cells: Any) -> dict[str, Any]:
    """Networks, optimisers, counters, normalisation, replay memory, and every random generator."""
    normalised, buffer = model.get_vec_normalize_env(), getattr(model, "replay_buffer", None)
    statistics = [normalised.ret_rms, *([normalised.obs_rms] if normalised.norm_obs else [])]
    return {
        "parameters": deepcopy(model.get_parameters()),
        "entropy": model.log_ent_coef.detach().clone() if hasattr(model, "log_ent_coef") else None,
        "counters": (model.num_timesteps, model._n_updates, model._episode_num),
        "episodes": [dict(one) for one in model.ep_info_buffer],
        "normalisation": [(np.array(one.mean), np.array(one.var), one.count) for one in statistics],
        "replay": None
        if buffer is None
        else (buffer.pos, buffer.full, buffer.observations.copy(), buffer.dones.copy()),
        "torch": torch.get_rng_state(),
        "numpy": np.random.get_state(),  # noqa: NPY002
        "python": random.getstate(),
        "cells": [deepcopy(stream.bit_generator.state) for stream in cells.streams],
    }


def same(first: Any, second: Any) -> bool:
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, np.ndarray | torch.Tensor):
        return first.dtype == second.dtype and first.shape == second.shape and bool((first == second).all())
    return bool(first == second)


def test_a_killed_run_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not (folder / "final_policy.npz").exists()
    assert newest(folder).steps == 512
    seen = loaded_at_the_start(monkeypatch)
    assert resume(read_run(folder), TASK) == folder
    assert seen[0]["parameters"]["policy.optimizer"]["state"]
    ((_, _, num_rewards),) = seen[0]["normalisation"]
    assert num_rewards == pytest.approx(512, abs=1)
    fresh = np.random.default_rng(np.random.SeedSequence(0).spawn(4)[0])
    assert seen[0]["cells"][0] != fresh.bit_generator.state
    assert newest(folder).steps == 768
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["resumed_at_steps"] == [512]
    assert config["arguments"]["total_steps"] == 768


def test_curves_go_on_without_overlap(tmp_path: Path) -> None:
    folder = killed(tmp_path, steps=700)
    assert [event.step for event in read_curves(folder).Scalars("metrics/sla_fraction")][-1] == 640  # to be repeated
    resume(read_run(folder, 1024), TASK)
    log = read_curves(folder)
    line = read_curves(folder / "baseline-do_nothing").Scalars("eval/return")
    assert [event.step for event in log.Scalars("eval/return")] == [0, 256, 512, 768, 1024]
    assert [event.step for event in line] == [0, 256, 512, 768, 1024]
    assert len({event.value for event in line}) == 1
    assert [event.step for event in log.Scalars("metrics/sla_fraction")] == list(range(128, 1025, 128))


def test_the_best_model_and_its_score_stay(folder: Path) -> None:
    best = (folder / "policy.npz").read_bytes()
    progress = newest(folder).progress
    shown = [event.value for event in read_curves(folder).Scalars("eval/return")]
    assert progress.best_return == pytest.approx(max(shown))
    worse = replace(TASK, judge=lambda _: {"return": -1e9})
    resume(read_run(folder), worse)
    assert (folder / "policy.npz").read_bytes() == best
    assert newest(folder).progress.best_return == progress.best_return


@pytest.mark.parametrize("name", [*ALGORITHMS, "a residual"])
def test_everything_is_as_it_was_saved(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit by bit, types included; and nothing of it is in a file that could run code."""
    from tests.agents.training.test_same_luck import RESIDUAL, RESIDUAL_TASK

    saved: list[Any] = []

    def save_and_look(run: Path, algorithm: str, model: Any, cells: Any, progress: Any) -> Checkpoint:
        saved.append(everything(model, cells))
        return save_checkpoint(run, algorithm, model, cells, progress)

    monkeypatch.setattr("streamflow_agents.training.run.save_checkpoint", save_and_look)
    task, settings, algorithm = LONGER_TASK, small(name) if name in ALGORITHMS else None, name
    if settings is None:
        task, settings, algorithm = RESIDUAL_TASK, small("same_luck_ppo", residual=RESIDUAL), "same_luck_ppo"
    folder = train(fake_arguments(tmp_path, algorithm, 256, 128), task, settings)
    seen = loaded_at_the_start(monkeypatch)
    last = saved[-1]
    resume(read_run(folder, 384), task)
    assert last["counters"][0] == 256
    assert last["counters"][1] > 0
    for part in last:
        assert same(seen[0][part], last[part]), part
    assert not same(saved[-1]["parameters"], last["parameters"])
    assert {path.suffix for path in folder.rglob("*") if path.is_file() and "tfevents" not in path.name} == {
        ".json", ".npz", ".txt", ".yaml",
    }  # fmt: skip


def test_a_damaged_checkpoint_is_passed_over(folder: Path) -> None:
    damaged = folder / "checkpoints" / "000000000512"
    model = damaged / "state.npz"
    model.write_bytes(model.read_bytes()[:1000])
    (folder / "checkpoints" / ".partial-1").mkdir()
    said: list[str] = []
    assert newest_checkpoint(folder, said.append).steps == 256
    assert len(said) == 1
    assert str(model) in said[0]
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["000000000000", "000000000256"]
    resume(read_run(folder, 512), TASK)
    assert [event.step for event in read_curves(folder).Scalars("eval/return")] == [0, 256, 512]


def test_without_a_complete_checkpoint_the_damaged_file_is_named(tmp_path: Path) -> None:
    folder = killed(tmp_path, steps=100)
    (checkpoint,) = (folder / "checkpoints").iterdir()
    (checkpoint / "state.npz").unlink()
    with pytest.raises(ConfigError, match=r"no complete checkpoint .*state\.npz: missing or damaged"):
        resume(read_run(folder), TASK)
    (checkpoint / "complete.json").write_text('{"steps": 0')
    with pytest.raises(ConfigError, match=r"complete\.json: missing or damaged"):
        resume(read_run(folder), TASK)


def test_a_process_killed_outright_goes_on(tmp_path: Path) -> None:
    program = (
        "from dataclasses import replace; from pathlib import Path; import sys\n"
        "from tests.agents.training.test_resume import TASK, Killing, fake_arguments, small, train\n"
        "task = replace(TASK, make_cells=lambda num: Killing(num, 150))\n"
        "train(fake_arguments(Path(sys.argv[1]), total_steps=768), task, small('ppo'))"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    (folder,) = tmp_path.iterdir()
    resume(read_run(folder), TASK)
    assert newest(folder).steps == 768
    assert (folder / "final_policy.npz").is_file()
    assert np.isfinite(judge(policy(folder))["return"])


def test_a_run_killed_before_its_first_update_goes_on_with_whole_curves(tmp_path: Path) -> None:
    """Its checkpoint is that of step 0, and step 0 is not none."""
    folder = killed(tmp_path, steps=200)
    assert newest(folder).steps == 0
    assert read_curves(folder).Scalars("metrics/sla_fraction")
    resume(read_run(folder), TASK)
    log = read_curves(folder)
    assert [event.step for event in log.Scalars("metrics/sla_fraction")] == list(range(128, 769, 128))
    for shown in (log, read_curves(folder / "baseline-do_nothing")):
        assert [event.step for event in shown.Scalars("eval/return")] == [0, 256, 512, 768]


@pytest.mark.parametrize("step", ["publish_best", "publish_final"])
def test_a_run_killed_after_its_last_checkpoint_is_finished(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(checkpoint: Checkpoint, run: Path) -> None:
        if checkpoint.steps == 128:
            raise Killed

    task = replace(TASK, judge=lambda seen: {"return": float(getattr(seen, "num_timesteps", -1))})  # the last is best
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, step, die)
        with pytest.raises(Killed):
            train(fake_arguments(tmp_path, total_steps=128), task, small("ppo"))
    (folder,) = tmp_path.iterdir()
    assert newest(folder).steps == 128
    assert not (folder / "final_policy.npz").exists()
    assert resume(read_run(folder), task) == folder
    for name in ("policy.npz", "final_policy.npz"):
        assert (folder / name).read_bytes() == (newest(folder).folder / "policy.npz").read_bytes()
    with pytest.raises(ConfigError, match="has 128 steps already"):
        resume(read_run(folder), task)


def test_a_manifest_with_an_unknown_key_is_read(folder: Path) -> None:
    manifest = newest(folder).folder / "complete.json"
    content = json.loads(manifest.read_text())
    content["more"] = 1
    content["progress"]["luck"] = 2
    manifest.write_text(json.dumps(content))
    said: list[str] = []
    checkpoint = newest_checkpoint(folder, said.append)
    assert (checkpoint.steps, checkpoint.progress.evaluated_at) == (512, 512)
    assert said == [f"{manifest}: progress.luck: unknown key, which is left out"]
    resume(read_run(folder), TASK)
    assert newest(folder).steps == 768


@pytest.mark.parametrize("found", [None, 3])
def test_a_checkpoint_of_another_version_is_neither_read_nor_removed(folder: Path, found: int | None) -> None:
    """Older ones were pickles, which run code: here one that would make a file."""
    made, checkpoint = folder / "made", newest(folder).folder
    (checkpoint / "random.pkl").write_bytes(pickle.dumps(Payload(made)))
    manifest = checkpoint / "complete.json"
    content = json.loads(manifest.read_text())
    content["files"]["random.pkl"] = hashlib.sha256((checkpoint / "random.pkl").read_bytes()).hexdigest()
    content["format"] = found
    manifest.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
    with pytest.raises(ConfigError, match="written by an older version, as pickles" if found is None else "format 3"):
        resume(read_run(folder), TASK)
    assert not made.exists()
    assert len(list((folder / "checkpoints").iterdir())) == 3


def test_a_checkpoint_with_pickled_objects_runs_nothing(folder: Path) -> None:
    made, checkpoint = folder / "made", newest(folder).folder
    file, manifest = checkpoint / "state.npz", checkpoint / "complete.json"
    rewrite(file, **{"returns.mean": np.array([Payload(made)], dtype=object)})
    content = json.loads(manifest.read_text())
    content["files"]["state.npz"] = hashlib.sha256(file.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r"state\.npz: not a file of arrays: Object arrays cannot be loaded"):
        resume(read_run(folder), TASK)
    assert not made.exists()
    pickle.loads(pickle.dumps(Payload(made)))
    assert made.exists()


def nothing(array: Any) -> None:
    return None


def flat(array: Any) -> Any:
    return array[None]


def infinite(array: Any) -> Any:
    return np.full_like(array, np.inf)


@pytest.mark.parametrize("name", ["policy.log_std", "policy.optimizer.0.exp_avg", "returns.var"])
@pytest.mark.parametrize(
    ("change", "message"), [(nothing, "is missing"), (flat, "has shape"), (infinite, "not finite")]
)
def test_what_is_wrong_in_a_checkpoint_is_named(folder: Path, name: str, change: Any, message: str) -> None:
    file = newest(folder).folder / "state.npz"
    rewrite(file, **{name: change(state(folder)[name])})
    with pytest.raises(ConfigError, match=rf"state\.npz: {re.escape(name)}: .*{message}"):
        model(folder, TASK, Checkpoint(file.parent, 512, TrainingProgress()))


def test_what_may_be_given_beside_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = train(fake_arguments(tmp_path, total_steps=128), TASK, small("ppo"))
    monkeypatch.setattr(training, "_task", lambda *_: TASK)
    with pytest.raises(ConfigError, match="--num-cells: beside --resume only --total-steps and --no-progress"):
        run_training({"resume": str(folder), "num_cells": 8})
    with pytest.raises(ConfigError, match="has 128 steps already; give more with --total-steps"):
        run_training({"resume": str(folder)})
    with pytest.raises(ConfigError, match=r"nosuch/config\.yaml: cannot be read"):
        run_training({"resume": str(tmp_path / "nosuch")})
    run_training({"resume": str(folder), "total_steps": 256})
    assert newest(folder).steps == 256
    for progress in (True, False):
        steps = newest(folder).steps + 128
        capsys.readouterr()
        run_training({"resume": str(folder), "total_steps": steps, "progress": progress})
        assert ("steps/s" in capsys.readouterr().err) == progress
    assert yaml.safe_load((folder / "config.yaml").read_text())["arguments"]["progress"] is False  # as it was
