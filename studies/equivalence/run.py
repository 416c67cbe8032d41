"""Hold the two engines against each other: every visit, answer and telemetry field of every scenario must be equal.

By default 20 seeds × one hour, the scenarios and both kinds of actions taking turns, and one full evening. With
--every-scenario it is 20 seeds of each scenario, which takes about nine times as long.
"""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import dataclass

from tqdm import tqdm

from streamflow_agents.arguments import argument
from streamflow_env.errors import ConfigError
from streamflow_env.scenarios import load_scenario, scenario_names
from streamflow_env.system import load_system
from studies.common.study import StudyArguments
from studies.equivalence.comparison import ActionMode, Comparison, compare_engines

Job = tuple[str, int, ActionMode, float]
MODES: tuple[ActionMode, ...] = ("near", "random")
QUICK_HOURS = 0.05


@dataclass(frozen=True)
class Arguments(StudyArguments):
    """Hold the two engines against each other; exits with 1 where they differ."""

    seeds: int = argument(20, "number of seeds")
    every_scenario: bool = argument(False, "so many seeds of each scenario")
    hours: float = argument(1.0, "simulated hours of an episode")
    scenarios: str = argument("", "names or YAML files, separated by commas (by default all)")
    evening: bool = argument(True, "one full evening too")


def run(arguments: Arguments) -> int:
    """Compare the engines on every episode; 1 where one differs, else 0."""
    jobs = episodes(arguments)
    started = time.time()
    num_attempts = num_visits = num_different = 0
    with multiprocessing.get_context("spawn").Pool(arguments.jobs) as pool:
        done = pool.imap_unordered(compare, jobs)
        for job, comparison in tqdm(done, total=len(jobs), unit="episode", disable=not arguments.progress):
            num_attempts += comparison.num_attempts
            num_visits += comparison.num_visits
            if comparison.differences:
                num_different += 1
                tqdm.write(f"DIFFERENT {job} in interval {comparison.num_intervals}: {comparison.differences[:5]}")
    print(
        f"{len(jobs) - num_different} of {len(jobs)} episodes are equal: {num_attempts:,} attempts and {num_visits:,} "
        f"visits, every field compared, in {time.time() - started:,.0f} s"
    )
    return 1 if num_different else 0


def episodes(arguments: Arguments) -> list[Job]:
    """The episodes to compare. Raises ConfigError: an unknown scenario, or nothing to compare."""
    scenarios = [name.strip() for name in arguments.scenarios.split(",")] if arguments.scenarios else scenario_names()
    for scenario in scenarios:
        load_scenario(scenario)
    hours = QUICK_HOURS if arguments.quick else arguments.hours
    jobs: list[Job] = [
        (scenario, seed, MODES[seed % 2], hours)
        for index, scenario in enumerate(scenarios)
        for seed in range(arguments.seeds)
        if arguments.every_scenario or seed % len(scenarios) == index
    ]
    if arguments.evening and not arguments.quick:
        jobs.insert(0, ("evening-peak", 1000, "near", 6.0))
    if not jobs:
        raise ConfigError("nothing to compare: needs at least one seed, or the full evening")
    return jobs


def compare(job: Job) -> tuple[Job, Comparison]:
    """Compare the engines on one episode."""
    scenario, seed, mode, hours = job
    system = load_system()
    episode = load_scenario(scenario).episode(system, seed)
    num_intervals = int(min(hours * 3600, episode.horizon_s) / system.control_interval_s)
    return job, compare_engines(system, episode, mode, num_intervals)
