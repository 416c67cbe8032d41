"""The command that scores policies: what it prints and writes, twice the same, and what it need not evaluate."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from streamflow_agents.commands import suite as command
from streamflow_agents.commands.suite import Arguments, keep, main, run
from streamflow_agents.evaluation.episodes import EpisodeResult, evaluate
from streamflow_agents.evaluation.kept_episodes import read_episodes
from streamflow_env.errors import ConfigError


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """Two levels of a minute each."""
    names = {}
    for level, cell in (("calm", None), ("storm", "storm")):
        content: dict[str, Any] = {"name": level, "like": "retry-storm", "horizon_s": 60, "incidents": [], "cell": cell}
        path = tmp_path / f"{level}.yaml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        names[level] = {"scenarios": [str(path)], "zero": "do_nothing", "hundred": "playbook_hpa"}
    names["storm"]["hundred"] = "playbook"
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump({"name": "tiny", "version": 1, "episodes": 2, "levels": names}), encoding="utf-8")
    return path


def arguments(at: Path, folder: str, **options: Any) -> Arguments:
    usual: dict[str, Any] = {
        "policies": "hpa",
        "suite": str(at),
        "jobs": 1,
        "progress": False,
        "out": str(at.parent / folder),
    }
    return Arguments(**usual | options)


def test_twice_the_same_table_and_a_policy_alone_with_kept_references(
    suite: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluated: list[tuple[str, str]] = []

    def watched(policies: dict[str, str], scenarios: Any, *given: Any, **options: Any) -> list[EpisodeResult]:
        evaluated.extend((policy, Path(scenario).stem) for policy in policies for scenario in scenarios)
        return evaluate(policies, scenarios, *given, **options)

    monkeypatch.setattr(command, "evaluate", watched)
    run(arguments(suite, "first"), "suite")
    printed = capsys.readouterr().out
    assert "tiny.csv.gz: not kept yet, so the policies at 0 and 100 are evaluated, too (--keep keeps them)" in printed
    assert evaluated == [
        *((policy, "calm") for policy in ("do_nothing", "playbook_hpa", "hpa")),
        *((policy, "storm") for policy in ("do_nothing", "playbook", "hpa")),
    ]
    keep(arguments(suite, "unused"))
    assert capsys.readouterr().out == f"{suite.with_suffix('.csv.gz')}\n"
    evaluated.clear()
    run(arguments(suite, "second", policies="hpa,do_nothing"), "suite")
    assert evaluated == [("hpa", "calm"), ("hpa", "storm")]
    again = capsys.readouterr().out
    assert "not kept yet" not in again
    table = [line for line in printed.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 6
    assert [line for line in again.splitlines() if line.startswith("|")] == table
    first, second = (suite.parent / name for name in ("first", "second"))
    for name in ("suite.json", "suite.md"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    record = json.loads((first / "suite.json").read_text(encoding="utf-8"))
    assert (record["suite"], record["version"], record["environment"]["id"]) == ("tiny", 1, "StreamFlow-v1")
    assert record["seeds"] == [1_000_000, 1_000_001]
    assert record["is_score"] is True
    assert set(record["policies"]) == {"do_nothing", "playbook_hpa", "playbook", "hpa"}
    found = record["figures"]["storm"]["all scenarios"]
    assert (found["do_nothing"]["score"]["value"], found["playbook"]["score"]["value"]) == (0.0, 100.0)
    episodes = read_episodes(second / "episodes.csv")
    assert found["hpa"]["mean_return"] == pytest.approx(episodes.of("hpa", "return", 1).mean())


def test_a_trial_is_not_a_score(suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(arguments(suite, "trial", levels="calm", episodes=1, by_scenario=True), "suite")
    printed = capsys.readouterr().out
    assert "**Not a score of the suite**: 1 of 2 episodes a scenario." in printed
    assert f"| calm  | {suite.parent / 'calm.yaml'} | hpa " in printed
    assert json.loads((suite.parent / "trial" / "suite.json").read_text(encoding="utf-8"))["is_score"] is False


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": "mild"}, "level 'mild': must be one of calm, storm"),
        ({"policies": "nosuch"}, "policy 'nosuch': neither a baseline"),
        ({"policies": "playbook=hpa"}, "policy 'playbook': is the name of a reference"),
        ({"episodes": 3}, r"episodes 3: must be in \[1, 2\]"),
        ({"suite": "nosuch"}, "suites 'nosuch': neither a file nor one of streamflow"),
        ({"out": "."}, "holds something already"),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_evaluated(suite: Path, options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run(arguments(suite, "out", **options), "suite")
    assert not (suite.parent / "out").exists()


def test_the_command_line(suite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["suite", "--suite", str(suite), "--keep", "--levels", "calm"])
    with pytest.raises(SystemExit, match="error: keep: takes all levels and all episodes"):
        main()
