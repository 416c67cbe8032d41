"""The results page: written from kept outputs alone, and complete."""

from __future__ import annotations

import dataclasses
import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from streamflow_agents.evaluation.kept_episodes import write_rows
from streamflow_env.environment.rewards import REWARD_TERMS
from streamflow_env.errors import ConfigError
from studies.clairvoyant.schedule import FoundSchedule
from studies.common.study import ROOT, header
from studies.results.report import Inputs, kept_inputs, write_page

SCENARIOS = ("calm", "storm")
ABSENT = "on this version of the environment"
PARTS = {
    "learners": (f"No learner has been trained {ABSENT}. `make study NAME=learners` does it.", ("ppo (2 runs)",)),
    "headroom": (
        f"The clairvoyant has not been searched {ABSENT}: there is no score.\n"
        "`make study NAME=clairvoyant`, then `make study NAME=headroom`, does it.",
        ("clairvoyant", "score", "headroom", "learning has to reach", "mean score"),
    ),
    "shifts": (
        f"The shift tests have not been run {ABSENT}. `make study NAME=robustness` does it.",
        ("*shift:*", "## Robustness", "the load times 1.3", "[robustness]"),
    ),
}
"""By input that may be missing: the sentence that says so, and words that are on the page otherwise only."""
START = "# Title\n<!-- results: written by `make study NAME=results` from what the studies kept -->\n"


def rows(returns: dict[str, float], names: tuple[str, ...] = SCENARIOS) -> list[dict[str, Any]]:
    figures = {
        "sla_fraction": 0.8,
        "error_fraction": 0.01,
        "in_cascade_fraction": 0.0,
        "cost_per_hour": 10.0,
        **{f"reward.{term}": -1.0 for term in REWARD_TERMS},
    }
    return [
        {"policy": policy, "scenario": scenario, "episode_seed": seed, "return": value - seed % 2, **figures}
        for policy, value in returns.items()
        for scenario in names
        for seed in range(4)
    ]


def powerset(*names: str) -> list[tuple[str, ...]]:
    """Every choice of the names, none and all included."""
    return [chosen for size in range(len(names) + 1) for chosen in combinations(names, size)]


def inputs(folder: Path) -> Inputs:
    """The inputs in the folder of the fixture `kept`."""
    names = ("episodes", "learners", "parts", "headroom", "doubled", "shifts")
    return Inputs(**{name: folder / f"{name}.csv.gz" for name in names}, schedules=folder / "schedules")


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    rules = {"do_nothing": -99.0, "playbook_hpa": -90.0, "tuned_static": -85.0, "tuned_expert": -80.0}
    write_rows(folder / "episodes.csv.gz", rows(rules))
    write_rows(folder / "learners.csv.gz", rows({"ppo#0": -84.0, "ppo#1": -82.0}))
    write_rows(folder / "parts.csv.gz", rows({"tuned_expert": -80.0, "tuned_expert~hpa": -95.0}))
    write_rows(folder / "headroom.csv.gz", rows({**rules, "clairvoyant": -70.0, "clairvoyant@llm_ask": -75.0}))
    doubled = [row for row in rows({"clairvoyant, doubled": -69.0}) if row["episode_seed"] == 0]
    write_rows(folder / "doubled.csv.gz", doubled)
    write_rows(folder / "shifts.csv.gz", rows(rules, ("none", "the load times 1.3")))
    (folder / "schedules").mkdir()
    for name in SCENARIOS:
        found = FoundSchedule("calm", name, 0, "tuned_expert", 60.0, ("llm_ask",), ((0.1,),), "whole", (-1.0, 2.0))
        (folder / "schedules" / f"{name}-0.json").write_text(json.dumps(dataclasses.asdict(found)), encoding="utf-8")
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
    assert "| calm | storm | 20.00 | +1.00 | +5.0 % |" in text
    assert "| hpa | -15.0" in text
    assert "| ppo (2 runs) | 3.0 | 1.0 | **4.0** | 1.0 | 3.0 | 12.0 |" in text
    assert "| do_nothing | storm | 3.0 | 1.0 | **4.0** | 1.0 | 3.0 | 12.0 |" in text
    assert "| playbook_hpa | storm | 3.0" not in text
    assert ABSENT not in text + summary
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


