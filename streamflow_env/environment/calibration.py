"""Calibration: what the shipped system must show as found, measured. The table of `docs/calibration.md`.

The required figures are the brief's (response times, error rate, hit rate, LLM quota) with the tolerances of the
calibration; one system file meets all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from streamflow_env.engines import make_engine
from streamflow_env.engines.telemetry import Telemetry, percentile_s
from streamflow_env.environment.metrics import accumulate, interval_metrics
from streamflow_env.scenarios import load_scenario
from streamflow_env.system import LlmEndpoint, System

RAMP_S = 1800
HOLD_S = 1800
LONG_HOLD_S = 10800


@dataclass(frozen=True)
class Row:
    """One measure: its figure for each seed, and the range in which all of them must be."""

    situation: str
    measure: str
    unit: str
    low: float
    high: float
    seen: tuple[float, ...]

    @property
    def passes(self) -> bool:
        """Whether every seed is in the range."""
        return all(self.low <= value <= self.high for value in self.seen)

    @property
    def mean(self) -> float:
        return float(np.mean(self.seen))


@dataclass(frozen=True)
class Requirement:
    """What a figure of one run must be: `read(system, intervals)` within [low, high]."""

    measure: str
    unit: str
    low: float
    high: float
    read: Callable[[System, Sequence[Telemetry]], float]


def calibrate(system: System, seeds: Sequence[int], *, engine: str = "compiled", long_hold: bool = True) -> list[Row]:
    """Measure every row on `seeds`; `long_hold` includes the three hours at 3x."""
    situations = [("normal load", _normal(), 0, NORMAL), ("3x load, held 30 min", _peak(HOLD_S), RAMP_S, PEAK)]
    if long_hold:
        situations.append(("3x load, held 3 h", _peak(LONG_HOLD_S), RAMP_S, PEAK))
    rows = []
    for situation, scenario, skip_s, requirements in situations:
        runs = [_simulate(system, scenario, seed, engine, skip_s) for seed in seeds]
        for need in requirements:
            seen = tuple(need.read(system, run) for run in runs)
            rows.append(Row(situation, need.measure, need.unit, need.low, need.high, seen))
    return rows


def markdown(rows: Sequence[Row]) -> Iterator[str]:
    """The rows as the lines of a Markdown table."""
    yield "| situation | measure | required | seen (mean of seeds) | lowest to highest seed | |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        required = (
            f"{_number(row.low)} to {_number(row.high)}" if np.isfinite(row.high) else f"at least {_number(row.low)}"
        )
        mean, spread = _number(row.mean), f"{_number(min(row.seen))} to {_number(max(row.seen))}"
        verdict = "met" if row.passes else "**not met**"
        yield f"| {row.situation} | {row.measure} | {required} {row.unit} | {mean} | {spread} | {verdict} |"


def _number(value: float) -> str:
    return f"{value:.4g}"


def _metric(name: str, scale: float = 1.0) -> Callable[[System, Sequence[Telemetry]], float]:
    def read(system: System, intervals: Sequence[Telemetry]) -> float:
        return interval_metrics(reduce(accumulate, intervals[1:], intervals[0]), system)[name] * scale

    return read


def _llm_rows(system: System) -> list[int]:
    return [row for row, service in enumerate(system.services.values()) if isinstance(service, LlmEndpoint)]


def _quiet_minutes(system: System, intervals: Sequence[Telemetry]) -> float:
    """Share of minutes without a 429."""
    per_minute = round(60 / system.control_interval_s)
    refused = np.array([interval.services["rate_limited"][_llm_rows(system)].sum() for interval in intervals])
    minutes = refused[: len(refused) // per_minute * per_minute].reshape(-1, per_minute).sum(axis=1)
    return float((minutes == 0).mean())


def _llm_latency(fraction: float) -> Callable[[System, Sequence[Telemetry]], float]:
    def read(system: System, intervals: Sequence[Telemetry]) -> float:
        return percentile_s(sum(interval.sojourn[_llm_rows(system)].sum(axis=0) for interval in intervals), fraction)

    return read


NORMAL = (
    Requirement("mean latency of cache hits", "ms", 67.5, 82.5, _metric("mean_hit_response_s", 1000)),
    Requirement("mean latency of cache misses", "ms", 751.5, 918.5, _metric("mean_miss_response_s", 1000)),
    Requirement("error rate", "fraction", 0.0005, 0.002, _metric("error_fraction")),
    Requirement("cache hit rate", "fraction", 0.78, 0.82, _metric("hit_fraction")),
    Requirement("LLM requests", "per min", 0, 500, _metric("llm_requests_per_min")),
    Requirement("minutes without a 429", "fraction", 0.9, 1.0, _quiet_minutes),
    Requirement("LLM latency, 1st percentile", "s", 0.19, 0.25, _llm_latency(0.01)),
    Requirement("LLM latency, 99th percentile", "s", 1.5, 2.2, _llm_latency(0.99)),
)
PEAK = (
    Requirement("mean latency", "s", 0.8, 2.0, _metric("mean_response_s")),
    Requirement("95th percentile", "s", 3.0, float("inf"), _metric("p95_s")),
    Requirement("error rate", "fraction", 0.02, 0.05, _metric("error_fraction")),
)


def _normal() -> dict[str, object]:
    traffic = {"kind": "ramps", "start_hour": 12, "level": 1.0}
    return {"name": "calibration-normal", "meaning": "normal load", "horizon_s": 3600, "traffic": traffic}


def _peak(hold_s: int) -> dict[str, object]:
    ramp = {"start_s": 0, "duration_s": RAMP_S, "level": 3.0}
    traffic = {"kind": "ramps", "start_hour": 19, "level": 1.0, "ramps": [ramp]}
    horizon_s = RAMP_S + hold_s
    return {"name": "calibration-peak", "meaning": "3x load", "horizon_s": horizon_s, "traffic": traffic}


def _simulate(
    system: System, scenario: dict[str, object], seed: int, engine_name: str, skip_s: float
) -> list[Telemetry]:
    """The control intervals of one episode as found, from `skip_s` on."""
    episode = load_scenario(scenario).episode(system, seed)
    engine = make_engine(engine_name, system)
    engine.reset(episode)
    num_intervals = round(episode.horizon_s / system.control_interval_s)
    intervals = [engine.step(system.control_table.as_found) for _ in range(num_intervals)]
    return intervals[round(skip_s / system.control_interval_s) :]
