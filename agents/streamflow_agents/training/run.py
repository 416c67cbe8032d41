"""Training: an algorithm on many cells at once. It starts at the default action, and can go on after it was killed.

A resumed run has these as they were: networks, optimisers, replay memory, normalisation, counters and schedules, the
streams of episode seeds and of noise, the best model and its score, the baselines' scores. It does not have the
simulators' state (each cell starts its next episode), a recurrent policy's memory (it starts with the episodes), and
what happened since the checkpoint; so it is not, bit by bit, the run that was never killed. If more `total_steps` are
asked for, the learning rate falls over all of them, from its value at the checkpoint.
"""

from __future__ import annotations

import importlib.metadata
import platform
import time
from contextlib import closing
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import CallbackList

from streamflow_agents.arguments import argument
from streamflow_agents.policies.baselines import is_baseline
from streamflow_agents.policies.loading import BASE_DIGEST, DESCRIPTION, check_base, policy_digest
from streamflow_agents.policies.residual import Residual
from streamflow_agents.training.algorithms import (
    ALGORITHMS,
    SameLuckSettings,
    Settings,
    build_model,
    find_algorithm,
    load_settings,
    make_model,
)
from streamflow_agents.training.callbacks import EvaluationLog, ProgressBar, TrainingLog, log
from streamflow_agents.training.cells import as_policy, check_groups, make_cells, make_residual, normalise, start_action
from streamflow_agents.training.checkpoints import FINAL_POLICY, TrainingProgress, newest_checkpoint, save_checkpoint
from streamflow_agents.training.curves import open_curves
from streamflow_agents.training.interrupts import SignalStop
from streamflow_agents.training.task import Task, streamflow_task
from streamflow_agents.training.vec_env import SeededVecEnv
from streamflow_env.engines import ENGINE_NAMES
from streamflow_env.errors import ConfigError
from streamflow_env.system.schema import parse, read_yaml
from streamflow_env.system.yaml_files import dump_yaml

LOG_STEPS = 32
"""The least steps of each cell between two points of TensorBoard's curves."""

VERSIONS = ("streamflow-env", "stable_baselines3", "sb3_contrib", "torch", "numpy", "gymnasium")
"""Packages whose versions `config.yaml` has; those of all are in `versions.txt`."""


@dataclass(frozen=True)
class TrainingArguments:
    """Train an agent; TensorBoard shows its curves, and the folder printed at the end holds all its files."""

    algorithm: str = argument(
        "ppo", "learning algorithm; its hyperparameters are configs/training/ALGORITHM.yaml", tuple(ALGORITHMS)
    )
    scenario: str = argument("mixed", "scenario to train on: a name of configs/scenarios, or a YAML file")
    system: str = argument("streamflow", "system to train on: a name of configs/system, or a YAML file")
    engine: str = argument("compiled", "engine that simulates", ENGINE_NAMES)
    total_steps: int = argument(100_000, "control steps of training, all cells together")
    seed: int = argument(0, "seed of everything random in training")
    num_cells: int = argument(48, "cells simulated side by side; same_luck_ppo has its groups by default")
    num_threads: int = argument(2, "threads that simulate them")
    evaluate_every: int = argument(25_000, "control steps between two evaluations and checkpoints")
    num_evaluation_episodes: int = argument(14, "episodes of an evaluation, the same each time, never trained on")
    out: str = argument("runs", "folder in which the run gets a folder of its own")
    progress: bool = argument(True, "show a progress bar")
    resume: str | None = argument(
        None, "folder of a run to go on with from its newest checkpoint; beside it: --total-steps, --no-progress"
    )

    def __post_init__(self) -> None:
        for name in ("total_steps", "num_cells", "num_threads", "evaluate_every", "num_evaluation_episodes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} {getattr(self, name)}: must be at least 1")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"seed {self.seed}: must be in [0, 2**32)")


@dataclass(frozen=True)
class Run:
    """A run: its folder, its arguments and hyperparameters, and all of that and the task as `config.yaml` has it."""

    folder: Path
    arguments: TrainingArguments
    settings: Settings
    configuration: dict[str, Any]


