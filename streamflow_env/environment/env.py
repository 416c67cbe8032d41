"""The Gymnasium environment: an engine behind an action, an observation and a reward."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from streamflow_env.engines import make_engine
from streamflow_env.engines.telemetry import Telemetry
from streamflow_env.environment.metrics import interval_metrics
from streamflow_env.environment.monitoring import Monitoring
from streamflow_env.environment.problem import (
    NUM_EPISODE_SEEDS,
    Problem,
    check_length,
    check_options,
    checked_episode_seed,
    checked_reset_seed,
    time_of_day_h,
)
from streamflow_env.environment.rewards import REWARD_TERMS, RewardWeights, reward_info, reward_terms
from streamflow_env.environment.sequential_sum import sequential_sum
from streamflow_env.episode import Episode
from streamflow_env.scenarios import Scenario
from streamflow_env.system import System

_ONLY_CELL: Final = np.zeros(1, dtype=np.intp)


class NoEpisodeError(ResetNeeded, AttributeError):
    """There is no episode before the first reset.

    It is an `AttributeError` too: `hasattr`, and the libraries that ask for attributes by name, rely on that.
    """


class StreamFlowEnv(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """An AI recommendation system under load, operated by an agent.

    ## Description
    StreamFlow recommends videos. It has 11 services, one of them a rate-limited LLM. Users want an answer within
    200 ms; after 5 s they give up, and may try again. Load varies, campaigns bring users, services slow down, content
    is invalidated, and small faults cascade. A step is one control interval of 15 s. For it the agent sets replicas,
    limits, timeouts, breakers, shares, memory and times to live. `docs/reference/model.md` defines what is simulated.

    ## Action Space
    `Box(-1, 1, (num_controls,), float32)`. Each number is one control, mapped linearly or logarithmically onto its
    range (`docs/reference/environment.md`). `default_action` is the default configuration.

    ## Observation Space
    `Box(low, high, (num_fields,), float32)`: normalised measurements that an operator could read, the next announced
    campaign, the time of day and the last action (`docs/reference/environment.md`). `observation_table.decode` gives
    natural values by name.

    ## Rewards
    Minus the weighted sum of lateness, failures, loss of quality, staleness, age, backlog, churn and cost. Every
    term is in `info["reward_terms"]`; the weights and their reasons are in `configs/reward`. `info["costs"]` has the
    terms as costs, at least 0; `info["cost"]` is what SLA misses and failures cost, for constrained learning.

    ## Starting State
    An episode of the scenario: its traffic, incidents and campaigns are drawn from an episode seed, and in some
    scenarios what differs in its cell. The caches are warm, and a warm-up with the default configuration has been
    simulated. The episode seed is drawn from `reset`'s
    seed, or is `options={"episode_seed": int}`. One episode seed gives the same traffic and incidents to every policy.

    ## Episode End
    Truncated at the episode's horizon; never terminated.

    ## Arguments
    * `scenario`: name, path, content or `Scenario`.
    * `engine`: `"compiled"`, or `"reference"`, which is slow and gives the same numbers.
    * `system`: name, path, content or `System`.
    * `reward`: name, path, `RewardWeights`, or a dictionary of changes of the default weights.
    * `trace`: a CSV file of times and requests, which replaces the traffic of the scenario.
    * `render_mode`: must be None.

    Raises `ConfigError` where one of them is not valid.

    ## Many Cells at Once
    `gymnasium.make_vec(id, num_envs=n)` makes a `StreamFlowVectorEnv`: n cells stepped together, with the same numbers.

    ## Stable-Baselines3
    `PPO("MlpPolicy", "StreamFlow-v1")` and `make_vec_env("StreamFlow-v1")` work after `import streamflow_env`. The
    processes of a `SubprocVecEnv` import what the main script imports. Where there is no script (a notebook), name the
    module as well: `make_vec_env("streamflow_env:StreamFlow-v1", vec_env_cls=SubprocVecEnv)`.

    ## Version History
    * v1: smaller caches evict as Redis does; SLA misses weigh most in the reward; every term of the reward can be read
      off the observation; `info` has costs. `docs/reference/environment.md` says why.
    * v0: first version.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium declares it so

    def __init__(
        self,
        scenario: str | Path | dict[str, Any] | Scenario = "mixed",
        engine: str = "compiled",
        system: str | Path | dict[str, Any] | System = "streamflow",
        reward: str | Path | dict[str, Any] | RewardWeights = "default",
        trace: str | Path | None = None,
        render_mode: str | None = None,
    ) -> None:
        problem = Problem(scenario, system, reward, trace, render_mode)
        self.render_mode = None
        self.system, self.scenario, self.weights = problem.system, problem.scenario, problem.weights
        self.control_table, self.observation_table = problem.control_table, problem.observation_table
        self.default_action = problem.default_action
        self.action_space, self.observation_space = problem.action_space, problem.observation_space
        self._engine = make_engine(engine, self.system)
        self._monitoring = Monitoring(1, self.observation_table.num_measured)
        self._episode: Episode | None = None
        self._telemetry: Telemetry | None = None
        self._start_ns = 0
        self._truncated = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode. Returns the observation, shape (num_fields,), and the info.

        `options={"episode_seed": int}` chooses the episode.

        Raises:
            ConfigError: an option is unknown, or a seed is not a whole number in its range.
        """
        super().reset(seed=checked_reset_seed(seed))
        drawn_seed = int(self.np_random.integers(NUM_EPISODE_SEEDS))
        self._episode = self.scenario.episode(self.system, _episode_seed(options, drawn_seed))
        self._telemetry = self._engine.reset(self._episode)
        self._start_ns = self._telemetry.end_ns
        self._truncated = False
        self._monitoring.begin(_ONLY_CELL, [self._episode], self._measured())
        return self._observation(), self._info(dict.fromkeys(REWARD_TERMS, 0.0))

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Put `action`, shape (num_controls,), in force for one control interval.

        Returns observation, reward, terminated, truncated and info. Values of the action beyond [-1, 1] are clipped.

        Raises:
            ConfigError: the action has another shape, or a value that is NaN or infinite.
            ResetNeeded: there is no episode, or it has been truncated.
        """
        if self._episode is None or self._truncated:
            raise ResetNeeded("call reset(): there is no episode, or it has reached its horizon")
        controls = self.control_table.natural(action)
        previous_controls = self.telemetry.controls
        self._telemetry = self._engine.step(controls)
        self._truncated = self.time_s >= self._episode.horizon_s
        self._monitoring.record(_ONLY_CELL, self._measured())
        prices = self._episode.price_factors
        terms = reward_terms(self.telemetry, previous_controls, self.system, self.weights, prices)
        reward = sequential_sum(terms.values())
        return self._observation(), reward, False, self._truncated, self._info(terms)

    @property
    def telemetry(self) -> Telemetry:
        """The measurements of the last control interval. Raises NoEpisodeError before the first reset."""
        if self._telemetry is None:
            raise NoEpisodeError("call reset() first")
        return self._telemetry

    @property
    def episode(self) -> Episode:
        """The current episode. Raises NoEpisodeError before the first reset."""
        if self._episode is None:
            raise NoEpisodeError("call reset() first")
        return self._episode

    @property
    def time_s(self) -> float:
        """Time since the start of the episode. Raises NoEpisodeError before the first reset."""
        return (self.telemetry.end_ns - self._start_ns) / 1e9

    def _observation(self) -> NDArray[np.float32]:
        hour = time_of_day_h(self.episode.start_hour, self.time_s)
        announced = self.episode.announced(self.time_s)
        settings = self.control_table.action(self.telemetry.controls)
        return self.observation_table.encode_values(self._monitoring.show()[0], hour, settings, announced)

    def _measured(self) -> NDArray[np.float64]:
        """What is measured of the only cell, shape (1, num_measured)."""
        return self.observation_table.measure(self.telemetry, self.episode.price_factors)[np.newaxis]

    def _info(self, terms: dict[str, float]) -> dict[str, Any]:
        return {
            "episode_seed": self.episode.seed,
            "scenario": self.episode.scenario,
            "time_s": self.time_s,
            "controls": dict(zip(self.control_table.names, self.telemetry.controls.tolist(), strict=True)),
            "metrics": interval_metrics(self.telemetry, self.system, self.episode.price_factors),
            **reward_info(terms),
        }


def make_env(max_steps: int | None = None, **arguments: Any) -> StreamFlowEnv:
    """What `gymnasium.make` calls, with the arguments of `StreamFlowEnv`.

    `max_steps` is the id's `max_episode_steps`, after which `gymnasium.make` ends every episode.

    `gymnasium.make` warns of a `render_mode` that a class does not have, and then the class raises an error. It asks a
    function for no render modes. So there is the error alone, which Stable-Baselines3 expects (`RenderModeError`).
    """
    env = StreamFlowEnv(**arguments)
    check_length(env.scenario, env.system, max_steps)
    return env


def _episode_seed(options: dict[str, Any] | None, drawn: int) -> int:
    """The episode seed that the options ask for, or else the one drawn."""
    check_options(options or {}, ("episode_seed",))
    return checked_episode_seed((options or {}).get("episode_seed", drawn))
