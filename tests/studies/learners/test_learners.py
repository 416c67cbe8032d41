"""The learners: trained once each, resumed where they were killed, and found again by their seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streamflow_env.errors import ConfigError
from studies.learners.train import LEFT_OUT, Learner, find_learners, train_learners


def test_learners_are_trained_once_and_found_by_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def train(given: dict[str, Any]) -> Path:
        """As `run_training` leaves a folder; the second call is killed before its end."""
        asked.append(given)
        folder = Path(given["resume"]) if "resume" in given else Path(given["out"]) / "ppo-normal-time"
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("config.yaml", "policy.npz", "final_policy.npz")[: 2 if len(asked) == 2 else 3]:
            (folder / name).write_text("arguments: {algorithm: ppo, total_steps: 3100}", encoding="utf-8")
        return folder

    monkeypatch.setattr("streamflow_agents.training.run.run_training", train)
    whole = [Learner(tmp_path, "ppo", "normal", seed, 3100) for seed in (0, 1)]
    train_learners(whole[:1], jobs=1, progress=False)
    train_learners(whole, jobs=1, progress=False)
    assert list(find_learners(tmp_path, "normal")) == ["ppo-3_100#0"]
    assert [given["seed"] for given in asked] == [0, 1]
    train_learners(whole, jobs=1, progress=False)
    found = find_learners(tmp_path, "normal")
    assert found == {f"ppo-3_100#{seed}": str(tmp_path / f"normal-{seed}" / "ppo-normal-time") for seed in (0, 1)}
    assert asked[2:] == [{"resume": found["ppo-3_100#1"]}]
    train_learners(whole, jobs=1, progress=False)
    assert len(asked) == 3
    assert find_learners(tmp_path, LEFT_OUT) == {}
    assert find_learners(tmp_path / "nowhere") == {}
    (Path(found["ppo-3_100#0"]) / "config.yaml").write_text("arguments:", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"config\.yaml: not a run's configuration"):
        find_learners(tmp_path, "normal")
