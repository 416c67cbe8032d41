"""The search for schedules with foresight: what the best schedule for one known episode could return.

The result is no policy but an approximate upper bound, for one held-out episode at a time. CMA-ES searches offsets of
some controls, which are added to the actions of the best base policy of the scenario. The first search finds constant
offsets for the scenario, on training episodes of it. The second starts there and finds a schedule for the one episode.

The search knows the episode's load, and the incidents that are announced or have a precursor. Each generation redraws
all other incidents and all noise of requests (`streamflow_env.scenarios.Foreseen`). So the schedule cannot fit the
noise of one seed. Of the base, the constant offsets and the schedule, the best on other noise seeds is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from streamflow_agents.evaluation.episodes import RETURN, run_episode
from streamflow_agents.parallel import Workers
from streamflow_agents.policies.protocol import Policy
from streamflow_agents.seeds import CHOICE_NOISE, CLAIRVOYANT, CLAIRVOYANT_JUDGING, SEARCH_NOISE
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.scenarios import Foreseen
from studies.clairvoyant.plan import ClairvoyantPlan, Stage
from studies.clairvoyant.schedule import (
    SCENARIOS,
    FoundOffsets,
    FoundSchedule,
    ScheduledPolicy,
    columns_of,
    foreseen_episode,
    load_base,
    offsets_file,
    read_offsets,
    read_schedules,
    schedule_file,
    write_found,
)


def search_all(plan: ClairvoyantPlan, folder: Path, jobs: int, progress: bool) -> list[FoundSchedule]:
    """Search every episode of the plan. Each result is kept in `folder` at once, and not searched again."""
    (folder / SCENARIOS).mkdir(parents=True, exist_ok=True)
    left = [(s, seed) for s, seed in plan.wanted if not schedule_file(folder, s, seed).is_file()]
    for scenario, seed in left[:1]:
        columns_of(plan.controls, foreseen_episode(scenario, seed))  # a wrong plan is an error before the first search
    scenarios = dict.fromkeys(scenario for scenario, _ in left)
    new = [scenario for scenario in scenarios if not offsets_file(folder, scenario).is_file()]
    bar = tqdm(initial=len(plan.wanted) - len(left), total=len(plan.wanted), unit="episode", disable=not progress)
    with bar, Workers(jobs) as workers:
        for number, offsets in workers.as_completed(partial(search_scenario, plan), new):
            write_found(offsets_file(folder, new[number]), offsets)
        starts = [(*episode, read_offsets(offsets_file(folder, episode[0]))) for episode in left]
        for _, found in workers.as_completed(partial(_search_from, plan), starts):
            write_found(schedule_file(folder, found.scenario, found.seed), found)
            bar.update()
    return read_schedules(folder)


def _search_from(plan: ClairvoyantPlan, start: tuple[str, int, FoundOffsets]) -> FoundSchedule:
    return search_episode(plan, *start)


def search_scenario(plan: ClairvoyantPlan, scenario: str) -> FoundOffsets:
    """Find constant offsets on training episodes of the scenario, another one in each generation."""
    env = StreamFlowEnv(scenario)
    columns = columns_of(plan.controls, env)
    judging = CLAIRVOYANT_JUDGING.seeds(2 * plan.judging)
    policies = {name: load_base(name, scenario, env) for name in plan.bases}
    base = max(plan.bases, key=lambda name: _mean_return(policies[name], env, judging))

    def scheduled(offsets: NDArray[np.float64]) -> Policy:
        return ScheduledPolicy(policies[base], columns, offsets.reshape(1, -1), 1.0)

    start, seeds = np.zeros(len(plan.controls)), CLAIRVOYANT.seeds(plan.scenario.generations)
    found, gains = _search(plan.scenario, start, scheduled, policies[base], env, seeds, plan.seed)
    return FoundOffsets(base, tuple(map(float, found)), gains)


def search_episode(plan: ClairvoyantPlan, scenario: str, seed: int, start: FoundOffsets) -> FoundSchedule:
    """Find one episode's schedule, from the scenario's offsets on."""
    env = foreseen_episode(scenario, seed)
    assert isinstance(env.scenario, Foreseen)
    columns, base = columns_of(plan.controls, env), load_base(start.base, scenario, env)
    shape = int(np.ceil(env.scenario.horizon_s / plan.segment_s)) + 1, len(plan.controls)

    def scheduled(offsets: NDArray[np.float64]) -> Policy:
        return ScheduledPolicy(base, columns, offsets.reshape(shape), plan.segment_s / env.system.control_interval_s)

    constant, seeds = np.tile(np.array(start.offsets), shape[0]), SEARCH_NOISE.seeds(plan.episode.generations)
    found, gains = _search(plan.episode, constant, scheduled, base, env, seeds, plan.seed)
    judging = CHOICE_NOISE.seeds(plan.judging)
    candidates = (np.zeros(found.shape), constant, found)
    best = max(candidates, key=lambda offsets: _mean_return(scheduled(offsets), env, judging)).reshape(shape)
    rows = tuple(tuple(map(float, row)) for row in best)
    return FoundSchedule(scenario, seed, start.base, plan.segment_s, plan.controls, rows, (start.gains, gains))


def _search(
    stage: Stage,
    start: NDArray[np.float64],
    scheduled: Callable[[NDArray[np.float64]], Policy],
    base: Policy,
    env: StreamFlowEnv,
    seeds: Sequence[int],
    seed: int,
) -> tuple[NDArray[np.float64], tuple[float, ...]]:
    """The mean of the last generation, and the return of each generation's mean minus that of `base`.

    All candidates of a generation meet the same one of `seeds`, the next generation meets the next.
    """
    from cmaes import SepCMA

    bounds = np.tile([-2.0, 2.0], (len(start), 1))
    search = SepCMA(start, stage.first_step, bounds=bounds, population_size=stage.population, seed=seed + 1)
    gains = []
    for episode_seed in seeds:
        asked = [search.ask() for _ in range(stage.population)]
        search.tell([(offsets, -_mean_return(scheduled(offsets), env, [episode_seed])) for offsets in asked])
        mean = scheduled(np.array(search.mean))
        gains.append(_mean_return(mean, env, [episode_seed]) - _mean_return(base, env, [episode_seed]))
    return np.array(search.mean), tuple(gains)


def _mean_return(policy: Policy, env: StreamFlowEnv, seeds: Sequence[int]) -> float:
    return float(np.mean([run_episode(policy, env, seed)[RETURN] for seed in seeds]))
