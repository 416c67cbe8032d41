"""Part 3: control steps a second of many cells side by side, under three loads, on one thread and on two.

Cells are stepped through Gymnasium's vector interface where the environment has one of its own, else by a few threads
that share the environments; the page says which.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any, Final, Protocol

import gymnasium
import numpy as np
from numpy.typing import NDArray

import streamflow_env  # noqa: F401 - registers the ids
from streamflow_env.system import load_system
from studies.benchmark.loads import LOADS, NORMAL, THREE_TIMES, scenario, steps_before
from studies.benchmark.results import Measurement, Sample, Target, ratio
from studies.benchmark.timing import in_turn, seconds_of

ENV_ID: Final = "StreamFlow-EveningPeak-v1"
SIZES: Final = (1, 8, 64, 256)
THREADS: Final = (1, 2)
MANY: Final = 64
"""Cells of the targets."""
ROUND_STEPS: Final = 256
"""Control steps of a round, all cells together, at least."""
AT_LEAST: Final = {NORMAL: 2500.0, THREE_TIMES: 800.0}
TWO_THREADS: Final = 1.7


class Cells(Protocol):
    """Some cells under one load."""

    def step(self) -> None:
        """One control interval in each, with the default action."""

    def close(self) -> None: ...


class Looped:
    """Environments, each stepped by the next of a few threads that is free."""

    def __init__(self, num_cells: int, num_threads: int, load: str) -> None:
        self._envs = [gymnasium.make(ENV_ID, scenario=scenario(load)) for _ in range(num_cells)]
        self._action = default_action()
        self._pool = ThreadPoolExecutor(num_threads) if num_threads > 1 else None
        self._over(lambda index: self._envs[index].reset(options={"episode_seed": index}))

    def step(self) -> None:
        self._over(lambda index: self._envs[index].step(self._action))

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def _over(self, work: Callable[[int], object]) -> None:
        indices = range(len(self._envs))
        for _ in map(work, indices) if self._pool is None else self._pool.map(work, indices):
            pass


class Vectorised:
    """The environment's own vector form; `options` are its own."""

    def __init__(self, num_cells: int, num_threads: int, load: str, **options: Any) -> None:
        self._envs: gymnasium.vector.VectorEnv[Any, Any, Any] = gymnasium.make_vec(
            ENV_ID, num_cells, vectorization_mode="vector_entry_point", scenario=scenario(load),
            num_threads=num_threads, **options,
        )  # fmt: skip
        self._envs.reset(options={"episode_seed": list(range(num_cells))})
        self._actions = np.tile(default_action(), (num_cells, 1))

    def step(self) -> None:
        self._envs.step(self._actions)

    def close(self) -> None:
        self._envs.close()


def default_action() -> NDArray[np.float32]:
    """Of one cell."""
    controls = load_system().control_table
    return controls.action(controls.default)


def is_vectorised() -> bool:
    return gymnasium.spec(ENV_ID).vector_entry_point is not None


def make_cells(num_cells: int, num_threads: int, load: str, **options: Any) -> Cells:
    """Cells that have run until the load is what its name says: cell i has the episode i. Options are the vector's."""
    make: Callable[..., Cells] = Vectorised if is_vectorised() else Looped
    cells = make(num_cells, num_threads, load, **options)
    for _ in range(steps_before(load)):
        cells.step()
    return cells


def measure(quick: bool) -> tuple[list[Measurement], list[Target], list[str]]:
    """Control steps a second, all cells together; of each load a target on one thread, and one of two threads."""
    make_cells(1, 1, NORMAL).close()  # compiles
    sizes = (1, 8, MANY) if quick else SIZES
    measurements, targets = [], []
    for load in LOADS:
        rates = _rates(load, sizes, 2 if quick else 5)
        measurements += [_row(load, num_cells, rates) for num_cells in sizes]
        if load in AT_LEAST:
            what = f"control steps a second, {load} load, default action, {MANY} cells, one thread"
            targets.append(Target(what, AT_LEAST[load], True, rates[str((MANY, 1))]))
    at_normal = next(measurement for measurement in measurements if measurement.label == _label(NORMAL, MANY))
    gain = at_normal.samples["2 / 1"]
    targets.append(Target(f"two threads over one, {NORMAL} load, {MANY} cells", TWO_THREADS, True, gain))
    how = "the environment's own vector form" if is_vectorised() else "a loop over single environments, and a pool"
    return measurements, targets, [f"Cells are stepped by {how} (of threads, where there are two)."]


def _rates(load: str, sizes: tuple[int, ...], num_rounds: int) -> dict[str, Sample]:
    with ExitStack() as stack:
        works: dict[str, Callable[[], float]] = {}
        for num_cells in sizes:
            for num_threads in THREADS:
                cells = make_cells(num_cells, num_threads, load)
                stack.callback(cells.close)
                works[str((num_cells, num_threads))] = partial(_steps_per_s, cells, num_cells)
        return in_turn(works, num_rounds, "steps/s")


def _steps_per_s(cells: Cells, num_cells: int) -> float:
    num_steps = max(2, ROUND_STEPS // num_cells)

    def run() -> None:
        for _ in range(num_steps):
            cells.step()

    return num_steps * num_cells / seconds_of(run)


def _row(load: str, num_cells: int, rates: dict[str, Sample]) -> Measurement:
    one, two = rates[str((num_cells, 1))], rates[str((num_cells, 2))]
    return Measurement(_label(load, num_cells), {"one thread": one, "two threads": two, "2 / 1": ratio(two, one)})


def _label(load: str, num_cells: int) -> str:
    return f"{load} load, {num_cells} cell{'s' if num_cells > 1 else ''}"
