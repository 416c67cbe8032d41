"""What an agent is trained on: cells of a scenario, the action it starts from, and the judge of what it has learned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Timer
from typing import Any, Final, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from streamflow_agents.policies.baselines import make_baseline
from streamflow_agents.policies.protocol import Policy
from streamflow_agents.seeds import TRAINING, VALIDATION
from streamflow_agents.training.native_vec_env import NativeVecEnv
from streamflow_agents.training.vec_env import Cell
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.environment.vector_env import StreamFlowVectorEnv
from streamflow_env.scenarios import Mixture

COMPILE_NOTICE_S: Final = 2.0
COMPILE_NOTICE: Final = "compiling the engine, once on this machine: about half a minute ..."

SHARES: Final = ("sla_fraction", "error_fraction", "hit_fraction", "llm_use_fraction", "quality")
LEVELS: Final = ("cost_per_hour", "llm_requests_per_min", "replicas.")
"""Metrics whose name begins so are averaged over time."""

REFERENCES: Final = ("do_nothing", "playbook_hpa", "expert", "tuned_static", "tuned_expert")
"""The baselines whose levels TensorBoard shows; all of them are judged before the first step."""

Observation = NDArray[np.float32]
Action = NDArray[np.float32]
Judge = Callable[[Any], dict[str, float]]
"""Scores a `Policy` or an SB3 model: named figures, `return` among them."""


@dataclass(frozen=True)
class Task:
    """Cells to train on, the policy's first action, shape (num_controls,), and how what it learns is judged.

    No training episode's seed reaches `seed_limit`. `reference_policies` are the baselines it is compared with;
    `description` is what the run's folder says of the task. `make_cells`, given the number of cells, makes them as one
    environment that steps them together; without it they are made one by one.
    """

    make_cell: Callable[[], Cell]
    start_action: tuple[float, ...]
    judge: Judge
    reference_policies: dict[str, Policy]
    seed_limit: int
    description: dict[str, Any]
    make_cells: Callable[[int], StreamFlowVectorEnv] | None = None


class CutShort(gym.Wrapper[Observation, Action, Observation, Action]):
    """Truncates an episode whose system has collapsed: `sla_fraction` below `below` for `patience_steps` steps on end.

    A collapse lasts for good unless one acts, costs several times the computing of a healthy system, and teaches the
    same at each step. The first episode also ends after `first_steps`: with another number in each cell, the cells are
    soon at different times of their episodes. For training only: the learner goes on from the value of the last state.
    """

    def __init__(self, env: Cell, below: float, patience_steps: int, first_steps: int) -> None:
        super().__init__(env)
        self._below = below
        self._patience_steps = patience_steps
        self._collapsed_steps = 0
        self._first_steps_left = first_steps

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        self._collapsed_steps = 0
        return super().reset(seed=seed, options=options)

    def step(self, action: Action) -> tuple[Observation, SupportsFloat, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = super().step(action)
        collapsed = info["metrics"]["sla_fraction"] < self._below
        self._collapsed_steps = self._collapsed_steps + 1 if collapsed else 0
        self._first_steps_left -= 1
        cut = self._collapsed_steps >= self._patience_steps or self._first_steps_left == 0
        return observation, reward, terminated, truncated or cut, info


def streamflow_task(
    scenario: str | dict[str, Any],
    system: str | dict[str, Any],
    engine: str,
    reward: str | dict[str, Any] = "default",
    *,
    num_episodes: int,
    num_threads: int,
    log: Callable[[str], None],
) -> Task:
    """The task of operating `system` in `scenario`, judged on `num_episodes` episodes that are never trained on.

    `scenario`, `system` and `reward` are names, paths or contents.

    Raises:
        ConfigError: as `StreamFlowEnv` does.
    """
    env = StreamFlowEnv(scenario, engine=engine, system=system, reward=reward)
    settings: dict[str, Any] = {
        "scenario": env.scenario, "engine": engine, "system": env.system, "reward": env.weights,
    }  # fmt: skip
    make_cells = partial(
        StreamFlowVectorEnv, **settings, autoreset_mode=AutoresetMode.DISABLED, num_threads=num_threads
    )
    _compile(env, log)
    seeds = validation_seeds(env, num_episodes)
    return Task(
        make_cell=partial(StreamFlowEnv, **settings),
        make_cells=make_cells,
        start_action=tuple(env.default_action.tolist()),
        judge=partial(judge, make_cells=make_cells, seeds=seeds),
        reference_policies={name: make_baseline(name, env.system, env.observation_table) for name in REFERENCES},
        seed_limit=TRAINING.end,
        description={
            "scenario": env.scenario.model_dump(mode="json"),
            "reward": env.weights.model_dump(mode="json"),
            "system": env.system.model_dump(mode="json"),
        },
    )


def validation_seeds(env: StreamFlowEnv, num_episodes: int) -> list[int]:
    """The first seeds of validation episodes in which each member of a mixture comes equally often, or nearly so."""
    num_members = len(env.scenario.members) if isinstance(env.scenario, Mixture) else 1
    at_most = -(-num_episodes // num_members)
    seeds: list[int] = []
    times_drawn: Counter[str] = Counter()
    for seed in range(VALIDATION.first, VALIDATION.end):
        name = env.scenario.episode(env.system, seed).scenario
        if len(seeds) == num_episodes:
            break
        if times_drawn[name] < at_most:
            times_drawn[name] += 1
            seeds.append(seed)
    return seeds


def judge(policy: Any, *, make_cells: Callable[[int], StreamFlowVectorEnv], seeds: Sequence[int]) -> dict[str, float]:
    """Mean return of the deterministic `policy` over the episodes `seeds`, run side by side, and other figures.

    `SHARES` are the intervals' values weighed by their attempts; `LEVELS` are means over the intervals.
    """
    cells = NativeVecEnv(make_cells(len(seeds)), seed_limit=TRAINING.end)
    cells.set_options([{"episode_seed": seed} for seed in seeds])
    observations, state = cells.reset(), None
    starts, running = np.ones(len(seeds), dtype=bool), np.ones(len(seeds), dtype=bool)
    returns = np.zeros(len(seeds))
    shares, attempts = np.zeros(len(SHARES)), 0.0
    levels: dict[str, list[float]] = {}
    while running.any():
        actions, state = policy.predict(observations, state=state, episode_start=starts, deterministic=True)
        observations, rewards, starts, infos = cells.step(actions)  # type: ignore[assignment]
        returns += np.where(running, rewards, 0.0)
        for index in np.flatnonzero(running):
            metrics = infos[index]["metrics"]
            shares += metrics["offered_rps"] * np.array([metrics[name] for name in SHARES])
            attempts += metrics["offered_rps"]
            for name in metrics:
                if name.startswith(LEVELS):
                    levels.setdefault(name, []).append(metrics[name])
        running &= ~starts
    cells.close()
    weighed = shares / max(attempts, 1e-9)
    return {
        "return": float(returns.mean()),
        **dict(zip(SHARES, weighed.tolist(), strict=True)),
        **{name: float(np.mean(values)) for name, values in levels.items()},
    }


def _compile(env: StreamFlowEnv, log: Callable[[str], None]) -> None:
    """Run `env` for a step, so that the engine is compiled before threads use it; says so where that takes time."""
    notice = Timer(COMPILE_NOTICE_S, log, [COMPILE_NOTICE])
    notice.start()
    try:
        env.reset(seed=0)
        env.step(env.default_action)
    finally:
        notice.cancel()
