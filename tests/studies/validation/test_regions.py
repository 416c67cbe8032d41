"""Regions of load and trigger on a small grid, and the rules by which a point belongs to one."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from studies.validation.regions import Outcome, Region, Regions, draw_regions, measure_regions

INF = math.inf


def test_the_default_configuration_stays_down_after_a_trigger_from_which_the_playbook_recovers(tmp_path: Path) -> None:
    """Half of the normal load and twice of it, without a trigger and with two minutes of it."""
    regions = measure_regions([0], loads=(0.5, 2.0), durations_s=(0.0, 120.0))

    assert regions.region("do_nothing", 0.5, 120.0) is Region.STABLE
    assert regions.region("do_nothing", 2.0, 0.0) is Region.VULNERABLE
    assert regions.region("do_nothing", 2.0, 120.0) is Region.METASTABLE
    assert regions.count("playbook", Region.STABLE) == 4

    regions.write_csv(tmp_path / "regions.csv")
    assert Regions.read_csv(tmp_path / "regions.csv") == regions
    assert [axis.get_title(loc="left") for axis in draw_regions(regions).axes] == [
        "with the default configuration",
        "with the playbook",
    ]


def _regions(*runs: tuple[float, float, float]) -> Regions:
    """Runs at one load, each (length of the trigger, recovery time, answers an attempt) and on its own seed."""
    return Regions(
        tuple(Outcome("p", 1.0, d, seed, recovery_s, share) for seed, (d, recovery_s, share) in enumerate(runs))
    )


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([(0, 0, 1), (5, 30, 1), (10, 540, 1)], [Region.STABLE] * 3),
        ([(0, 0, 1), (5, 30, 1), (10, INF, 0.49)], [Region.VULNERABLE, Region.VULNERABLE, Region.METASTABLE]),
        ([(0, 0, 1), (5, 30, 1), (10, INF, 0.51)], [Region.VULNERABLE] * 3),
        ([(0, INF, 0.6), (5, INF, 0.1), (10, INF, 0.1)], [Region.OVERLOADED] * 3),
        ([(0, 0, 1), (5, 0, 1), (10, INF, 0), (10, 0, 1)], [Region.VULNERABLE] * 3),
        ([(0, 0, 1), (5, 0, 1), (10, INF, 0), (10, 0, 1), (10, INF, 0)], [Region.VULNERABLE] * 2 + [Region.METASTABLE]),
    ],
)
def test_what_a_point_is(runs: list[tuple[float, float, float]], expected: list[Region]) -> None:
    regions = _regions(*runs)

    assert [regions.region("p", 1.0, duration_s) for duration_s in (0.0, 5.0, 10.0)] == expected


def test_without_an_untriggered_run_a_load_is_not_called_overloaded() -> None:
    assert _regions((10, INF, 0.0)).region("p", 1.0, 10.0) is Region.METASTABLE
