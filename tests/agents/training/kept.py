"""What a run of the fake task has kept, read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm

from streamflow_agents.policies.arrays import read_arrays
from streamflow_agents.policies.loading import load_policy
from streamflow_agents.training.algorithms import make_model
from streamflow_agents.training.cells import make_cells, make_residual, normalise, start_action
from streamflow_agents.training.checkpoints import Checkpoint, newest_checkpoint
from streamflow_agents.training.run import read_run
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
    run = read_run(folder)
    arguments, settings, residual = run.arguments, run.settings, make_residual(run.settings, task)
    cells = make_cells(task, settings, arguments.num_cells, arguments.seed)
    normalised, start = normalise(cells, settings, residual), start_action(task, residual)
    made = make_model(arguments.algorithm, settings, normalised, start, arguments.seed)
    (checkpoint or newest(folder)).load(made, cells)
    return made


def rewrite(path: Path, **changes: Any) -> None:
    """Change arrays of the file `path`; None takes one away."""
    with np.load(path) as kept:
        arrays = {name: kept[name] for name in kept.files} | changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
