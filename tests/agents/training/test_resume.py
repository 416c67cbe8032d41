"""A run that was killed goes on: counters, curves, optimiser, best score; damaged checkpoints are passed over."""

from __future__ import annotations

import os
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
from stable_baselines3 import PPO, SAC
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from streamflow_agents.training import run as training
from streamflow_agents.training.checkpoints import Checkpoint, newest_checkpoint
from streamflow_agents.training.run import read_run, resume, run_training, train
from streamflow_env.errors import ConfigError
from tests.agents.training.fake_cells import FakeCells
from tests.agents.training.fake_task import TASK, fake_arguments, judge
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
    """Filled, at the resumption, with networks, optimisers and random streams as the run goes on with them."""
    seen: list[Any] = []
    load_model = Checkpoint.load_model

    def load(self: Checkpoint, kind: Any, normalised: Any, cells: Any) -> Any:
        model = load_model(self, kind, normalised, cells)
        seen.append((deepcopy(model.get_parameters()), normalised.ret_rms.count, torch.get_rng_state(), cells.streams))
        seen.append(model.replay_buffer.size() if hasattr(model, "replay_buffer") else None)
        return model

    monkeypatch.setattr(Checkpoint, "load_model", load)
    return seen


def test_a_killed_run_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not (folder / "final_model.zip").exists()
    checkpoint = newest_checkpoint(folder, print)
    assert checkpoint.steps == 512
    saved = PPO.load(checkpoint.folder / "model.zip", device="cpu").get_parameters()
    seen = loaded_at_the_start(monkeypatch)
    assert resume(read_run(folder), TASK) == folder
    parameters, num_rewards, _, streams = seen[0]
    assert saved["policy.optimizer"]["state"]
    torch.testing.assert_close(parameters, saved, rtol=0, atol=0)
    assert num_rewards == pytest.approx(512, abs=1)
    fresh = np.random.default_rng(np.random.SeedSequence(0).spawn(4)[0])
    assert streams[0].bit_generator.state != fresh.bit_generator.state
    assert PPO.load(folder / "final_model.zip", device="cpu").num_timesteps == 768
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
    best = PPO.load(folder / "best_model.zip", device="cpu").policy.state_dict()
    progress = newest_checkpoint(folder, print).progress
    shown = [event.value for event in read_curves(folder).Scalars("eval/return")]
    assert progress.best_return == pytest.approx(max(shown))
    worse = replace(TASK, judge=lambda _: {"return": -1e9})
    resume(read_run(folder), worse)
    kept = PPO.load(folder / "best_model.zip", device="cpu").policy.state_dict()
    assert all(torch.equal(best[name], kept[name]) for name in best)
    assert newest_checkpoint(folder, print).progress.best_return == progress.best_return


def test_the_replay_memory_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = killed(tmp_path, "sac")
    saved = SAC.load(newest_checkpoint(folder, print).folder / "model.zip", device="cpu").get_parameters()
    seen = loaded_at_the_start(monkeypatch)
    resume(read_run(folder), TASK)
    torch.testing.assert_close(seen[0][0], saved, rtol=0, atol=0)
    assert {"actor.optimizer", "critic.optimizer", "ent_coef_optimizer"} <= set(saved)
    assert seen[1] == 512 // 4


def test_a_damaged_checkpoint_is_passed_over(folder: Path) -> None:
    newest = folder / "checkpoints" / "000000000512"
    model = newest / "model.zip"
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
    (checkpoint / "vecnormalize.pkl").unlink()
    with pytest.raises(ConfigError, match=r"no complete checkpoint .*vecnormalize\.pkl: missing or damaged"):
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
    assert PPO.load(folder / "final_model.zip", device="cpu").num_timesteps == 768
    assert np.isfinite(judge(PPO.load(folder / "best_model.zip", device="cpu"))["return"])


def test_what_may_be_given_beside_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = train(fake_arguments(tmp_path, total_steps=128), TASK, small("ppo"))
    monkeypatch.setattr(training, "_task", lambda *_: TASK)
    with pytest.raises(ConfigError, match="--num-cells: beside --resume only --total-steps"):
        run_training({"resume": str(folder), "num_cells": 8})
    with pytest.raises(ConfigError, match="has 128 steps already; give more with --total-steps"):
        run_training({"resume": str(folder)})
    with pytest.raises(ConfigError, match=r"nosuch/config\.yaml: cannot be read"):
        run_training({"resume": str(tmp_path / "nosuch")})
    run_training({"resume": str(folder), "total_steps": 256})
    assert PPO.load(folder / "final_model.zip", device="cpu").num_timesteps == 256
