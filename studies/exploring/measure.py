"""All perturbations of an episode side by side: each is a cell of one vector environment, the base is another.

Luck is a function of the episode seed, so all cells meet the same users and the same luck. The policy sees what its
own cell does, and answers it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamflow_agents.evaluation.episodes import RETURN, TERM
from streamflow_agents.evaluation.kept_episodes import KEYS
from streamflow_agents.parallel import run_all
from streamflow_agents.policies.baselines import make_baseline
from streamflow_env.environment.vector_env import StreamFlowVectorEnv
from streamflow_env.errors import ConfigError
from studies.exploring.perturbations import Variant, offsets, variants
from studies.exploring.plan import Plan

Row = dict[str, Any]


@dataclass(frozen=True)
class Batch:
    """The episodes `seeds` of one scenario, each with every one of `variants`; `plan` has the policy and the step."""

    plan: Plan
    scenario: str
    seeds: tuple[int, ...]
    variants: tuple[Variant, ...]
    num_threads: int = 1


def measure(plan: Plan, jobs: int, progress: bool) -> list[Row]:
    """A line of the results for each episode. Raises ConfigError: no such policy or scenario."""
    every = variants(plan)
    batches = [Batch(plan, scenario, (seed,), every) for seed in plan.seeds for scenario in plan.scenarios]
    return [row for rows in run_all(play, batches, jobs, progress) for row in rows]


def play(batch: Batch) -> list[Row]:
    """The lines of one batch: the return and the reward's terms, each their sum over the episode."""
    cells = [(variant, seed) for seed in batch.seeds for variant in batch.variants]
    env = StreamFlowVectorEnv(
        len(cells), batch.scenario, autoreset_mode="Disabled", num_threads=batch.num_threads, metrics=False
    )
    try:
        return _play(batch, cells, env)
    finally:
        env.close()


def _play(batch: Batch, cells: Sequence[tuple[Variant, int]], env: StreamFlowVectorEnv) -> list[Row]:
    observation, _ = env.reset(options={"episode_seed": [seed for _, seed in cells]})
    policy = make_baseline(batch.plan.policy, env.problem.system, env.problem.observation_table)
    columns, added = _perturbations_of(batch, cells, env)
    every, state = np.arange(len(cells)), None
    returns = np.zeros(len(cells))
    sums: dict[str, NDArray[np.float64]] = {}
    for offset in added.T:
        actions, state = policy.predict(observation, state)
        actions[every, columns] = np.clip(actions[every, columns] + offset, -1.0, 1.0)
        observation, rewards, _, truncated, info = env.step(actions)
        returns += rewards
        for name, values in info["reward_terms"].items():
            if not name.startswith("_"):  # the masks of Gymnasium's vector infos
                sums[name] = sums.get(name, 0.0) + values
    assert truncated.all()
    return [
        dict(zip(KEYS, (variant.label, batch.scenario, seed), strict=True))
        | {RETURN: float(returns[cell])}
        | {TERM + name: float(values[cell]) for name, values in sums.items()}
        for cell, (variant, seed) in enumerate(cells)
    ]


def _perturbations_of(
    batch: Batch, cells: Sequence[tuple[Variant, int]], env: StreamFlowVectorEnv
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The column of each cell's control, shape (num_cells,), and what is added to it, shape (num_cells, num_steps).

    Raises ConfigError: the scenario's episodes differ in length, or end before the step.
    """
    horizons = {episode.horizon_s for episode in env.episodes}
    if len(horizons) > 1:
        raise ConfigError(f"scenario {batch.scenario!r}: its episodes must be of one length")
    interval_s, names = env.problem.system.control_interval_s, env.problem.control_table.names
    horizon_s, step = horizons.pop(), batch.plan.step
    num_steps = math.ceil(horizon_s / interval_s)
    if step.start_s + step.duration_s >= horizon_s:
        raise ConfigError(f"step: ends at {step.start_s + step.duration_s:g} s, must be before {horizon_s:g} s")
    columns = [names.index(variant.control) if variant.control else 0 for variant, _ in cells]
    added = [offsets(variant, step, seed, num_steps, interval_s) for variant, seed in cells]
    return np.array(columns), np.array(added)
