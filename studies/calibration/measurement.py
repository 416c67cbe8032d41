"""The calibration's simulations: every situation on every seed, and the first seed on both engines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streamflow_agents.parallel import run_all
from streamflow_env.system import System
from studies.calibration.onsets import Chain, chain
from studies.calibration.patience import PatienceResult, measure_patience, patience_runs
from studies.calibration.recording import record
from studies.calibration.results import RequirementResult
from studies.calibration.situations import Situation, situations


@dataclass(frozen=True)
class SituationRun:
    """One episode to measure."""

    system: System
    situation: Situation
    seed: int
    engine: str

    @property
    def key(self) -> tuple[str, int, str]:
        """Situation, seed and engine."""
        return self.situation.name, self.seed, self.engine

    @property
    def size(self) -> float:
        """About how long it takes. The longest run first; the reference engine is tens of times slower."""
        return self.situation.scenario.horizon_s * (30.0 if self.engine == "reference" else 1.0)


@dataclass(frozen=True)
class SituationFigures:
    """The figures of one episode, in the order of its situation's requirements, and its cascade's chain."""

    figures: tuple[float, ...]
    chain: Chain | None


@dataclass(frozen=True)
class Calibration:
    """Every result, the chain of every cascade on each seed, and cascade 1 with more patient users."""

    seeds: tuple[int, ...]
    results: tuple[RequirementResult, ...]
    chains: tuple[tuple[Chain, ...], ...]
    patience: tuple[PatienceResult, ...] = ()

    @property
    def passes(self) -> bool:
        """Whether all results pass that can."""
        return all(result.passes or result.is_impossible for result in self.results)


def calibrate(
    system: System,
    seeds: Sequence[int],
    *,
    of: Sequence[Situation] | None = None,
    reference: bool = True,
    patience: bool = False,
    jobs: int = 1,
    progress: bool = False,
) -> Calibration:
    """Measure `system` with its default configuration in every situation (or in those of `of`) on `seeds`.

    With `reference` the first seed runs on the reference engine too. With `patience` cascade 1 also runs with users who
    wait longer. Raises ConfigError where the system lacks what is measured.
    """
    chosen = situations() if of is None else tuple(of)
    runs = [SituationRun(system, situation, seed, "compiled") for situation in chosen for seed in seeds]
    if reference:
        runs += [SituationRun(system, situation, seeds[0], "reference") for situation in chosen]
    longest_first = sorted(runs, key=lambda run: -run.size)
    measured = run_all(measure, longest_first, jobs, progress)
    found = {run.key: figures for run, figures in zip(longest_first, measured, strict=True)}
    results: list[RequirementResult] = []
    chains: list[tuple[Chain, ...]] = []
    for situation in chosen:
        mine = [found[situation.name, seed, "compiled"] for seed in seeds]
        repeated = found.get((situation.name, seeds[0], "reference"))
        for index, requirement in enumerate(situation.requirements):
            seen = tuple(figures.figures[index] for figures in mine)
            again = repeated.figures[index] if repeated else None
            results.append(RequirementResult(situation.name, requirement, seen, again))
        if situation.cascade is not None:
            chains.append(tuple(figures.chain for figures in mine if figures.chain is not None))
    patient = run_all(measure_patience, list(patience_runs(system, seeds[0])), jobs, progress) if patience else ()
    return Calibration(tuple(seeds), tuple(results), tuple(chains), tuple(patient))


def measure(run: SituationRun) -> SituationFigures:
    """Simulate and measure one episode."""
    situation = run.situation
    recording = record(
        run.system, situation.scenario, run.seed,
        engine=run.engine, interval_s=situation.interval_s, skip_s=situation.skip_s,
    )  # fmt: skip
    figures = tuple(requirement.read(recording) for requirement in situation.requirements)
    return SituationFigures(figures, None if situation.cascade is None else chain(situation.cascade, recording))
