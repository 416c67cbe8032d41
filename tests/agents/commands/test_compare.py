"""The command that compares the policies of an evaluation."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from streamflow_agents.commands.compare import main, run
from streamflow_agents.evaluation.episodes import EpisodeResult
from streamflow_agents.evaluation.kept_episodes import write_results

RESULTS = [
    EpisodeResult(policy, "calm", seed, {"return": -100.0 - seed + gain})
    for policy, gain in (("rule", 0.0), ("better", 5.0))
    for seed in range(3)
]


@pytest.mark.parametrize("name", ["episodes.csv", "episodes.csv.gz"])
def test_it_writes_a_page_and_its_picture(name: str, tmp_path: Path) -> None:
    write_results(tmp_path / "kept" / name, RESULTS)
    page = run(tmp_path / "kept", "rule", tmp_path / "page.md")
    text = page.read_text(encoding="utf-8")
    assert f"](kept/{name})" in text
    assert "](page.png)" in text
    assert "**better**" in text
    assert (tmp_path / "page.png").stat().st_size > 5_000


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write_results(tmp_path / "episodes.csv", RESULTS)
    monkeypatch.setattr(sys, "argv", ["compare", str(tmp_path), "--reference", "rule"])
    main()
    assert capsys.readouterr().out.strip() == str(tmp_path / "comparison.md")
    monkeypatch.setattr(sys, "argv", ["compare", str(tmp_path), "--reference", "nosuch"])
    with pytest.raises(SystemExit, match="error: reference 'nosuch'"):
        main()
