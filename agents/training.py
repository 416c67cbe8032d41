"""Training: PPO on many cells at once, starting at the as-found action, and all that it is judged by in TensorBoard."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from uuid import uuid4

import torch
import yaml
from pydantic import Field
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import CallbackList, CheckpointCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

from agents.arguments import argument
from agents.callbacks import EvaluationLog, Progress, TrainingLog, say
from agents.policy import AsFoundPolicy
from agents.task import CutShort, Task
from agents.vec_env import Cell, ThreadedVecEnv
from streamflow_env.engines import ENGINE_NAMES
from streamflow_env.errors import ConfigError
from streamflow_env.paths import config_path
from streamflow_env.system.schema import Count, Fraction, Frozen, NonNegative, Positive, load

ALGORITHMS = ("ppo",)


@dataclass(frozen=True)
class TrainingArguments:
    """Train an agent; TensorBoard shows how it goes, and the folder printed at the end holds all that came of it."""

    algorithm: str = argument(
        "ppo", "learning algorithm; its hyperparameters are configs/training/ALGORITHM.yaml", ALGORITHMS
    )
    scenario: str = argument("mixed", "scenario to train on: a name of configs/scenarios, or a YAML file")
    system: str = argument("streamflow", "system to train on: a name of configs/system, or a YAML file")
    engine: str = argument("compiled", "engine that simulates", ENGINE_NAMES)
    total_steps: int = argument(150_000, "control steps of training, all cells together")
    seed: int = argument(0, "seed of everything random in training")
    num_cells: int = argument(48, "cells simulated side by side")
    num_threads: int = argument(2, "threads that simulate them")
    evaluate_every: int = argument(25_000, "control steps between two evaluations and checkpoints")
    num_evaluation_episodes: int = argument(12, "episodes of an evaluation, the same each time, never trained on")
    out: str = argument("runs", "folder in which the run gets a folder of its own")
    progress: bool = argument(True, "show a progress bar")

    def __post_init__(self) -> None:
        for name in ("total_steps", "num_cells", "num_threads", "evaluate_every", "num_evaluation_episodes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} {getattr(self, name)}: must be at least 1")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"seed {self.seed}: must be in [0, 2**32)")


class PpoSettings(Frozen):
    """Hyperparameters of PPO; `configs/training/ppo.yaml` says what each is."""

    learning_rate: Positive
    final_learning_rate_fraction: Fraction
    num_steps: Count
    batch_size: Count
    num_epochs: Count
    discount: Fraction
    gae_lambda: Fraction
    clip_fraction: Positive
    target_kl: Positive | None
    entropy_weight: NonNegative
    value_weight: NonNegative
    max_gradient_norm: Positive
    hidden_layers: tuple[Count, ...] = Field(min_length=1)
    start_std: Positive
    noise_steps: Count
    collapse_below: Fraction
    collapse_steps: Count
    stagger_steps: Count


def train(arguments: TrainingArguments, task: Task, settings: PpoSettings | None = None) -> Path:
    """Train on `task`; the run's folder, with `best_model.zip`, `final_model.zip`, checkpoints and TensorBoard's log.

    An interrupt (Ctrl-C) ends the training early and keeps what was learned.
    """
    settings = settings or load_settings(arguments.algorithm)
    torch.set_num_threads(1)
    folder = make_run_folder(arguments)
    write_description(folder, arguments, settings, task)
    cells = ThreadedVecEnv(
        _training_cells(task.make_cell, settings, arguments.num_cells),
        num_threads=arguments.num_threads,
        seed=arguments.seed,
        seed_limit=task.seed_limit,
    )
    normalised = VecNormalize(VecMonitor(cells), norm_obs=False, norm_reward=True, gamma=settings.discount)
    try:
        model = build_ppo(settings, normalised, task.start_action, arguments.seed)
        model.set_logger(configure(str(folder), ["tensorboard"]))
        _learn(model, arguments, task, folder)
        model.save(folder / "final_model")
        normalised.save(str(folder / "vecnormalize.pkl"))
    finally:
        normalised.close()
    return folder


def load_settings(algorithm: str) -> PpoSettings:
    """The hyperparameters of `algorithm`: a name of `configs/training`, or a YAML file. Raises ConfigError."""
    return load(PpoSettings, config_path("training", algorithm))


def make_run_folder(arguments: TrainingArguments) -> Path:
    """A new folder `<algorithm>-<scenario>-<time>-<seed>-<unique>`; two runs started at once get two folders."""
    scenario, moment = Path(arguments.scenario).stem, time.strftime("%Y%m%d-%H%M%S")
    name = f"{arguments.algorithm}-{scenario}-{moment}-{arguments.seed}-{uuid4().hex[:6]}"
    folder = Path(arguments.out) / name
    folder.mkdir(parents=True, exist_ok=False)
    return folder


def write_description(folder: Path, arguments: TrainingArguments, settings: PpoSettings, task: Task) -> None:
    """Write into `folder` what is needed to repeat the run: `config.yaml`, resolved, and `versions.txt`."""
    content = {
        "arguments": asdict(arguments),
        "hyperparameters": settings.model_dump(mode="json"),
        **task.description,
    }
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    packages = sorted({f"{item.name}=={item.version}" for item in importlib.metadata.distributions()}, key=str.lower)
    lines = [f"# Python {platform.python_version()}, {platform.platform()}", *packages]
    (folder / "versions.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def build_ppo(settings: PpoSettings, cells: VecNormalize, start_action: tuple[float, ...], seed: int) -> PPO:
    """An untrained PPO on `cells` whose policy takes `start_action` whatever it observes."""
    layers = list(settings.hidden_layers)
    model = PPO(
        AsFoundPolicy,
        cells,
        learning_rate=_falling(settings.learning_rate, settings.final_learning_rate_fraction),
        n_steps=settings.num_steps,
        batch_size=min(settings.batch_size, settings.num_steps * cells.num_envs),
        n_epochs=settings.num_epochs,
        gamma=settings.discount,
        gae_lambda=settings.gae_lambda,
        clip_range=settings.clip_fraction,
        target_kl=settings.target_kl,
        ent_coef=settings.entropy_weight,
        vf_coef=settings.value_weight,
        max_grad_norm=settings.max_gradient_norm,
        use_sde=True,
        sde_sample_freq=settings.noise_steps,
        policy_kwargs={"net_arch": {"pi": layers, "vf": layers}, "start_action": list(start_action)},
        seed=seed,
        device="cpu",
    )
    observations = cells.reset()
    assert isinstance(model.policy, AsFoundPolicy)
    model.policy.set_exploration(settings.start_std, torch.as_tensor(observations))
    return model


def _training_cells(make_cell: Callable[[], Cell], settings: PpoSettings, num_cells: int) -> list[Callable[[], Cell]]:
    def make_training_cell(index: int) -> Cell:
        first_steps = 1 + (index * settings.stagger_steps) // num_cells
        return CutShort(make_cell(), settings.collapse_below, settings.collapse_steps, first_steps)

    return [partial(make_training_cell, index) for index in range(num_cells)]


def _learn(model: PPO, arguments: TrainingArguments, task: Task, folder: Path) -> None:
    every_calls = max(1, arguments.evaluate_every // arguments.num_cells)
    progress = Progress(arguments.total_steps, shown=arguments.progress)
    callbacks = CallbackList(
        [
            progress,
            TrainingLog(),
            EvaluationLog(task.judge, task.reference_policies, every_calls, folder / "best_model"),
            CheckpointCallback(every_calls, str(folder / "checkpoints"), name_prefix="model"),
        ]
    )
    try:
        model.learn(arguments.total_steps, callback=callbacks, log_interval=1, tb_log_name="training")
    except KeyboardInterrupt:
        say("interrupted: what was learned is kept")
    finally:
        progress.close()


def _falling(start: float, final_fraction: float) -> Callable[[float], float]:
    """A schedule from `start` to its `final_fraction`; SB3 passes the share of the training that remains."""

    def schedule(remaining: float) -> float:
        return start * (final_fraction + (1.0 - final_fraction) * remaining)

    return schedule
