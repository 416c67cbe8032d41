"""Published experiments: a system from YAML with overrides, a load with one spike, and the counts of each second."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streamflow_agents.parallel import run_all
from streamflow_env.engines import make_engine
from streamflow_env.episode import Change, Episode
from streamflow_env.paths import config_path
from streamflow_env.system import System, load_system
from streamflow_env.system.schema import read_yaml
from studies.validation.checks import Check

Override = tuple[str, Any]
"""A path of keys with dots between them, and the value there. A mapping that is missing on the path is added."""
BIN_S: Final = 0.05
NS: Final = 1_000_000_000
WINDOW_S: Final = 5
RECOVERED_FRACTION: Final = 0.9
MAX_REPEATS: Final = 1000
HOLD_S: Final = 60
"""Recovered: for `HOLD_S` every window has answers for at least `RECOVERED_FRACTION` of the intents that came in it."""


@dataclass(frozen=True)
class Load:
    """Poisson first attempts: `base_rps`, and `spike_rps` for `spike_s` from `start_s` on (a multiple of BIN_S)."""

    base_rps: float
    spike_rps: float = 0.0
    start_s: float = 0.0
    spike_s: float = 0.0

    @property
    def end_s(self) -> float:
        return self.start_s + self.spike_s

    def rates_rps(self) -> NDArray[np.float64]:
        first, last = round(self.start_s / BIN_S), round(self.end_s / BIN_S)
        rates = np.full((1, last + 1), self.base_rps)
        rates[0, first:last] = self.spike_rps
        return rates


@dataclass(frozen=True)
class Run:
    """One variant of an experiment on one seed. With `until_recovered` it ends once it has been recovered for HOLD_S.

    Where a figure is a mean, or a share, of several runs, they are `repeat` 0, 1, … of each seed.
    """

    experiment: str
    overrides: tuple[Override, ...]
    load: Load
    horizon_s: int
    changes: tuple[Change, ...] = ()
    until_recovered: bool = False
    repeat: int = 0
    seed: int = 0
    engine: str = "compiled"

    @property
    def episode_seed(self) -> int:
        return MAX_REPEATS * self.seed + self.repeat


@dataclass(frozen=True)
class Trace:
    """The counts of each second of a run, all of shape (num_seconds,), and when the spike ended."""

    spike_end_s: float
    intents: NDArray[np.int64]
    attempts: NDArray[np.int64]
    answers: NDArray[np.int64]
    lookups: NDArray[np.int64]
    hits: NDArray[np.int64]

    def goodput_rps(self, start_s: int, end_s: int) -> float:
        """Answers a second in [start_s, end_s)."""
        return float(self.answers[start_s:end_s].mean())

    def attempt_rate_rps(self, start_s: int, end_s: int) -> float:
        return float(self.attempts[start_s:end_s].mean())

    def hit_fraction(self, second: int) -> float:
        """Hits of the lookups in the second that ends at `second`."""
        return float(self.hits[second - 1] / self.lookups[second - 1])

    @functools.cached_property
    def recovery_time_s(self) -> float:
        """The first full second after the spike from which on it is recovered for HOLD_S; infinite: never."""
        first = int(np.ceil(self.spike_end_s))
        windows = [np.convolve(c, np.ones(WINDOW_S), "valid") for c in (self.answers, self.intents)]
        is_recovered = (windows[0] >= RECOVERED_FRACTION * windows[1])[first:]
        width = HOLD_S - WINDOW_S + 1
        if len(is_recovered) < width:
            return np.inf
        held = np.convolve(is_recovered, np.ones(width), "valid") > width - 0.5
        return float(first + np.argmax(held)) if held.any() else np.inf


def summed(traces: Sequence[Trace]) -> Trace:
    """The sum of traces of the same load and length."""
    names = ("intents", "attempts", "answers", "lookups", "hits")
    counts = [np.sum([getattr(trace, name) for trace in traces], axis=0) for name in names]
    return Trace(traces[0].spike_end_s, *counts)


def system_of(run: Run) -> System:
    """The run's system: the experiment's YAML, and its overrides."""
    data = read_yaml(config_path("experiments", run.experiment))
    for path, value in run.overrides:
        *above, key = path.split(".")
        functools.reduce(lambda inner, name: inner.setdefault(name, {}), above, data)[key] = value
    return load_system(data)


def simulate(run: Run) -> Trace:
    """Simulate a run, second by second."""
    system = system_of(run)
    rates = run.load.rates_rps()
    engine = make_engine(run.engine, system)
    engine.reset(Episode(run.experiment, run.episode_seed, run.horizon_s, 0.0, round(BIN_S * NS), rates, run.changes))
    counts: list[tuple[int, ...]] = []
    for second in range(run.horizon_s):
        telemetry = engine.step(system.control_table.default)
        services = telemetry.services
        users = {name: int(telemetry.classes[name][0].sum()) for name in ("intents", "attempts", "within_sla", "late")}
        counts.append(
            (users["intents"], users["attempts"], users["within_sla"] + users["late"],
             int(services["lookups"].sum()), int(services["hits"].sum()))
        )  # fmt: skip
        if run.until_recovered and second % HOLD_S == HOLD_S - 1:
            trace = Trace(run.load.end_s, *np.array(counts).T)
            if np.isfinite(trace.recovery_time_s):
                return trace
    return Trace(run.load.end_s, *np.array(counts).T)


def simulate_all(runs: Iterable[Run], jobs: int) -> dict[Run, Trace]:
    """Every run's trace, each simulated once; the longest begin first."""
    each = sorted(set(runs), key=lambda run: -run.horizon_s * (30 if run.engine == "reference" else 1))
    return dict(zip(each, run_all(simulate, each, jobs, progress=False), strict=True))


@dataclass(frozen=True)
class Measure:
    """A figure of some runs (of the same seed), and what it must be: `expected`, or in [low, high] on every seed."""

    section: str
    measure: str
    unit: str
    runs: tuple[Run, ...]
    read: Callable[[Sequence[Trace]], float]
    source: str
    low: float = -np.inf
    high: float = np.inf

    def on(self, seed: int, engine: str) -> tuple[Run, ...]:
        return tuple(replace(run, seed=seed, engine=engine) for run in self.runs)


def checks_of(measures: Sequence[Measure], seeds: Sequence[int], reference: bool, jobs: int) -> list[Check]:
    """A check of every measure on every seed; with `reference` the first seed also runs on the reference engine."""
    needed = [run for m in measures for seed in seeds for run in m.on(seed, "compiled")]
    if reference:
        needed += [run for m in measures for run in m.on(seeds[0], "reference")]
    traces = simulate_all(needed, jobs)

    def figure(measure: Measure, seed: int, engine: str) -> float:
        return measure.read([traces[run] for run in measure.on(seed, engine)])

    return [
        Check(
            m.section,
            m.measure,
            m.unit,
            tuple(figure(m, seed, "compiled") for seed in seeds),
            m.source,
            low=m.low,
            high=m.high,
            reference=figure(m, seeds[0], "reference") if reference else None,
        )
        for m in measures
    ]