def run_training(given: dict[str, Any]) -> Path:
    """Train, or go on, with the options `given`; returns the run's folder.

    Raises:
        ConfigError: an option, a file or a checkpoint cannot be used; the message names it.
        KeyboardInterrupt, SystemExit: as `train` does.
    """
    if given.get("resume") is None:
        arguments = TrainingArguments(**given)
        task = _task(arguments, {"scenario": arguments.scenario, "system": arguments.system})
        settings = load_settings(arguments.algorithm)
        if "num_cells" not in given and isinstance(settings, SameLuckSettings):
            num_members = 1 if task.members is None else len(task.members.names)
            arguments = replace(arguments, num_cells=settings.num_cells(num_members))
        return train(arguments, task, settings)
    others = sorted(set(given) - {"resume", "total_steps", "progress"})
    if others:
        option = others[0].replace("_", "-")
        raise ConfigError(f"--{option}: beside --resume only --total-steps and --no-progress may be given")
    run = read_run(Path(given["resume"]), given.get("total_steps"), given.get("progress"))
    return resume(run, _task(run.arguments, run.configuration))


def train(arguments: TrainingArguments, task: Task, settings: Settings | None = None) -> Path:
    """Train on `task`; returns the run's folder.

    The folder holds `policy.npz`, the best policy, `final_policy.npz`, checkpoints and TensorBoard's log.

    Raises:
        ConfigError: a setting cannot be used.
        KeyboardInterrupt: there was an interrupt (Ctrl-C). What was learned is judged and kept, to be gone on with.
        SystemExit: as KeyboardInterrupt, for SIGTERM.
    """
    settings = settings or load_settings(arguments.algorithm)
    torch.set_num_threads(1)
    check_groups(settings, arguments.num_cells)
    residual = make_residual(settings, task)
    run = _new_run(arguments, settings, task)
    cells = make_cells(task, run.settings, run.arguments.num_cells, run.arguments.seed)
    normalised = normalise(cells, run.settings, residual)
    with closing(normalised):
        start = start_action(task, residual)
        model = build_model(arguments.algorithm, settings, normalised, start, arguments.seed)
        _learn(run, task, model, cells, TrainingProgress(), residual)
    return run.folder


def read_run(folder: Path, total_steps: int | None = None, progress: bool | None = None) -> Run:
    """The run in `folder` as its `config.yaml` describes it, but for what else is given. Raises ConfigError."""
    path = folder / DESCRIPTION
    content = read_yaml(path)
    if not isinstance(content, dict) or not {"arguments", "hyperparameters", "scenario", "system"} <= set(content):
        raise ConfigError(f"{path}: must have arguments, hyperparameters, scenario and system, as training writes them")
    unknown = set(content["arguments"]) - {item.name for item in fields(TrainingArguments)}
    if unknown:
        raise ConfigError(f"{path}: arguments.{min(unknown)}: unknown key")
    arguments = TrainingArguments(**content["arguments"])
    if total_steps is not None:
        arguments = replace(arguments, total_steps=total_steps)
    if progress is not None:
        arguments = replace(arguments, progress=progress)
    kind = find_algorithm(arguments.algorithm).settings
    settings = parse(kind, content["hyperparameters"], f"{path}: hyperparameters")
    if settings.residual is not None:
        check_base(path, settings.residual.base, content.get(BASE_DIGEST))
    return Run(folder, arguments, settings, content)


def resume(run: Run, task: Task) -> Path:
    """Go on with `run` from its newest complete checkpoint until its `total_steps`; returns its folder.

    A run that was killed between its last checkpoint and its end is finished.

    Raises:
        ConfigError: there is no complete checkpoint, or the run is finished and has its `total_steps`.
        KeyboardInterrupt, SystemExit: as `train` does.
    """
    torch.set_num_threads(1)
    checkpoint = newest_checkpoint(run.folder, log)
    checkpoint.publish_best(run.folder)
    if run.arguments.total_steps <= checkpoint.steps:
        if (run.folder / FINAL_POLICY).is_file():
            raise ConfigError(f"{run.folder}: has {checkpoint.steps} steps already; give more with --total-steps")
        log(f"{run.folder}: has its {checkpoint.steps:,} steps, and is finished now")
        checkpoint.publish_final(run.folder)
        return run.folder
    log(f"going on with {run.folder} from step {checkpoint.steps:,}")
    run = _describe_resumption(run, checkpoint.steps)
    (run.folder / FINAL_POLICY).unlink(missing_ok=True)
    residual = make_residual(run.settings, task)
    cells = make_cells(task, run.settings, run.arguments.num_cells, run.arguments.seed)
    normalised = normalise(cells, run.settings, residual)
    with closing(normalised):
        arguments, start = run.arguments, start_action(task, residual)
        model = make_model(arguments.algorithm, run.settings, normalised, start, arguments.seed)
        checkpoint.load(model, cells)
        _learn(run, task, model, cells, checkpoint.progress, residual)
    return run.folder


