"""The training task: cells of a scenario, the action a policy starts from, and the judge of what it has learned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Timer
from typing import Any, Final

import numpy as np
from gymnasium.vector import AutoresetMode

from streamflow_agents.policies.baselines import make_fitting
from streamflow_agents.policies.protocol import Policy
from streamflow_agents.policies.residual import Residual, ResidualSettings, make_residual
from streamflow_agents.seeds import TRAINING, VALIDATION
from streamflow_agents.training.vec_env import Cells, Members, SeededVecEnv
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.environment.vector_env import StreamFlowVectorEnv
from streamflow_env.scenarios import Mixture

COMPILE_NOTICE_S: Final = 2.0
COMPILE_NOTICE: Final = "compiling the engine, once on this machine: about half a minute ..."

SHARES: Final = ("sla_fraction", "error_fraction", "hit_fraction", "llm_use_fraction", "quality")
LEVELS: Final = ("cost_per_hour", "llm_requests_per_min", "replicas.")
"""Metrics whose names begin so are averaged over time."""

REFERENCES: Final = ("do_nothing", "playbook_hpa", "tuned_static", "tuned_expert", "tuned_expert_varied")
"""The baselines whose scores TensorBoard shows; all of them are judged before the first step."""

PAIRED_WITH: Final = "tuned_expert"
"""The baseline whose return, episode by episode, is taken off the agent's; if it fits not, the first that does."""

EPISODE: Final = "episode/"
"""Figures whose names begin so are returns of single episodes: `episode/SCENARIO/SEED`. TensorBoard does not show them.
"""

Judge = Callable[[Any], dict[str, float]]
"""Scores a `Policy` or an SB3 model: named figures, `return` among them."""


@dataclass(frozen=True)
class Task:
    """What an agent is trained on, and how what it has learned is judged.

    Attributes:
        make_cells: makes so many cells as one vector environment that steps them together.
        start_action: the policy's first action, shape (num_controls,), in [-1, 1].
        judge: scores what was learned.
        reference_policies: the baselines it is compared with, by name.
        seed_limit: no training episode has a seed of this or more.
        description: the task's part of the run's `config.yaml`.
        members: the members of the scenario if it is a mixture.
        make_residual: makes a residual on a baseline; None where there is nothing to be on.
        paired_with: the name of the reference policy whose returns are taken off the agent's, episode by episode.
    """

    make_cells: Callable[[int], Cells]
    start_action: tuple[float, ...]
    judge: Judge
    reference_policies: dict[str, Policy]
    seed_limit: int
    description: dict[str, Any]
    members: Members | None = None
    make_residual: Callable[[ResidualSettings], Residual] | None = None
    paired_with: str = PAIRED_WITH


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
    references, left_out = make_fitting(REFERENCES, env.system, env.observation_table)
    if left_out:
        log(left_out)
    return Task(
        make_cells=make_cells,
        start_action=tuple(env.default_action.tolist()),
        judge=partial(judge, make_cells=make_cells, seeds=seeds, member_of=partial(member_of, env)),
        reference_policies=dict(references),
        seed_limit=TRAINING.end,
        description={
            "scenario": env.scenario.model_dump(mode="json"),
            "reward": env.weights.model_dump(mode="json"),
            "system": env.system.model_dump(mode="json"),
        },
        members=members_of(env),
        make_residual=partial(make_residual, system=env.system, table=env.observation_table),
        paired_with=next(name for name in (PAIRED_WITH, *REFERENCES) if name in references),
    )


def member_of(env: StreamFlowEnv, seed: int) -> str:
    """The name of the scenario of episode `seed`: of a mixture, the member that was drawn."""
    return env.scenario.episode(env.system, seed).scenario


def members_of(env: StreamFlowEnv) -> Members | None:
    """The members of the scenario of `env`; None if it is not a mixture."""
    if not isinstance(env.scenario, Mixture):
        return None
    return Members(tuple(member.name for member in env.scenario.scenarios), partial(member_of, env))


def validation_seeds(env: StreamFlowEnv, num_episodes: int) -> list[int]:
    """The first seeds of validation episodes in which each member of a mixture comes equally often, or nearly so."""
    num_members = len(env.scenario.members) if isinstance(env.scenario, Mixture) else 1
    at_most = -(-num_episodes // num_members)
    seeds: list[int] = []
    times_drawn: Counter[str] = Counter()
    for seed in range(VALIDATION.first, VALIDATION.end):
        name = member_of(env, seed)
        if len(seeds) == num_episodes:
            break
        if times_drawn[name] < at_most:
            times_drawn[name] += 1
            seeds.append(seed)
    return seeds


def judge(
    policy: Any, *, make_cells: Callable[[int], Cells], seeds: Sequence[int], member_of: Callable[[int], str]
) -> dict[str, float]:
    """Mean return of the deterministic `policy` over the episodes `seeds`, run side by side, and other figures.

    The return of each episode is among them, under `EPISODE`. `SHARES` are the intervals' values weighed by their
    attempts; `LEVELS` are means over the intervals.
    """
    cells = SeededVecEnv(make_cells(len(seeds)), seed_limit=TRAINING.end)
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
        **{f"{EPISODE}{member_of(seed)}/{seed}": float(got) for seed, got in zip(seeds, returns, strict=True)},
    }


def _compile(env: StreamFlowEnv, log: Callable[[str], None]) -> None:
    """Run `env` for a step, so that the engine is compiled before threads use it; logs a line if that takes time."""
    notice = Timer(COMPILE_NOTICE_S, log, [COMPILE_NOTICE])
    notice.start()
    try:
        env.reset(seed=0)
        env.step(env.default_action)
    finally:
        notice.cancel()
