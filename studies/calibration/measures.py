"""How a figure is read from a recording. A measure is a dataclass, so that it can be sent to another process.

A *reading* is a ratio of counters by name: a metric of `environment/metrics.py`, or one of `READINGS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from streamflow_env.engines.telemetry import percentile_s
from streamflow_env.environment.metrics import interval_metrics, metric_table
from streamflow_env.environment.readings import Count, Ratio, class_counts
from streamflow_env.errors import ConfigError
from streamflow_env.system import Cache, LlmEndpoint, System
from studies.calibration.recording import Array, Recording

MINUTE_S: Final = 60.0


class Measure(Protocol):
    """A figure of one recording."""

    def __call__(self, recording: Recording) -> float:
        """The figure."""


def service_row(system: System, name: str) -> int:
    """The row of a service in the telemetry. Raises ConfigError for an unknown service."""
    if name not in system.services:
        raise ConfigError(f"calibration: system {system.name} has no service {name!r}")
    return system.service_names.index(name)


def _answers_per_attempt(system: System) -> Ratio:
    return Ratio(class_counts(system, "within_sla", "late"), class_counts(system, "attempts"), empty=1.0)


def _attempts_per_intent(system: System) -> Ratio:
    return Ratio(class_counts(system, "attempts"), class_counts(system, "intents"), empty=1.0)


def _engine_timeouts(system: System) -> Ratio:
    timed_out = (Count("services", service_row(system, "engine"), "deadlines"),)
    return Ratio(timed_out, timed_out + class_counts(system, "miss_answers"))


READINGS: Final[dict[str, Callable[[System], Ratio]]] = {
    "answers_per_attempt": _answers_per_attempt,
    "attempts_per_intent": _attempts_per_intent,
    "engine_timeout_fraction": _engine_timeouts,
}
"""Readings that are not metrics. `answers_per_attempt` is goodput as a share of the attempts, users' retries included.
`engine_timeout_fraction` is the share of calls to the engine during which the user's deadline passed, of these calls
and those that led to an answer."""


def reading(system: System, name: str) -> Ratio:
    """The ratio called `name`. Raises ConfigError for an unknown one."""
    if name in READINGS:
        return READINGS[name](system)
    for metric in metric_table(system).metrics:
        if metric.name == name and isinstance(metric.reading, Ratio):
            return metric.reading
    raise ConfigError(f"calibration: system {system.name} has no reading {name!r}")


@dataclass(frozen=True)
class Metric:
    """A metric over the whole recording."""

    name: str
    scale: float = 1.0

    def __call__(self, recording: Recording) -> float:
        return interval_metrics(recording.total, recording.system)[self.name] * self.scale


@dataclass(frozen=True)
class Counter:
    """A counter of a service over the whole recording."""

    service: str
    field: str
    scale: float = 1.0

    def __call__(self, recording: Recording) -> float:
        row = service_row(recording.system, self.service)
        return float(recording.total.services[self.field][row]) * self.scale


@dataclass(frozen=True)
class CacheCounter:
    """A counter over the whole recording, of all caches."""

    field: str

    def __call__(self, recording: Recording) -> float:
        return float(recording.total.services[self.field][_rows(recording.system, Cache)].sum())


@dataclass(frozen=True)
class HighestGauge:
    """The highest value of a service's field, which is read at the end of each interval."""

    service: str
    field: str

    def __call__(self, recording: Recording) -> float:
        service_row(recording.system, self.service)
        return float(recording.gauge(self.service, self.field).max())


@dataclass(frozen=True)
class Extreme:
    """The highest (or lowest) value that a reading has in any window of `window_s` within [from_s, to_s]."""

    name: str
    highest: bool
    from_s: float = 0.0
    to_s: float = math.inf
    window_s: float = MINUTE_S

    def __call__(self, recording: Recording) -> float:
        _, values = _windows(recording, self.name, self.window_s, self.from_s, self.to_s)
        return float(values.max() if self.highest else values.min())


@dataclass(frozen=True)
class Over:
    """A reading over the one window [from_s, to_s]."""

    name: str
    from_s: float
    to_s: float

    def __call__(self, recording: Recording) -> float:
        _, values = _windows(recording, self.name, self.to_s - self.from_s, self.from_s, self.to_s)
        return float(values[0])


@dataclass(frozen=True)
class RecoveryTime:
    """Recovery time in s: from `from_s` until every later window of `window_s` has a reading of at least `level`.

    A window counts from its beginning. Infinity where the last window is still below.
    """

    name: str
    level: float
    from_s: float
    window_s: float = MINUTE_S

    def __call__(self, recording: Recording) -> float:
        ends_s, values = _windows(recording, self.name, self.window_s, self.from_s, math.inf)
        below = np.flatnonzero(values < self.level)
        if not below.size:
            return 0.0
        if below[-1] == len(values) - 1:
            return math.inf
        return float(ends_s[below[-1] + 1] - self.window_s - self.from_s)


@dataclass(frozen=True)
class QuietMinutes:
    """Share of minutes in which no LLM answered a 429."""

    def __call__(self, recording: Recording) -> float:
        per_minute = round(MINUTE_S / recording.interval_s)
        refused = recording.services["rate_limited"][:, _rows(recording.system, LlmEndpoint)].sum(axis=1)
        minutes = refused[: len(refused) // per_minute * per_minute].reshape(-1, per_minute).sum(axis=1)
        return float((minutes == 0).mean())


@dataclass(frozen=True)
class LlmPercentile:
    """A percentile of LLM answers' latency over the whole recording, in s."""

    fraction: float

    def __call__(self, recording: Recording) -> float:
        histograms = recording.total.sojourn[_rows(recording.system, LlmEndpoint)]
        return percentile_s(histograms.sum(axis=0), self.fraction)


def _rows(system: System, kind: type[object]) -> list[int]:
    return [row for row, service in enumerate(system.services.values()) if isinstance(service, kind)]


def _windows(recording: Recording, name: str, window_s: float, from_s: float, to_s: float) -> tuple[Array, Array]:
    """(ends, values) of the windows that lie within [from_s, to_s]."""
    ends_s, values = recording.sliding(reading(recording.system, name), window_s)
    inside = (ends_s - window_s >= from_s - 1e-9) & (ends_s <= to_s + 1e-9)
    return ends_s[inside], values[inside]
