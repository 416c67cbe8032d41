"""Checkpoints: all that a training run needs to go on, in one folder that is complete or does not exist.

A checkpoint is written beside its place and renamed into it, and lists the digests of its files: a process killed at
any moment, or a disk that lost the end of a file, leaves the checkpoint before to go on from. It holds arrays and JSON
(`streamflow_agents.training.state`) and the policy as evaluation loads it; nothing in it is executed.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from stable_baselines3.common.base_class import BaseAlgorithm

from streamflow_agents.policies.loading import POLICY
from streamflow_agents.policies.normalised import normalisation_of
from streamflow_agents.policies.policy_file import write_policy
from streamflow_agents.training.state import STATE, VALUES, read_state, write_state
from streamflow_agents.training.vec_env import SeededVecEnv
from streamflow_env.errors import ConfigError

FOLDER: Final = "checkpoints"
MANIFEST: Final = "complete.json"
FORMAT: Final = 2
"""Of what checkpoints hold. Those of older versions, which say nothing of it, held pickles."""
PARTIAL: Final = ".partial-"
FINAL_POLICY: Final = "final_policy.npz"
"""The policy at the end of a run; it is not there before."""
NUM_KEPT: Final = 3
"""How many of the newest checkpoints are kept; with a replay memory one can take hundreds of megabytes."""


@dataclass
class TrainingProgress:
    """What the evaluations of a run have shown so far; `levels` are the baselines' figures, by baseline and figure.

    `evaluated_at` and `best_at` are control steps; -1: there was none yet.
    """

    evaluated_at: int = -1
    best_at: int = -1
    best_return: float = -math.inf
    levels: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def resumed_at(self) -> int | None:
        """The step that a resumed run starts at; None at the start of a new one."""
        return None if self.evaluated_at < 0 else self.evaluated_at


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint: its folder, the control steps trained until then, and the evaluations until then."""

    folder: Path
    steps: int
    progress: TrainingProgress

    def load(self, model: BaseAlgorithm, cells: SeededVecEnv) -> None:
        """Set `model`, its replay memory and normalisation, and every random generator, to what they were.

        Raises:
            ConfigError: a file of it cannot be read, or is of another model.
        """
        normalised = model.get_vec_normalize_env()
        assert normalised is not None
        read_state(self.folder, model, normalised, cells)

    def publish_best(self, run: Path) -> None:
        """Copy the policy to where evaluation looks for it, if it is the best so far."""
        if self.progress.best_at == self.steps:
            _replace(self.folder / POLICY, run / POLICY)

    def publish_final(self, run: Path) -> None:
        """Copy the policy to where that of a finished run is."""
        _replace(self.folder / POLICY, run / FINAL_POLICY)


class OtherVersionError(ConfigError):
    """A checkpoint that is not damaged, but was written by another version."""


def save_checkpoint(
    run: Path, algorithm: str, model: BaseAlgorithm, cells: SeededVecEnv, progress: TrainingProgress
) -> Checkpoint:
    """Write a checkpoint of `model` into the folder `run`, and remove the oldest beyond `NUM_KEPT`."""
    normalised = model.get_vec_normalize_env()
    assert normalised is not None
    partial = run / FOLDER / f"{PARTIAL}{uuid4().hex}"
    partial.mkdir(parents=True)
    write_state(partial, model, normalised, cells)
    write_policy(partial / POLICY, algorithm, model.policy, normalisation_of(normalised))
    files = {path.name: _digest(path) for path in partial.iterdir()}
    manifest = {"format": FORMAT, "steps": model.num_timesteps, "progress": asdict(progress), "files": files}
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
        OtherVersionError: the newest that is whole was written by another version; none is removed.
    """
    for leftover in (run / FOLDER).glob(f"{PARTIAL}*"):
        shutil.rmtree(leftover)
    faults = []
    for folder in _folders(run):
        try:
            checkpoint = _read(folder, log)
        except OtherVersionError:
            raise
        except ConfigError as error:
            faults.append((folder, str(error)))
            continue
        for damaged, fault in faults:
            log(f"{fault}; going on from {folder.name} instead")
            _discard(damaged)
        return checkpoint
    found = "; ".join(fault for _, fault in faults) or "none was written before it ended"
    raise ConfigError(f"{run / FOLDER}: no complete checkpoint to go on from: {found}")


def _folders(run: Path) -> list[Path]:
    """Newest first."""
    return sorted((path for path in (run / FOLDER).glob("[0-9]*") if path.is_dir()), reverse=True)


def _read(folder: Path, log: Callable[[str], None]) -> Checkpoint:
    manifest = folder / MANIFEST
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
        steps, progress, files = int(content["steps"]), dict(content["progress"]), dict(content["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{manifest}: missing or damaged ({error})") from None
    _check_format(manifest, content.get("format"))
    for name in (POLICY, STATE, VALUES, *files):
        if not (folder / name).is_file() or _digest(folder / name) != files.get(name):
            raise ConfigError(f"{folder / name}: missing or damaged")
    known = {item.name for item in fields(TrainingProgress)}
    for key in set(progress) - known:
        log(f"{manifest}: progress.{key}: unknown key, which is left out")
    return Checkpoint(folder, steps, TrainingProgress(**{key: progress[key] for key in known & set(progress)}))


def _check_format(manifest: Path, found: Any) -> None:
    if found is None:
        raise OtherVersionError(
            f"{manifest.parent}: written by an older version, as pickles, which run any code that they hold. They are "
            "not read: train anew, or go on with the version in the run's versions.txt"
        )
    if found != FORMAT:
        raise OtherVersionError(f"{manifest}: format {found!r}: this version reads format {FORMAT}; see versions.txt")


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
