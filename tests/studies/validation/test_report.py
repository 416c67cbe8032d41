"""The page of the validation: it shows right and wrong rows, and is written as a whole or not at all."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from streamflow_agents.arguments import parse_arguments
from streamflow_env.errors import ConfigError
from studies.accounting.report import accounting_text
from studies.common.study import Outputs, outputs
from studies.mutants.report import Verdict, read_mutants, write_mutants
from studies.validation import report, run, second_opinion, sections
from studies.validation.cases import Case
from studies.validation.checks import Check
from studies.validation.regions import Outcome, Regions
from studies.validation.report import Measured, measure, write
from studies.validation.section import Picture, Section, Settings

RIGHT = Check("M/M/1", "mean wait", "s", (4.0, 4.01, 3.99, 4.0), "theory", expected=4.0, reference=4.0)
WRONG = Check("M/M/1", "mean number", "", (4.0, 4.01, 3.99, 4.0), "theory", expected=5.0)
KEPT = {
    "seed": 7, "steps": 10_000, "attempts": 1_000_000, "given_up": 0, "episodes": 125, "idle_episodes": 1,
    "shipped_episodes": 16, "compared_intervals": 80, "systems": 110, "violations": [], "duration_s": 120,
}  # fmt: skip


def small(checks: tuple[Check, ...], name: str = "dot.png") -> Callable[[Settings], Section]:
    def section(settings: Settings) -> Section:
        return Section("Small queues", "In short.\n", checks, pictures={name: Picture(Figure(), "A dot.")})

    return section


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """Runs the study with these sections, and writes to an empty folder; its exit status."""

    def run_with(parts: Mapping[str, Callable[[Settings], Section]], *options: str) -> int:
        def settings(*given: Any) -> Settings:
            accounting, mutants = tmp_path / "accounting.json", tmp_path / "mutants.json"
            return dataclasses.replace(Settings(*given), accounting=accounting, mutants=mutants)

        monkeypatch.setattr(run, "Settings", settings)
        monkeypatch.setattr(run, "outputs", lambda *_: Outputs(tmp_path / "data", tmp_path / "docs" / "validation.md"))
        monkeypatch.setattr(run, "SECTIONS", parts)
        monkeypatch.setattr(report, "SECTIONS", parts)
        return run.run(parse_arguments(run.Arguments, options))

    return run_with


def test_a_page_of_right_rows(shown: Callable[..., int], tmp_path: Path) -> None:
    assert shown({"small": small((RIGHT,))}) == 0
    text = (tmp_path / "docs" / "validation.md").read_text(encoding="utf-8")
    assert "| [Small queues](#small-queues) | 1 of 1 rows are right | 0.0 |" in text
    assert "| M/M/1 | mean wait | 4 s | theory | 4 ± 0.05275 | 4 | 4 = 4 | right |" in text
    assert "![A dot.](validation/dot.png)" in text
    assert sorted(p.name for p in (tmp_path / "docs").rglob("*")) == ["dot.png", "validation", "validation.md"]


def test_a_wrong_row_is_on_the_page_and_the_exit_code_is_1(shown: Callable[..., int], tmp_path: Path) -> None:
    assert shown({"right": small((RIGHT,), "a.png"), "wrong": small((RIGHT, WRONG), "b.png")}) == 1
    text = (tmp_path / "docs" / "validation.md").read_text(encoding="utf-8")
    assert "**1 of 2 rows are right**" in text
    assert text.count("| **wrong** |") == 1


def test_a_failure_leaves_the_old_page(shown: Callable[..., int], tmp_path: Path) -> None:
    def fails(settings: Settings) -> Section:
        raise ConfigError("no such thing")

    def cannot_be_written(settings: Settings) -> Section:
        def write_to(path: Path) -> None:
            raise ConfigError(f"the disk is full: {path.name}")

        return Section("Full", "", files={"a.csv": write_to})

    assert shown({"small": small((RIGHT,))}) == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    with pytest.raises(ConfigError, match="no such thing"):
        shown({"small": small((WRONG,)), "fails": fails})
    with pytest.raises(ConfigError, match=r"a\.csv"):
        shown({"small": small((WRONG,)), "full": cannot_be_written})
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before


def test_one_section_is_printed_and_no_page_written(
    shown: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = {"small": small((RIGHT,)), "wrong": small((WRONG,))}
    assert shown(parts, "--only", "small") == 0
    assert "1 of 1 rows are right" in capsys.readouterr().out
    assert not list(tmp_path.rglob("*.md"))


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--only", "nothing"], "section 'nothing': must be one of small"), (["--jobs", "0"], "at least 1")],
)
def test_wrong_arguments(options: list[str], message: str, shown: Callable[..., int]) -> None:
    with pytest.raises(ConfigError, match=message):
        shown({"small": small((RIGHT,))}, *options)


def test_a_quick_run_leaves_the_repository_s_page_alone() -> None:
    quick = outputs("validation", quick=True)
    assert quick.page.parts[-4:] == ("results", "quick", "validation", "validation.md")
    assert quick.data.parent == quick.page.parent


def test_a_case_that_is_not_as_the_original_is_wrong() -> None:
    right, wrong = Case("HPA", "up", "a.go: TestUp", "4", "4"), Case("HPA", "down", "a.go: TestDown", "2", "3")
    assert Section("Controllers", "", cases=[right]).verdict == "1 of 1 cases are right"
    assert Section("Controllers", "", cases=[right, wrong]).verdict == "**1 of 2 cases are right**"
    assert not Section("Controllers", "", cases=[right, wrong]).passes


def test_the_kept_campaigns_are_absent_and_said_to_be(tmp_path: Path) -> None:
    absent = Settings(accounting=tmp_path / "accounting.json", mutants=tmp_path / "mutants.json")
    for each in measure(absent, ["accounting", "mutants"]):
        assert each.section.passes
        assert "absent" in "\n".join(each.section.markdown(""))


def test_the_kept_campaigns(tmp_path: Path) -> None:
    (tmp_path / "accounting.json").write_text(json.dumps(KEPT))
    verdicts = [Verdict("no queue", "compiled", "test_queue"), Verdict("no time", "compiled", "")]
    write_mutants(tmp_path / "mutants.json", verdicts)
    settings = Settings(accounting=tmp_path / "accounting.json", mutants=tmp_path / "mutants.json")
    accounting, mutants = (each.section for each in measure(settings, ["accounting", "mutants"]))
    assert accounting.passes
    assert "10,000 control steps in 125 episodes of 110 systems" in accounting.more
    assert read_mutants(tmp_path / "mutants.json") == verdicts
    assert mutants.more.splitlines()[2:] == ["| compiled | 2 | **1** |", "", "**Wrong**: no test notices 'no time'."]
    assert mutants.verdict == "**1 of 2 are caught**"
    assert accounting.verdict == "0 violations in 10,000 steps"
    violated = {**KEPT, "violations": [{"case": 3, "step": 1, "errors": ["queue"]}]}
    assert "**Wrong**: 1 cases break a rule." in accounting_text(violated)


def test_a_refreshed_page_is_the_page_written_anew(shown: Callable[..., int], tmp_path: Path) -> None:
    parts = {"small": small((RIGHT,)), "accounting": sections.accounting, "mutants": sections.mutants}
    written = tmp_path / "docs" / "validation.md"
    assert shown(parts) == 0
    absent = written.read_text(encoding="utf-8")
    (tmp_path / "accounting.json").write_text(json.dumps(KEPT))
    write_mutants(tmp_path / "mutants.json", [Verdict("no time", "compiled", "")])
    assert shown(parts, "--refresh") == 1
    refreshed = written.read_text(encoding="utf-8")
    assert shown(parts) == 1
    assert refreshed == written.read_text(encoding="utf-8") != absent


def test_there_must_be_a_page_to_refresh(shown: Callable[..., int], tmp_path: Path) -> None:
    parts = {"small": small((RIGHT,)), "accounting": sections.accounting, "mutants": sections.mutants}
    with pytest.raises(ConfigError, match="there is no page to refresh"):
        shown(parts, "--refresh")
    assert shown({"small": small((RIGHT,))}) == 0
    before = (tmp_path / "docs" / "validation.md").read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="has no section 'Accounting' to refresh"):
        shown(parts, "--refresh")
    assert (tmp_path / "docs" / "validation.md").read_text(encoding="utf-8") == before


def test_controllers_are_a_section() -> None:
    (measured,) = measure(Settings(), ["controllers"])
    assert measured.section.passes
    assert len(measured.section.cases) > 100


def test_the_regions_are_counted_drawn_and_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    outcomes = tuple(
        Outcome("do_nothing", load, trigger_s, 0, 30.0, 1.0) for load in (1.0, 2.0) for trigger_s in (0.0, 60.0)
    )
    monkeypatch.setattr(sections, "measure_regions", lambda *_, **__: Regions(outcomes))
    measured = list(measure(Settings(), ["regions"]))
    write(measured, Settings(), Outputs(tmp_path / "data", tmp_path / "page.md"))
    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "| [Stable, vulnerable, metastable](#stable-vulnerable-metastable) | 4 runs |" in text
    assert "recovers from every trigger shown | 4 |" in text
    assert Regions.read_csv(tmp_path / "data" / "regions.csv") == Regions(outcomes)


@pytest.mark.parametrize("reference", [True, False])
def test_every_section_says_whether_the_reference_ran(reference: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("theory_checks", "littles_law_checks", "failure_checks"):
        monkeypatch.setattr(sections, name, lambda *_: [RIGHT])
    monkeypatch.setattr(sections, "draw_failures", lambda *_: Figure())
    monkeypatch.setattr(second_opinion, "second_opinion", lambda *_: ([RIGHT], Figure()))
    names = ["theory", "littles-law", "second-opinion", "failures"]
    for each in measure(Settings(reference=reference), names):
        assert ("The reference engine repeats" in each.section.text) is reference
        assert each.section.verdict == "1 of 1 rows are right"


def test_the_sections_are_in_their_order() -> None:
    assert list(sections.SECTIONS) == [
        "theory", "littles-law", "second-opinion", "failures", "regions", "controllers", "accounting", "mutants",
    ]  # fmt: skip


def test_a_page_lies_anywhere(tmp_path: Path) -> None:
    to = Outputs(tmp_path / "data", tmp_path / "other.md")
    write([Measured(small((RIGHT,))(Settings()), 90.0)], Settings(3, False), to)
    text = (tmp_path / "other.md").read_text(encoding="utf-8")
    assert "It took 1.5 min in 3 processes." in text
    assert "(other/dot.png)" in text
    assert "reference engine repeating" not in text