def make_run_folder(arguments: TrainingArguments) -> Path:
    """A new folder `<algorithm>-<scenario>-<time>-<seed>-<unique>`; two runs started at once get two folders."""
    scenario, moment = Path(arguments.scenario).stem, time.strftime("%Y%m%d-%H%M%S")
    name = f"{arguments.algorithm}-{scenario}-{moment}-{arguments.seed}-{uuid4().hex[:6]}"
    folder = Path(arguments.out) / name
    folder.mkdir(parents=True, exist_ok=False)
    return folder


def _new_run(arguments: TrainingArguments, settings: Settings, task: Task) -> Run:
    """A run in a folder of its own, with what is needed to repeat it: `config.yaml`, resolved, and `versions.txt`."""
    installed = {item.name: item.version for item in importlib.metadata.distributions()}
    described: dict[str, Any] = {
        "arguments": asdict(arguments),
        "hyperparameters": settings.model_dump(mode="json"),
        "versions": {"python": platform.python_version()} | {name: installed.get(name, "") for name in VERSIONS},
    }
    if settings.residual is not None and is_baseline(settings.residual.base):
        described[BASE_DIGEST] = policy_digest(settings.residual.base)
    run = Run(make_run_folder(arguments), arguments, settings, described | task.description)
    _write_configuration(run)
    packages = sorted((f"{name}=={version}" for name, version in installed.items()), key=str.lower)
    lines = [f"# Python {platform.python_version()}, {platform.platform()}", *packages]
    (run.folder / "versions.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return run


def _describe_resumption(run: Run, steps: int) -> Run:
    """`run` with a configuration that says that it goes on at `steps`, also in its folder."""
    content = run.configuration
    arguments = content["arguments"] | {"total_steps": run.arguments.total_steps}
    resumed = [*content.get("resumed_at_steps", []), steps]
    run = replace(run, configuration=content | {"arguments": arguments, "resumed_at_steps": resumed})
    _write_configuration(run)
    return run


def _write_configuration(run: Run) -> None:
    text = dump_yaml(run.configuration)
    partial_file = run.folder / f".partial-{DESCRIPTION}"
    partial_file.write_text(text, encoding="utf-8")
    partial_file.replace(run.folder / DESCRIPTION)


def _task(arguments: TrainingArguments, sources: dict[str, Any]) -> Task:
    return streamflow_task(
        sources["scenario"],
        sources["system"],
        arguments.engine,
        sources.get("reward", "default"),
        num_episodes=arguments.num_evaluation_episodes,
        num_threads=arguments.num_threads,
        log=log,
    )


def _learn(
    run: Run,
    task: Task,
    model: BaseAlgorithm,
    cells: SeededVecEnv,
    progress: TrainingProgress,
    residual: Residual | None,
) -> None:
    arguments, steps, stop = run.arguments, model.num_timesteps, SignalStop()
    bar = ProgressBar(arguments.total_steps, first_step=steps, shown=arguments.progress)

    def keep() -> None:
        kept = save_checkpoint(run.folder, arguments.algorithm, model, cells, progress)
        kept.publish_best(run.folder)
        if kept.steps >= arguments.total_steps:
            kept.publish_final(run.folder)

    callbacks = CallbackList(
        [
            stop,
            bar,
            TrainingLog(LOG_STEPS * arguments.num_cells, () if residual is None else residual.names),
            EvaluationLog(
                task.judge,
                task.reference_policies,
                arguments.evaluate_every,
                run.folder,
                progress,
                keep,
                as_policy=partial(as_policy, residual=residual),
                paired_with=task.paired_with if run.settings.residual is None else run.settings.residual.base,
            ),
        ]
    )
    model.set_logger(open_curves(run.folder, run.configuration, progress.resumed_at))
    try:
        with stop:
            model.learn(arguments.total_steps - steps, callbacks, log_interval=None, reset_num_timesteps=False)  # type: ignore[arg-type]
    finally:
        bar.close()
        model.logger.close()
    if model.num_timesteps < arguments.total_steps:
        log(f"stopped at step {model.num_timesteps:,}, which is kept; to go on: --resume {run.folder}")
    stop.end()
