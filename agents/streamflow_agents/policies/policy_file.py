"""A trained policy as data: one file of named arrays. Reading it executes nothing. Importing this module loads torch.

The file `policy.npz` has, uncompressed and without pickled objects:

- `header`: what `Header` says, as the bytes of JSON.
- `network.NAME`: the weights of what acts, by their names in torch. Critics are left out.
- `normalisation.mean`, `.variance`, `.epsilon`, `.clip`: what `Normalisation` says, if the network has one.

How the network is built is in the run's `config.yaml` beside it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy

from streamflow_agents.policies.arrays import ArrayFile, read_arrays
from streamflow_agents.policies.models import NetworkSettings, actor_of, build_network
from streamflow_agents.policies.normalised import Normalisation, NormalisedPolicy
from streamflow_env.errors import ConfigError
from streamflow_env.system.schema import Count, Flag, Frozen, Text, parse

NETWORK: Final = "network."
NORMALISATION: Final = "normalisation."
HEADER: Final = "header"
CRITICS: Final = ("lstm_critic.", "mlp_extractor.value_net.", "value_net.")
"""Names of weights that an action does not depend on begin so."""


class Header(Frozen):
    """What kind of network a file of a policy is for; sizes are numbers of entries."""

    format: Literal[1] = 1
    algorithm: Text
    observation_size: Count
    action_size: Count
    normalised: Flag


def write_policy(path: Path, algorithm: str, policy: BasePolicy, normalisation: Normalisation | None) -> None:
    """Write what acts of `policy`, which `algorithm` trained, with its `normalisation` of observations."""
    network = actor_of(policy)
    header = Header(
        algorithm=algorithm,
        observation_size=spaces.flatdim(network.observation_space),
        action_size=spaces.flatdim(network.action_space),
        normalised=normalisation is not None,
    )
    arrays: dict[str, Any] = {HEADER: np.frombuffer(header.model_dump_json().encode(), np.uint8)}
    arrays |= {f"{NETWORK}{name}": weights.numpy() for name, weights in _weights(network).items()}
    if normalisation is not None:
        arrays |= {
            f"{NORMALISATION}mean": normalisation.mean,
            f"{NORMALISATION}variance": normalisation.variance,
            f"{NORMALISATION}epsilon": np.float64(normalisation.epsilon),
            f"{NORMALISATION}clip": np.float64(normalisation.clip),
        }
    np.savez(path, allow_pickle=False, **arrays)


def read_policy(
    path: Path, algorithm: str, settings: NetworkSettings, observations: spaces.Space[Any], actions: spaces.Space[Any]
) -> NormalisedPolicy:
    """The policy in the file `path`, which acts on `observations`; `settings` describe its network.

    Raises:
        ConfigError: it is no such file, or one of another network; the message names what is missing or wrong in it.
    """
    kept = ArrayFile(path, read_arrays(path))
    header = _read_header(kept)
    if header.algorithm != algorithm:
        raise ConfigError(f"{path}: was trained by {header.algorithm}, its configuration says {algorithm}")
    check_shape(path, "observations", (header.observation_size,), observations)
    check_shape(path, "actions", (header.action_size,), actions)
    network = build_network(algorithm, settings, observations, actions)
    for name, weights in _weights(network).items():
        weights.copy_(torch.from_numpy(kept.take(f"{NETWORK}{name}", tuple(weights.shape), "float32")))
    if getattr(network, "use_sde", False):
        network.reset_noise()  # type: ignore[operator]  # it has the size that the weights say
    normalisation = _read_normalisation(kept, observations) if header.normalised else None
    if kept.names():
        raise ConfigError(f"{path}: {kept.names()[0]}: its network has no such array")
    return NormalisedPolicy(network, normalisation)


def check_shape(path: Path, what: str, shape: tuple[int, ...] | None, needed: spaces.Space[Any]) -> None:
    """Raise ConfigError where the `what`, of the model at `path`, has not the `shape` that is `needed`."""
    if shape != needed.shape:
        raise ConfigError(f"{path}: its {what} have shape {shape}, those of this system {needed.shape}")


def check_finite(path: Path, policy: BasePolicy) -> None:
    """Raise ConfigError where a weight of `policy`, of the model at `path`, is not a finite number."""
    for name, weights in _weights(actor_of(policy)).items():
        if not bool(torch.isfinite(weights).all()):
            raise ConfigError(f"{path}: {name}: holds a number that is not finite")


def check_normalisation(path: Path, normalisation: Normalisation, size: int) -> Normalisation:
    """`normalisation`, of the file `path`. Raises ConfigError where it is not one of `size` observations."""
    for name, array in (("mean", normalisation.mean), ("variance", normalisation.variance)):
        if np.shape(array) != (size,):
            raise ConfigError(f"{path}: {NORMALISATION}{name}: has shape {np.shape(array)}, must be {(size,)}")
        if not np.isfinite(array).all():
            raise ConfigError(f"{path}: {NORMALISATION}{name}: holds a number that is not finite")
    for name, least in (
        ("variance", float(normalisation.variance.min())),
        ("epsilon", normalisation.epsilon),
        ("clip", normalisation.clip),
    ):
        if not least >= 0.0:
            raise ConfigError(f"{path}: {NORMALISATION}{name}: is {least}, must be at least 0")
    return normalisation


def _weights(network: BasePolicy) -> dict[str, torch.Tensor]:
    return {name: weights for name, weights in network.state_dict().items() if not name.startswith(CRITICS)}


def _read_header(kept: ArrayFile) -> Header:
    text = kept.take(HEADER, None, "uint8").tobytes()
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{kept.path}: {HEADER}: not JSON: {error}") from None
    return parse(Header, content, f"{kept.path}: {HEADER}")


def _read_normalisation(kept: ArrayFile, observations: spaces.Space[Any]) -> Normalisation:
    size = spaces.flatdim(observations)
    mean, variance = (kept.take(f"{NORMALISATION}{name}", (size,), "float64") for name in ("mean", "variance"))
    epsilon, clip = (float(kept.take(f"{NORMALISATION}{name}", (), "float64")) for name in ("epsilon", "clip"))
    return check_normalisation(kept.path, Normalisation(mean, variance, epsilon, clip), size)
