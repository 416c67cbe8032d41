"""Gradients from groups of cells on the same luck: how a schedule climbs.

A schedule has shape (num_points, num_controls): the offset of each control at points that are equally far apart, linear
in time between them. The K cells of a group meet the same episode under the same noise seed. Cell i has the schedule
θ + σ ε_i with Gaussian ε_i, and half of the cells have the opposite ε of the other half.

1. Luck is the same in all cells. It cancels where what the group got in the middle is taken off what each cell got.
   The median is the middle, not the mean: one cell that collapses must not move it.
2. Point j acts only from a step on. What a cell got before is no consequence of its ε at that point. So for point j a
   cell counts with A_ij = G_ij − median of G_j over the group, where G_ij is the sum of its rewards from that step on.
3. Each iteration has another noise seed, and some seeds spread ten times more than others. A is divided by its median
   size over the group, point by point, and clipped: no cell and no storm decides alone. Then it is standardised.
4. The step is that of separable natural evolution strategies (Schaul, Glasmachers and Schmidhuber 2011): θ moves by
   σ · mean of A_ij ε_ij, and log σ by half of `adapting` times the mean of A_ij (ε_ij² − 1). So σ shrinks where moving
   far costs, and grows where it pays or hardly matters. A control has one σ at all points, which averages its noise.

The controls' sharpness differs a thousand times. With the same σ for all, the noise of the sharp ones hides what the
others do, and the steps of all are too large for the sharp ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator

from streamflow_env.system.schema import Count, Frozen, NonNegative, Positive

Floats = NDArray[np.float64]
Rewards = Callable[[Floats, int], Floats]
"""Schedules, shape (num_cells, num_points, num_controls), and a noise seed that all meet; the rewards of every step,
shape (num_steps, num_cells)."""

LARGEST: Final = 6.0
"""What a cell got above the middle is clipped at so many times its median size; of Gaussians that is 4 deviations."""
LEAST_SPREAD: Final = 1e-9
FAR: Final = 2.0
"""An offset of the whole action axis, which is 2 long; a larger one does the same."""
SCALES: Final = (0.01, 0.3)
"""σ stays in this range: a hundredth of the axis is within rounding, a third leaves it from anywhere."""


class Ascent(Frozen):
    """How long and how boldly a schedule climbs.

    `cells` are in a group. `scale` is the first σ, in units of the action axis, which is 2 long. `adapting` is how fast
    σ changes; 0: not at all.
    """

    cells: Count
    iterations: Count
    scale: Positive
    adapting: NonNegative

    @field_validator("cells")
    @classmethod
    def _pairs(cls, cells: int) -> int:
        if cells % 2:
            raise ValueError("must be even: cells are in pairs")
        return cells

    def doubled(self) -> Ascent:
        """The same with twice as many iterations."""
        return self.model_copy(update={"iterations": 2 * self.iterations})


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
    return np.asarray(np.maximum(0.0, 1.0 - np.abs(min(at, num_points - 1.0) - np.arange(num_points))))


def first_steps(num_points: int, distance: float) -> NDArray[np.intp]:
    """The first step at which each point acts, shape (num_points,); points are `distance` steps apart."""
    return np.array([0, *(int(point * distance) + 1 for point in range(num_points - 1))], dtype=np.intp)


def antithetic(rng: np.random.Generator, num_cells: int, shape: tuple[int, ...]) -> Floats:
    """Standard Gaussian noise, shape (num_cells, *shape); the second half of the cells has the opposite of the first's.

    `num_cells` is even.
    """
    half = rng.standard_normal((num_cells // 2, *shape))
    return np.concatenate([half, -half])


def advantages(rewards: Floats, firsts: NDArray[np.intp]) -> Floats:
    """What each cell got beyond the middle of its group from each point on, shape (num_points, num_cells).

    The mean over the cells is 0, and the standard deviation 1; a point that acts in no step has 0 everywhere.

    Args:
        rewards: shape (num_steps, num_cells).
        firsts: the first step at which each point acts.
    """
    to_go = np.concatenate([np.cumsum(rewards[::-1], axis=0)[::-1], np.zeros((1, rewards.shape[1]))])
    got = to_go[np.minimum(firsts, len(rewards))]
    above = got - np.median(got, axis=1, keepdims=True)
    size = np.maximum(np.median(np.abs(above), axis=1, keepdims=True), LEAST_SPREAD)
    clipped = np.clip(above / size, -LARGEST, LARGEST)
    clipped -= clipped.mean(axis=1, keepdims=True)
    return np.asarray(clipped / np.maximum(clipped.std(axis=1, keepdims=True), LEAST_SPREAD))


def group_gradients(above: Floats, noise: Floats) -> tuple[Floats, Floats]:
    """Where the schedule and log σ climb, shapes (num_points, num_controls) and (num_controls,).

    Both are in units of σ. `above` are `advantages`; `noise` has shape (num_cells, num_points, num_controls).
    """
    schedule = np.einsum("pi,ipc->pc", above, noise) / len(noise)
    scale = np.einsum("pi,ipc->pc", above, noise**2 - 1.0) / len(noise)
    return schedule, scale.mean(axis=0)


def climb(
    rewards: Rewards, shape: tuple[int, int], distance: float, ascent: Ascent, noise_seeds: Sequence[int], seed: int
) -> Climbed:
    """Climb from no offsets on; an iteration meets one of `noise_seeds`. `seed` draws the cells' noise.

    Args:
        shape: (num_points, num_controls).
        distance: steps between two points.
    """
    rng, firsts = np.random.default_rng(seed), first_steps(shape[0], distance)
    schedule, scales = np.zeros(shape), np.full(shape[1], ascent.scale)
    gains, path = [], []
    for noise_seed in noise_seeds:
        noise = antithetic(rng, ascent.cells, shape)
        asked = np.concatenate([schedule + scales * noise, [schedule, np.zeros(shape)]])
        seen = rewards(asked, noise_seed)
        gains.append(float(seen[:, -2].sum() - seen[:, -1].sum()))
        move, grow = group_gradients(advantages(seen[:, :-2], firsts), noise)
        schedule = np.clip(schedule + scales * move, -FAR, FAR)
        scales = np.clip(scales * np.exp(0.5 * ascent.adapting * grow), *SCALES)
        path.append(schedule)
    return Climbed(path[(len(path) - 1) // 2], path[-1], tuple(gains))
