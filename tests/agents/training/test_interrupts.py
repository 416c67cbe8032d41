"""Ctrl-C and SIGTERM in a training: what it learned is judged and kept, the exit code is the usual one, it goes on."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from streamflow_agents.commands.train import main
from streamflow_agents.training import run as training
from streamflow_agents.training.run import read_run, resume, train
from streamflow_agents.training.task import Task
from tests.agents.training.fake_cells import FakeCells
from tests.agents.training.fake_task import TASK, fake_arguments, judge
from tests.agents.training.kept import newest, policy
from tests.agents.training.test_algorithms import small
from tests.agents.training.test_resume import read_curves

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


class Interrupted(FakeCells):
    """Gets `signals`, all at once, in the step number `at` of its life; it remembers how many steps it did."""

    def __init__(self, num_envs: int, at: int, signals: tuple[int, ...]) -> None:
        super().__init__(num_envs)
        self.num_steps = 0
        self._at = at
        self._signals = signals

    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        self.num_steps += 1
        if self.num_steps == self._at:
            for number in self._signals:
                os.kill(os.getpid(), number)
        return super().step(actions)


def interrupted(made: list[Interrupted], steps: int, *signals: int) -> Task:
    """The task, whose cells get `signals` after `steps`."""

    def make(num: int) -> Interrupted:
        made.append(Interrupted(num, steps // num, signals))
        return made[-1]

    return replace(TASK, make_cells=make)


@pytest.mark.parametrize("number", CODES)
def test_the_exit_code_is_the_usual_one(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    monkeypatch.setattr(training, "_task", lambda *_: interrupted([], 300, number))
    monkeypatch.setattr(training, "load_settings", small)
    options = ["--total-steps", "768", "--num-cells", "4", "--out", str(tmp_path), "--no-progress"]
    monkeypatch.setattr(sys, "argv", ["train.py", *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == CODES[signal.Signals(number)]
    assert signal.getsignal(number) is before
    (folder,) = tmp_path.iterdir()
    said = capfd.readouterr()
    assert "stopping: what was learned is judged and kept" in said.err
    assert f"stopped at step 256, which is kept; to go on: --resume {folder}" in said.err
    assert said.out == ""


@pytest.mark.parametrize(("name", "learned"), [("ppo", 256), ("recurrent_ppo", 256), ("sac", 320), ("tqc", 320)])
def test_what_was_learned_is_judged_and_kept(name: str, learned: int, tmp_path: Path) -> None:
    """It ends after step 300: of a rollout of 128 steps that is not whole nothing is learned; one of 32 is ended."""
    made: list[Interrupted] = []
    task = interrupted(made, 300, signal.SIGINT)
    best = replace(task, judge=lambda seen: judge(seen) | {"return": float(getattr(seen, "num_timesteps", -1))})
    with pytest.raises(KeyboardInterrupt):
        train(fake_arguments(tmp_path, name, 768, 10_000), best, small(name))
    assert made[0].num_steps * 4 <= learned + 48
    (folder,) = tmp_path.iterdir()
    kept = newest(folder)
    assert (kept.steps, kept.progress.evaluated_at, kept.progress.best_at) == (learned, learned, learned)
    assert (folder / "policy.npz").read_bytes() == (kept.folder / "policy.npz").read_bytes()
    assert np.isfinite(judge(policy(folder))["return"])
    assert not (folder / "final_policy.npz").exists()
    resume(read_run(folder), TASK)
    assert newest(folder).steps == 768
    assert (folder / "final_policy.npz").exists()
    steps = [event.step for event in read_curves(folder).Scalars("metrics/sla_fraction")]
    assert steps == sorted(set(steps))
    assert [event.step for event in read_curves(folder).Scalars("eval/return")] == [0, learned, 768]


def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(
            fake_arguments(tmp_path, total_steps=768),
            interrupted([], 450, signal.SIGINT, signal.SIGINT),
            small("ppo"),
        )
    (folder,) = tmp_path.iterdir()
    assert newest(folder).steps == 256
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_in_the_last_update_leaves_a_finished_run(tmp_path: Path) -> None:
    made: list[Interrupted] = []
    with pytest.raises(KeyboardInterrupt):
        train(
            fake_arguments(tmp_path, "sac", 256),
            interrupted(made, 256, signal.SIGINT),
            small("sac"),
        )
    (folder,) = tmp_path.iterdir()
    assert newest(folder).steps == 256
    assert (folder / "final_policy.npz").exists()


def test_an_ignored_signal_stays_ignored(tmp_path: Path) -> None:
    """As of a process that `nohup` or a script started in the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        folder = train(fake_arguments(tmp_path, total_steps=256), interrupted([], 100, signal.SIGINT), small("ppo"))
    finally:
        signal.signal(signal.SIGINT, before)
    assert newest(folder).steps == 256
