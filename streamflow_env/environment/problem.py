"""A system, a scenario and a reward, loaded and checked, with the spaces and tables that follow from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from gymnasium.spaces import Box

from streamflow_env.environment.observations import ObservationTable
from streamflow_env.environment.rewards import RewardWeights, load_reward
from streamflow_env.errors import ConfigError, RenderModeError
from streamflow_env.scenarios import Scenario, load_scenario
from streamflow_env.system import System, load_system

NUM_EPISODE_SEEDS: Final = 2**31
ARGUMENTS: Final = (
    "scenario", "engine", "system", "reward", "trace", "render_mode", "num_envs", "num_threads", "metrics",
)  # fmt: skip
"""Arguments of the environments. No scenario has such a key."""
HOUR_S: Final = 3600.0


class Problem:
    """What one environment is made of.

    Raises:
        ConfigError: a source cannot be read or is not valid, or the scenario does not fit the system.
        RenderModeError: `render_mode` is not None. It is a ConfigError and a TypeError.
    """

    def __init__(
        self,
        scenario: str | Path | dict[str, Any] | Scenario,
        system: str | Path | dict[str, Any] | System,
        reward: str | Path | dict[str, Any] | RewardWeights,
        trace: str | Path | None,
        render_mode: str | None,
    ) -> None:
        if render_mode is not None:
            raise RenderModeError(f"render_mode {render_mode!r}: must be None; the environment draws nothing")
        self.system = load_system(system)
        _check_is_scenario(scenario)
        self.scenario = load_scenario(scenario)
        if trace is not None:
            self.scenario = self.scenario.with_trace(trace)
        self.scenario.check(self.system)
        self.weights = load_reward(reward)
        self.control_table = self.system.control_table
        self.observation_table = ObservationTable(self.system)
        self.default_action = self.control_table.action(self.control_table.default)
        self.default_action.flags.writeable = False
        self.action_space = Box(-1.0, 1.0, (len(self.control_table),), np.float32)
        self.observation_space = Box(self.observation_table.low, self.observation_table.high, dtype=np.float32)


def time_of_day_h(start_hour: float, time_s: float) -> float:
    """Hour of the day, in [0, 24), at `time_s` after the start of an episode."""
    return (start_hour + time_s / HOUR_S) % 24.0


def checked_episode_seed(seed: Any) -> int:
    """`seed` as an integer. Raises ConfigError if it is not a whole number in [0, 2**63)."""
    if isinstance(seed, bool | np.bool_) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        raise ConfigError(f"options['episode_seed'] = {seed!r}: must be an integer in [0, 2**63)")
    return int(seed)


def checked_reset_seed(seed: Any) -> int | None:
    """`seed` of `reset` as Python's own integer. Raises ConfigError if it is neither None nor a whole number from 0."""
    if seed is None:
        return None
    if isinstance(seed, bool | np.bool_) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ConfigError(f"seed = {seed!r}: must be an integer of at least 0, or None")
    return int(seed)


def check_length(scenario: Scenario, system: System, max_steps: int | None) -> None:
    """Raises ConfigError where an episode has more control steps than the `max_steps` after which an id ends it."""
    steps = scenario.longest_s / system.control_interval_s
    if max_steps is not None and steps > max_steps + 1e-9:
        raise ConfigError(
            f"max_episode_steps = {max_steps}: must be at least the {steps:g} control steps of scenario"
            f" {scenario.name}. Take the scenario's own id, or StreamFlowEnv(...); or give both max_episode_steps and"
            " max_steps"
        )


def _check_is_scenario(given: Any) -> None:
    """Raises ConfigError where a scenario's content is, in fact, a dictionary of the environment's arguments."""
    if not isinstance(given, dict):
        return
    if arguments := [name for name in given if name in ARGUMENTS]:
        raise ConfigError(
            f"scenario: a dictionary with {', '.join(arguments)} is not a scenario but arguments of the environment;"
            " unpack it: StreamFlowEnv(**env_config)"
        )
    if not given:
        raise ConfigError("scenario: an empty dictionary is none; for the default leave it out: StreamFlowEnv()")


def check_options(options: dict[str, Any], known: tuple[str, ...]) -> None:
    """Raises ConfigError where an option of `reset` is not in `known`."""
    unknown = set(options) - set(known)
    if unknown:
        raise ConfigError(f"options {sorted(unknown)}: unknown; known: {', '.join(known)}")
