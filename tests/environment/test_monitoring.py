"""What monitoring shows: late and inaccurate values of each cell, however many cells there are."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from streamflow_env.environment.monitoring import Monitoring
from streamflow_env.episode import Episode

NUM, FIELDS = 3, 4
CELLS = np.arange(NUM)


def episode(delay: int = 0, noise: float = 0.0, seed: int = 0) -> Episode:
    rates = np.zeros((1, 1))
    return Episode("test", seed, 60.0, 0.0, 5, rates, delay_intervals=delay, noise_fraction=noise)


def values(step: int) -> NDArray[np.float64]:
    return np.array([[100.0 * cell + step + 1] * FIELDS for cell in range(NUM)])


def test_each_cell_has_its_own_delay() -> None:
    monitoring = Monitoring(NUM, FIELDS)
    delays = [0, 1, 3]
    monitoring.begin(CELLS, [episode(delay) for delay in delays], values(0))
    for step in range(6):
        if step > 0:
            monitoring.record(CELLS, values(step))
        for cell, delay in enumerate(delays):
            np.testing.assert_array_equal(monitoring.show()[cell], values(max(0, step - delay))[cell])


def test_a_later_episode_may_have_a_longer_delay_and_the_others_keep_theirs() -> None:
    monitoring = Monitoring(NUM, FIELDS)
    monitoring.begin(CELLS, [episode(1)] * NUM, values(0))
    monitoring.record(CELLS, values(1))
    monitoring.begin(CELLS[2:], [episode(4)], values(2))
    others = CELLS[:2]
    monitoring.record(others, values(3))
    np.testing.assert_array_equal(monitoring.show()[:2], values(1)[:2])
    np.testing.assert_array_equal(monitoring.show()[2], values(2)[2])
    for step in range(4, 10):
        monitoring.record(CELLS, values(step))
        np.testing.assert_array_equal(monitoring.show()[:2], values(max(3, step - 1))[:2])
        np.testing.assert_array_equal(monitoring.show()[2], values(step - 4 if step >= 8 else 2)[2])


def test_an_error_depends_on_seed_step_and_field_alone() -> None:
    many, one = Monitoring(NUM, FIELDS), Monitoring(1, FIELDS)
    many.begin(CELLS, [episode(noise=0.1, seed=seed) for seed in (7, 8, 7)], np.ones((NUM, FIELDS)))
    one.begin(CELLS[:1], [episode(noise=0.1, seed=8)], np.ones((1, FIELDS)))
    shown = []
    for _ in range(4):
        np.testing.assert_array_equal(many.show()[1], one.show()[0])
        np.testing.assert_array_equal(many.show()[0], many.show()[2])
        assert (many.show()[0] != many.show()[1]).all()
        shown += many.show()[:2].ravel().tolist()
        many.record(CELLS, np.ones((NUM, FIELDS)))
        one.record(CELLS[:1], np.ones((1, FIELDS)))
    assert len(set(shown)) == len(shown)


def test_errors_are_standard_normal() -> None:
    num = 2000
    monitoring = Monitoring(num, FIELDS)
    monitoring.begin(np.arange(num), [episode(noise=1.0, seed=seed) for seed in range(num)], np.ones((num, FIELDS)))
    errors = monitoring.show() - 1.0
    assert errors.mean() == pytest.approx(0.0, abs=0.05)
    assert errors.std() == pytest.approx(1.0, abs=0.03)
    assert np.abs(np.corrcoef(errors.T) - np.eye(FIELDS)).max() < 0.1
