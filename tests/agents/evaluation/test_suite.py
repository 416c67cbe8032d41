"""The benchmark suite: what the shipped one is, scores worked out by hand, and references that are out of date."""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamflow_agents.evaluation.comparison import ALL
from streamflow_agents.evaluation.episodes import EpisodeResult
from streamflow_agents.evaluation.references import keep_references, read_references
from streamflow_agents.evaluation.suite import (
    FIGURES,
    Level,
    Row,
    Suite,
    check_labels,
    figures,
    load_suite,
    page,
    score,
)
from streamflow_agents.seeds import EVALUATION
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.errors import ConfigError
from streamflow_env.scenarios import Mixture, load_scenario
from streamflow_env.system.schema import load
from studies.baselines.run import load_baselines_plan

CALM = {"scenarios": ["normal", "campaign"], "zero": "playbook_hpa", "hundred": "tuned_expert"}
CONTENT: dict[str, Any] = {"name": "tiny", "version": 3, "episodes": 4, "levels": {"calm": CALM}}
SUITE = load(Suite, CONTENT)
LEVEL = SUITE.levels["calm"]


def results(
    policy: str, gain: Callable[[int], float], scenarios: tuple[str, ...] = LEVEL.scenarios
) -> list[EpisodeResult]:
    """Episodes whose returns are `gain(seed number)` above those of the policy at 0."""
    return [
        EpisodeResult(
            policy, scenario, seed, dict(zip(FIGURES, (-50.0 - 7.3 * n * n + gain(n), 0.8, 12.0), strict=True))
        )
        for scenario in scenarios
        for n, seed in enumerate(SUITE.seeds())
    ]


REFERENCES = [*results("playbook_hpa", lambda n: 0.0), *results("tuned_expert", lambda n: 2.0 + n / 3)]


def members(name: str) -> list[str]:
    mixture = load_scenario(name)
    assert isinstance(mixture, Mixture)
    return list(mixture.members)


def test_the_shipped_suite_has_what_its_mixtures_have_and_other_hours_of_real_traffic() -> None:
    suite = load_suite()
    assert (suite.name, suite.version) == ("streamflow", 1)
    varied = [name.replace("real-hour", "held-out-hour") for name in members("varied")]
    assert "varied-held-out-hour" in varied
    assert {name: list(level.scenarios) for name, level in suite.levels.items()} == {
        "calm": members("mixed"),
        "varied": varied,
        "storm": [name.replace("varied-", "storm-", 1) for name in varied],
    }
    for level in suite.levels.values():
        for scenario in level.scenarios:
            assert StreamFlowEnv(scenario).scenario.name == scenario


def test_its_episodes_are_held_out_and_those_of_the_study_baselines() -> None:
    suite = load_suite()
    assert all(seed in EVALUATION for seed in suite.seeds())
    assert suite.seeds()[0] == EVALUATION.first
    assert len(set(suite.seeds())) == suite.episodes == load_baselines_plan().episodes
    assert suite.seeds(3) == suite.seeds()[:3]
    for count in (0, suite.episodes + 1):
        with pytest.raises(ConfigError, match=rf"episodes {count}: must be in \[1, {suite.episodes}\]"):
            suite.seeds(count)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"verson": 1}, "verson: unknown key"),
        ({"episodes": 0}, "episodes = 0: must be greater than or equal to 1"),
        ({"levels": {}}, "levels"),
        ({"levels": {"calm": {**CALM, "zero": "nosuch"}}}, "levels.calm: zero = 'nosuch': must be one of do_nothing, "),
        ({"levels": {"calm": {**CALM, "zero": "tuned_expert"}}}, "levels.calm: .*must be another policy than zero"),
        ({"levels": {"calm": CALM, "storm": CALM}}, "levels: scenario 'normal' is there twice"),
    ],
)
def test_what_is_wrong_with_a_suite_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(Suite, {**CONTENT, **change})
    with pytest.raises(ConfigError, match="suites 'nosuch': neither a file nor one of streamflow"):
        load_suite("nosuch")


