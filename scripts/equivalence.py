"""Hold the two engines against each other: every visit, answer and telemetry field of every scenario must be equal.

By default 20 seeds × one hour, the scenarios and both kinds of actions taking turns, and one full evening; with
--every-scenario 20 seeds of each scenario, which takes about nine times as long.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time

from tqdm import tqdm

from streamflow_env.errors import ConfigError
from streamflow_env.scenarios import load_scenario, scenario_names
from streamflow_env.system import load_system
from studies.equivalence.comparison import ActionMode, Comparison, compare_engines

Job = tuple[str, int, ActionMode, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="number of seeds (default 20)")
    parser.add_argument("--every-scenario", action="store_true", help="so many seeds of each scenario")
    parser.add_argument("--hours", type=float, default=1.0, help="simulated hours an episode (default 1)")
    parser.add_argument("--scenarios", nargs="+", default=scenario_names(), help="default: all")
    parser.add_argument("--no-evening", action="store_true", help="leave the full evening out")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    arguments = parser.parse_args()
    modes: tuple[ActionMode, ...] = ("near", "random")
    jobs: list[Job] = [
        (scenario, seed, modes[seed % 2], arguments.hours)
        for index, scenario in enumerate(arguments.scenarios)
        for seed in range(arguments.seeds)
        if arguments.every_scenario or seed % len(arguments.scenarios) == index
    ]
    if not arguments.no_evening:
        jobs.insert(0, ("evening-peak", 1000, "near", 6.0))
    if problem := what_is_wrong(arguments.scenarios, arguments.jobs, jobs):
        parser.error(problem)
    started = time.time()
    num_attempts = num_visits = 0
    failures = []
    with multiprocessing.get_context("spawn").Pool(arguments.jobs) as pool:
        for job, comparison in tqdm(pool.imap_unordered(run, jobs), total=len(jobs), unit="episode"):
            num_attempts += comparison.num_attempts
            num_visits += comparison.num_visits
            if comparison.differences:
                failures.append((job, comparison))
                tqdm.write(f"DIFFERENT {job} in interval {comparison.num_intervals}: {comparison.differences[:5]}")
    print(
        f"{len(jobs) - len(failures)} of {len(jobs)} episodes are equal: {num_attempts:,} attempts and {num_visits:,} "
        f"visits, every field compared, in {time.time() - started:,.0f} s"
    )
    sys.exit(1 if failures else 0)


def what_is_wrong(scenarios: list[str], num_processes: int, jobs: list[Job]) -> str:
    """Why there is nothing to run, or nothing to run it with; empty where all is well."""
    try:
        for scenario in scenarios:
            load_scenario(scenario)
    except ConfigError as error:
        return str(error)
    if num_processes < 1:
        return f"--jobs {num_processes}: must be at least 1"
    return "" if jobs else "nothing to compare: needs at least one seed, or the full evening"


def run(job: Job) -> tuple[Job, Comparison]:
    """Compare the engines on one episode."""
    scenario, seed, mode, hours = job
    system = load_system()
    episode = load_scenario(scenario).episode(system, seed)
    num_intervals = int(min(hours * 3600, episode.horizon_s) / system.control_interval_s)
    return job, compare_engines(system, episode, mode, num_intervals)


if __name__ == "__main__":
    main()
