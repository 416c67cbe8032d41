"""Policies by name: a baseline, or a trained model by its path. torch is loaded only for a trained model."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streamflow_agents.policies.baselines import BASELINE_NAMES, baseline_files, is_baseline, make_baseline
from streamflow_agents.policies.protocol import Policy
from streamflow_agents.policies.residual import KEY, Residual, ResidualPolicy, ResidualSettings, make_residual
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.errors import ConfigError
from streamflow_env.system.schema import parse, read_yaml

BEST_MODEL: Final = "best_model.zip"
NORMALISATION: Final = "vecnormalize.pkl"
DESCRIPTION: Final = "config.yaml"


def load_policy(name: str, env: StreamFlowEnv) -> Policy:
    """The policy called `name` for the system of `env`: a baseline's name, a run's folder, or the path of a model.

    Beside a model, `config.yaml` names its algorithm; without it the algorithm is PPO. It also has the residual that
    the model moves a baseline by, if it does. `vecnormalize.pkl`, if there, holds the statistics that the model's
    observations were normalised with. Loading either can run code: load only files that you trust.

    Raises:
        ConfigError: no such baseline or file, not a model, or one trained on other observations or controls.
    """
    if is_baseline(name):
        return make_baseline(name, env.system, env.observation_table)
    return _load_trained(_model_path(name), env)


def name_policies(given: Sequence[str]) -> dict[str, str]:
    """Policies by label: each of `given` is `LABEL=POLICY`, or a policy that is labelled by its own name.

    The text before the first `=` is a label unless it holds a `/`: then it is part of a path.

    Raises:
        ConfigError: two have the same label, or one is neither a baseline nor a model.
    """
    policies: dict[str, str] = {}
    for text in given:
        label, equals, source = text.strip().partition("=")
        if not equals or "/" in label or os.sep in label:
            label, source = "", text.strip()
        own_label = _label(source)
        label = label or own_label
        if label in policies:
            raise ConfigError(f"policy {label!r}: given twice; give one another name, NAME={source}")
        policies[label] = source
    return policies


def policy_digest(name: str) -> str:
    """The SHA-256, in hex, of the files that make the policy called `name`; comments in YAML do not count.

    They are the parameter files of a baseline, or a model with its normalisation and its description.

    Raises:
        ConfigError: no such baseline or file.
    """
    if is_baseline(name):
        found, files = hashlib.sha256(name.encode()), baseline_files(name)
    else:
        model = _model_path(name)
        beside = (model.parent / NORMALISATION, model.parent / DESCRIPTION)
        found, files = hashlib.sha256(), (model, *(path for path in beside if path.is_file()))
    for path in files:
        is_yaml = path.suffix == ".yaml"
        content = json.dumps(read_yaml(path), default=str).encode() if is_yaml else path.read_bytes()
        found.update(path.name.encode() + hashlib.sha256(content).digest())
    return found.hexdigest()


def _label(source: str) -> str:
    """The name of the baseline, of the run's folder, or of the model's file."""
    if is_baseline(source):
        return source
    path = _model_path(source)
    return path.resolve().parent.name if path.name == BEST_MODEL else path.stem


def _model_path(name: str) -> Path:
    path = Path(name) / BEST_MODEL if Path(name).is_dir() else Path(name)
    if not path.is_file():
        known = ", ".join(BASELINE_NAMES)
        raise ConfigError(f"policy {name!r}: neither a baseline ({known}), nor a model, nor a folder with {BEST_MODEL}")
    return path


class NormalisedPolicy:
    """`model`, a Stable-Baselines3 model, behind the normalisation `statistics` of observations, None for none."""

    def __init__(self, model: Any, statistics: Any) -> None:
        self._model = model
        self._statistics = statistics

    def predict(
        self,
        observation: NDArray[np.float32],
        state: Any = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[Any], Any]:
        """The model's action, of a shape that matches the observation's, and its hidden state."""
        if self._statistics is not None:
            observation = self._statistics.normalize_obs(observation)
        action, state = self._model.predict(observation, state, episode_start, deterministic)
        return action, state


def _load_trained(path: Path, env: StreamFlowEnv) -> Policy:
    """The model at `path`, with the normalisation of observations, and the residual, that it was trained with."""
    model = _load_model(path)
    residual = _load_residual(path.parent / DESCRIPTION, env)
    if residual is None:
        needs = env.observation_space.shape, env.action_space.shape
    else:
        needs = (residual.size,), (len(residual.names),)
    for what, has, needed in (
        ("observations", model.observation_space.shape, needs[0]),
        ("actions", model.action_space.shape, needs[1]),
    ):
        if has != needed:
            raise ConfigError(f"{path}: its {what} have shape {has}, those of this system {needed}")
    statistics = path.parent / NORMALISATION
    network = NormalisedPolicy(model, _load_normalisation(statistics) if statistics.is_file() else None)
    return network if residual is None else ResidualPolicy(residual, network)


def _load_model(path: Path) -> Any:
    import torch

    from streamflow_agents.policies.models import find_model

    torch.set_num_threads(1)  # on a busy machine OpenMP's spinning threads cost far more than they give
    description = path.parent / DESCRIPTION
    name = _algorithm(description)
    try:
        kind = find_model(name)
    except ConfigError as error:
        raise ConfigError(f"{description}: {error}") from None
    try:
        return kind.load(path, device="cpu")
    except Exception as error:  # a file of something else may raise anything: AssertionError, torch's RuntimeError ...
        raise ConfigError(f"{path}: not a model that {name} can load: {error}") from error


def _algorithm(description: Path) -> str:
    content = read_yaml(description) if description.is_file() else {}
    arguments = content.get("arguments") if isinstance(content, dict) else None
    return str(arguments.get("algorithm", "ppo")) if isinstance(arguments, dict) else "ppo"


def _load_residual(description: Path, env: StreamFlowEnv) -> Residual | None:
    content = read_yaml(description) if description.is_file() else {}
    settings = content.get("hyperparameters") if isinstance(content, dict) else None
    given = settings.get(KEY) if isinstance(settings, dict) else None
    if given is None:
        return None
    parsed = parse(ResidualSettings, given, f"{description}: hyperparameters.{KEY}")
    return make_residual(parsed, env.system, env.observation_table)


def _load_normalisation(path: Path) -> Any:
    from stable_baselines3.common.vec_env import VecNormalize

    try:
        with path.open("rb") as file:
            statistics = pickle.load(file)
    except Exception as error:  # as above
        raise ConfigError(f"{path}: not a pickled VecNormalize: {error}") from error
    if not isinstance(statistics, VecNormalize):
        raise ConfigError(f"{path}: holds a {type(statistics).__name__}, must be a VecNormalize")
    statistics.training = False
    return statistics
