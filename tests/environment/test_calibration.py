"""The shipped system meets the brief's figures; `make calibrate` repeats this with more seeds and a longer peak."""

from streamflow_env.environment.calibration import Row, calibrate, markdown
from streamflow_env.system import load_system


def test_normal_and_peak_load_meet_every_row() -> None:
    rows = calibrate(load_system(), seeds=[101, 102], long_hold=False)
    assert len(rows) == 11
    assert [row for row in rows if not row.passes] == []


def test_a_row_outside_its_range_is_not_met() -> None:
    row = Row("normal load", "error rate", "fraction", 0.0005, 0.002, (0.001, 0.003))
    assert not row.passes
    assert "**not met**" in list(markdown([row]))[-1]
