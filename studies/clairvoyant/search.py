"""The search for schedules with foresight: what the best schedule for one known episode could return.

The result is no policy but an approximate upper bound, for one held-out episode at a time.
Offsets of all controls are added to the actions of the base that is best in the episode. They climb by gradients from
groups of cells on the same luck (`studies.clairvoyant.ascent`).

The search knows the episode's cell, its load, and the incidents that are announced or have a precursor. Each iteration
redraws all other incidents and all noise of requests (`streamflow_env.scenarios.Foreseen`). So the schedule cannot fit
the noise of one seed. The base is chosen on noise seeds of its own. Of the base, the schedule of half the search and
that of the whole, the one is kept that is best on further noise seeds, which nothing before has seen.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from streamflow_agents.parallel import Workers
from streamflow_agents.seeds import CHOICE_NOISE, SEARCH_NOISE
from streamflow_env.environment.env import StreamFlowEnv
from studies.clairvoyant.ascent import climb
from studies.clairvoyant.cells import EpisodeCells
from studies.clairvoyant.plan import ClairvoyantPlan, Wanted
from studies.clairvoyant.schedule import (
    DOUBLED,
    FoundSchedule,
    ScheduledPolicy,
    foreseen,
    load_base,
    read_schedules,
    schedule_file,
    write_schedule,
)


def search_all(plan: ClairvoyantPlan, folder: Path, jobs: int, progress: bool) -> list[FoundSchedule]:
    """Search every episode of the plan. Each result is kept in `folder` at once, and not searched again.

    Returns what is kept of the plan's own budget. What the doubled budget found is in the folder `DOUBLED`.

    Raises:
        ConfigError: the plan names a base that there is not, before the first search.
    """
    (folder / DOUBLED).mkdir(parents=True, exist_ok=True)
    left = [wanted for wanted in plan.wanted if not found_file(folder, wanted).is_file()]
    for scenario, (seed, bases) in {wanted.scenario: (wanted.seed, wanted.bases) for wanted in left}.items():
        env = StreamFlowEnv(foreseen(scenario, seed))
        for base in bases:
            load_base(base, scenario, env)
    bar = tqdm(initial=len(plan.wanted) - len(left), total=len(plan.wanted), unit="episode", disable=not progress)
    with bar, Workers(jobs) as workers:
        for number, found in workers.as_completed(partial(search, plan), left):
            write_schedule(found_file(folder, left[number]), found)
            bar.update()
    return read_schedules(folder)


def found_file(folder: Path, wanted: Wanted) -> Path:
    """Where what a search found is kept."""
    return schedule_file(folder / DOUBLED if wanted.doubled else folder, wanted.scenario, wanted.seed)


def search(plan: ClairvoyantPlan, wanted: Wanted) -> FoundSchedule:
    """Choose the base of one episode, climb from there, and keep the best candidate."""
    scenario = foreseen(wanted.scenario, wanted.seed)
    env, cells = StreamFlowEnv(scenario), EpisodeCells(scenario)
    bases = {name: load_base(name, wanted.scenario, env) for name in wanted.bases}
    choosing, judging = CHOICE_NOISE.seeds(plan.judging), CHOICE_NOISE.seeds(plan.judging, skip=plan.judging)
    name = max(bases, key=lambda one: cells.mean_return(bases[one], choosing))
    distance = plan.segment_s / env.system.control_interval_s
    shape = int(np.ceil(scenario.horizon_s / plan.segment_s)) + 1, len(env.control_table)

    def scheduled(offsets: NDArray[np.float64]) -> ScheduledPolicy:
        return ScheduledPolicy(bases[name], offsets, distance)

    def rewards(schedules: NDArray[np.float64], noise_seed: int) -> NDArray[np.float64]:
        return cells.rewards(scheduled(schedules), [noise_seed] * len(schedules))

    ascent = plan.ascent.doubled() if wanted.doubled else plan.ascent
    climbed = climb(rewards, shape, distance, ascent, SEARCH_NOISE.seeds(ascent.iterations), plan.seed)
    candidates = {"base": np.zeros(shape), "half": climbed.half, "whole": climbed.whole}
    best = max(candidates, key=lambda one: cells.mean_return(scheduled(candidates[one]), judging))
    return FoundSchedule(
        level=wanted.level,
        scenario=wanted.scenario,
        seed=wanted.seed,
        base=name,
        segment_s=plan.segment_s,
        controls=env.control_table.names,
        offsets=tuple(tuple(map(float, row)) for row in candidates[best]),
        kept=best,
        gains=climbed.gains,
    )
