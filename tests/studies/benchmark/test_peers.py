"""Every simulator of the tandem simulates the same tandem."""

from __future__ import annotations

import pytest

from studies.benchmark.peers import Tally
from studies.benchmark.tandem import MEASURED_S, simulate

LENGTH_S = {"compiled": 2000.0, "reference": 60.0, "SimPy": 60.0, "Ciw": 60.0, "heapq loop": 400.0}


@pytest.fixture(scope="module")
def ours() -> Tally:
    return simulate("compiled", LENGTH_S["compiled"], 0)


@pytest.mark.parametrize("name", MEASURED_S)
def test_it_is_the_same_tandem(name: str, ours: Tally) -> None:
    tally = simulate(name, LENGTH_S[name], 1)
    assert tally.num_requests == pytest.approx(100.0 * LENGTH_S[name], rel=0.05)
    assert 0 <= tally.num_requests - tally.num_ended < 50
    assert tally.mean_response_s == pytest.approx(ours.mean_response_s, rel=0.05)
    assert tally.gave_up_fraction == pytest.approx(ours.gave_up_fraction, rel=0.2)


@pytest.mark.parametrize("name", MEASURED_S)
def test_the_same_seed_is_the_same_run(name: str) -> None:
    assert simulate(name, 5.0, 3) == simulate(name, 5.0, 3)
