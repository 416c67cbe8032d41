"""The results page: written from kept outputs alone, and complete."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from streamflow_agents.evaluation.kept_episodes import write_rows
from streamflow_env.errors import ConfigError
from studies.clairvoyant.schedule import FoundSchedule
from studies.results.report import Inputs, kept_inputs, write_page

SCENARIOS = ("calm", "storm")
START = "# Title\n<!-- results: written by `make study NAME=results` from what the studies kept -->\n"


def rows(returns: dict[str, float], names: tuple[str, ...] = SCENARIOS) -> list[dict[str, Any]]:
    figures = {
        "sla_fraction": 0.8,
        "error_fraction": 0.01,
        "in_cascade_fraction": 0.0,
        "cost_per_hour": 10.0,
        "reward.late": -1.0,
    }
    return [
        {"policy": policy, "scenario": scenario, "episode_seed": seed, "return": value - seed % 2, **figures}
        for policy, value in returns.items()
        for scenario in names
        for seed in range(4)
    ]


def inputs(folder: Path) -> Inputs:
    """The inputs in the folder of the fixture `kept`."""
    names = ("episodes", "learners", "parts", "headroom", "shifts")
    return Inputs(**{name: folder / f"{name}.csv.gz" for name in names}, schedules=folder / "schedules")


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    rules = {"playbook_hpa": -90.0, "tuned_static": -85.0, "tuned_expert": -80.0}
    write_rows(folder / "episodes.csv.gz", rows(rules))
    write_rows(folder / "learners.csv.gz", rows({"ppo#0": -84.0, "ppo#1": -82.0}))
    write_rows(folder / "parts.csv.gz", rows({"tuned_expert": -80.0, "tuned_expert~hpa": -95.0}))
    write_rows(folder / "headroom.csv.gz", rows({**rules, "clairvoyant": -70.0, "clairvoyant@llm_ask": -75.0}))
    write_rows(folder / "shifts.csv.gz", rows(rules, ("none", "the load times 1.3")))
    (folder / "schedules").mkdir()
    found = FoundSchedule("calm", 0, "tuned_expert", 60.0, ("llm_ask",), ((0.1,),), ((-1.0, 2.0), (2.0, 3.0)))
    (folder / "schedules" / "calm-0.json").write_text(json.dumps(dataclasses.asdict(found)), encoding="utf-8")
    return folder


def test_the_page_says_which_policy_and_how_sure(kept: Path) -> None:
    page, readme = kept.parent / "results.md", kept.parent / "README.md"
    readme.write_text("# Title\n<!-- results: by whom -->\nold\n<!-- end -->\nThe end.\n", encoding="utf-8")
    write_page(inputs(kept), page, readme)
    summary = readme.read_text(encoding="utf-8")
    assert "old" not in summary
    assert summary.startswith(START + "8 held-out episodes")
    assert summary.endswith("learning has to reach 67.\n<!-- end -->\nThe end.\n")
    assert "| tuned_expert | 80.0 | 1.00 | 10.0 | -80.5 | 50 | 2 | **better** |" in summary
    assert "| ppo (2 runs) | 80.0 | 1.00 | 10.0 | -83.5 | – | 0 | **better** |" in summary
    text = page.read_text(encoding="utf-8")
    assert "| storm | `tuned_expert` | -80.5 | `ppo` | **yes**: +3.0 [+2.0, +4.0] | `tuned_static`, better than" in text
    assert "| *shift:* the load times 1.3 | `tuned_expert` |" in text
    assert "scores 50 on average" in text
    assert "reach **67**" in text
    assert "**Go.** The tuned fixed setting scores above 60 in 0 of" in text
    assert "| `llm_ask` | -5.0 | -5.0 | -5.0 |" in text
    assert "| hpa | -15.0" in text
    (row,) = [line for line in text.splitlines() if line.startswith("| tuned_static |") and "| **better** |" in line][
        :1
    ]
    assert row.endswith("| 1.00 | 25 | **better** |")
    for picture in ("comparison.png", "convergence.png"):
        assert f"(results/{picture})" in text
        assert (kept / picture).stat().st_size > 5_000
    write_page(inputs(kept), page, readme)
    assert page.read_text(encoding="utf-8") == text
    assert readme.read_text(encoding="utf-8") == summary


def test_a_readme_without_a_place_is_refused_before_anything_is_written(kept: Path) -> None:
    readme = kept.parent / "README.md"
    readme.write_text("# Title\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="has no place for the summary"):
        write_page(inputs(kept), kept.parent / "results.md", readme)
    assert not (kept.parent / "results.md").exists()


@pytest.mark.parametrize("name", ["episodes.csv.gz", "headroom.csv.gz", "shifts.csv.gz", "parts.csv.gz"])
def test_what_is_missing_is_named_and_nothing_written(kept: Path, name: str) -> None:
    (kept / name).unlink()
    with pytest.raises(ConfigError, match=name):
        write_page(inputs(kept), kept.parent / "results.md")
    assert not (kept.parent / "results.md").exists()
    assert not (kept / "comparison.png").exists()


def test_without_a_schedule_there_is_no_page(kept: Path) -> None:
    (kept / "schedules" / "calm-0.json").unlink()
    with pytest.raises(ConfigError, match="run the study clairvoyant"):
        write_page(inputs(kept), kept.parent / "results.md")


def test_the_inputs_are_kept_in_the_repository() -> None:
    inputs = kept_inputs()
    files = (inputs.episodes, inputs.learners, inputs.parts, inputs.headroom, inputs.shifts)
    assert all(path.is_file() for path in files)
    assert any(inputs.schedules.glob("*.json"))
