"""Compare the two engines: every visit, answer and telemetry field of every scenario must be equal.

By default it runs 20 seeds of one hour, with the scenarios and both kinds of actions in turn, 20 seeds of one hour in
cells that differ, and one full evening. With --every-scenario it runs 20 seeds of each scenario, which takes about ten
times as long.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from streamflow_agents.arguments import argument
from streamflow_agents.parallel import run_all
from streamflow_env.errors import ConfigError
from streamflow_env.scenarios import load_scenario, scenario_names
from streamflow_env.system import load_system
from studies.common.study import StudyArguments
from studies.equivalence.comparison import ActionMode, Comparison, compare_engines

Pair = tuple[str, int, ActionMode, float]
"""An episode that both engines run: scenario, seed, actions, hours."""
MODES: tuple[ActionMode, ...] = ("near", "random")
VARIED = ("varied", "storm")
"""The mixtures whose members are the scenarios with cells that differ."""
QUICK_HOURS = 0.05


@dataclass(frozen=True)
class Arguments(StudyArguments):
    """Compare the two engines; exits with 1 where they differ."""

    seeds: int = argument(20, "number of seeds")
    every_scenario: bool = argument(False, "so many seeds of each scenario")
    hours: float = argument(1.0, "simulated hours of an episode")
    scenarios: str = argument("", "names or YAML files, separated by commas (by default all)")
    varied: int = argument(20, "number of seeds in cells that differ, beside the others")
    evening: bool = argument(True, "one full evening too")


def run(arguments: Arguments) -> int:
    """Compare the engines on every episode; 1 where one differs, else 0."""
    pairs = episodes(arguments)
    started = time.time()
    num_attempts = num_visits = num_different = 0
    comparisons = run_all(compare, pairs, arguments.jobs, arguments.progress)
    for pair, comparison in zip(pairs, comparisons, strict=True):
        num_attempts += comparison.num_attempts
        num_visits += comparison.num_visits
        if comparison.differences:
            num_different += 1
            print(f"DIFFERENT {pair} in interval {comparison.num_intervals}: {comparison.differences[:5]}")
    print(
        f"{len(pairs) - num_different} of {len(pairs)} episodes are equal: {num_attempts:,} attempts and "
        f"{num_visits:,} visits, every field compared, in {time.time() - started:,.0f} s"
    )
    return 1 if num_different else 0


def episodes(arguments: Arguments) -> list[Pair]:
    """The episodes to compare. Raises ConfigError: an unknown scenario, or nothing to compare."""
    named = [name.strip() for name in arguments.scenarios.split(",")] if arguments.scenarios else []
    shipped = [name for name in scenario_names() if arguments.every_scenario or not name.startswith(VARIED)]
    scenarios = named or shipped
    for scenario in scenarios:
        load_scenario(scenario)
    hours = QUICK_HOURS if arguments.quick else arguments.hours
    pairs: list[Pair] = [
        (scenario, seed, MODES[seed % 2], hours)
        for index, scenario in enumerate(scenarios)
        for seed in range(arguments.seeds)
        if arguments.every_scenario or seed % len(scenarios) == index
    ]
    if not named and not arguments.every_scenario:
        numbers = range(arguments.varied)
        pairs += [(VARIED[seed % 2], seed, MODES[seed // 2 % 2], hours) for seed in numbers]
    if arguments.evening and not arguments.quick:
        pairs.insert(0, ("evening-peak", 1000, "near", 6.0))
    if not pairs:
        raise ConfigError("nothing to compare: needs at least one seed, or the full evening")
    return pairs


def compare(pair: Pair) -> Comparison:
    """Compare the engines on one episode."""
    scenario, seed, mode, hours = pair
    system = load_system()
    episode = load_scenario(scenario).episode(system, seed)
    num_intervals = int(min(hours * 3600, episode.horizon_s) / system.control_interval_s)
    return compare_engines(system, episode, mode, num_intervals)
