"""Rate curves: their shape, their ranges and their seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamflow_env.errors import ConfigError
from streamflow_env.system.schema import parse
from streamflow_env.traffic import DailyTraffic, Load, RampTraffic
from streamflow_env.traffic.profile import CurvedTraffic

TIMES_S = np.arange(0.0, 3600.0, 5.0)


def load(model: type[CurvedTraffic], seed: int = 0, times_s: Any = TIMES_S, **data: Any) -> Load:
    return parse(model, data, "test").sample(seed, np.asarray(times_s, dtype=np.float64), 3600.0)


def ramps(**data: Any) -> Load:
    return load(RampTraffic, **{"kind": "ramps", "level": 1.0, **data})


def test_ramps_go_linearly_from_level_to_level() -> None:
    curve = [{"start_s": 100, "duration_s": 100, "level": 3.0}, {"start_s": 300, "duration_s": 200, "level": 2.0}]
    levels = ramps(ramps=curve, times_s=[0, 100, 150, 200, 250, 300, 400, 500, 3000]).levels
    assert levels.tolist() == [1.0, 1.0, 2.0, 3.0, 3.0, 3.0, 2.5, 2.0, 2.0]


def test_a_ramp_waits_for_the_one_before_it() -> None:
    curve = [{"start_s": 100, "duration_s": 100, "level": 3.0}, {"start_s": 150, "duration_s": 100, "level": 1.0}]
    assert ramps(ramps=curve, times_s=[150, 200, 250, 300]).levels.tolist() == [2.0, 3.0, 2.0, 1.0]


def test_a_ramp_of_no_duration_is_a_step() -> None:
    curve = [{"start_s": 100, "duration_s": 0, "level": 3.0}]
    assert ramps(ramps=curve, times_s=[99, 101]).levels.tolist() == [1.0, 3.0]


def test_levels_and_hours_are_drawn_within_their_ranges() -> None:
    loads = [ramps(seed=seed, level=[0.9, 1.4], start_hour=[9, 17]) for seed in range(200)]
    levels, hours = [x.levels[0] for x in loads], [x.start_hour for x in loads]
    assert 0.9 <= min(levels) < 0.92
    assert 1.38 < max(levels) <= 1.4
    assert 9 <= min(hours) < 9.3
    assert 16.7 < max(hours) <= 17


def test_a_swing_is_a_sinusoid_of_drawn_amplitude_period_and_phase() -> None:
    times_s = np.arange(0.0, 12000.0, 5.0)
    swings = [{"amplitude": [0.05, 0.1], "period_s": [300, 600]}]
    levels = [ramps(seed=seed, swings=swings, times_s=times_s).levels for seed in range(20)]
    for level in levels:
        assert 1.049 < level.max() <= 1.1
        assert level.mean() == pytest.approx(1.0, abs=0.01)
        crossings = np.count_nonzero(np.diff(np.sign(level - 1.0)))
        assert 2 * 12000 / 600 - 1 <= crossings <= 2 * 12000 / 300 + 1
    assert len({float(level[0]) for level in levels}) == 20


def test_a_surge_rises_holds_falls_and_is_marked() -> None:
    surge = {"factor": 2.0, "start_s": 100, "rise_s": 50, "duration_s": 200, "fall_s": 100}
    traffic = ramps(level=1.5, surges=[surge], times_s=[100, 125, 150, 350, 400, 450, 451])
    assert traffic.levels.tolist() == [1.5, 2.25, 3.0, 3.0, 2.25, 1.5, 1.5]
    (mark,) = traffic.marks
    assert (mark.label, mark.start_s, mark.end_s) == ("surge, 2.00x", 100.0, 450.0)


def test_a_surges_noise_multiplies_its_excess() -> None:
    surge = {"factor": 1.5, "start_s": 0, "rise_s": 0, "duration_s": 3600, "noise": [0.5, 1.5]}
    peaks = [ramps(seed=seed, surges=[surge]).levels.max() for seed in range(100)]
    assert 1.25 <= min(peaks) < 1.3
    assert 1.7 < max(peaks) <= 1.75


def test_a_surge_can_fail_to_happen() -> None:
    surge = {"factor": 1.5, "start_s": 0, "duration_s": 3600, "chance": 0.5}
    happened = [bool(ramps(seed=seed, surges=[surge]).marks) for seed in range(200)]
    assert 70 < sum(happened) < 130


def test_one_more_surge_or_swing_leaves_the_other_draws_alone() -> None:
    data: dict[str, Any] = {"level": [1, 2], "surges": [{"factor": [1, 2], "start_s": [0, 900], "duration_s": 60}]}
    more = {**data, "surges": [*data["surges"], {"factor": 1.0, "start_s": 5, "duration_s": 5}]}
    more["swings"] = [{"amplitude": 0.0, "period_s": [100, 200]}]
    assert np.array_equal(ramps(seed=3, **data).levels, ramps(seed=3, **more).levels)


def test_a_daily_curve_repeats_and_wraps_round_midnight() -> None:
    points = [[2, 1.0], [8, 2.0], [22, 3.0]]
    hours = np.array([0.0, 5.0, 14.0, 22.0, 24.0, 29.0, 48.0])
    traffic = load(DailyTraffic, kind="daily", start_hour=0, points=points, scale=2.0, times_s=hours * 3600)
    assert traffic.levels == pytest.approx([4.0, 3.0, 2 * (2 + 6 / 14), 6.0, 4.0, 3.0, 4.0])


def test_a_daily_curve_starts_at_its_hour() -> None:
    traffic = load(DailyTraffic, kind="daily", start_hour=18, points=[[18, 1.5], [20, 3.0]], times_s=[0, 3600, 7200])
    assert traffic.start_hour == 18
    assert traffic.levels == pytest.approx([1.5, 2.25, 3.0])


@pytest.mark.parametrize("start_hour", [24, 0])
def held_out_hour_24_is_hour_0(start_hour: float) -> None:
    traffic = load(DailyTraffic, kind="daily", start_hour=start_hour, points=[[0, 1.0], [12, 2.0], [24, 1.0]])
    assert traffic.start_hour == 0
    assert traffic.levels[0] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"level": -1}, r"level = -1: must be a number in \[0, 1000\], or \[low, high\]"),
        ({"level": [3, 1]}, r"level: \[3, 1\] must be a number in \[0, 1000\], or \[low, high\] .* low <= high"),
        ({"level": [1, 2, 3]}, r"level: \[1, 2, 3\] must be"),
        ({"level": [1, True]}, r"level: \[1, True\] must be"),
        ({"level": float("nan")}, "level = nan: must be"),
        ({"level": "high"}, "level = 'high': must be"),
        ({"start_hour": 25}, r"start_hour = 25: must be a number in \[0, 24\]"),
        ({"lvl": 1}, "lvl: unknown key"),
        ({"swings": [{"amplitude": 1.5, "period_s": 9}]}, r"swings.0.amplitude = 1.5: must be a number in \[0, 1\]"),
        ({"swings": [{"amplitude": 0.5, "period_s": 0}]}, "swings.0.period_s = 0: must be a number above 0"),
        ({"surges": [{"factor": 2, "start_s": 0}]}, "surges.0.duration_s: required key is missing"),
    ],
)
def test_what_is_wrong_is_named(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^test: {message}"):
        ramps(**data)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([[0, 1], [0, 2]], r"hours \[0.0, 0.0\] must be ascending"),
        ([[0, 1], [24, 2]], "hours 0 and 24 are the same moment"),
        ([[0, 1], [25, 2]], "points.1.hour = 25: must be less than or equal to 24"),
        ([[0, -1]], "points.0.level = -1: must be greater than or equal to 0"),
        ([], "points"),
        ([3], "points.0 = 3"),
        (3, "points = 3"),
    ],
)
def test_what_is_wrong_with_a_daily_curve_is_named(points: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(DailyTraffic, kind="daily", start_hour=0, points=points)
