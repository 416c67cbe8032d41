"""How a schedule climbs: on worlds so small that the gradient is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from streamflow_env.errors import ConfigError
from streamflow_env.system.schema import load
from studies.clairvoyant.ascent import Adam, Ascent, antithetic, climb, first_steps, group_gradient, weights

Floats = NDArray[np.float64]
NUM_STEPS, DISTANCE, SHAPE = 8, 4.0, (3, 2)
TARGET = np.array([[0.3, -0.2], [0.0, 0.4], [-0.3, 0.1]])
ASCENT = {
    "cells": 16, "iterations": 120, "first_scale": 0.1, "last_scale": 0.05, "first_step": 0.05, "last_step": 0.01,
}  # fmt: skip


def over_time(schedules: Floats) -> Floats:
    """The offsets at each step, shape (num_cells, num_steps, num_controls)."""
    rows = np.array([weights(step / DISTANCE, SHAPE[0]) for step in range(NUM_STEPS)])
    return np.einsum("tp,ipc->itc", rows, schedules)


def quadratic(schedules: Floats, noise_seed: int) -> Floats:
    """Offsets cost the square of their distance from the target. Luck, the same in all cells, is far larger."""
    cost = ((over_time(schedules) - over_time(TARGET[None])) ** 2).sum(axis=2).T
    luck = 100.0 * np.random.default_rng(noise_seed).standard_normal((NUM_STEPS, 1))
    return luck - cost


def test_a_schedule_climbs_to_the_top() -> None:
    climbed = climb(quadratic, SHAPE, DISTANCE, Ascent(**ASCENT), range(ASCENT["iterations"]), seed=0)  # type: ignore[arg-type]

    def cost(schedule: Floats) -> float:
        return float(-(quadratic(schedule[None], 0) - quadratic(TARGET[None], 0)).sum())

    assert cost(climbed.whole) < 0.02 * cost(np.zeros(SHAPE))
    assert cost(climbed.half) < 0.2 * cost(np.zeros(SHAPE))
    assert climbed.gains[0] == 0.0
    assert climbed.gains[-1] == pytest.approx(cost(np.zeros(SHAPE)), rel=0.05)
    again = climb(quadratic, SHAPE, DISTANCE, Ascent(**ASCENT), range(ASCENT["iterations"]), seed=0)  # type: ignore[arg-type]
    np.testing.assert_array_equal(again.whole, climbed.whole)


def test_the_half_is_the_schedule_after_half_of_the_iterations() -> None:
    short = Ascent(**ASCENT | {"iterations": 4})  # type: ignore[arg-type]
    seen: list[Floats] = []

    def rewards(schedules: Floats, noise_seed: int) -> Floats:
        seen.append(schedules[-2])
        return quadratic(schedules, noise_seed)

    climbed = climb(rewards, SHAPE, DISTANCE, short, range(4), seed=0)
    np.testing.assert_array_equal(climbed.half, seen[2])


def test_the_gradient_points_uphill_and_luck_does_not_move_it() -> None:
    noise = antithetic(np.random.default_rng(0), 4000, SHAPE)
    firsts = first_steps(SHAPE[0], DISTANCE)
    gradients = [group_gradient(quadratic(0.05 * noise, luck), noise, firsts) for luck in (1, 2)]
    np.testing.assert_allclose(gradients[0], gradients[1], atol=1e-9)
    assert (np.sign(gradients[0]) == np.sign(TARGET))[TARGET != 0.0].all()


def test_noise_comes_in_antithetic_pairs() -> None:
    noise = antithetic(np.random.default_rng(0), 6, (2, 3))
    np.testing.assert_array_equal(noise[:3], -noise[3:])
    assert len(np.unique(np.abs(noise))) == 18


def test_what_came_before_a_point_acts_is_no_consequence_of_it() -> None:
    """A reward in step 2 counts for the points 0 and 1, which act then, and not for point 2, which begins at 5."""
    firsts = first_steps(SHAPE[0], DISTANCE)
    assert firsts.tolist() == [0, 1, 5]
    acting = np.array([weights(step / DISTANCE, SHAPE[0]) for step in range(NUM_STEPS)]) > 0
    assert acting.argmax(axis=0).tolist() == firsts.tolist()
    noise = antithetic(np.random.default_rng(0), 8, SHAPE)
    rewards = np.zeros((NUM_STEPS, 8))
    rewards[2] = noise[:, 0, 0] + noise[:, 1, 0] + noise[:, 2, 0]
    gradient = group_gradient(rewards, noise, firsts)
    assert (gradient[:2, 0] > 0).all()
    np.testing.assert_array_equal(gradient[2], 0.0)


def test_a_point_after_the_end_has_no_gradient() -> None:
    noise = antithetic(np.random.default_rng(0), 4, (4, 1))
    gradient = group_gradient(np.cumsum(noise[:, 0].T, axis=1), noise, np.array([0, 1, 5, 9]))
    assert gradient[3].tolist() == [0.0]


def test_one_collapse_does_not_decide() -> None:
    """The cell that would climb furthest collapses; the others still say where up is."""
    noise = antithetic(np.random.default_rng(0), 64, (1, 1))
    rewards = noise[:, 0].T.copy()
    rewards[0, np.argmax(noise[:, 0, 0])] = -1e6
    assert group_gradient(rewards, noise, np.array([0])).item() > 0.5


def test_adam_takes_steps_of_one_size_whatever_the_gradient_s() -> None:
    np.testing.assert_allclose(Adam((2,)).step(np.array([1e-3, -1e3]), 0.1), [0.1, -0.1])
    assert Adam((1,)).step(np.zeros(1), 0.1).tolist() == [0.0]


def test_scale_and_step_decay() -> None:
    ascent = Ascent(**ASCENT)  # type: ignore[arg-type]
    assert ascent.at(0) == (0.1, 0.05)
    assert ascent.at(119) == pytest.approx((0.05, 0.01))
    assert ascent.doubled().at(238 // 2)[0] == pytest.approx(ascent.at(119 // 2)[0], rel=0.01)
    assert ascent.doubled().iterations == 240


@pytest.mark.parametrize("wrong", [{"cells": 7}, {"cells": 0}, {"iterations": 0}, {"first_step": 0.0}, {"pace": 1}])
def test_a_wrong_number_is_named(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        load(Ascent, ASCENT | wrong)
