"""The calibration itself, and the shipped system on one seed; the study has ten, and the reference engine's."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from streamflow_env.errors import ConfigError
from streamflow_env.scenarios import Timeline
from streamflow_env.system import load_system
from studies.calibration import RequirementResult, calibrate, markdown, situations
from studies.calibration.cascades import CASCADES, LLM_LIMITED_LEVEL
from studies.calibration.measurement import Calibration
from studies.calibration.measures import Counter, Extreme, Metric, Over, RecoveryTime, reading
from studies.calibration.onsets import Chain, Link, chain, first_onset, in_order
from studies.calibration.patience import PatienceResult, measure_patience, patience_runs
from studies.calibration.recording import Recording, record
from studies.calibration.report import page, write_pictures
from studies.calibration.situations import ABOVE_ZERO, Requirement, llm_limited_at

SYSTEM = load_system()
TIMES_S = np.arange(1.0, 11.0)
RISES = Link("rises", "any", 0.5, "share")
FALLS = Link("falls", "any", 0.5, "share", falls=True)
IMPOSSIBLE = {
    ("LLM rate limit at 1.4x load", "the chain's onsets are in order, 504s last (1: yes)"),
}
"""Rows that contradict others, as docs/reports/calibration.md shows; never to be added to without such a proof."""


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return calibrate(SYSTEM, seeds=[101], reference=False)


def test_the_shipped_system_meets_every_row_that_can_be_met(calibration: Calibration) -> None:
    missed = {(result.situation, result.requirement.measure) for result in calibration.results if not result.passes}
    assert missed == IMPOSSIBLE, [result for result in calibration.results if not result.passes]
    assert {
        (result.situation, result.requirement.measure)
        for result in calibration.results
        if result.requirement.contradicts
    } == IMPOSSIBLE
    assert calibration.passes


def test_every_situation_is_in_the_table_and_every_cascade_in_a_picture(
    calibration: Calibration, tmp_path: Path
) -> None:
    assert {result.situation for result in calibration.results} == {situation.name for situation in situations()}
    assert [chains[0].cascade for chains in calibration.chains] == list(CASCADES)
    files = write_pictures(calibration, tmp_path / "calibration")
    text = page(calibration, "calibration")
    for file, cascade in zip(files, CASCADES, strict=True):
        assert file.stat().st_size > 10_000
        assert f"(calibration/{file.name})" in text
        assert all(link.label in text for link in cascade.links)


def test_patience_changes_the_deadline_alone_and_is_a_table_of_the_page() -> None:
    job = (SYSTEM, LLM_LIMITED_LEVEL, SYSTEM.users.deadline_s, 101)
    assert job[:3] == next(patience_runs(SYSTEM, 101))[:3]
    found = measure_patience(job)
    shown = page(
        Calibration((101,), (), (), (found, PatienceResult(3.0, 15.0, (0.0, 1.0, 2.0, 3.0, 4.0, 4.0)))), "calibration"
    )

    recording = record(SYSTEM, llm_limited_at(LLM_LIMITED_LEVEL), 101, engine="compiled", interval_s=1.0)
    assert found.onsets_s == chain(CASCADES[0], recording).onsets_s
    assert "| 1.4x | 5 s | 0 |" in shown
    assert "| 3x | 15 s | 0 | 1 | 2 | 3 | 4 | 4 | yes |" in shown


def test_seconds_or_control_intervals_measure_the_same() -> None:
    seconds, intervals = (_short_recording(interval_s) for interval_s in (1.0, 15.0))
    for measure in (
        Metric("mean_response_s"),
        Metric("p95_s"),
        Counter("profile_db", "queue_ns"),
        Metric("hit_fraction"),
    ):
        assert measure(seconds) == measure(intervals)


def test_both_engines_give_the_same_figures_in_processes_too() -> None:
    normal = situations()[0]
    short = dataclasses.replace(normal, scenario=normal.scenario.model_copy(update={"horizon_s": 60.0}))
    results = calibrate(SYSTEM, [3], of=[short], jobs=2).results
    assert len(results) == len(normal.requirements)
    assert all(result.reference == result.seen[0] for result in results)


def test_a_name_that_the_system_has_not_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no reading 'speed'"):
        reading(SYSTEM, "speed")
    with pytest.raises(ConfigError, match="no service 'mainframe'"):
        Counter("mainframe", "arrivals")(_short_recording(15.0))


@pytest.mark.parametrize(
    ("link", "values", "onset_s"),
    [
        (RISES, [0, 0, 0, 0, 0.2, 0.5, 0.7, 0.1, 0.9, 0.9], 2.0),
        (RISES, [0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9], 0.0),
        (RISES, [0.9, 0.9, 0.9, 0.4, 0.4, 0.4, 0.4, 0.6, 0.4, 0.4], 4.0),
        (RISES, [0.9, 0.9, 0.9, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4], math.inf),
        (FALLS, [0.9, 0.9, 0.9, 0.9, 0.8, 0.6, 0.5, 0.1, 0.0, 0.0], 3.0),
        (FALLS, [0.9] * 10, math.inf),
    ],
)
def test_an_onset_is_the_first_sample_past_the_threshold_not_before_the_cause(
    link: Link, values: list[float], onset_s: float
) -> None:
    assert first_onset(TIMES_S, np.array(values), link, cause_s=4.0) == onset_s


@pytest.mark.parametrize(
    ("onsets_s", "ordered"),
    [
        ((1, 2, 3), True),
        ((1, 3, 3), True),
        ((2, 2, 3), False),
        ((1, 4, 3), False),
        ((3, 1, 4), False),
        ((1, 2, math.inf), False),
        ((math.inf, math.inf, math.inf), False),
    ],
)
def test_only_the_last_two_onsets_may_coincide(onsets_s: tuple[float, ...], ordered: bool) -> None:
    assert in_order(onsets_s) is ordered


def test_sliding_windows_by_hand() -> None:
    recording = _short_recording(1.0)
    ratio = reading(SYSTEM, "answers_per_attempt")
    ends_s, values = recording.sliding(ratio, 10.0)
    users = recording.classes[:, np.array(SYSTEM.interactive)]
    last = slice(20, 30)
    answers = users["within_sla"][last].sum() + users["late"][last].sum()
    assert ends_s[20] == 30.0
    assert values[20] == pytest.approx(answers / users["attempts"][last].sum())
    assert len(values) == len(recording.ends_s) - 9
    assert Over("answers_per_attempt", 20.0, 30.0)(recording) == values[20]
    highest = Extreme("answers_per_attempt", highest=True, from_s=5.0, to_s=40.0, window_s=10.0)
    assert highest(recording) == values[5:31].max()


def test_recovery_counts_from_the_beginning_of_the_first_good_window_that_lasts() -> None:
    recording = _short_recording(1.0)
    users = recording.classes[:, np.array(SYSTEM.interactive)]
    recording.classes[:] = np.zeros((), recording.classes.dtype)
    made_up = np.zeros_like(users)
    made_up["attempts"][:, 0, 0] = made_up["within_sla"][:, 0, 0] = 10
    made_up["within_sla"][30:33, 0, 0] = 0
    recording.classes[:, np.array(SYSTEM.interactive)] = made_up
    assert RecoveryTime("answers_per_attempt", 0.99, 10.0, window_s=5.0)(recording) == 23.0
    assert RecoveryTime("answers_per_attempt", 0.99, 33.0, window_s=5.0)(recording) == 0.0
    made_up["within_sla"][-1, 0, 0] = 0
    recording.classes[:, np.array(SYSTEM.interactive)] = made_up
    assert RecoveryTime("answers_per_attempt", 0.99, 33.0, window_s=5.0)(recording) == math.inf


@pytest.mark.parametrize(
    ("seen", "share", "passes"),
    [
        ((0.001, 0.002), 1.0, True),
        ((0.001, 0.003), 1.0, False),
        ((0.001, math.nan), 1.0, False),
        ((0.001,) * 9 + (0.003,), 0.9, True),
        ((0.001,) * 8 + (0.003,) * 2, 0.9, False),
        ((0.003,), 0.9, False),
    ],
)
def test_a_row_passes_with_as_many_seeds_as_it_asks_for(seen: tuple[float, ...], share: float, passes: bool) -> None:
    result = RequirementResult(
        "normal load", Requirement("error rate", "", 0.0005, 0.002, Metric("error_fraction"), share), seen
    )
    assert result.passes is passes
    assert list(markdown([result]))[-1].endswith("| met |" if passes else "| **not met** |")


def test_a_row_whose_engines_differ_is_not_met() -> None:
    requirement = Requirement("error rate", "", 0.0005, 0.002, Metric("error_fraction"))
    assert RequirementResult("any", requirement, (0.001,), reference=0.001).passes
    differs = RequirementResult("any", requirement, (0.001,), reference=math.nextafter(0.001, 1))
    assert not differs.passes
    assert "(the engines differ)" in list(markdown([differs]))[-1]


def test_a_row_that_contradicts_others_is_shown_and_not_counted_unless_the_engines_differ() -> None:
    requirement = Requirement("order", "", 1, 1, Metric("error_fraction"), contradicts="the load")
    result = RequirementResult("any", requirement, (0.0,), reference=0.0)
    differs = RequirementResult("any", requirement, (0.0,), reference=1.0)
    assert list(markdown([result]))[-1].endswith("| cannot be met: contradicts the load |")
    assert Calibration((0,), (result,), ()).passes
    assert not Calibration((0,), (differs,), ()).passes
    assert "0 of 0 required rows are met" in page(Calibration((0,), (result,), ()), "calibration")


def test_above_zero_means_more_than_nothing() -> None:
    requirement = Requirement("waiting", "s", ABOVE_ZERO, math.inf, Metric("error_fraction"))
    assert not RequirementResult("any", requirement, (0.0,)).passes
    assert RequirementResult("any", requirement, (1e-9,)).passes
    assert "above 0 s" in list(markdown([RequirementResult("any", requirement, (0.0,))]))[-1]


def test_the_interval_of_the_mean_is_students() -> None:
    requirement = Requirement("any", "", 0.0, 1.0, Metric("error_fraction"))
    interval = RequirementResult("any", requirement, (1.0, 2.0, 3.0)).interval
    assert interval == pytest.approx((2.0 - 4.303 / math.sqrt(3.0), 2.0 + 4.303 / math.sqrt(3.0)))
    assert RequirementResult("any", requirement, (1.0,)).interval is None
    assert RequirementResult("any", requirement, (1.0, math.inf)).interval is None


def test_a_chain_that_never_sets_in_can_be_drawn_and_told(tmp_path: Path) -> None:
    cascade, times_s = CASCADES[2], np.arange(10.0, 500.0)
    curves = np.zeros((len(cascade.links), times_s.size))
    chain = Chain(cascade, times_s, curves, (math.inf,) * len(cascade.links))
    made_up = Calibration((7,), (), ((chain,),))
    assert write_pictures(made_up, tmp_path)[0].exists()
    assert "never to never" in page(made_up, "calibration")


def _short_recording(interval_s: float) -> Recording:
    traffic = {"kind": "ramps", "start_hour": 12, "level": 2.0}
    scenario = Timeline.model_validate({"name": "short", "horizon_s": 60.0, "traffic": traffic})
    return record(SYSTEM, scenario, 5, engine="compiled", interval_s=interval_s)
