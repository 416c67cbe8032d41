"""Policies by name: a baseline, or a trained model by its path. torch is loaded only for a trained model."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gymnasium import spaces

from streamflow_agents.policies.baselines import BASELINE_NAMES, baseline_files, is_baseline, make_baseline
from streamflow_agents.policies.protocol import Policy
from streamflow_agents.policies.residual import KEY, ResidualPolicy, ResidualSettings, make_residual
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.errors import ConfigError
from streamflow_env.system.schema import parse, read_yaml

if TYPE_CHECKING:
    from streamflow_agents.policies.normalised import NormalisedPolicy

POLICY: Final = "policy.npz"
DESCRIPTION: Final = "config.yaml"
BASE_DIGEST: Final = "base_sha256"
"""In the description of a residual: the digest of its base, without which it is another policy."""
BEST_MODEL: Final = "best_model.zip"
"""What Stable-Baselines3's evaluation, RL Zoo, and runs of older versions call their best model."""


def load_policy(name: str, env: StreamFlowEnv, *, trust: bool = False) -> Policy:
    """The policy called `name` for the system of `env`: a baseline's name, a run's folder, or the path of a model.

    A run's folder has `policy.npz` and `config.yaml`, which says how the network is built, and which baseline it moves
    if it does. Both are data: nothing in them is executed.

    With `trust` a model may also be a zip of Stable-Baselines3. Loading it, and `vecnormalize.pkl` beside it or one
    folder away, runs whatever code they hold. `config.yaml` beside it names its algorithm; otherwise that is PPO.

    Raises:
        ConfigError: no such baseline or file; not a model, a damaged one, or one that needs `trust`; one trained on
            other observations or controls.
    """
    if is_baseline(name):
        return make_baseline(name, env.system, env.observation_table)
    return _load_trained(_model_path(name), env, trust)


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

    They are the parameter files of a baseline, or a model and its description.

    Raises:
        ConfigError: no such baseline or file.
    """
    if is_baseline(name):
        found, files = hashlib.sha256(name.encode()), baseline_files(name)
    else:
        model = _model_path(name)
        description = model.parent / DESCRIPTION
        found, files = hashlib.sha256(), (model, *([description] if description.is_file() else []))
    for path in files:
        is_yaml = path.suffix == ".yaml"
        content = json.dumps(read_yaml(path), default=str).encode() if is_yaml else path.read_bytes()
        found.update(path.name.encode() + hashlib.sha256(content).digest())
    return found.hexdigest()


def check_base(path: Path, base: str, digest: str | None) -> None:
    """Raise ConfigError where the baseline `base` is not the one with the `digest` in the description at `path`."""
    if digest is not None and digest != policy_digest(base):
        files = ", ".join(map(str, baseline_files(base)))
        raise ConfigError(f"{path}: its network moves {base}, which has changed since it was trained: {files}")


def _label(source: str) -> str:
    """The name of the baseline, of the run's folder, or of the model's file."""
    if is_baseline(source):
        return source
    path = _model_path(source)
    return path.resolve().parent.name if path.name in (POLICY, BEST_MODEL) else path.stem


def _model_path(name: str) -> Path:
    given = Path(name)
    for path in (given / POLICY, given / BEST_MODEL) if given.is_dir() else (given,):
        if path.is_file():
            return path
    known = ", ".join(BASELINE_NAMES)
    raise ConfigError(f"policy {name!r}: neither a baseline ({known}), nor a model, nor a folder with {POLICY}")


class _Description(NamedTuple):
    """What `config.yaml`, at `path`, says of the model beside it; no `hyperparameters` if no run has written it."""

    path: Path
    algorithm: str = "ppo"
    hyperparameters: dict[str, Any] | None = None
    base_sha256: str | None = None

    def residual(self) -> ResidualSettings | None:
        """Raises ConfigError, also where the base is no longer what it was in training."""
        given = (self.hyperparameters or {}).get(KEY)
        if given is None:
            return None
        settings = parse(ResidualSettings, given, f"{self.path}: hyperparameters.{KEY}")
        check_base(self.path, settings.base, self.base_sha256)
        return settings


def _describe(path: Path) -> _Description:
    content = read_yaml(path) if path.is_file() else {}
    parts = [content.get(key) if isinstance(content, dict) else None for key in ("arguments", "hyperparameters")]
    arguments, hyperparameters = (part if isinstance(part, dict) else None for part in parts)
    digest = content.get(BASE_DIGEST) if isinstance(content, dict) else None
    return _Description(path, str((arguments or {}).get("algorithm", "ppo")), hyperparameters, digest)


def _load_trained(path: Path, env: StreamFlowEnv, trust: bool) -> Policy:
    """The model at `path`, with the normalisation of observations, and the residual, that it was trained with."""
    _check_kind(path, trust)
    description = _describe(path.parent / DESCRIPTION)
    observations, actions = env.observation_space, env.action_space
    settings = description.residual()
    if settings is None:
        return _load_network(path, description, observations, actions)
    residual = make_residual(settings, env.system, env.observation_table)
    network = _load_network(path, description, residual.observation_space, residual.action_space)
    if network.normalisation is None:
        raise ConfigError(f"{path}: has no normalisation of observations, which the network of a residual needs")
    return ResidualPolicy(residual, network)


def _check_kind(path: Path, trust: bool) -> None:
    """Raise ConfigError where the file is neither data nor, with `trust`, a zip."""
    if _is_data(path):
        return
    if not zipfile.is_zipfile(path):
        raise ConfigError(f"{path}: not a model: neither a run's {POLICY} nor a zip of Stable-Baselines3")
    if not trust:
        raise ConfigError(
            f"{path}: a zip of Stable-Baselines3 (runs of older versions have them too). Loading it runs any code that "
            f"it holds. If you trust it, give --trust (load_policy: trust=True). A run's {POLICY} needs no trust"
        )


def _is_data(path: Path) -> bool:
    return path.suffix == Path(POLICY).suffix


def _load_network(
    path: Path, description: _Description, observations: spaces.Space[Any], actions: spaces.Space[Any]
) -> NormalisedPolicy:
    import torch

    from streamflow_agents.policies.foreign import load_foreign
    from streamflow_agents.policies.models import NetworkSettings, find_model
    from streamflow_agents.policies.policy_file import read_policy

    torch.set_num_threads(1)  # on a busy machine OpenMP's spinning threads cost far more than they give
    algorithm, hyperparameters = description.algorithm, description.hyperparameters
    with _named(description.path):
        model = find_model(algorithm)
    if not _is_data(path):
        return load_foreign(path, algorithm, observations, actions, is_run=hyperparameters is not None)
    if hyperparameters is None:
        raise ConfigError(f"{description.path}: {path.name} needs it, with arguments.algorithm and hyperparameters")
    settings = parse(NetworkSettings, hyperparameters, f"{description.path}: hyperparameters")
    with _named(description.path):
        model.arguments(settings)
    return read_policy(path, algorithm, settings, observations, actions)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors inside are those of the file `path`."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
