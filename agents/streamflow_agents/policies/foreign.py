"""Models in the zip of Stable-Baselines3 and their `vecnormalize.pkl`. Loading either runs what is pickled in it.

So `load_policy` comes here only if it is told to trust the file. Importing this module loads torch.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, Final

from gymnasium import spaces
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecNormalize

from streamflow_agents.policies.models import find_model
from streamflow_agents.policies.normalised import Normalisation, NormalisedPolicy, normalisation_of
from streamflow_agents.policies.policy_file import check_finite, check_normalisation, check_shape
from streamflow_env.errors import ConfigError

STATISTICS: Final = "vecnormalize.pkl"


def load_foreign(
    path: Path, algorithm: str, observations: spaces.Space[Any], actions: spaces.Space[Any], *, is_run: bool
) -> NormalisedPolicy:
    """The model of `algorithm` at `path`, with the statistics of observations that are beside it or one folder away.

    `is_run` says that a training run of an older version wrote it: its network is then the one of this version.

    Raises:
        ConfigError: no such model, or one of another system; several files of statistics of which one would be a guess.
    """
    model = find_model(algorithm)
    replaced = {"policy_class": model.policy} if is_run else None
    try:
        loaded = model.kind.load(path, device="cpu", custom_objects=replaced)
    except Exception as error:  # a file of something else may raise anything: AssertionError, torch's RuntimeError ...
        raise ConfigError(f"{path}: not a model that {algorithm} can load: {error}") from error
    check_shape(path, "observations", loaded.observation_space.shape, observations)
    check_shape(path, "actions", loaded.action_space.shape, actions)
    check_finite(path, loaded.policy)
    statistics = find_statistics(path)
    normalisation = None if statistics is None else _load_normalisation(statistics, observations)
    return NormalisedPolicy(loaded.policy, normalisation)


def find_statistics(model: Path) -> Path | None:
    """The file of statistics that belongs to `model`: beside it, or else one folder below or above, as RL Zoo has it.

    Beside it, `NAME_vecnormalize_N_steps.pkl` belongs to `NAME_N_steps.zip`, any other name to none.

    Raises:
        ConfigError: none has the right name and place, but others are there: to leave them out would be silent.
    """
    prefix, _, steps = model.stem.removesuffix("_steps").rpartition("_")
    for name in (f"{prefix}_vecnormalize_{steps}_steps.pkl", STATISTICS):
        if (model.parent / name).is_file():
            return model.parent / name
    folder = model.parent.resolve()
    near = [*sorted(folder.glob(f"*/{STATISTICS}")), folder.parent / STATISTICS]
    near = [path for path in near if path.is_file()]
    others = sorted(folder.glob("*vecnormalize*.pkl"))
    if len(near) == 1 and not others:
        return near[0]
    if near or others:
        found = ", ".join(str(path) for path in (*others, *near))
        raise ConfigError(f"{model}: which statistics belong to it? Copy one beside it as {STATISTICS}; found: {found}")
    return None


def _load_normalisation(path: Path, observations: spaces.Space[Any]) -> Normalisation | None:
    try:
        with path.open("rb") as file:
            statistics: Any = pickle.load(file)
    except Exception as error:  # as above
        raise ConfigError(f"{path}: not a pickled VecNormalize: {error}") from error
    if not isinstance(statistics, VecNormalize):
        raise ConfigError(f"{path}: holds a {type(statistics).__name__}, must be a VecNormalize")
    if statistics.norm_obs and not isinstance(statistics.obs_rms, RunningMeanStd):
        raise ConfigError(f"{path}: normalises a dictionary of observations, must be one array")
    normalisation = normalisation_of(statistics)
    if normalisation is None:
        return None
    return check_normalisation(path, normalisation, spaces.flatdim(observations))
