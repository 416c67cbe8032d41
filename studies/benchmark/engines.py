"""Part 1: the compiled engine against the reference engine, on the very same control steps of the same episodes."""

from __future__ import annotations

import math

from streamflow_env.system import load_system
from studies.benchmark.loads import NORMAL, THREE_TIMES, run_steps, started, started_compiled
from studies.benchmark.results import Measurement, Sample, Target, ratio
from studies.benchmark.timing import in_turn, seconds_of

SEED = 1
NUM_STEPS = {NORMAL: 48, THREE_TIMES: 16}
"""Of a round: about a second of the reference engine."""
AT_LEAST = 100.0


def measure(quick: bool) -> tuple[list[Measurement], list[Target], list[str]]:
    """Control steps a second of both, and how many times as many the compiled engine makes."""
    num_rounds = 2 if quick else 7
    measurements, targets = [], []
    for load, num_steps in NUM_STEPS.items():
        measurement = _compare(load, num_steps // 16 if quick else num_steps, num_rounds)
        measurements.append(measurement)
        what = f"compiled over reference engine, {load} load"
        targets.append(Target(what, AT_LEAST, True, measurement.samples["compiled / reference"]))
    return measurements, targets, []


def _compare(load: str, num_steps: int, num_rounds: int) -> Measurement:
    system = load_system()
    compiled, reference = started_compiled(system, load, SEED), started("reference", system, load, SEED)
    first = compiled.num_events
    rates = in_turn(
        {
            "compiled": lambda: num_steps / seconds_of(lambda: run_steps(compiled, system, num_steps)),
            "reference": lambda: num_steps / seconds_of(lambda: run_steps(reference, system, num_steps)),
        },
        num_rounds,
        "steps/s",
    )
    per_step = (compiled.num_events - first) / (num_steps * num_rounds)
    return Measurement(
        f"{load} load",
        {
            "events a step": Sample("", (math.floor(per_step),)),
            "compiled": rates["compiled"],
            "reference": rates["reference"],
            "compiled / reference": ratio(rates["compiled"], rates["reference"]),
        },
    )
