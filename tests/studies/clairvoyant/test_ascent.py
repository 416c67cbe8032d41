"""How a schedule climbs: on worlds so small that the gradient is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from streamflow_env.errors import ConfigError
from streamflow_env.system.schema import load
from studies.clairvoyant.ascent import Ascent, advantages, antithetic, climb, first_steps, group_gradients, weights

Floats = NDArray[np.float64]
NUM_STEPS, DISTANCE, SHAPE = 8, 4.0, (3, 2)
TARGET = np.array([[0.3, -0.2], [0.0, 0.4], [-0.3, 0.1]])
ASCENT: dict[str, Any] = {"cells": 16, "iterations": 120, "scale": 0.1, "adapting": 1.0}


def over_time(schedules: Floats) -> Floats:
    """The offsets at each step, shape (num_cells, num_steps, num_controls)."""
    rows = np.array([weights(step / DISTANCE, SHAPE[0]) for step in range(NUM_STEPS)])
    return np.einsum("tp,ipc->itc", rows, schedules)


def quadratic(schedules: Floats, noise_seed: int) -> Floats:
    """Offsets cost the square of their distance from the target. Luck, the same in all cells, is far larger."""
    cost = ((over_time(schedules) - over_time(TARGET[None])) ** 2).sum(axis=2).T
    luck = 100.0 * np.random.default_rng(noise_seed).standard_normal((NUM_STEPS, 1))
    return luck - cost


def cost(schedule: Floats, world: Callable[[Floats, int], Floats] = quadratic) -> float:
    """How much more the target returns."""
    return float((world(TARGET[None], 0) - world(schedule[None], 0)).sum())


def test_a_schedule_climbs_to_the_top() -> None:
    climbed = climb(quadratic, SHAPE, DISTANCE, Ascent(**ASCENT), range(ASCENT["iterations"]), seed=0)
    assert cost(climbed.whole) < 0.001 * cost(np.zeros(SHAPE))
    assert climbed.gains[0] == 0.0
    assert climbed.gains[-1] == pytest.approx(cost(np.zeros(SHAPE)), rel=0.05)
    again = climb(quadratic, SHAPE, DISTANCE, Ascent(**ASCENT), range(ASCENT["iterations"]), seed=0)
    np.testing.assert_array_equal(again.whole, climbed.whole)


def test_scales_that_follow_the_controls_climb_where_one_control_is_a_cliff() -> None:
    """The second control costs a thousand times as much as the first, which can be won nevertheless."""

    def cliff(schedules: Floats, noise_seed: int) -> Floats:
        off = over_time(schedules) - over_time(TARGET[None])
        return -(off**2 @ np.array([1.0, 1000.0])).T

    left = []
    for adapting in (0.0, 1.0):
        ascent = Ascent(**ASCENT | {"adapting": adapting})
        whole = climb(cliff, SHAPE, DISTANCE, ascent, range(ascent.iterations), seed=0).whole
        left.append(cost(np.stack([whole[:, 0], TARGET[:, 1]], axis=1)))
    nothing = cost(np.stack([np.zeros(SHAPE[0]), TARGET[:, 1]], axis=1))
    assert left[1] < 0.2 * nothing
    assert left[1] < 0.5 * left[0]


def test_the_half_is_the_schedule_after_half_of_the_iterations() -> None:
    short = Ascent(**ASCENT | {"iterations": 4})
    seen: list[Floats] = []

    def rewards(schedules: Floats, noise_seed: int) -> Floats:
        seen.append(schedules[-2])
        return quadratic(schedules, noise_seed)

    climbed = climb(rewards, SHAPE, DISTANCE, short, range(4), seed=0)
    np.testing.assert_array_equal(climbed.half, seen[2])


def gradient(rewards: Floats, noise: Floats, firsts: NDArray[np.intp]) -> Floats:
    return group_gradients(advantages(rewards, firsts), noise)[0]


def test_the_gradient_points_uphill_and_luck_does_not_move_it() -> None:
    noise = antithetic(np.random.default_rng(0), 4000, SHAPE)
    firsts = first_steps(SHAPE[0], DISTANCE)
    gradients = [gradient(quadratic(0.05 * noise, luck), noise, firsts) for luck in (1, 2)]
    np.testing.assert_allclose(gradients[0], gradients[1], atol=1e-9)
    assert (np.sign(gradients[0]) == np.sign(TARGET))[TARGET != 0.0].all()


def test_the_scale_shrinks_where_far_is_dear_and_grows_where_it_pays() -> None:
    noise = antithetic(np.random.default_rng(0), 4000, (1, 3))
    rewards = noise[:, 0] ** 2 @ np.array([[-1.0], [0.0], [1.0]])
    _, grow = group_gradients(advantages(rewards.T, np.array([0])), noise)
    assert grow[0] < -0.3
    assert abs(grow[1]) < 0.05
    assert grow[2] > 0.3


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
    found = gradient(rewards, noise, firsts)
    assert (found[:2, 0] > 0).all()
    np.testing.assert_array_equal(found[2], 0.0)


def test_a_point_after_the_end_has_no_gradient() -> None:
    noise = antithetic(np.random.default_rng(0), 4, (4, 1))
    found = gradient(noise[:, 0].T, noise, np.array([0, 1, 5, 9]))
    assert found[3].tolist() == [0.0]


def test_one_collapse_does_not_decide() -> None:
    """The cell that would climb furthest collapses; the others still say where up is."""
    noise = antithetic(np.random.default_rng(0), 64, (1, 1))
    rewards = noise[:, 0].T.copy()
    rewards[0, np.argmax(noise[:, 0, 0])] = -1e6
    assert gradient(rewards, noise, np.array([0])).item() > 0.5


def test_the_doubled_budget_is_that_of_twice_as_many_iterations() -> None:
    assert Ascent(**ASCENT).doubled() == Ascent(**ASCENT | {"iterations": 240})


@pytest.mark.parametrize(
    "wrong", [{"cells": 7}, {"cells": 0}, {"iterations": 0}, {"scale": 0.0}, {"adapting": -1.0}, {"pace": 1}]
)
def test_a_wrong_number_is_named(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        load(Ascent, ASCENT | wrong)
