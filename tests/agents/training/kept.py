"""What a run of the fake task has kept, read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm

from streamflow_agents.policies.arrays import read_arrays
from streamflow_agents.policies.loading import load_policy
from streamflow_agents.training import run as training
from streamflow_agents.training.algorithms import make_model
from streamflow_agents.training.checkpoints import Checkpoint, newest_checkpoint
from streamflow_agents.training.task import Task
from tests.agents.training.fake_cells import FakeCell


def newest(folder: Path) -> Checkpoint:
    return newest_checkpoint(folder, print)


def state(folder: Path) -> dict[str, NDArray[Any]]:
    """The arrays of the newest checkpoint."""
    return read_arrays(newest(folder).folder / "state.npz")


def policy(folder: Path) -> Any:
    """The policy that was kept as the best."""
    return load_policy(str(folder), FakeCell())  # type: ignore[arg-type]


def model(folder: Path, task: Task, checkpoint: Checkpoint | None = None) -> BaseAlgorithm:
    """The model as `checkpoint` has it, by default the newest, on cells of its own."""
    run = training.read_run(folder)
    residual = training._make_residual(run.settings, task)
    cells = training._make_cells(run, task)
    normalised = training._normalised(run, cells, residual)
    start = training._start_action(task, residual)
    made = make_model(run.arguments.algorithm, run.settings, normalised, start, run.arguments.seed)
    (checkpoint or newest(folder)).load(made, cells)
    return made


def rewrite(path: Path, **changes: Any) -> None:
    """Change arrays of the file `path`; None takes one away."""
    with np.load(path) as kept:
        arrays = {name: kept[name] for name in kept.files} | changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
