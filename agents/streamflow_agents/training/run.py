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
from stable_baselines3.common.vec_env import VecEnv, VecMonitor, VecNormalize

from streamflow_agents.arguments import argument
from streamflow_agents.policies.loading import DESCRIPTION, NormalisedPolicy
from streamflow_agents.policies.protocol import Policy
from streamflow_agents.policies.residual import KEY, Residual, ResidualPolicy
from streamflow_agents.training.algorithms import (
    ALGORITHMS,
    SameLuckSettings,
    Settings,
    build_model,
    find_algorithm,
    load_settings,
)
from streamflow_agents.training.callbacks import EvaluationLog, ProgressBar, TrainingLog, log
from streamflow_agents.training.checkpoints import TrainingProgress, newest_checkpoint, save_checkpoint, save_model
from streamflow_agents.training.curves import open_curves
from streamflow_agents.training.residual_vec_env import ResidualVecEnv
from streamflow_agents.training.task import Task, streamflow_task
from streamflow_agents.training.vec_env import SeededVecEnv
from streamflow_env.engines import ENGINE_NAMES
from streamflow_env.errors import ConfigError
from streamflow_env.system.schema import parse, read_yaml
from streamflow_env.system.yaml_files import dump_yaml

LOG_STEPS = 32
"""The least steps of each cell between two points of TensorBoard's curves."""

