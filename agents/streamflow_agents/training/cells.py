"""The cells that a learner meets: in groups, on a baseline, normalised, as the settings of its algorithm say."""

from __future__ import annotations

from typing import Any, Final

from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

from streamflow_agents.policies.normalised import NormalisedPolicy, normalisation_of
from streamflow_agents.policies.protocol import Policy
from streamflow_agents.policies.residual import KEY, Residual, ResidualPolicy
from streamflow_agents.training.algorithms import SameLuckSettings, Settings
from streamflow_agents.training.residual_vec_env import ResidualVecEnv
from streamflow_agents.training.task import Task
from streamflow_agents.training.vec_env import SeededVecEnv
from streamflow_env.errors import ConfigError

LARGEST_INPUT: Final = 5.0
"""Normalised inputs of a residual's network are clipped at so many standard deviations."""


def check_groups(settings: Settings, num_cells: int) -> None:
    """Raise ConfigError where `num_cells` are not whole groups."""
    if isinstance(settings, SameLuckSettings) and num_cells % settings.group_size:
        raise ConfigError(f"num_cells {num_cells}: must be a multiple of group_size = {settings.group_size}")


def make_residual(settings: Settings, task: Task) -> Residual | None:
    """The residual that the network moves, None if it has all controls. Raises ConfigError."""
    if settings.residual is None:
        return None
    if task.make_residual is None:
        raise ConfigError(f"{KEY}: this task has no baseline to be on")
    return task.make_residual(settings.residual)


def make_cells(task: Task, settings: Settings, num_cells: int, seed: int) -> SeededVecEnv:
    """Cells whose episodes are drawn from `seed`."""
    groups: dict[str, Any] = {}
    if isinstance(settings, SameLuckSettings):
        groups["group_size"] = settings.group_size
        groups["even_members"] = task.members if settings.even_members else None
    cells, cut = task.make_cells(num_cells), settings.cut(num_cells)
    return SeededVecEnv(cells, seed=seed, seed_limit=task.seed_limit, cut=cut, **groups)


def normalise(cells: SeededVecEnv, settings: Settings, residual: Residual | None) -> VecNormalize:
    """`cells` as the learner meets them, with statistics that are yet to be gathered."""
    return VecNormalize(
        VecMonitor(cells if residual is None else ResidualVecEnv(cells, residual)),
        norm_obs=residual is not None,
        norm_reward=settings.normalises_rewards,
        clip_obs=LARGEST_INPUT,
        gamma=settings.discount,
    )


def start_action(task: Task, residual: Residual | None) -> tuple[float, ...]:
    """What the untrained network does."""
    return task.start_action if residual is None else (0.0,) * len(residual.names)


def as_policy(model: Any, residual: Residual | None) -> Policy:
    """What acts in an environment as `model` does in training."""
    if residual is None:
        return model  # type: ignore[no-any-return]
    return ResidualPolicy(residual, NormalisedPolicy(model, normalisation_of(model.get_vec_normalize_env())))
