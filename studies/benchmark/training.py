"""Part 6: PPO end to end on `mixed`, as `scripts/train.py` runs it, without its evaluations; where the time goes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

from streamflow_agents.policies.networks import DefaultStartPolicy
from streamflow_agents.training.callbacks import TrainingLog
from streamflow_agents.training.run import TrainingArguments, train
from streamflow_agents.training.task import streamflow_task
from studies.benchmark.results import Measurement, Sample, Target
from studies.benchmark.timing import Watch, watching

STEPS_OF_AN_UPDATE: Final = 64
AT_LEAST: Final = 1500.0
ROLLOUT, BEGUN, SIMULATION, WRAPPED = "rollout", "begun", "simulation", "wrapped"
POLICY, LOG, UPDATE = "policy", "log", "update"
WATCHED: Final[dict[str, tuple[Any, str]]] = {
    ROLLOUT: (PPO, "collect_rollouts"),
    BEGUN: (VecMonitor, "step_async"),
    SIMULATION: (VecMonitor, "step_wait"),
    WRAPPED: (VecNormalize, "step_wait"),
    POLICY: (DefaultStartPolicy, "forward"),
    LOG: (TrainingLog, "_on_step"),
    UPDATE: (PPO, "train"),
}
SHARES: Final = ("simulation", "policy", "normalisation", "logging", "rest of collecting", "update")


def measure(quick: bool) -> tuple[list[Measurement], list[Target], list[str]]:
    """Control steps a second, and the shares of collecting and learning, update by update."""
    num_updates = 2 if quick else 16
    num_cells = 8 if quick else TrainingArguments().num_cells
    spent = _train(num_cells, num_updates)
    num_steps = num_cells * STEPS_OF_AN_UPDATE
    whole = [one[ROLLOUT] + one[UPDATE] for one in spent]
    rates = Sample("steps/s", tuple(num_steps / took for took in whole))
    parts = [_parts(one) for one in spent]
    measurements = [
        Measurement("PPO on mixed, two threads", {"end to end": rates, "share": Sample("%", (100.0,) * len(whole))})
    ]
    for name in SHARES:
        share = Sample("%", tuple(100.0 * part[name] / took for part, took in zip(parts, whole, strict=True)))
        alone = Sample("steps/s", tuple(num_steps / max(part[name], 1e-9) for part in parts))
        measurements.append(Measurement(name, {"end to end": alone, "share": share}))
    target = Target("PPO end to end on mixed, two threads, default action at first", AT_LEAST, True, rates)
    note = f"{num_cells} cells, {STEPS_OF_AN_UPDATE} steps of each between two updates; a line's steps/s are it alone."
    return measurements, [target], [note]


def _parts(one: dict[str, float]) -> dict[str, float]:
    """Seconds by what they went to, which add up to the whole."""
    collecting = one[BEGUN] + one[WRAPPED] + one[POLICY] + one[LOG]
    return {
        "simulation": one[BEGUN] + one[SIMULATION],
        "policy": one[POLICY],
        "normalisation": one[WRAPPED] - one[SIMULATION],
        "logging": one[LOG],
        "rest of collecting": one[ROLLOUT] - collecting,
        "update": one[UPDATE],
    }


def _train(num_cells: int, num_updates: int) -> list[dict[str, float]]:
    """Seconds by what is watched, of each update."""
    total_steps = num_cells * STEPS_OF_AN_UPDATE * num_updates
    task = streamflow_task("mixed", "streamflow", "compiled", num_episodes=1, num_threads=2, log=lambda line: None)
    task = replace(task, judge=lambda policy: {"return": 0.0}, reference_policies={})
    watch = Watch()
    with tempfile.TemporaryDirectory() as folder, watching(watch, WATCHED), _after_each_update(watch) as spent:
        arguments = TrainingArguments(
            total_steps=total_steps, num_cells=num_cells, evaluate_every=10 * total_steps, out=folder, progress=False
        )
        train(arguments, task)
    return spent


@contextmanager
def _after_each_update(watch: Watch) -> Iterator[list[dict[str, float]]]:
    """Collects what was watched up to the end of each update."""
    update, spent = PPO.train, []

    def noted(self: PPO) -> None:
        update(self)
        spent.append(watch.take())

    setattr(PPO, "train", noted)  # noqa: B010 - mypy forbids to assign to a method
    try:
        yield spent
    finally:
        setattr(PPO, "train", update)  # noqa: B010