@pytest.mark.parametrize("missing", powerset("learners", "headroom", "shifts"))
def test_what_is_optional_may_be_missing(kept: Path, missing: tuple[str, ...]) -> None:
    """The page has nothing of it then, but for a sentence that says so; it is as if it had never been there."""
    page, readme = kept.parent / "results.md", kept.parent / "README.md"
    readme.write_text(START + "<!-- end -->\n", encoding="utf-8")
    write_page(inputs(kept), page, readme)
    for name in missing:
        (kept / f"{name}.csv.gz").unlink()
        if name == "headroom":
            for path in (kept / "schedules").iterdir():
                path.unlink()
    write_page(inputs(kept), page, readme)
    text, summary = page.read_text(encoding="utf-8"), readme.read_text(encoding="utf-8")
    for written in (text, summary):
        assert written.count(ABSENT) == len(missing)
        for name, (sentence, _) in PARTS.items():
            assert (sentence in written) == (name in missing), name
    for name, (_, words) in PARTS.items():
        rest = text.replace(PARTS[name][0], "")
        assert [word for word in words if (word in rest) != (name not in missing)] == []
    scored = "headroom" not in missing
    assert (" score |" in text, " score |" in summary, "/convergence.png)" in text) == (scored,) * 3
    assert {path.name for path in kept.glob("*.png")} == {"comparison.png", *(["convergence.png"] if scored else [])}
    for table in re.findall(r"(?:^\|.*\n)+", text + summary, flags=re.M):
        assert len({row.count("|") for row in table.splitlines()}) == 1, table


def test_schedules_that_nothing_was_scored_on_are_no_score(kept: Path) -> None:
    (kept / "headroom.csv.gz").unlink()
    write_page(inputs(kept), kept.parent / "results.md")
    text = (kept.parent / "results.md").read_text(encoding="utf-8")
    assert "No policy has been scored on this version of the environment: there is no score." in text
    assert "convergence" not in text
    assert not (kept / "convergence.png").exists()


def test_a_term_that_was_not_kept_is_named(kept: Path) -> None:
    kept_rows = rows({"do_nothing": -99.0, "playbook_hpa": -90.0, "tuned_expert": -80.0})
    write_rows(kept / "episodes.csv.gz", [{k: v for k, v in row.items() if k != "reward.churn"} for row in kept_rows])
    with pytest.raises(ConfigError, match=r"other terms than the reward \(churn\)"):
        write_page(inputs(kept), kept.parent / "results.md")
    assert not (kept.parent / "results.md").exists()


@pytest.mark.parametrize("name", ["episodes.csv.gz", "parts.csv.gz"])
def test_what_is_missing_is_named_and_nothing_written(kept: Path, name: str) -> None:
    (kept / name).unlink()
    with pytest.raises(ConfigError, match=name):
        write_page(inputs(kept), kept.parent / "results.md")
    assert not (kept.parent / "results.md").exists()
    assert not (kept / "comparison.png").exists()


def test_scores_without_their_schedules_are_an_error(kept: Path) -> None:
    for path in (kept / "schedules").iterdir():
        path.unlink()
    with pytest.raises(ConfigError, match="run the study clairvoyant"):
        write_page(inputs(kept), kept.parent / "results.md")


def test_the_inputs_are_kept_in_the_repository() -> None:
    inputs = kept_inputs()
    assert inputs.episodes.is_file()
    assert inputs.parts.is_file()
    paths = {getattr(inputs, field.name) for field in dataclasses.fields(inputs)}
    declared = [ROOT / path for path in (*header("results").reads, *header("results").optional)]
    assert all(any(path.is_relative_to(folder) for folder in declared) for path in paths)
