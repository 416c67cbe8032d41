"""Studies that are one evaluation: what becomes the report, and what is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamflow_agents.commands import evaluate
from streamflow_agents.evaluation.kept_episodes import read_episodes
from streamflow_env.errors import ConfigError
from studies.common import evaluation
from studies.common.study import Outputs, kept, load_plan
from studies.example.run import ExamplePlan


def test_the_kept_episodes_are_those_of_the_plan_and_of_the_agent() -> None:
    episodes = read_episodes(kept("example") / evaluation.EPISODES)
    assert tuple(episodes.figures) == (*load_plan(ExamplePlan, "example").policies, "agent")


def test_an_evaluation_replaces_the_report_and_a_failure_leaves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "ROOT", tmp_path)
    out = Outputs(tmp_path / "data", tmp_path / "docs" / "page.md")
    out.pictures.mkdir(parents=True)
    (out.pictures / "old.md").write_text("old", encoding="utf-8")

    def fail(arguments: evaluate.Arguments, command: str) -> None:
        raise ConfigError("no such policy")

    def write(arguments: evaluate.Arguments, command: str) -> None:
        folder = Path(str(arguments.out))
        folder.mkdir(parents=True)
        for name in (evaluation.EPISODES, "summary.md"):
            (folder / name).write_text(command, encoding="utf-8")

    monkeypatch.setattr(evaluate, "run", fail)
    with pytest.raises(ConfigError, match="no such policy"):
        evaluation.evaluate_into(out, evaluate.Arguments(), "a command", quick=False)
    assert [path.name for path in out.pictures.iterdir()] == ["old.md"]
    monkeypatch.setattr(evaluate, "run", write)
    evaluation.evaluate_into(out, evaluate.Arguments(), "a command", quick=False)
    assert [path.name for path in out.pictures.iterdir()] == ["summary.md"]
    assert (out.data / evaluation.EPISODES).read_text(encoding="utf-8") == "a command"
