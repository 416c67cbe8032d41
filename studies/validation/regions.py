"""Where the StreamFlow cell is stable, vulnerable and metastable, in the plane of load and of a trigger's size.

The words are those of Bronson et al., "Metastable failures in distributed systems" (2021), and Huang et al.,
"Metastable failures in the wild" (2022): at a *stable* load the system comes back from every trigger; at a
*vulnerable* one it runs well until a trigger of some size; after that it is *metastable*: it stays down though the
trigger has gone.

The trigger is that of the calibration's retry storm: auth is slower by AUTH_FACTOR. Its size is how long that lasts.
Loads are multiples of the normal load and are constant. A run has *recovered* when for the next three minutes every
minute has answers for 0.9 of the first attempts that came in it. It is *stuck* when it has not recovered ten minutes
after the trigger, and the last minute answered less than half of the attempts (users' retries are attempts, too). So a
point is

- METASTABLE, where most seeds are stuck;
- OVERLOADED, where most seeds of this load do not recover even without a trigger;
- STABLE, where at this load every seed recovers from each trigger in the grid;
- VULNERABLE, otherwise: not stuck here, but at this load a longer trigger (or another seed) may be stuck.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streamflow_agents.parallel import run_all
from streamflow_agents.policies.baselines import make_baseline
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.system import System, load_system
from studies.calibration.cascades import AUTH_FACTOR
from studies.validation.region_outcomes import Outcome, Region, Regions
from studies.validation.regions_picture import draw_regions

__all__ = ["Outcome", "Region", "Regions", "draw_regions", "measure_regions"]

POLICIES: Final = ("do_nothing", "playbook")
START_S: Final = 180.0
"""When the trigger begins: later than the slowest start-up of a replica that the playbook asks for at t = 0."""
WATCHED_S: Final = 600.0
HOLD_S: Final = 180.0
WINDOW_S: Final = 60.0
RECOVERED_FRACTION: Final = 0.9


def measure_regions(
    seeds: Sequence[int],
    jobs: int = 1,
    progress: bool = False,
    *,
    loads: Sequence[float],
    durations_s: Sequence[float],
    policies: Sequence[str] = POLICIES,
    factor: float = AUTH_FACTOR,
) -> Regions:
    """Run the grid on the compiled engine. With a duration of 0 there is no trigger."""
    points = [
        Point(policy, load, duration_s, seed, factor)
        for policy in policies
        for load in loads
        for duration_s in durations_s
        for seed in seeds
    ]
    longest_first = sorted(points, key=lambda point: -point.load)
    outcomes = dict(zip(longest_first, run_all(run_point, longest_first, jobs, progress), strict=True))
    return Regions(tuple(outcomes[point] for point in points))


@dataclass(frozen=True)
class Point:
    """One run to be made: auth slower by `factor` for `duration_s` at `load` times the normal load."""

    policy: str
    load: float
    duration_s: float
    seed: int
    factor: float

    def scenario(self) -> dict[str, Any]:
        trigger = {
            "kind": "slowdown", "service": "auth", "start_s": START_S, "duration_s": self.duration_s,
            "factor": self.factor,
        }  # fmt: skip
        return {
            "name": "regions",
            "horizon_s": START_S + self.duration_s + WATCHED_S + WINDOW_S,
            "traffic": {"kind": "ramps", "start_hour": 12, "level": self.load, "ramps": []},
            "incidents": [trigger] if self.duration_s > 0 else [],
        }


def run_point(point: Point) -> Outcome:
    """Simulate one run until it is decided."""
    system = _shipped()
    env = StreamFlowEnv(point.scenario(), system=system)
    policy = make_baseline(point.policy, system, env.observation_table)
    observation, _ = env.reset(options={"episode_seed": point.seed})
    interval_s = system.control_interval_s
    first = math.ceil((START_S + point.duration_s) / interval_s)
    last = first + round(WATCHED_S / interval_s)
    state, counts = None, []
    for interval in range(last):
        action, state = policy.predict(observation, state, np.array([interval == 0]))
        observation, *_ = env.step(action)
        if interval >= first:
            counts.append(_counts(env))
            if math.isfinite(recovered_s := _recovery_time_s(np.array(counts), interval_s)):
                return _outcome(point, recovered_s, 1.0)
    minute = np.array(counts)[-round(WINDOW_S / interval_s) :].sum(axis=0)
    return _outcome(point, math.inf, float(minute[0] / max(1, minute[2])))


def _outcome(point: Point, recovery_time_s: float, answers_per_attempt: float) -> Outcome:
    return Outcome(point.policy, point.load, point.duration_s, point.seed, recovery_time_s, answers_per_attempt)


@functools.cache
def _shipped() -> System:
    """The system, once in a process: engines keep what they prepare for it."""
    return load_system("streamflow")


def _counts(env: StreamFlowEnv) -> tuple[int, int, int]:
    """Users' answers, first attempts and attempts in the last interval."""
    users = env.telemetry.classes[np.array(env.system.interactive)]
    answers = int(users["within_sla"].sum() + users["late"].sum())
    return answers, int(users["intents"].sum()), int(users["attempts"].sum())


def _recovery_time_s(counts: NDArray[np.int64], interval_s: float) -> float:
    """Seconds from the first of `counts`, shape (num_intervals, 3), until it has recovered for HOLD_S; or infinity."""
    width = round(WINDOW_S / interval_s)
    held = round(HOLD_S / interval_s) - width + 1
    if len(counts) < width + held - 1:
        return math.inf
    sums = np.cumsum(np.vstack((np.zeros((1, 3), dtype=np.int64), counts)), axis=0)
    windows = sums[width:] - sums[:-width]
    is_recovered = windows[:, 0] >= RECOVERED_FRACTION * windows[:, 1]
    held_throughout = np.convolve(is_recovered, np.ones(held), "valid") > held - 0.5
    return float(np.argmax(held_throughout)) * interval_s if held_throughout.any() else math.inf
