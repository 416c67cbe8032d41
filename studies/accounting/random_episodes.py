"""Random episodes and actions: any load from none to far beyond collapse, any incident, any setting."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines.draws.distributions import to_ns
from streamflow_env.episode import Change, Episode
from streamflow_env.scenarios import Scenario
from streamflow_env.system import Cache, LlmEndpoint, System
from streamflow_env.system.schema import Count

LEVELS: Final = (0.0, 0.3, 0.3, 1.0, 1.0, 3.0, 10.0)
"""Loads of a bin, in normal loads."""
COLLAPSE: Final = 60.0
COLLAPSE_REQUESTS: Final = 2000.0
"""Most first attempts of an interval in a collapse: enough for any system, and no step takes too long."""
SLOWDOWNS: Final = (1e-3, 0.5, 1.0, 5.0, 100.0, 1e5)

Action = NDArray[np.float32]
Course = Literal["any", "idle", "collapse", "dead"]
"""What happens in an episode. `idle`: no requests; `collapse`: far too many; `dead`: every service is slower by `DEAD`
from the beginning, and no LLM has a quota."""
COURSES: Final[tuple[Course, ...]] = get_args(Course)
DEAD: Final = 1e5
DEAD_LEVEL: Final = 3.0

ActionMode = Literal["default", "near", "random", "corners", "hold"]
ACTION_MODES: Final[tuple[ActionMode, ...]] = get_args(ActionMode)
NEAR_STD: Final = 0.15
HELD: Final = 0.2
"""The share of intervals in which a held action is replaced."""


class RandomScenario(Scenario):
    """Episodes of `num_intervals` that are functions of system, course and seed."""

    name: str = "random"
    num_intervals: Count
    course: Course = "any"

    def check(self, system: System) -> None:
        """Every system will do."""

    def episode(self, system: System, seed: int) -> Episode:
        rng = random.Random(seed)
        interval_ns = to_ns(system.control_interval_s)
        num_warmup = -(-to_ns(system.warmup_s) // interval_ns)
        end_ns = (num_warmup + self.num_intervals) * interval_ns
        bin_ns = max(1, round(interval_ns * rng.choice([0.3, 1.0, 7.0])))
        return Episode(
            scenario=self.name,
            seed=seed,
            horizon_s=self.num_intervals * system.control_interval_s,
            start_hour=24.0 * rng.random(),
            bin_ns=bin_ns,
            rates_rps=_rates(rng, system, -(-end_ns // bin_ns), self.course),
            changes=_death(system) if self.course == "dead" else _changes(rng, system, interval_ns, end_ns),
        )


def _rates(rng: random.Random, system: System, num_bins: int, course: Course) -> NDArray[np.float64]:
    """Shape (num_classes, num_bins)."""
    normal = np.array([c.normal_rate_rps for c in system.classes.values()])
    usual = max(1.0, float(normal.sum()) * system.control_interval_s)
    levels = {"idle": 0.0, "collapse": min(COLLAPSE, COLLAPSE_REQUESTS / usual), "dead": DEAD_LEVEL}
    if course in levels:
        return np.outer(normal, np.full(num_bins, levels[course]))
    return np.array([[rate * rng.choice(LEVELS) for _ in range(num_bins)] for rate in normal])


def _death(system: System) -> tuple[Change, ...]:
    names = sorted(system.service_names)
    llms = [name for name in names if isinstance(system.services[name], LlmEndpoint)]
    slower = [Change(0, name, "slowdown_factor", DEAD) for name in names]
    return tuple(slower + [Change(0, name, "quota_factor", 0.0) for name in llms])


def _changes(rng: random.Random, system: System, interval_ns: int, end_ns: int) -> tuple[Change, ...]:
    """None to eight incidents, some of them at the very start of an interval."""
    changes = [_change(rng, system, interval_ns, end_ns) for _ in range(rng.choice([0, 0, 3, 8]))]
    return tuple(sorted(changes, key=lambda change: (change.at_ns, change.service, change.kind)))


def _change(rng: random.Random, system: System, interval_ns: int, end_ns: int) -> Change:
    caches = [name for name in system.service_names if isinstance(system.services[name], Cache)]
    name = rng.choice(caches if caches and rng.random() < 0.2 else system.service_names)
    service = system.services[name]
    at_ns = int(rng.random() * end_ns)
    if rng.random() < 0.3:
        at_ns -= at_ns % interval_ns
    if isinstance(service, Cache) and rng.random() < 0.6:
        return Change(at_ns, name, "invalidate_fraction", rng.choice([0.0, 1.0, rng.random()]))
    if isinstance(service, LlmEndpoint) and rng.random() < 0.6:
        if rng.random() < 0.5:
            return Change(at_ns, name, "quota_factor", rng.choice([0.0, 1.0, rng.random()]))
        return Change(at_ns, name, "retry_after_s", rng.choice([0.0, 0.3, 30.0]))
    return Change(at_ns, name, "slowdown_factor", rng.choice(SLOWDOWNS))


def random_actions(system: System, mode: ActionMode, seed: int) -> Iterator[Action]:
    """Endless actions, shape (num_controls,), in [-1, 1].

    `near` is normal noise around the default action, `corners` has every control at an end of its range, `hold` is
    random but mostly left alone.
    """
    table = system.control_table
    rng = np.random.Generator(np.random.PCG64(seed))
    default = table.action(table.default)
    action = default
    while True:
        if mode == "near":
            action = np.clip(default + rng.normal(0.0, NEAR_STD, len(table)), -1.0, 1.0).astype(np.float32)
        elif mode == "corners":
            action = rng.choice(np.array([-1.0, 1.0], dtype=np.float32), len(table))
        elif mode == "random" or (mode == "hold" and rng.random() < HELD):
            action = rng.uniform(-1.0, 1.0, len(table)).astype(np.float32)
        yield action
