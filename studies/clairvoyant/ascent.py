"""Gradients from groups of cells on the same luck: how a schedule climbs.

A schedule has shape (num_points, num_controls): the offset of each control at points that are equally far apart, linear
in time between them. The K cells of a group meet the same episode under the same noise seed. Cell i has the schedule
θ + σ ε_i with Gaussian ε_i, and half of the cells have the opposite ε of the other half.

1. Luck is the same in all cells. It cancels where what the group got in the middle is taken off what each cell got.
   The median is the middle, not the mean: one cell that collapses must not move it.
2. Point j acts only from a step on. What a cell got before is no consequence of its ε at that point. So the gradient
   for point j is the mean of ε_ij · (G_ij − median of G_j over the group), where G_ij is the sum of cell i's rewards
   from that step to the end.
3. Each iteration has another noise seed, and some seeds spread ten times more than others. What is left of G is divided
   by its median size over the group, point by point, and clipped: no cell and no storm decides alone.

Adam takes the step. Its size and σ decay geometrically.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator

from streamflow_env.system.schema import Count, Frozen, Positive

Floats = NDArray[np.float64]
Rewards = Callable[[Floats, int], Floats]
"""Schedules, shape (num_cells, num_points, num_controls), and a noise seed that all meet; the rewards of every step,
shape (num_steps, num_cells)."""

LARGEST: Final = 4.0
"""What a cell got above its group is clipped at so many spreads; a spread is the median of what is clipped."""
LEAST_SPREAD: Final = 1e-9
FAR: Final = 2.0
"""An offset of the whole action axis, which is 2 long; a larger one does the same."""
MEMORY: Final = (0.9, 0.99)
"""Adam's decay of the mean and of the mean square of gradients."""


class Ascent(Frozen):
    """How long and how boldly a schedule climbs; scales and steps are in units of the action axis, which is 2 long.

    `cells` are in a group. The standard deviation of the noise goes from `first_scale` to `last_scale`, and the size
    of a step, coordinate by coordinate, from `first_step` to `last_step`.
    """

    cells: Count
    iterations: Count
    first_scale: Positive
    last_scale: Positive
    first_step: Positive
    last_step: Positive

    @field_validator("cells")
    @classmethod
    def _pairs(cls, cells: int) -> int:
        if cells % 2:
            raise ValueError("must be even: cells are in pairs")
        return cells

    def doubled(self) -> Ascent:
        """The same with twice as many iterations: scale and step decay half as fast."""
        return self.model_copy(update={"iterations": 2 * self.iterations})

    def at(self, iteration: int) -> tuple[float, float]:
        """The scale of the noise and the size of the step of an iteration."""
        share = iteration / max(1, self.iterations - 1)
        scale = self.first_scale * (self.last_scale / self.first_scale) ** share
        return scale, self.first_step * (self.last_step / self.first_step) ** share


@dataclass(frozen=True)
class Climbed:
    """The schedule after half of the iterations, and after all.

    `gains`: by iteration, the return of the schedule before its step less that of no schedule, on one noise seed.
    """

    half: Floats
    whole: Floats
    gains: tuple[float, ...]


def weights(at: float, num_points: int) -> Floats:
    """How much each point counts at a time in units of their distance, shape (num_points,); the last one stays."""
    return np.maximum(0.0, 1.0 - np.abs(min(at, num_points - 1.0) - np.arange(num_points)))


def first_steps(num_points: int, distance: float) -> NDArray[np.intp]:
    """The first step at which each point acts, shape (num_points,); points are `distance` steps apart."""
    return np.array([0, *(int(point * distance) + 1 for point in range(num_points - 1))], dtype=np.intp)


def antithetic(rng: np.random.Generator, num_cells: int, shape: tuple[int, ...]) -> Floats:
    """Standard Gaussian noise, shape (num_cells, *shape); the second half of the cells has the opposite of the first's.

    `num_cells` is even.
    """
    half = rng.standard_normal((num_cells // 2, *shape))
    return np.concatenate([half, -half])


def group_gradient(rewards: Floats, noise: Floats, firsts: NDArray[np.intp]) -> Floats:
    """The direction in which a group climbs, shape (num_points, num_controls), as the module's docstring says.

    Args:
        rewards: shape (num_steps, num_cells).
        noise: shape (num_cells, num_points, num_controls).
        firsts: the first step at which each point acts. A point that acts in none has a gradient of 0.
    """
    to_go = np.concatenate([np.cumsum(rewards[::-1], axis=0)[::-1], np.zeros((1, rewards.shape[1]))])
    got = to_go[np.minimum(firsts, len(rewards))]
    above = got - np.median(got, axis=1, keepdims=True)
    spread = np.maximum(np.median(np.abs(above), axis=1, keepdims=True), LEAST_SPREAD)
    advantages = np.clip(above / spread, -LARGEST, LARGEST)
    return np.einsum("pi,ipc->pc", advantages, noise) / len(noise)


class Adam:
    """Adam's steps (Kingma and Ba 2015), uphill."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._mean = np.zeros(shape)
        self._square = np.zeros(shape)
        self._count = 0

    def step(self, gradient: Floats, size: float) -> Floats:
        """The step after `gradient`, of about `size` in each coordinate."""
        self._count += 1
        for average, value, memory in zip((self._mean, self._square), (gradient, gradient**2), MEMORY, strict=True):
            average += (1.0 - memory) * (value - average)
        mean, square = (
            average / (1.0 - memory**self._count)
            for average, memory in zip((self._mean, self._square), MEMORY, strict=True)
        )
        return size * mean / np.maximum(np.sqrt(square), LEAST_SPREAD)


def climb(
    rewards: Rewards, shape: tuple[int, int], distance: float, ascent: Ascent, noise_seeds: Sequence[int], seed: int
) -> Climbed:
    """Climb from no offsets on; an iteration meets one of `noise_seeds`. `seed` draws the cells' noise.

    Args:
        shape: (num_points, num_controls).
        distance: steps between two points.
    """
    rng, adam, firsts = np.random.default_rng(seed), Adam(shape), first_steps(shape[0], distance)
    schedule, gains, path = np.zeros(shape), [], []
    for iteration, noise_seed in enumerate(noise_seeds):
        scale, size = ascent.at(iteration)
        noise = antithetic(rng, ascent.cells, shape)
        without = np.zeros_like(schedule)
        seen = rewards(np.concatenate([schedule + scale * noise, [schedule, without]]), noise_seed)
        gains.append(float(seen[:, -2].sum() - seen[:, -1].sum()))
        schedule = np.clip(schedule + adam.step(group_gradient(seen[:, :-2], noise, firsts), size), -FAR, FAR)
        path.append(schedule)
    return Climbed(path[(len(path) - 1) // 2], path[-1], tuple(gains))
