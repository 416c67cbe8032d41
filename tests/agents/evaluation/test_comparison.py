"""Cascades by their definition, and the comparison from kept episodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamflow_agents.evaluation.cascades import in_cascade_fraction, time_to_recover_s
from streamflow_agents.evaluation.comparison import (
    ablation,
    comparison,
    probability_of_improvement,
    tables,
    verdict,
)
from streamflow_agents.evaluation.comparison_plot import draw_comparison
from streamflow_agents.evaluation.episodes import EpisodeResult
from streamflow_agents.evaluation.kept_episodes import read_episodes, write_results
from streamflow_agents.evaluation.statistics import Estimate
from streamflow_env.errors import ConfigError

CALM, BAD = 0.01, 0.5


@pytest.mark.parametrize(
    ("errors", "share", "recovers_s"),
    [
        ([CALM] * 20, 0.0, 0.0),
        ([CALM, BAD, BAD, *[CALM] * 8], 2 / 11, 30.0),
        ([BAD, *[CALM] * 7, BAD, *[CALM] * 8], 2 / 17, 135.0),  # seven calm intervals are 105 s: not yet recovered
        ([BAD, *[CALM] * 8, BAD, BAD, *[CALM] * 8], 3 / 19, 30.0),
        ([CALM, BAD, CALM], 1 / 3, 30.0),  # not recovered when the episode ends
        ([0.1], 1.0, 15.0),
        ([], 0.0, 0.0),
    ],
)
def test_cascades(errors: list[float], share: float, recovers_s: float) -> None:
    assert in_cascade_fraction(errors) == pytest.approx(share)
    assert time_to_recover_s(errors, 15.0) == recovers_s


def test_probability_of_improvement_counts_ties_half() -> None:
    mine, theirs = np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([[0.0, 2.0, 4.0, 3.0]])
    assert probability_of_improvement(mine, theirs) == pytest.approx(0.625)


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (Estimate(1.0, 0.5, 2.0), "better"),
        (Estimate(-1.0, -2.0, -0.5), "worse"),
        (Estimate(1.0, -0.5, 2.0), "no different"),
        (Estimate(1.0, float("nan"), float("nan")), "one episode"),
    ],
)
def test_verdicts(found: Estimate, word: str) -> None:
    assert verdict(found) == word


def write(path: Path, rows: list[str]) -> Path:
    path.write_text("\n".join(["policy,scenario,episode_seed,return,sla_fraction", *rows]) + "\n", encoding="utf-8")
    return path


def test_the_page_pairs_episodes_and_pools_training_seeds(tmp_path: Path) -> None:
    rows = []
    for scenario in ("a", "b"):
        for seed in range(6):
            noise = 10.0 * seed
            rows += [f"rule,{scenario},{seed},{-100 + noise},0.5", f"ppo#0,{scenario},{seed},{-96 + noise},0.6"]
            rows += [f"ppo#1,{scenario},{seed},{-98 + noise},0.6", f"bad,{scenario},{seed},{-150 + noise},0.1"]
    episodes = read_episodes(write(tmp_path / "episodes.csv", rows))
    text = comparison(episodes, "rule", "episodes.csv", "picture.png")
    draw_comparison(episodes, "rule").savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 5_000
    assert "](picture.png)" in text
    assert {policy: episodes.num_runs(policy) for policy in episodes.figures} == {"rule": 1, "ppo": 2, "bad": 1}
    row = next(line for line in text.splitlines() if line.startswith("| ppo (2 runs)"))
    assert "+3.0 [+2.0, +4.0] | 1.00 | **better**" in row
    assert "-50.0 [-50.0, -50.0] | 0.00 | **worse**" in text
    assert [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| ")][1:4] == [
        "| ppo (2 runs)", "| rule", "| bad",
    ]  # fmt: skip


def test_what_an_evaluation_came_to_is_kept_and_read_again(tmp_path: Path) -> None:
    results = [
        EpisodeResult(policy, "a", seed, {"return": -seed / 3, "sla_fraction": run})
        for run, policy in enumerate(("ppo#0", "ppo#1"))
        for seed in (4, 5)
    ]
    paths = tmp_path / "one" / "episodes.csv.gz", tmp_path / "again.csv.gz"
    for path in paths:
        write_results(path, results)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    episodes = read_episodes(paths[0])
    assert (episodes.scenarios, episodes.seeds, episodes.num_runs("ppo")) == (("a",), (4, 5), 2)
    assert episodes.of("ppo", "return").ravel() == pytest.approx([-4 / 3, -5 / 3] * 2, rel=1e-6)
    assert episodes.of("ppo", "sla_fraction", 0).tolist() == [[[0.0, 0.0]], [[1.0, 1.0]]]


@pytest.mark.parametrize(
    ("rows", "culprit"),
    [
        (["rule,a,0,-1,0.5", "rule,a,1,-1,0.5", "ppo,a,0,-1,0.5"], "'ppo' lacks the episode a, seed 1"),
        (["rule,a,0,many,0.5"], "many"),
        ([], "columns"),
    ],
)
def test_wrong_episodes_are_errors(rows: list[str], culprit: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=culprit):
        read_episodes(write(tmp_path / "episodes.csv", rows))


def test_files_of_different_figures_are_an_error(tmp_path: Path) -> None:
    ours = write(tmp_path / "episodes.csv", ["rule,a,0,-1,0.5"])
    other = tmp_path / "learners.csv"
    other.write_text("policy,scenario,episode_seed,return\nppo,a,0,-1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"learners.csv: policy 'ppo' lacks the figure 'sla_fraction'"):
        read_episodes(ours, other)


def test_an_unknown_reference_is_an_error(tmp_path: Path) -> None:
    episodes = read_episodes(write(tmp_path / "episodes.csv", ["rule,a,0,-1,0.5"]))
    with pytest.raises(ConfigError, match="nosuch"):
        comparison(episodes, "nosuch", "", "")


def test_what_a_part_is_worth(tmp_path: Path) -> None:
    rows = [f"expert,a,{seed},{-80 - seed},0.5" for seed in range(3)]
    rows += [f"expert~hpa,a,{seed},{-90 - seed},0.5" for seed in range(3)]
    lines = list(ablation(read_episodes(write(tmp_path / "episodes.csv", rows)), "expert", {"expert~hpa": 41.6}))
    assert "| hpa | -10.0 [-10.0, -10.0] | 42 |" in lines
    assert lines[2].endswith("Whole, it scores –.\n")


def test_without_scores_a_table_has_no_column_for_them(tmp_path: Path) -> None:
    rows = [f"{name},{scenario},0,-80,0.5" for name in ("expert", "expert~hpa") for scenario in ("a", "b")]
    episodes = read_episodes(write(tmp_path / "episodes.csv", rows))
    text = "\n".join([*ablation(episodes, "expert"), *tables(episodes, "expert", "picture.png")])
    assert "score" not in text
    assert "| hpa | +0.0 | +0.0 |\n" in text
    scored = "\n".join(tables(episodes, "expert", "picture.png", {"a": {"expert": 41.6}}))
    assert scored.count("| score |") == 3
    assert scored.count("| 42 |") == 1
