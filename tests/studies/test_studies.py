"""Every study has the same form: a plan, a run with arguments, and nothing that is not in the repository."""

from __future__ import annotations

import ast
from dataclasses import fields
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from scripts.study import print_list
from streamflow_agents.arguments import parse_arguments
from streamflow_env.errors import ConfigError
from studies.common.study import ROOT, STUDIES, StudyArguments, header, outputs, program, study_names

NAMES = study_names()
CHEAP = ("reference", "traces")
"""Studies whose quick run takes a few seconds."""


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_says_what_is_read_and_how_long_it_takes(name: str) -> None:
    """What is read is in the repository, or another study writes it."""
    study = header(name)
    assert study.about
    written = {path for other in NAMES if other != name for path in header(other).writes}
    for path in study.reads:
        assert not Path(path).is_absolute()
        assert (ROOT / path).exists() or path in written, path
    for path in study.optional:
        assert any(Path(one).is_relative_to(path) for one in written), path


@pytest.mark.parametrize("name", NAMES)
def test_a_study_can_be_run(name: str) -> None:
    study = program(name)
    arguments: type[StudyArguments] = study.Arguments
    assert issubclass(arguments, StudyArguments)
    assert parse_arguments(arguments, []).quick is False
    assert all(field.metadata.get("help") for field in fields(arguments))
    assert callable(study.run)


def test_the_list_names_every_study(capsys: pytest.CaptureFixture[str]) -> None:
    print_list()
    printed = capsys.readouterr().out
    assert all(f"{name}: {header(name).about}" in printed for name in NAMES)


def test_an_unknown_study_is_an_error() -> None:
    with pytest.raises(ConfigError, match="study 'alchemy': must be one of"):
        header("alchemy")


@pytest.mark.parametrize("name", [name for name in CHEAP if name in NAMES])
def test_a_quick_run_writes_to_its_own_folder_only(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studies.common.study.QUICK", tmp_path)
    monkeypatch.setattr(f"studies.{name}.run.QUICK", tmp_path, raising=False)
    kept = {path: path.stat().st_mtime_ns for path in (ROOT / "docs").rglob("*.*")}
    study = program(name)
    assert study.run(parse_arguments(study.Arguments, ["--quick", "--no-progress"])) == 0
    assert {path: path.stat().st_mtime_ns for path in (ROOT / "docs").rglob("*.*")} == kept
    assert list((tmp_path / name).rglob("*.md"))


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_found_from_the_repository_s_root(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert outputs(name).data == STUDIES / name / "data"
    assert outputs(name, quick=True).page.is_relative_to(ROOT / "results" / "quick" / name)


def test_no_study_imports_one_that_imports_it() -> None:
    TopologicalSorter(
        {folder.name: _imported_studies(folder) for folder in STUDIES.iterdir() if folder.is_dir()}
    ).prepare()


def _imported_studies(folder: Path) -> set[str]:
    found = set()
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module == "studies":
                modules = [f"studies.{alias.name}" for alias in node.names]
            found |= {module.split(".")[1] for module in modules if module.startswith("studies.")}
    return found - {folder.name}
