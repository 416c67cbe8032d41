"""The state of a training as data: named arrays, and JSON for what is no array. Reading it executes nothing.

Networks, optimisers, replay memory, normalisation, counters, and every random generator. What follows from the
configuration is not in it.
"""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecNormalize

from streamflow_agents.policies.arrays import ArrayFile, read_arrays
from streamflow_agents.training.vec_env import SeededVecEnv
from streamflow_env.errors import ConfigError

Arrays = dict[str, NDArray[Any]]

STATE: Final = "state.npz"
VALUES: Final = "state.json"
REPLAY: Final = "replay.npz"

COUNTERS: Final = ("num_timesteps", "_n_updates", "_episode_num")
VARIABLES: Final = ("log_ent_coef",)
"""Tensors of a model beside its networks, if it has them."""
EPISODES: Final = {"r": "float32", "l": "int32", "t": "float64"}
"""What `VecMonitor` says of an episode that ended, and of which type it is."""
ADAM: Final = ("step", "exp_avg", "exp_avg_sq")
"""What Adam remembers of a parameter."""
REPLAY_ARRAYS: Final = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


def write_state(folder: Path, model: BaseAlgorithm, normalised: VecNormalize, cells: SeededVecEnv) -> None:
    """Write the state of `model` on `cells`, behind `normalised`, as files of `folder`."""
    bits, numbers, *rest = np.random.get_state()  # noqa: NPY002 - what Stable-Baselines3 draws from
    arrays: Arrays = {"random.torch": torch.get_rng_state().numpy(), "random.numpy": np.asarray(numbers)}
    for name, statistics in _statistics(normalised):
        arrays |= {f"{name}.mean": statistics.mean, f"{name}.var": statistics.var}
        arrays[f"{name}.count"] = np.float64(statistics.count)  # type: ignore[assignment]
    rates = {}
    for name, part in _parts(model):
        if isinstance(part, torch.optim.Optimizer):
            rates[name] = [group["lr"] for group in part.param_groups]
            for row, kept in part.state_dict()["state"].items():
                arrays |= {f"{name}.{row}.{key}": value.numpy() for key, value in kept.items()}
        else:
            arrays |= {f"{name}.{key}": weights.numpy() for key, weights in part.state_dict().items()}
    arrays |= {name: variable.detach().numpy() for name, variable in _variables(model)}
    episodes = list(model.ep_info_buffer or ())
    arrays |= {f"episodes.{key}": np.array([one[key] for one in episodes], kind) for key, kind in EPISODES.items()}
    values = {
        "counters": {name: getattr(model, name) for name in COUNTERS},
        "learning_rates": rates,
        "random": {
            "python": random.getstate(),
            "numpy": [bits, *rest],
            "cells": [stream.bit_generator.state for stream in cells.streams],
        },
    }
    np.savez(folder / STATE, allow_pickle=False, **arrays)
    (folder / VALUES).write_text(json.dumps(values), encoding="utf-8")
    buffer = getattr(model, "replay_buffer", None)
    if buffer is not None:
        _write_replay(buffer, folder / REPLAY)