LARGEST_INPUT = 5.0
"""Normalised inputs of a residual's network are clipped at so many standard deviations."""


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
        None, "folder of a run to go on with from its newest checkpoint; beside it only --total-steps may be given"
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
    """
    if given.get("resume") is None:
        arguments = TrainingArguments(**given)
        task = _task(arguments, {"scenario": arguments.scenario, "system": arguments.system})
        settings = load_settings(arguments.algorithm)
        if "num_cells" not in given and isinstance(settings, SameLuckSettings):
            num_members = 1 if task.members is None else len(task.members.names)
            arguments = replace(arguments, num_cells=settings.num_cells(num_members))
        return train(arguments, task, settings)
    others = sorted(set(given) - {"resume", "total_steps"})
    if others:
        raise ConfigError(f"--{others[0].replace('_', '-')}: beside --resume only --total-steps may be given")
    run = read_run(Path(given["resume"]), given.get("total_steps"))
    return resume(run, _task(run.arguments, run.configuration))


def train(arguments: TrainingArguments, task: Task, settings: Settings | None = None) -> Path:
    """Train on `task`; returns the run's folder.

    The folder holds `best_model.zip`, `final_model.zip`, checkpoints and TensorBoard's log.

    An interrupt (Ctrl-C) ends the training early and keeps what was learned.
    """
    settings = settings or load_settings(arguments.algorithm)
    torch.set_num_threads(1)
    _check_groups(arguments, settings)
    residual = _make_residual(settings, task)
    run = _new_run(arguments, settings, task)
    cells = _make_cells(run, task)
    normalised = VecNormalize(
        _monitored(cells, residual),
        norm_obs=residual is not None,
        norm_reward=settings.normalises_rewards,
        clip_obs=LARGEST_INPUT,
        gamma=settings.discount,
    )
    start_action = task.start_action if residual is None else (0.0,) * len(residual.names)
    with closing(normalised):
        model = build_model(arguments.algorithm, settings, normalised, start_action, arguments.seed)
        _learn(run, task, model, cells, TrainingProgress(), residual)
    return run.folder


def read_run(folder: Path, total_steps: int | None = None) -> Run:
    """The run in `folder` as its `config.yaml` describes it, but for `total_steps` if given. Raises ConfigError."""
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
    kind = find_algorithm(arguments.algorithm).settings
    return Run(folder, arguments, parse(kind, content["hyperparameters"], f"{path}: hyperparameters"), content)


def resume(run: Run, task: Task) -> Path:
    """Go on with `run` from its newest complete checkpoint until its `total_steps`; returns its folder.

    Raises:
        ConfigError: there is no complete checkpoint, or the run has its `total_steps`.
    """
    torch.set_num_threads(1)
    checkpoint = newest_checkpoint(run.folder, log)
    if run.arguments.total_steps <= checkpoint.steps:
        raise ConfigError(f"{run.folder}: has {checkpoint.steps} steps already; give more with --total-steps")
    log(f"going on with {run.folder} from step {checkpoint.steps:,}")
    resumed = [*run.configuration.get("resumed_at_steps", []), checkpoint.steps]
    configuration = {**run.configuration, "arguments": asdict(run.arguments), "resumed_at_steps": resumed}
    run = replace(run, configuration=configuration)
    _write_configuration(run)
    checkpoint.publish_best(run.folder)
    residual = _make_residual(run.settings, task)
    cells = _make_cells(run, task)
    normalised = checkpoint.load_normalisation(_monitored(cells, residual))
    with closing(normalised):
        kind = find_algorithm(run.arguments.algorithm).model
        _learn(run, task, checkpoint.load_model(kind, normalised, cells), cells, checkpoint.progress, residual)
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
    described = {"arguments": asdict(arguments), "hyperparameters": settings.model_dump(mode="json")}
    run = Run(make_run_folder(arguments), arguments, settings, described | task.description)
    _write_configuration(run)
    packages = sorted({f"{item.name}=={item.version}" for item in importlib.metadata.distributions()}, key=str.lower)
    lines = [f"# Python {platform.python_version()}, {platform.platform()}", *packages]
    (run.folder / "versions.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
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


def _check_groups(arguments: TrainingArguments, settings: Settings) -> None:
    """Raise ConfigError, before anything is made, where the cells are not whole groups."""
    if isinstance(settings, SameLuckSettings) and arguments.num_cells % settings.group_size:
        raise ConfigError(f"num_cells {arguments.num_cells}: must be a multiple of group_size = {settings.group_size}")


def _make_residual(settings: Settings, task: Task) -> Residual | None:
    if settings.residual is None:
        return None
    if task.make_residual is None:
        raise ConfigError(f"{KEY}: this task has no baseline to be on")
    return task.make_residual(settings.residual)


def _make_cells(run: Run, task: Task) -> SeededVecEnv:
    arguments, settings = run.arguments, run.settings
    groups: dict[str, Any] = {}
    if isinstance(settings, SameLuckSettings):
        groups["group_size"] = settings.group_size
        groups["even_members"] = task.members if settings.even_members else None
    cells = task.make_cells(arguments.num_cells)
    cut = settings.cut(arguments.num_cells)
    return SeededVecEnv(cells, seed=arguments.seed, seed_limit=task.seed_limit, cut=cut, **groups)


def _monitored(cells: SeededVecEnv, residual: Residual | None) -> VecEnv:
    return VecMonitor(cells if residual is None else ResidualVecEnv(cells, residual))


def _as_policy(model: Any, residual: Residual | None) -> Policy:
    """What acts in an environment as `model` does in training."""
    if residual is None:
        return model  # type: ignore[no-any-return]
    return ResidualPolicy(residual, NormalisedPolicy(model, model.get_vec_normalize_env()))


def _learn(
    run: Run,
    task: Task,
    model: BaseAlgorithm,
    cells: SeededVecEnv,
    progress: TrainingProgress,
    residual: Residual | None,
) -> None:
    arguments, steps = run.arguments, model.num_timesteps
    bar = ProgressBar(arguments.total_steps, first_step=steps, shown=arguments.progress)

    def keep() -> None:
        save_checkpoint(run.folder, model, cells, progress).publish_best(run.folder)

    callbacks = CallbackList(
        [
            bar,
            TrainingLog(LOG_STEPS * arguments.num_cells, () if residual is None else residual.names),
            EvaluationLog(
                task.judge,
                task.reference_policies,
                arguments.evaluate_every,
                run.folder,
                progress,
                keep,
                as_policy=partial(_as_policy, residual=residual),
                paired_with=task.paired_with,
            ),
        ]
    )
    model.set_logger(open_curves(run.folder, run.configuration, steps))
    try:
        model.learn(arguments.total_steps - steps, callbacks, log_interval=None, reset_num_timesteps=False)  # type: ignore[arg-type]
    except KeyboardInterrupt:
        log("interrupted: what was learned is kept")
    finally:
        bar.close()
        model.logger.close()
    save_model(model, run.folder / "final_model.zip")