def test_levels_are_chosen_by_name() -> None:
    suite = load_suite()
    assert list(suite.choose([])) == ["calm", "varied", "storm"]
    assert list(suite.choose(["storm", "calm"])) == ["calm", "storm"]
    with pytest.raises(ConfigError, match="level 'mild': must be one of calm, varied, storm"):
        suite.choose(["calm", "mild"])


def test_a_policy_must_not_have_the_name_of_a_reference() -> None:
    check_labels({"tuned_expert": "tuned_expert", "mine": "tuned_expert"}, [LEVEL])
    for label in ("playbook_hpa", "tuned_expert#1"):
        with pytest.raises(ConfigError, match=f"policy '{label}': is the name of a reference; give runs/mine another"):
            check_labels({label: "runs/mine"}, [LEVEL])


def by_policy(rows: list[Row], scenario: str = ALL) -> dict[str, Row]:
    return {row.policy: row for row in rows if row.scenario == scenario}


def test_the_references_have_exactly_0_and_100() -> None:
    rows = score("calm", LEVEL, REFERENCES)
    assert {row.scenario for row in rows} == {ALL, "normal", "campaign"}
    for scenario in (ALL, "normal", "campaign"):
        found = by_policy(rows, scenario)
        for policy, points in (("playbook_hpa", 0.0), ("tuned_expert", 100.0)):
            place = found[policy].score
            assert (place.value, place.low, place.high) == (points, points, points)
    assert by_policy(rows)["tuned_expert"].difference.value == 0.0


def test_a_score_is_the_share_of_the_way_from_0_to_100() -> None:
    """At 100 the gains are 2, 2 1/3, 2 2/3 and 3: 2.5 on average. One of 1 is 40 points, in another scenario 120."""
    mine = [*results("mine", lambda n: 1.0, ("normal",)), *results("mine", lambda n: 3.0, ("campaign",))]
    rows = score("calm", LEVEL, [*mine, *REFERENCES])
    assert by_policy(rows, "normal")["mine"].score.value == pytest.approx(40.0)
    assert by_policy(rows, "campaign")["mine"].score.value == pytest.approx(120.0)
    whole = by_policy(rows)["mine"]
    assert whole.score.value == pytest.approx(80.0)
    assert whole.score.low < 80.0 < whole.score.high
    assert whole.difference.value == pytest.approx(-0.5)
    assert whole.sla_miss_fraction == pytest.approx(0.2)
    assert whole.cost_per_hour == pytest.approx(12.0)
    assert whole.mean_return == pytest.approx(-50.0 - 7.3 * 14 / 4 + 2.0)
    assert rows == score("calm", LEVEL, [*mine, *REFERENCES])


def test_training_runs_are_one_policy() -> None:
    runs = [*results("ppo#0", lambda n: 1.0), *results("ppo#1", lambda n: 4.0)]
    rows = score("calm", LEVEL, [*REFERENCES, *runs])
    ppo, one = (
        by_policy(rows)["ppo"],
        by_policy(score("calm", LEVEL, [*REFERENCES, *results("ppo", lambda n: 2.5)]))["ppo"],
    )
    assert ppo.num_runs == 2
    assert ppo.score.value == pytest.approx(one.score.value) == pytest.approx(100.0)
    assert ppo.score.high - ppo.score.low > one.score.high - one.score.low
    assert "| ppo (2 runs) " in page(SUITE, SUITE.seeds(), "Env-v1", rows, by_scenario=False)


def test_no_score_where_100_is_not_above_0() -> None:
    rows = score("calm", LEVEL, [*results("playbook_hpa", lambda n: 0.0), *results("tuned_expert", lambda n: -1.0)])
    assert all(math.isnan(row.score.value) for row in rows)
    lines = page(SUITE, SUITE.seeds(), "Env-v1", rows, by_scenario=False).splitlines()
    assert [line.split("|")[4].strip() for line in lines if line.startswith("| calm ")] == ["–", "–"]
    assert figures(rows)["calm"][ALL]["playbook_hpa"]["score"] == {"value": None, "low_95": None, "high_95": None}


