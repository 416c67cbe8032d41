"""The environment with many cells: one call steps all of them and computes their observations and rewards together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from streamflow_env.engines import make_fleet
from streamflow_env.engines.fleet import FleetTelemetry
from streamflow_env.environment.infos import as_vector_info
from streamflow_env.environment.metrics import metric_table
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
from streamflow_env.environment.rewards import REWARD_TERMS, RewardWeights, fleet_reward_terms, reward_info
from streamflow_env.environment.sequential_sum import sequential_sum
from streamflow_env.episode import PRICE_FACTORS, Episode
from streamflow_env.errors import ConfigError
from streamflow_env.scenarios import Scenario
from streamflow_env.system import System

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Observations = NDArray[np.float32]
StepReturn = tuple[Observations, Floats, Bools, Bools, dict[str, Any]]


class StreamFlowVectorEnv(VectorEnv[Observations, Observations, NDArray[Any]]):
    """`num_envs` cells. Each gives the seeds, observations, rewards and infos of a single `StreamFlowEnv`.

    `gymnasium.make_vec(id, num_envs=n)` makes it. Seeds, infos and autoreset are those of `SyncVectorEnv`.

    ## Autoreset
    `autoreset_mode`, which is also in `metadata["autoreset_mode"]`, says how the cell of an ended episode is reset:

    * `NextStep` (the default): by the next step, which ignores the cell's action and gives it the reward 0.
    * `SameStep`: by the last step itself. `infos["final_obs"]` and `infos["final_info"]` are of the ended episode.
    * `Disabled`: by `reset(options={"reset_mask": mask})`.

    ## Arguments
    Those of `StreamFlowEnv`, and:

    * `num_threads`: threads that simulate (1: the caller's own). They do not hold the interpreter's lock.
    * `metrics`: whether the infos hold the metrics. Without them a step is faster.
    """

    metadata: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(
        self,
        num_envs: int = 1,
        scenario: str | Path | dict[str, Any] | Scenario = "mixed",
        engine: str = "compiled",
        system: str | Path | dict[str, Any] | System = "streamflow",
        reward: str | Path | dict[str, Any] | RewardWeights = "default",
        trace: str | Path | None = None,
        render_mode: str | None = None,
        *,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        num_threads: int = 1,
        metrics: bool = True,
    ) -> None:
        for name, value in (("num_envs", num_envs), ("num_threads", num_threads)):
            if value < 1:
                raise ConfigError(f"{name} {value}: must be at least 1")
        self.problem = problem = Problem(scenario, system, reward, trace, render_mode)
        self.num_envs = num_envs
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self.single_action_space, self.single_observation_space = problem.action_space, problem.observation_space
        self.action_space = batch_space(problem.action_space, num_envs)
        self.observation_space = batch_space(problem.observation_space, num_envs)
        self._metrics = metric_table(problem.system) if metrics else None
        self._fleet = make_fleet(engine, problem.system, num_envs, num_threads)
        self._monitoring = Monitoring(num_envs, problem.observation_table.num_measured)
        self._price_factors = np.ones((num_envs, len(PRICE_FACTORS)))
        self._streams: list[np.random.Generator | None] = [None] * num_envs
        self._episodes: list[Episode] = []
        self._seeds = np.zeros(num_envs, dtype=np.int64)
        self._scenarios = np.full(num_envs, None, dtype=object)
        self._start_ns = np.zeros(num_envs, dtype=np.int64)
        self._horizon_s = np.zeros(num_envs)
        self._last_action = np.tile(problem.default_action, (num_envs, 1))
        self._ended = np.zeros(num_envs, dtype=bool)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Start an episode in every cell, or in those of `options["reset_mask"]`, shape (num_envs,).

        With a `seed` n, cell i has the seed n + i; a list gives one for each cell. `options["episode_seed"]` is one for
        all cells, or one for each. Returns the observations, shape (num_envs, num_fields), and the infos.

        Raises:
            ConfigError: an option is unknown, or a mask or seed is not valid.
            ResetNeeded: a mask leaves out cells, but there is no episode yet.
        """
        options = options or {}
        check_options(options, ("episode_seed", "reset_mask"))
        chosen = self._chosen(options.get("reset_mask"))
        self._seed(chosen, seed)
        seeds = self._draw_episode_seeds(chosen)
        if "episode_seed" in options:
            seeds = self._asked_for(options["episode_seed"])
        self._start(chosen, seeds)
        none = {name: np.zeros(self.num_envs) for name in REWARD_TERMS}
        return self._observe(), as_vector_info(self._info(none), chosen)

    def step(self, actions: NDArray[np.floating]) -> StepReturn:
        """Put `actions`, shape (num_envs, num_controls), in force for one control interval of every cell.

        Returns observations, rewards, terminated, truncated, each with num_envs as first axis, and the infos.

        Raises:
            ConfigError: the actions have another shape, or a cell's action that is used is NaN or infinite.
            ResetNeeded: there is no episode, or, without autoreset, one has reached its horizon.
        """
        self._check_begun()
        same_step = self.autoreset_mode == AutoresetMode.SAME_STEP
        idle = self._ended.copy()  # these cells begin an episode, and their actions are ignored
        terms = self._simulate(~idle, actions)
        rewards = np.where(idle, 0.0, sequential_sum(terms.values()))
        truncated = ~idle & (self.time_s >= self._horizon_s)
        self._ended = truncated.copy()
        finals = self._finals(terms) if same_step and truncated.any() else {}
        beginning = truncated if same_step else idle
        self._start(beginning, self._draw_episode_seeds(beginning))
        terms = {name: np.where(beginning, 0.0, term) for name, term in terms.items()}
        infos = finals | as_vector_info(self._info(terms), np.ones(self.num_envs, dtype=bool))
        return self._observe(), rewards, np.zeros(self.num_envs, dtype=bool), truncated, infos

    def close_extras(self, **kwargs: Any) -> None:
        """Stop the threads."""
        self._fleet.close()

    @property
    def telemetry(self) -> FleetTelemetry:
        """The measurements of every cell's last interval. The next step overwrites these arrays."""
        return self._fleet.telemetry

    @property
    def episodes(self) -> tuple[Episode, ...]:
        """The current episode of each cell."""
        return tuple(self._episodes)

    @property
    def time_s(self) -> Floats:
        """Time since the start of each cell's episode, shape (num_envs,)."""
        return (self.telemetry.end_ns - self._start_ns) / 1e9

    def _chosen(self, reset_mask: Any) -> Bools:
        if reset_mask is None:
            return np.ones(self.num_envs, dtype=bool)
        mask = np.asarray(reset_mask)
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_ or not mask.any():
            raise ConfigError(
                f"options['reset_mask'] = {reset_mask!r}: must be {self.num_envs} booleans, one of them True"
            )
        if not self._episodes and not mask.all():
            raise ResetNeeded("call reset() of all cells first")
        return mask

    def _seed(self, chosen: Bools, seed: int | Sequence[int | None] | None) -> None:
        if seed is None:
            return
        each: Any = seed
        if np.ndim(each) == 0:
            first = checked_reset_seed(seed) or 0
            each = [first + cell for cell in range(self.num_envs)]
        seeds = list(each)
        if len(seeds) != self.num_envs:
            raise ConfigError(f"seed: a list must have one for each of the {self.num_envs} cells, has {len(seeds)}")
        for cell in np.flatnonzero(chosen).tolist():
            if seeds[cell] is not None:
                self._streams[cell], _ = seeding.np_random(checked_reset_seed(seeds[cell]))

    def _draw_episode_seeds(self, chosen: Bools) -> NDArray[np.int64]:
        seeds = np.zeros(self.num_envs, dtype=np.int64)
        for cell in np.flatnonzero(chosen).tolist():
            stream = self._streams[cell] or seeding.np_random()[0]
            self._streams[cell], seeds[cell] = stream, stream.integers(NUM_EPISODE_SEEDS)
        return seeds

    def _asked_for(self, episode_seeds: Any) -> NDArray[np.int64]:
        seeds = [episode_seeds] * self.num_envs if np.ndim(episode_seeds) == 0 else list(episode_seeds)
        if len(seeds) != self.num_envs:
            raise ConfigError(f"options['episode_seed']: must be one, or one for each of the {self.num_envs} cells")
        return np.array([checked_episode_seed(seed) for seed in seeds], dtype=np.int64)

    def _start(self, chosen: Bools, episode_seeds: NDArray[np.int64]) -> None:
        cells = np.flatnonzero(chosen)
        if not len(cells):
            return
        begun = [self.problem.scenario.episode(self.problem.system, int(seed)) for seed in episode_seeds[cells]]
        self._fleet.reset(cells, begun)
        self._episodes = self._episodes or list(begun)
        for cell, episode in zip(cells.tolist(), begun, strict=True):
            self._episodes[cell] = episode
            self._seeds[cell], self._scenarios[cell] = episode.seed, episode.scenario
            self._horizon_s[cell] = episode.horizon_s
            self._price_factors[cell] = episode.price_factors
        self._start_ns[cells] = self.telemetry.end_ns[cells]
        self._last_action[cells] = self.problem.default_action
        self._ended[cells] = False
        self._monitoring.begin(cells, begun, self._measured())

    def _check_begun(self) -> None:
        if not self._episodes:
            raise ResetNeeded("call reset(): there is no episode")
        if self.autoreset_mode == AutoresetMode.DISABLED and self._ended.any():
            ended = np.flatnonzero(self._ended).tolist()
            raise ResetNeeded(f"call reset() with a reset_mask: the episodes of {ended} have reached their horizon")

    def _simulate(self, chosen: Bools, actions: NDArray[np.floating]) -> dict[str, Floats]:
        """Simulate one interval of the `chosen` cells; their reward terms, shape (num_envs,), others undefined."""
        actions = np.asarray(actions)
        if actions.shape != self._last_action.shape:
            raise ConfigError(f"actions have shape {actions.shape}, must be {self._last_action.shape}")
        controls = self.problem.control_table.naturals(np.where(chosen[:, None], actions, self._last_action))
        self._last_action[chosen] = actions[chosen]
        previous = self.telemetry.controls.copy()
        cells = np.flatnonzero(chosen)
        self._fleet.step(cells, controls)
        self._monitoring.record(cells, self._measured())
        problem = self.problem
        return fleet_reward_terms(self.telemetry, previous, problem.system, problem.weights, self._price_factors)

    def _measured(self) -> Floats:
        """What is measured of every cell, shape (num_envs, num_measured)."""
        return self.problem.observation_table.measure(self.telemetry, self._price_factors)

    def _observe(self) -> Observations:
        times_s = self.time_s.tolist()
        hours = [time_of_day_h(episode.start_hour, t) for episode, t in zip(self._episodes, times_s, strict=True)]
        announced = np.array([episode.announced(t) for episode, t in zip(self._episodes, times_s, strict=True)])
        settings = self.problem.control_table.action(self.telemetry.controls)
        return self.problem.observation_table.encode_values(self._monitoring.show(), hours, settings, announced)

    def _info(self, terms: dict[str, Floats]) -> dict[str, Any]:
        names, controls = self.problem.control_table.names, self.telemetry.controls.T.copy()
        info = {
            "episode_seed": self._seeds.copy(),
            "scenario": self._scenarios.copy(),
            "time_s": self.time_s,
            "controls": dict(zip(names, controls, strict=True)),
        }
        if self._metrics is not None:
            info["metrics"] = self._metrics.of_fleet(self.telemetry, self._price_factors)
        return info | reward_info(terms)

    def _finals(self, terms: dict[str, Floats]) -> dict[str, Any]:
        """The last observations and infos of the episodes that have just ended, before their cells are reset."""
        observations = np.full(self.num_envs, None, dtype=object)
        for cell, observation in enumerate(self._observe()):
            if self._ended[cell]:
                observations[cell] = observation.copy()
        return as_vector_info({"final_obs": observations, "final_info": self._info(terms)}, self._ended)


def make_vector_env(
    max_episode_steps: int | None = None, max_steps: int | None = None, **arguments: Any
) -> StreamFlowVectorEnv:
    """What `gymnasium.make_vec` calls, with the arguments of `StreamFlowVectorEnv`.

    `max_episode_steps` is the id's own unless the caller gives another. Raises ConfigError where an episode is longer.
    """
    cells = StreamFlowVectorEnv(**arguments)
    check_length(cells.problem.scenario, cells.problem.system, max_episode_steps)
    return cells
