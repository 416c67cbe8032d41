"""Running the calibration: every situation on every seed, in several processes, and the first seed on both engines."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tqdm import tqdm

from streamflow_env.system import System
from studies.calibration.onsets import Chain, chain
from studies.calibration.patience import Patience, measure_patience, patience_jobs
from studies.calibration.recording import record
from studies.calibration.rows import Row
from studies.calibration.situations import Situation, situations

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Job:
    """One episode to measure."""

    system: System
    situation: Situation
    seed: int
    engine: str

    @property
    def size(self) -> float:
        """About how long it takes, to begin with the longest; the reference engine is tens of times slower."""
        return self.situation.scenario.horizon_s * (30.0 if self.engine == "reference" else 1.0)


@dataclass(frozen=True)
class Outcome:
    """The figures of one episode, in the order of its situation's requirements, and its cascade's chain."""

    figures: tuple[float, ...]
    chain: Chain | None


@dataclass(frozen=True)
class Calibration:
    """Every row, the chain of every cascade on each seed, and cascade 1 with more patient users."""

    seeds: tuple[int, ...]
    rows: tuple[Row, ...]
    chains: tuple[tuple[Chain, ...], ...]
    patience: tuple[Patience, ...] = ()

    @property
    def passes(self) -> bool:
        """Whether all rows do."""
        return all(row.passes or row.is_impossible for row in self.rows)


def calibrate(
    system: System,
    seeds: Sequence[int],
    *,
    of: Sequence[Situation] | None = None,
    reference: bool = True,
    patience: bool = False,
    processes: int = 1,
    progress: bool = False,
) -> Calibration:
    """Measure `system` as found in every situation (or in those of `of`) on `seeds`.

    With `reference` the first seed runs on the reference engine too; with `patience` cascade 1 is looked at with users
    who wait longer. Raises ConfigError where the system lacks what is
    to be measured.
    """
    chosen = situations() if of is None else tuple(of)
    jobs = [Job(system, situation, seed, "compiled") for situation in chosen for seed in seeds]
    if reference:
        jobs += [Job(system, situation, seeds[0], "reference") for situation in chosen]
    outcomes = dict(_outcomes(jobs, processes, progress))
    rows: list[Row] = []
    chains: list[tuple[Chain, ...]] = []
    for situation in chosen:
        mine = [outcomes[situation.name, seed, "compiled"] for seed in seeds]
        repeated = outcomes.get((situation.name, seeds[0], "reference"))
        for index, need in enumerate(situation.needs):
            seen = tuple(outcome.figures[index] for outcome in mine)
            rows.append(Row(situation.name, need, seen, repeated.figures[index] if repeated else None))
        if situation.cascade is not None:
            chains.append(tuple(outcome.chain for outcome in mine if outcome.chain is not None))
    patient = _each(measure_patience, list(patience_jobs(system, seeds[0])), processes) if patience else ()
    return Calibration(tuple(seeds), tuple(rows), tuple(chains), tuple(patient))


def run(job: Job) -> tuple[tuple[str, int, str], Outcome]:
    """Simulate and measure one episode."""
    situation = job.situation
    recording = record(
        job.system, situation.scenario, job.seed,
        engine=job.engine, interval_s=situation.interval_s, skip_s=situation.skip_s,
    )  # fmt: skip
    figures = tuple(need.read(recording) for need in situation.needs)
    shown = None if situation.cascade is None else chain(situation.cascade, recording)
    return (situation.name, job.seed, job.engine), Outcome(figures, shown)


def _outcomes(jobs: list[Job], processes: int, progress: bool) -> Iterator[tuple[tuple[str, int, str], Outcome]]:
    longest_first = sorted(jobs, key=lambda job: -job.size)
    yield from tqdm(
        _each(run, longest_first, processes), total=len(jobs), unit=" episodes",
        disable=None if progress else True, dynamic_ncols=True,
    )  # fmt: skip


def _each(function: Callable[[Task], Result], tasks: list[Task], processes: int) -> Iterator[Result]:
    """`function` of every task, as they finish if there is more than one process."""
    if processes == 1:
        yield from map(function, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(function, tasks)
