"""Checkpoints: all that a training run needs to go on, in one folder that is complete or does not exist.

A checkpoint is written beside its place and renamed into it, and lists the digests of its files: a process killed at
any moment, or a disk that lost the end of a file, leaves the checkpoint before to go on from.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import pickle
import random
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from streamflow_agents.policies.loading import BEST_MODEL, NORMALISATION
from streamflow_agents.training.vec_env import SeededVecEnv
from streamflow_env.errors import ConfigError

FOLDER: Final = "checkpoints"
MODEL: Final = "model.zip"
REPLAY: Final = "replay.npz"
RANDOM: Final = "random.pkl"
MANIFEST: Final = "complete.json"
PARTIAL: Final = ".partial-"
NUM_KEPT: Final = 3
"""How many of the newest checkpoints are kept; with a replay memory one can take hundreds of megabytes."""

REPLAY_ARRAYS: Final = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


@dataclass
class TrainingProgress:
    """What the evaluations of a run have shown so far; `levels` are the baselines' figures, by baseline and figure."""

    evaluated_at: int = -1
    best_at: int = -1
    best_return: float = -math.inf
    levels: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint: its folder, the control steps trained until then, and the evaluations until then."""

    folder: Path
    steps: int
    progress: TrainingProgress

    def load_normalisation(self, cells: VecEnv) -> VecNormalize:
        """`cells` behind the normalisation as it was."""
        return VecNormalize.load(str(self.folder / NORMALISATION), cells)

    def load_model(self, kind: type[BaseAlgorithm], normalised: VecNormalize, cells: SeededVecEnv) -> BaseAlgorithm:
        """The model as it was, optimiser and replay memory included; sets every random generator as it was."""
        model = kind.load(self.folder / MODEL, env=normalised, device="cpu")
        buffer = getattr(model, "replay_buffer", None)
        if buffer is not None:
            _fill(buffer, self.folder / REPLAY)
        with (self.folder / RANDOM).open("rb") as file:
            _set_random_states(pickle.load(file), cells)
        return model

    def publish_best(self, run: Path) -> None:
        """Copy the model to where evaluation looks for it, if it is the best so far."""
        if self.progress.best_at == self.steps:
            _replace(self.folder / NORMALISATION, run / NORMALISATION)
            _replace(self.folder / MODEL, run / BEST_MODEL)


def save_checkpoint(run: Path, model: BaseAlgorithm, cells: SeededVecEnv, progress: TrainingProgress) -> Checkpoint:
    """Write a checkpoint of `model` into the folder `run`, and remove the oldest beyond `NUM_KEPT`."""
    normalised = model.get_vec_normalize_env()
    assert normalised is not None
    partial = run / FOLDER / f"{PARTIAL}{uuid4().hex}"
    partial.mkdir(parents=True)
    model.save(partial / MODEL)
    normalised.save(str(partial / NORMALISATION))
    (partial / RANDOM).write_bytes(pickle.dumps(_random_states(cells)))
    buffer = getattr(model, "replay_buffer", None)
    if buffer is not None:
        _write(buffer, partial / REPLAY)
    files = {path.name: _digest(path) for path in partial.iterdir()}
    manifest = {"steps": model.num_timesteps, "progress": asdict(progress), "files": files}
    (partial / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    place = run / FOLDER / f"{model.num_timesteps:012d}"
    if place.exists():
        _discard(place)
    partial.rename(place)
    for old in _folders(run)[NUM_KEPT:]:
        _discard(old)
    return Checkpoint(place, model.num_timesteps, progress)


def newest_checkpoint(run: Path, log: Callable[[str], None]) -> Checkpoint:
    """The newest complete checkpoint of the folder `run`; damaged and half-written ones are removed and logged.

    Raises:
        ConfigError: there is none; the message says what is wrong with each checkpoint.
    """
    for leftover in (run / FOLDER).glob(f"{PARTIAL}*"):
        shutil.rmtree(leftover)
    faults = []
    for folder in _folders(run):
        try:
            checkpoint = _read(folder)
        except ConfigError as error:
            faults.append((folder, str(error)))
            continue
        for damaged, fault in faults:
            log(f"{fault}; going on from {folder.name} instead")
            _discard(damaged)
        return checkpoint
    found = "; ".join(fault for _, fault in faults) or "none was written before it ended"
    raise ConfigError(f"{run / FOLDER}: no complete checkpoint to go on from: {found}")


def save_model(model: BaseAlgorithm, path: Path) -> None:
    """Save `model` at `path`; whoever reads there meanwhile finds the old file, or the new one whole."""
    partial = path.with_name(f"{PARTIAL}{path.name}")
    model.save(partial)
    partial.replace(path)


def _folders(run: Path) -> list[Path]:
    """Newest first."""
    return sorted((path for path in (run / FOLDER).glob("[0-9]*") if path.is_dir()), reverse=True)


def _read(folder: Path) -> Checkpoint:
    manifest = folder / MANIFEST
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
        steps, progress, files = content["steps"], TrainingProgress(**content["progress"]), content["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{manifest}: missing or damaged ({error})") from None
    for name, digest in files.items():
        if not (folder / name).is_file() or _digest(folder / name) != digest:
            raise ConfigError(f"{folder / name}: missing or damaged")
    return Checkpoint(folder, steps, progress)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _discard(folder: Path) -> None:
    """Rename `folder`, then remove it: if the process is killed halfway, the rest is not taken for a checkpoint."""
    shutil.rmtree(folder.rename(folder.with_name(f"{PARTIAL}{uuid4().hex}")))


def _replace(source: Path, target: Path) -> None:
    partial = target.with_name(f"{PARTIAL}{target.name}")
    shutil.copyfile(source, partial)
    os.replace(partial, target)


def _write(buffer: ReplayBuffer, path: Path) -> None:
    """Write the transitions that are in `buffer`, without its empty places."""
    arrays = {name: getattr(buffer, name)[: buffer.size()] for name in REPLAY_ARRAYS}
    np.savez(path, pos=buffer.pos, full=buffer.full, **arrays)


def _fill(buffer: ReplayBuffer, path: Path) -> None:
    with np.load(path) as saved:
        for name in REPLAY_ARRAYS:
            getattr(buffer, name)[: len(saved[name])] = saved[name]
        buffer.pos, buffer.full = int(saved["pos"]), bool(saved["full"])


def _random_states(cells: SeededVecEnv) -> dict[str, Any]:
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),  # noqa: NPY002 - what Stable-Baselines3 draws from
        "torch": torch.get_rng_state(),
        "cells": cells.streams,
    }


def _set_random_states(states: dict[str, Any], cells: SeededVecEnv) -> None:
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    cells.streams = states["cells"]