def read_state(folder: Path, model: BaseAlgorithm, normalised: VecNormalize, cells: SeededVecEnv) -> None:
    """Set `model`, `normalised` and the random generators to the state in `folder`.

    Raises:
        ConfigError: it is not a state, or one of another model; the message names what is missing or wrong in it.
    """
    kept, path = ArrayFile(folder / STATE, read_arrays(folder / STATE)), folder / VALUES
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        counters, rates, generators = values["counters"], values["learning_rates"], values["random"]
        for name in COUNTERS:
            setattr(model, name, int(counters[name]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: missing or damaged ({error!r})") from None
    for name, statistics in _statistics(normalised):
        statistics.mean = kept.take(f"{name}.mean", np.shape(statistics.mean), "float64")
        statistics.var = kept.take(f"{name}.var", np.shape(statistics.var), "float64")
        statistics.count = float(kept.take(f"{name}.count", (), "float64"))
    for name, part in _parts(model):
        if isinstance(part, torch.optim.Optimizer):
            _read_optimiser(kept, name, part, rates.get(name))
        else:
            for key, weights in part.state_dict().items():
                weights.copy_(torch.from_numpy(kept.take(f"{name}.{key}", tuple(weights.shape), "float32")))
    for name, variable in _variables(model):
        variable.data = torch.from_numpy(kept.take(name, tuple(variable.shape), "float32"))
    _read_episodes(kept, model)
    buffer = getattr(model, "replay_buffer", None)
    if buffer is not None:
        _read_replay(buffer, folder / REPLAY)
    if model.use_sde:
        model.policy.reset_noise()  # type: ignore[operator]  # it has the size that the weights say
    _set_generators(kept, path, generators, cells)


def _statistics(normalised: VecNormalize) -> Iterator[tuple[str, RunningMeanStd]]:
    if normalised.norm_obs:
        assert isinstance(normalised.obs_rms, RunningMeanStd)
        yield "observations", normalised.obs_rms
    yield "returns", normalised.ret_rms


def _parts(model: BaseAlgorithm) -> Iterator[tuple[str, Any]]:
    """The networks and optimisers of `model` by their names in it."""
    return ((name, attrgetter(name)(model)) for name in model.get_parameters())


def _variables(model: BaseAlgorithm) -> Iterator[tuple[str, torch.Tensor]]:
    return ((name, getattr(model, name)) for name in VARIABLES if getattr(model, name, None) is not None)


def _read_optimiser(kept: ArrayFile, name: str, optimiser: torch.optim.Optimizer, rates: Any) -> None:
    content = optimiser.state_dict()
    if not isinstance(rates, list) or len(rates) != len(content["param_groups"]):
        raise ConfigError(f"{kept.path.with_name(VALUES)}: learning_rates.{name}: missing or damaged")
    for group, rate in zip(content["param_groups"], rates, strict=True):
        group["lr"] = float(rate)
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    content["state"] = {}
    for row, parameter in enumerate(parameters):
        shapes = {"step": (), "exp_avg": tuple(parameter.shape), "exp_avg_sq": tuple(parameter.shape)}
        if kept.names(f"{name}.{row}."):
            content["state"][row] = {
                key: torch.tensor(kept.take(f"{name}.{row}.{key}", shapes[key], "float32")) for key in ADAM
            }
    optimiser.load_state_dict(content)


def _read_episodes(kept: ArrayFile, model: BaseAlgorithm) -> None:
    returns = kept.take("episodes.r", None, EPISODES["r"])
    others = [kept.take(f"episodes.{key}", returns.shape, EPISODES[key]) for key in ("l", "t")]
    rows = zip(returns, *others, strict=True)
    model.ep_info_buffer = deque((dict(zip(EPISODES, row, strict=True)) for row in rows), model._stats_window_size)
    model.ep_success_buffer = deque(maxlen=model._stats_window_size)


def _set_generators(kept: ArrayFile, path: Path, values: Any, cells: SeededVecEnv) -> None:
    numbers = kept.take("random.numpy", None, "uint32")
    bits_of_torch = torch.from_numpy(kept.take("random.torch", None, "uint8"))
    try:
        torch.set_rng_state(bits_of_torch)
        version, state, gauss = values["python"]
        random.setstate((version, tuple(state), gauss))
        bits, *rest = values["numpy"]
        np.random.set_state((bits, numbers, *rest))  # noqa: NPY002
        for stream, content in zip(cells.streams, values["cells"], strict=True):
            stream.bit_generator.state = content
    except (KeyError, TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise ConfigError(f"{path}: random: missing or damaged ({error!r})") from None


def _write_replay(buffer: ReplayBuffer, path: Path) -> None:
    """Write the transitions that are in `buffer`, without its empty places."""
    arrays = {name: getattr(buffer, name)[: buffer.size()] for name in REPLAY_ARRAYS}
    np.savez(path, allow_pickle=False, pos=buffer.pos, full=buffer.full, **arrays)


def _read_replay(buffer: ReplayBuffer, path: Path) -> None:
    kept = ArrayFile(path, read_arrays(path))
    position, full = int(kept.take("pos", (), "int64")), bool(kept.take("full", (), "bool"))
    if not 0 <= position < buffer.buffer_size:
        raise ConfigError(f"{path}: pos: is {position}, must be in [0, {buffer.buffer_size})")
    buffer.pos, buffer.full = position, full
    for name in REPLAY_ARRAYS:
        place = getattr(buffer, name)[: buffer.size()]
        place[:] = kept.take(name, place.shape, str(place.dtype))