def test_what_was_not_evaluated_is_named() -> None:
    with pytest.raises(ConfigError, match="level 'calm': was not evaluated under 'tuned_expert'"):
        score("calm", LEVEL, results("playbook_hpa", lambda n: 0.0))
    with pytest.raises(ConfigError, match="policy 'mine' lacks the episode campaign, seed 1000000"):
        score("calm", LEVEL, [*REFERENCES, *results("mine", lambda n: 0.0, ("normal",))])


def test_the_page_has_a_row_for_each_policy_and_says_what_is_no_score() -> None:
    rows = score("calm", LEVEL, REFERENCES)
    text = page(SUITE, SUITE.seeds(), "Env-v1", rows, by_scenario=False)
    assert "Suite tiny, version 3, on Env-v1: 4 held-out episodes a scenario" in text
    assert "Not a score" not in text
    assert [line.split()[3] for line in text.splitlines() if line.startswith("| calm ")] == [
        "playbook_hpa",
        "tuned_expert",
    ]
    trial = page(SUITE, SUITE.seeds(2), "Env-v1", rows, by_scenario=True)
    assert "**Not a score of the suite**: 2 of 4 episodes a scenario." in trial
    assert len([line for line in trial.splitlines() if line.startswith("| calm ")]) == 6
    assert {len(line) for line in text.splitlines() if line.startswith("|")} == {len(text.splitlines()[-1])}


def test_kept_references_are_read_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "tiny.csv.gz"
    keep_references(path, SUITE, REFERENCES)
    first = path.read_bytes()
    assert read_references(path, SUITE, [LEVEL], SUITE.seeds()) == REFERENCES
    keep_references(path, SUITE, REFERENCES)
    assert path.read_bytes() == first
    few = read_references(path, SUITE, [LEVEL], SUITE.seeds(1))
    assert few == [result for result in REFERENCES if result.seed == SUITE.seeds()[0]]


def test_references_of_another_suite_or_policy_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "tiny.csv.gz"
    keep_references(path, SUITE, REFERENCES)
    newer = SUITE.model_copy(update={"version": 4})
    with pytest.raises(ConfigError, match=r"'normal' was made with suite tiny 3, which is tiny 4 now; .*--keep` makes"):
        read_references(path, newer, [LEVEL], SUITE.seeds())
    other = Level(scenarios=LEVEL.scenarios, zero="playbook_hpa", hundred="expert")
    with pytest.raises(ConfigError, match=r"lacks 'expert' in 'normal', seed 1000000; `scripts/suite.py --keep` makes"):
        read_references(path, SUITE, [other], SUITE.seeds())


@pytest.mark.parametrize("column", ["environment", "policy_files", "scenario_content", "suite", "return"])
def test_references_made_with_something_else_are_refused(column: str, tmp_path: Path) -> None:
    path = tmp_path / "tiny.csv"
    keep_references(path, SUITE, REFERENCES)
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    rows[-1][column] = "other"
    with path.open("w", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    message = r"'tuned_expert' in 'campaign'.*\bother\b.*`scripts/suite.py --keep` makes the file anew"
    with pytest.raises(ConfigError, match=message):
        read_references(path, SUITE, [LEVEL], SUITE.seeds())


def test_a_changed_policy_file_scenario_or_environment_makes_references_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, where = tmp_path / "tiny.csv.gz", "streamflow_agents.evaluation.references"
    keep_references(path, SUITE, REFERENCES)
    usual = load_scenario("normal")
    for name, changed, key in (
        ("policy_digest", lambda name: "0" * 64, "policy_files"),
        ("load_scenario", lambda name: usual.model_copy(update={"horizon_s": 60.0}), "scenario_content"),
        ("ENVIRONMENT", "StreamFlow-v2", "environment"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(f"{where}.{name}", changed)
            with pytest.raises(ConfigError, match=f"was made with {key} .*, which is .* now; "):
                read_references(path, SUITE, [LEVEL], SUITE.seeds())
    assert gzip.decompress(path.read_bytes()).decode().splitlines()[0].endswith("policy_files,scenario_content")
    assert read_references(path, SUITE, [LEVEL], SUITE.seeds()) == [replace(result) for result in REFERENCES]
