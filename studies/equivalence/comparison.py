"""Compares the engines: with the same system, seed and actions they must have exactly the same trajectory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines import make_engine
from streamflow_env.engines.telemetry import Telemetry
from streamflow_env.episode import Episode
from streamflow_env.system import System

ActionMode = Literal["near", "random"]
"""New in each interval. `near`: default action and normal noise of std `NEAR_STD`, in [-1, 1]; `random`: uniform."""
NEAR_STD = 0.15


@dataclass(frozen=True)
class Comparison:
    """What was compared, and the differences of the first interval that differs (none: the engines agree).

    `num_failed` counts attempts that failed, to show that the run was not an idle one.
    """

    num_intervals: int
    num_attempts: int
    num_failed: int
    num_visits: int
    differences: tuple[str, ...]


def actions(system: System, mode: ActionMode, seed: int) -> Iterator[NDArray[np.float64]]:
    """Endless settings of all controls in natural units, shape (num_controls,)."""
    table = system.control_table
    rng = np.random.Generator(np.random.PCG64(seed))
    default = table.action(table.default)
    while True:
        if mode == "near":
            yield table.natural(np.clip(default + rng.normal(0.0, NEAR_STD, len(table)), -1.0, 1.0))
        else:
            yield table.natural(rng.uniform(-1.0, 1.0, len(table)))


def compare_engines(system: System, episode: Episode, mode: ActionMode, num_intervals: int) -> Comparison:
    """Run both engines side by side, logging every visit and answer, until the end or the first difference."""
    engines = [make_engine(name, system, log=True) for name in ("compiled", "reference")]
    results = [engine.reset(episode) for engine in engines]
    num_attempts = num_failed = num_visits = 0
    for interval, controls in zip(range(num_intervals), actions(system, mode, episode.seed), strict=False):
        if differences := results[0].differences(results[1]):
            return Comparison(interval, num_attempts, num_failed, num_visits, tuple(differences))
        results = [engine.step(controls) for engine in engines]
        num_attempts += int(results[0].classes["attempts"].sum())
        num_failed += _num_failed(results[0])
        num_visits += len(results[0].visits)
    differences = results[0].differences(results[1])
    return Comparison(num_intervals, num_attempts, num_failed, num_visits, tuple(differences))


def _num_failed(telemetry: Telemetry) -> int:
    names = ("failed_deadline", "failed_queue_full", "failed_fault", "failed_dependency")
    return sum(int(telemetry.classes[name].sum()) for name in names)
