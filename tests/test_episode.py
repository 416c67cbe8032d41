"""What the operators' calendar says at each moment of an episode."""

from __future__ import annotations

import math

import numpy as np
import pytest

from streamflow_env.episode import Announcement, Episode

FIRST = Announcement(known_from_s=100.0, start_s=400.0, end_s=700.0, expected_rps=20.0)
SECOND = Announcement(known_from_s=50.0, start_s=900.0, end_s=1000.0, expected_rps=30.0)
EPISODE = Episode("any", 0, 2000.0, 0.0, 10**9, np.zeros((1, 1)), announcements=(FIRST, SECOND))


@pytest.mark.parametrize(
    ("time_s", "announced"),
    [
        (0.0, (math.inf, 0.0)),
        (50.0, (850.0, 30.0)),  # the later campaign is known first
        (100.0, (300.0, 20.0)),
        (399.0, (1.0, 20.0)),
        (400.0, (0.0, 20.0)),
        (699.0, (0.0, 20.0)),
        (700.0, (200.0, 30.0)),
        (999.0, (0.0, 30.0)),
        (1000.0, (math.inf, 0.0)),
    ],
)
def test_the_earliest_campaign_that_is_known_and_not_over(time_s: float, announced: tuple[float, float]) -> None:
    assert EPISODE.announced(time_s) == announced


def test_without_a_campaign_nothing_is_announced() -> None:
    assert Episode("any", 0, 60.0, 0.0, 10**9, np.zeros((1, 1))).announced(10.0) == (math.inf, 0.0)
