"""What a run leaves behind: results, page and pictures, everything or nothing; and how timing is paired."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from streamflow_env.errors import ConfigError
from studies.benchmark import parts
from studies.benchmark.parts import PARTS, measure_parts
from studies.benchmark.report import HEADINGS, page, write
from studies.benchmark.results import (
    RESULTS,
    Measurement,
    Part,
    Results,
    Sample,
    Target,
    merged,
    ratio,
    read_results,
    three_digits,
    to_json,
)
from studies.benchmark.timing import Watch, in_turn, watching
from studies.common.study import Outputs

COST = "cost of an event"
GROWTH = Part(
    "growth",
    tuple(
        Measurement(f"{rate}/s, 1 x the cell, {load} load", {COST: Sample("ns", (110.0, 120.0, 135.0))})
        for rate, load in (("30", "normal"), ("36,000", "3x"))
    ),
    (
        Target("cost grows", 2.5, False, Sample("x", (1.5, 1.7))),
        Target("times real time", 15.0, True, Sample("x", (9.0,))),
    ),
    ("A note.",),
    "2026-11-25 03:00",
    0.25,
    61.0,
)
SHARES = ("simulation", "policy", "normalisation", "logging", "rest of collecting", "update")
TRAINING = Part(
    "training",
    tuple(
        Measurement(name, {"end to end": Sample("steps/s", (1600.0,)), "share": Sample("%", (share,))})
        for name, share in zip(("all", *SHARES), (100.0, 60.0, 10.0, 5.0, 5.0, 5.0, 15.0), strict=True)
    ),
    (),
    (),
    "2026-11-25 03:01",
    1.5,
    20.0,
)
RESULTS_OF_BOTH = Results({"processor": "a slow one"}, False, (GROWTH, TRAINING))


def test_results_are_the_same_after_a_round_through_json(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(to_json(RESULTS_OF_BOTH), encoding="utf-8")
    assert read_results(path) == RESULTS_OF_BOTH


def test_what_is_no_result_is_said(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"results\.json: cannot be read"):
        read_results(tmp_path / "results.json")


def test_a_target_is_met_or_not_and_the_page_hides_neither() -> None:
    text = page(RESULTS_OF_BOTH, "performance", {"growth": "growth.png"})
    assert "1 of 2 targets are met." in text
    assert "| cost grows | ≤ 2.5 x | 1.60 (1.50–1.70) | met |" in text
    assert "| times real time | ≥ 15 x | 9.00 | **not met** |" in text
    assert "| 30/s, 1 x the cell, normal load | 120 (110–135) |" in text
    assert "![Cost of an event as the system grows](performance/growth.png)" in text
    assert "A note." in text
    assert "0.2 to 1.5" in text
    assert "3.0 → 4.1" in text
    assert "| processor | a slow one |" in text
    assert "trial run" not in text


def test_a_trial_run_says_so() -> None:
    assert "trial run" in page(Results({}, True, (GROWTH,)), "performance", {})


def test_every_part_has_a_heading() -> None:
    assert set(HEADINGS) == set(PARTS)


def test_a_part_measured_again_takes_the_earlier_one_s_place() -> None:
    again = Part("training", (), (), ("Again.",), "later", 0.0, 1.0)
    now = Results({"processor": "another"}, False, (again,))
    assert merged(RESULTS_OF_BOTH, now, PARTS) == Results({"processor": "another"}, False, (GROWTH, again))
    assert merged(None, now, PARTS) == now


def test_page_pictures_and_results_are_written(tmp_path: Path) -> None:
    to = Outputs(tmp_path / "data", tmp_path / "docs" / "performance.md")
    assert write(RESULTS_OF_BOTH, to) == RESULTS_OF_BOTH
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == [
        "growth.png", "performance.md", RESULTS, "training.png",
    ]  # fmt: skip
    assert all((to.pictures / name).stat().st_size > 5000 for name in ("growth.png", "training.png"))


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    to = Outputs(tmp_path / "data", tmp_path / "performance.md")
    write(RESULTS_OF_BOTH, to)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    monkeypatch.setattr("studies.benchmark.report.page", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write(Results({}, True, (TRAINING,)), to)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before


def test_parts_run_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_measured", lambda name, _: Part(name, (), (), (), "", 0.0, 0.0))
    logged: list[str] = []
    results = measure_parts(["training", "engines"], quick=True, log=logged.append)
    assert [part.name for part in results.parts] == ["engines", "training"]
    assert logged == ["engines: 0 s", "training: 0 s"]
    assert results.machine["Python"]
    with pytest.raises(ConfigError, match="part 'speed': must be one of engines"):
        measure_parts(["speed"], quick=True, log=logged.append)


def test_works_are_called_in_turn_and_compared_round_by_round() -> None:
    called: list[str] = []
    clock = itertools.count(1)

    def work(name: str) -> float:
        called.append(name)
        return float(next(clock))

    samples = in_turn({"a": lambda: work("a"), "b": lambda: work("b")}, 3, "s")
    assert called == ["a", "b", "b", "a", "a", "b"]
    assert samples == {"a": Sample("s", (1.0, 4.0, 5.0)), "b": Sample("s", (2.0, 3.0, 6.0))}
    assert ratio(samples["b"], samples["a"]).values == (2.0, 0.75, 1.2)


def test_a_watched_method_is_itself_again_afterwards() -> None:
    class Bell:
        def ring(self, times: int) -> int:
            return times

    class Doorbell(Bell):
        pass

    watch, found = Watch(), Bell.ring
    with watching(watch, {"bell": (Bell, "ring"), "doorbell": (Doorbell, "ring")}):
        assert Bell().ring(3) == 3
        assert Doorbell().ring(4) == 4
    assert Bell.ring is found
    assert "ring" not in vars(Doorbell)
    assert sorted(watch.take()) == ["bell", "doorbell"]
    assert watch.take() == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.01234, "0.0123"), (1.0, "1.00"), (99.96, "100"), (1234.5, "1,230"), (36_000_000.0, "36,000,000")],
)
def test_three_digits(value: float, text: str) -> None:
    assert three_digits(value) == text
