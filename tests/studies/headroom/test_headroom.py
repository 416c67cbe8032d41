"""The headroom: what is measured, how it is scored, and what the page says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from streamflow_agents.evaluation.kept_episodes import read_episodes, write_rows
from streamflow_agents.policies.protocol import SinglePolicy
from streamflow_env.errors import ConfigError
from streamflow_env.system import load_system
from studies.clairvoyant.schedule import FoundSchedule
from studies.headroom.measure import FrozenControls, doubled_episodes, measure, scored_episodes
from studies.headroom.report import section
from studies.headroom.scores import mean_score, score, target

SHORT = {
    "name": "short",
    "horizon_s": 90,
    "traffic": {"kind": "ramps", "start_hour": 12, "level": [1.0, 2.0], "ramps": []},
}


class StillPolicy(SinglePolicy):
    """A policy whose action is always 0; its state counts the steps."""

    def act(self, observation: Any, memory: Any) -> tuple[Any, Any]:
        return np.zeros(3, dtype=np.float32), (memory or 0) + 1


def test_a_frozen_control_does_not_move() -> None:
    policy = FrozenControls(StillPolicy(), np.array([1]), np.array([0.5], dtype=np.float32))
    action, state = policy.predict(np.zeros(1, dtype=np.float32))
    assert (action.tolist(), state) == ([0.0, 0.5, 0.0], 1)


@pytest.mark.slow
def test_from_schedules_to_page(tmp_path: Path) -> None:
    short = tmp_path / "short.yaml"
    short.write_text(yaml.safe_dump(SHORT), encoding="utf-8")
    controls = load_system().control_table.names
    offsets = (tuple(0.1 if name == "llm_ask" else 0.0 for name in controls),) * 3
    schedules = [
        FoundSchedule("calm", str(short), seed, "playbook", 45.0, controls, offsets, "whole", (0.0, 1.0))
        for seed in (1_000_000, 1_000_001)
    ]
    policies = {name: name for name in ("playbook_hpa", "tuned_static", "playbook")}
    noise_seeds = [30_000_000, 30_000_001]
    work = scored_episodes(schedules, policies, ["auth_replicas"], noise_seeds)
    write_rows(tmp_path / "headroom.csv.gz", measure(work, jobs=1, progress=False))
    write_rows(tmp_path / "again.csv.gz", measure(work, jobs=1, progress=False))
    assert (tmp_path / "headroom.csv.gz").read_bytes() == (tmp_path / "again.csv.gz").read_bytes()
    episodes = read_episodes(tmp_path / "headroom.csv.gz")
    assert set(episodes.figures) == {*policies, "clairvoyant", "clairvoyant@auth_replicas"}
    write_rows(tmp_path / "doubled.csv.gz", measure(doubled_episodes(schedules[:1], noise_seeds), 1, progress=False))
    doubled = read_episodes(tmp_path / "doubled.csv.gz")
    text = "\n".join(section(episodes, schedules, doubled, "picture.png"))
    assert "| `auth_replicas` |" in text
    assert "**The target for learning.**" in text
    assert "(picture.png)" in text
    assert "| +0.00 |" in text, "the doubled schedule is the same one"


def found(level: str, scenario: str) -> FoundSchedule:
    return FoundSchedule(level, scenario, 0, "expert", 1.0, (), (), "whole", (0.0, 1.0))


def scored(tmp_path: Path, returns: dict[str, list[float]], num_seeds: int = 3) -> Any:
    rows = [
        {"policy": name, "scenario": f"s{index}", "episode_seed": seed, "return": value + seed, "reward.late": value}
        for name, values in returns.items()
        for index, value in enumerate(values)
        for seed in range(num_seeds)
    ]
    write_rows(tmp_path / "headroom.csv.gz", rows)
    return read_episodes(tmp_path / "headroom.csv.gz")


def test_scores_go_from_the_playbook_to_the_clairvoyant(tmp_path: Path) -> None:
    episodes = scored(tmp_path, {
        "playbook_hpa": [-100.0, -90.0], "clairvoyant": [-60.0, -70.0], "tuned_static": [-90.0, -76.0],
        "tuned_expert": [-70.0, -95.0], "ppo#0": [-60.0, -70.0], "ppo#1": [-80.0, -70.0],
    })  # fmt: skip
    assert score(episodes, "tuned_static", 0).value == pytest.approx(25.0)
    assert score(episodes, "tuned_static", 1).value == pytest.approx(70.0)
    assert score(episodes, "tuned_expert", 1).value == pytest.approx(-25.0)
    assert mean_score(episodes, "ppo").value == pytest.approx(87.5)
    best, reached, wanted = target(episodes)
    assert best == "tuned_static"
    assert reached == pytest.approx(47.5)
    assert wanted == pytest.approx(47.5 + 52.5 / 3)
    text = "\n".join(section(episodes, [found("calm", "s0"), found("calm", "s1")], None, None))
    assert "**No go.** The tuned fixed setting scores above 60 in 1 of\n2 scenarios (s1)" in text
    assert "ppo (2 runs)" in text


def test_each_level_has_its_headroom_and_what_doubling_gained_is_a_share_of_it(tmp_path: Path) -> None:
    returns = {"playbook_hpa": [-100.0, -90.0], "clairvoyant": [-60.0, -70.0], "tuned_static": [-90.0, -76.0]}
    episodes = scored(tmp_path, returns)
    doubled = scored(tmp_path, {"clairvoyant, doubled": [-58.0, -70.0]}, num_seeds=1)
    lines = list(section(episodes, [found("calm", "s0"), found("varied", "s1")], doubled, None))
    rows = [line for line in lines if line.startswith(("| calm | ", "| varied | "))]
    assert rows[0].startswith("| calm | 40.0 [40.0, 40.0] | 25 [25, 25] | – |")
    assert rows[1].startswith("| varied | 20.0 [20.0, 20.0] | 70 [70, 70] | – |")
    assert rows[2:] == ["| calm | s0 | 40.00 | +2.00 | +5.0 % |", "| varied | s1 | 20.00 | +0.00 | +0.0 % |"]
    text = "\n".join(lines)
    assert "+3.3 % of their headroom together" in text
    assert "### Level `calm`" in text
    assert "the clairvoyant search" not in text


def test_the_mean_score_has_the_interval_of_its_episodes(tmp_path: Path) -> None:
    episodes = scored(tmp_path, {"playbook_hpa": [-100.0], "clairvoyant": [-60.0], "tuned_static": [-90.0]})
    episodes.figures["tuned_static"]["return"][0, 0] += [-4.0, 0.0, 4.0]
    of_mean, of_one = mean_score(episodes, "tuned_static"), score(episodes, "tuned_static", 0)
    assert of_mean.value == pytest.approx(25.0)
    assert (of_mean.low, of_mean.high) == pytest.approx((of_one.low, of_one.high))
    assert of_mean.low < 25.0 < of_mean.high


def test_where_the_clairvoyant_won_nothing_there_is_no_score(tmp_path: Path) -> None:
    episodes = scored(tmp_path, {"playbook_hpa": [-100.0], "clairvoyant": [-100.0], "tuned_static": [-90.0]})
    assert np.isnan(score(episodes, "tuned_static", 0).value)
    assert np.isnan(mean_score(episodes, "tuned_static").value)


def test_without_the_clairvoyant_there_is_no_page(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'clairvoyant'"):
        list(section(scored(tmp_path, {"playbook_hpa": [-1.0]}), [], None, None))
