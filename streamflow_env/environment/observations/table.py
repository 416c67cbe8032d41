"""What an operator can read of the system, as one table: name, unit, range, scale and how it is read off the telemetry.

The table makes the observation space, the encoding, its inverse and the documentation. It is derived from the system
by kinds of service; nothing here knows a service's name.

A measured field is normalised to [0, 1], a control's setting to [-1, 1], the time of day is (sin, cos). Scales:
`linear`: value / high · `log`: log(1 + value/knee) / log(1 + high/knee), linear below the knee and logarithmic above ·
`control`: the control table's own map. What is beyond `high` is clipped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines.telemetry import PERCENTILE_ERROR, PREMIUM, STANDARD, Telemetry
from streamflow_env.environment.accounting import ATTEMPT_ENDS, FAILURES
from streamflow_env.environment.readings import (
    NUM_PRIORITIES,
    Count,
    Percentile,
    Ratio,
    Reading,
    Readings,
    class_counts,
)
from streamflow_env.system import (
    Cache,
    CallPolicy,
    Consumer,
    Database,
    LlmEndpoint,
    RequestClass,
    Service,
    System,
    VectorIndex,
    WorkerPool,
)
from streamflow_env.system.controls import Parameter

SERVICE_P95_HIGH_S = 60.0
"""Longest 95th percentile of a service that is told apart: users are gone by then. Assumed."""
SURGE = 100.0
"""Largest rate that is told apart, in normal rates: triple load, quadrupled by retries, with room. Assumed."""
HOURS_A_DAY = 24.0
NS = 1e9

Scale = Literal["linear", "log", "control", "sin", "cos"]


@dataclass(frozen=True)
class Field:
    """One number of the observation. `whole`: a count, which decodes to a whole number."""

    name: str
    unit: str
    low: float
    high: float
    scale: Scale
    meaning: str
    reading: Reading | None = None
    knee: float = 1.0
    whole: bool = False

    @property
    def formula(self) -> str:
        """How it is read off the telemetry."""
        if self.reading is not None:
            return self.reading.formula
        return "controls" if self.scale == "control" else "episode"


class ObservationTable:
    """The fields of a system's observation: measurements, then sin and cos of the time of day, then settings.

    Attributes:
        fields: in the order of the observation.
        low, high: bounds of the encoded observation, shape (size,), float32.
    """

    def __init__(self, system: System) -> None:
        measured = list(_measured(system))
        self.fields = tuple(measured + list(_clock()) + list(_settings(system)))
        self.names = tuple(field.name for field in self.fields)
        self.size = len(self.fields)
        self._num_measured = len(measured)
        self._controls = system.control_table
        self._readings = Readings(system, [field.reading for field in measured if field.reading is not None])
        self._high = np.array([f.high for f in measured])
        self._log = np.array([f.scale == "log" for f in measured])
        self._knee = np.array([f.knee for f in measured])
        self._norm = np.log1p(self._high / self._knee)
        self._whole = np.array([f.whole for f in measured])
        self.high = np.ones(self.size, dtype=np.float32)
        self.low = np.concatenate((np.zeros(self._num_measured), -np.ones(self.size - self._num_measured)))
        self.low = self.low.astype(np.float32)

    def __len__(self) -> int:
        return self.size

    def encode(
        self, telemetry: Telemetry, time_of_day_h: float, last_action: NDArray[np.floating]
    ) -> NDArray[np.float32]:
        """The observation, shape (size,). `last_action` has shape (num_controls,), in [-1, 1]."""
        values = np.minimum(np.maximum(self._readings.evaluate(telemetry), 0.0), self._high)
        angle = 2.0 * math.pi * time_of_day_h / HOURS_A_DAY
        scaled = np.where(self._log, np.log1p(values / self._knee) / self._norm, values / self._high)
        clock = (math.sin(angle), math.cos(angle))
        action = np.minimum(np.maximum(last_action, -1.0), 1.0)
        return np.concatenate((scaled, clock, action), dtype=np.float32)

    def decode(self, observation: NDArray[np.floating]) -> dict[str, NDArray[np.float64]]:
        """Natural values by name, each of shape () or (n,), of an observation of shape (size,) or (n, size).

        `time_of_day_h` is there too, next to the sine and cosine it is read from.
        """
        encoded = np.asarray(observation, dtype=np.float64)
        measured = encoded[..., : self._num_measured]
        values = np.where(self._log, self._knee * np.expm1(measured * self._norm), measured * self._high)
        values = np.where(self._whole, np.rint(values), values)
        sine, cosine = encoded[..., self._num_measured], encoded[..., self._num_measured + 1]
        actions = encoded[..., self._num_measured + 2 :]
        settings = np.apply_along_axis(self._controls.natural, -1, actions)
        natural = np.concatenate((values, sine[..., None], cosine[..., None], settings), axis=-1)
        decoded = {name: natural[..., index] for index, name in enumerate(self.names)}
        decoded["time_of_day_h"] = np.asarray(np.arctan2(sine, cosine) / (2.0 * np.pi) * HOURS_A_DAY % HOURS_A_DAY)
        return decoded


def _measured(system: System) -> Iterator[Field]:
    for row, (name, service) in enumerate(system.services.items()):
        yield from _service(system, row, name, service)
    for row, (name, policy) in enumerate(system.calls.items()):
        yield from _call(system, row, name, policy)
    for row, (name, request_class) in enumerate(system.classes.items()):
        yield from _class(system, row, name, request_class)
    yield from _overall(system)


def _service(system: System, row: int, name: str, service: Service) -> Iterator[Field]:
    match service:
        case WorkerPool():
            yield from _pool(system, row, name, service)
        case Database():
            yield from _database(row, name, service)
        case VectorIndex():
            yield from _vector_index(row, name, service)
        case LlmEndpoint():
            yield from _llm(row, name, service)
        case Cache():
            yield from _cache(system, row, name, service)
        case Consumer():
            yield from _consumer(system, row, name, service)


def _pool(system: System, row: int, name: str, pool: WorkerPool) -> Iterator[Field]:
    read = _Row("services", row)
    replicas = _highest(system, name, "replicas", pool.replicas)
    queue = _highest(system, name, "queue_limit", pool.queue_limit)
    errors = ("queue_full", "departed", "faults", "failed")
    yield _rate(system, f"{name}.arrival_rate_rps", "requests that came", read.per_s("arrivals"))
    yield _share(f"{name}.utilisation", "workers in use", read.ratio(("busy_ns",), ("server_ns",)))
    if pool.cores_per_replica:
        yield _share(f"{name}.cpu_utilisation", "CPU cores in use", read.ratio(("cpu_busy_ns",), ("core_ns",)))
    yield _gauge(f"{name}.queue_length", "requests", queue, "waiting for a worker", read.gauge("queue_length"))
    yield _few(f"{name}.ready_replicas", "replicas", replicas, "replicas that serve", read.gauge("ready_replicas"))
    yield _few(f"{name}.pending_replicas", "replicas", replicas, "starting up", read.gauge("pending_replicas"))
    yield _share(f"{name}.error_fraction", "requests that failed here", read.ratio(errors, (*errors, "completions")))
    yield _p95(row, name)


def _database(row: int, name: str, database: Database) -> Iterator[Field]:
    read = _Row("services", row)
    limit = float(max(1, database.queue_limit))
    yield _share(f"{name}.utilisation", "connections in use", read.ratio(("busy_ns",), ("server_ns",)))
    yield _gauge(f"{name}.queue_length", "queries", limit, "waiting for a connection", read.gauge("queue_length"))
    yield _p95(row, name)


def _vector_index(row: int, name: str, index: VectorIndex) -> Iterator[Field]:
    high, knee = SURGE * index.knee_in_flight, index.knee_in_flight
    gauge = _Row("services", row).gauge("in_flight")
    yield Field(f"{name}.in_flight", "queries", 0.0, high, "log", "queries under way", gauge, knee, whole=True)
    yield _p95(row, name)


def _llm(row: int, name: str, llm: LlmEndpoint) -> Iterator[Field]:
    read, quota = _Row("services", row), float(llm.quota_per_minute)
    sent = read.counts("arrivals") + read.counts("breaker_open", weight=-1.0)
    per_min = tuple(count.times(60 * NS) for count in sent)
    tokens = Ratio(read.counts("tokens_milli", weight=1e-3))
    refused = Ratio(read.counts("rate_limited"), sent)
    rate = Ratio(per_min, per_ns=True)
    yield Field(f"{name}.tokens", "tokens", 0.0, float(llm.burst), "linear", "requests it would take at once", tokens)
    yield Field(f"{name}.requests_per_min", "1/min", 0.0, 20 * quota, "log", "requests sent", rate, quota / 10)
    yield _share(f"{name}.rate_limited_fraction", "of those, answered by a 429", refused)
    yield _p95(row, name)


def _cache(system: System, row: int, name: str, cache: Cache) -> Iterator[Field]:
    read = _Row("services", row)
    lookups = read.counts("completions") + read.counts("fills", weight=-1.0)
    oldest, keys = cache.ttl_s * (1 + cache.ttl_jitter_fraction), float(system.users.num_users)
    age = Ratio(read.counts("age_ns"), read.counts("hits", weight=NS))
    yield _share(f"{name}.hit_fraction", "lookups that hit", Ratio(read.counts("hits"), lookups, empty=1.0))
    yield _share(f"{name}.stale_fraction", "hits on entries to be invalidated", read.ratio(("stale_hits",), ("hits",)))
    sweep = read.gauge("sweep_backlog")
    yield Field(f"{name}.sweep_backlog", "keys", 0.0, keys, "log", "to be invalidated", sweep, keys / 100, whole=True)
    yield Field(f"{name}.mean_age_s", "s", 0.0, oldest, "linear", "age of the entries that hit", age)


def _consumer(system: System, row: int, name: str, consumer: Consumer) -> Iterator[Field]:
    read, limit = _Row("services", row), float(consumer.queue_limit)
    yield _gauge(f"{name}.queue_length", "events", limit, "waiting", read.gauge("queue_length"))
    yield _rate(system, f"{name}.lost_rps", "events lost to a full queue", read.per_s("lost"))


def _call(system: System, row: int, name: str, policy: CallPolicy) -> Iterator[Field]:
    """Only what the call's policy can show: no breaker, no timeout, no fallback, no retry, no field."""
    read = _Row("calls", row)
    ends = ("successes", "rate_limited", "timeouts", "queue_full")
    answers = ("successes", "fallbacks", "exhausted")
    if policy.breaker is not None:
        state = read.gauge("breaker_state")
        yield _few(f"{name}.breaker_state", "state", 2.0, "0 CLOSED, 1 OPEN, 2 HALF_OPEN", state)
    if policy.timeout_s is not None or _controls(system, name, "timeout_s"):
        yield _share(f"{name}.timeout_fraction", "attempts given up", read.ratio(("timeouts",), ends))
    if policy.fallback_quality is not None:
        yield _share(f"{name}.fallback_fraction", "calls answered by the fallback", read.ratio(("fallbacks",), answers))
    if policy.max_attempts > 1:
        yield _share(f"{name}.retry_fraction", "attempts after the first", read.ratio(("retries",), ("attempts",)))


def _class(system: System, row: int, name: str, request_class: RequestClass) -> Iterator[Field]:
    if request_class.kind == "background":
        both = tuple(Count("classes", NUM_PRIORITIES * row + p, "in_flight") for p in range(NUM_PRIORITIES))
        came = tuple(Count("classes", NUM_PRIORITIES * row + p, "attempts", NS) for p in range(NUM_PRIORITIES))
        yield _rate(system, f"{name}.attempt_rate_rps", "requests that came", Ratio(came, per_ns=True))
        yield _gauge(f"{name}.in_flight", "requests", 10_000.0, "sent and not yet ended", Ratio(both))
        return
    for priority, label in ((STANDARD, "standard"), (PREMIUM, "premium")):
        rank = NUM_PRIORITIES * row + priority
        read, where = _Row("classes", rank), f"{name}.{label}"
        yield _rate(system, f"{where}.attempt_rate_rps", "attempts that came", read.per_s("attempts"))
        yield _share(
            f"{where}.sla_fraction", "ended within the SLA", read.ratio(("within_sla",), ATTEMPT_ENDS, empty=1.0)
        )
        yield _share(f"{where}.error_fraction", "ended in an error", read.ratio(tuple(FAILURES), ATTEMPT_ENDS))
        for percent in (50, 95, 99):
            high = system.users.deadline_s * (1 + 2 * PERCENTILE_ERROR)
            reading = Percentile("response", (rank,), percent / 100)
            yield Field(f"{where}.p{percent}_s", "s", 0.0, high, "log", "response time", reading, system.sla.target_s)


def _overall(system: System) -> Iterator[Field]:
    attempts, ended = class_counts(system, "attempts"), class_counts(system, *ATTEMPT_ENDS)
    retries = Ratio(attempts + class_counts(system, "intents", weight=-1.0), attempts)
    yield _share("users.retry_fraction", "attempts that are users' retries", retries)
    for cause, meaning in FAILURES.items():
        yield _share(f"users.{cause}_fraction", f"attempts {meaning}", Ratio(class_counts(system, cause), ended))


def _clock() -> Iterator[Field]:
    yield Field("time_of_day.sin", "", -1.0, 1.0, "sin", "of 2π · hour / 24")
    yield Field("time_of_day.cos", "", -1.0, 1.0, "cos", "of 2π · hour / 24")


def _settings(system: System) -> Iterator[Field]:
    for control in system.controls:
        yield Field(f"control.{control.name}", control.unit, control.low, control.high, "control", control.meaning)


@dataclass(frozen=True)
class _Row:
    """Short ways to read one row of a record."""

    record: Literal["services", "classes", "calls"]
    row: int

    def counts(self, *fields: str, weight: float = 1.0) -> tuple[Count, ...]:
        return tuple(Count(self.record, self.row, field, weight) for field in fields)

    def gauge(self, field: str) -> Ratio:
        return Ratio(self.counts(field))

    def per_s(self, field: str) -> Ratio:
        return Ratio(self.counts(field, weight=NS), per_ns=True)

    def ratio(self, above: tuple[str, ...], below: tuple[str, ...], empty: float = 0.0) -> Ratio:
        return Ratio(self.counts(*above), self.counts(*below), empty=empty)


def _share(name: str, meaning: str, reading: Ratio) -> Field:
    return Field(name, "fraction", 0.0, 1.0, "linear", meaning, reading)


def _few(name: str, unit: str, high: float, meaning: str, reading: Ratio) -> Field:
    return Field(name, unit, 0.0, high, "linear", meaning, reading, whole=True)


def _gauge(name: str, unit: str, high: float, meaning: str, reading: Ratio) -> Field:
    return Field(name, unit, 0.0, high, "log", meaning, reading, knee=10.0, whole=True)


def _rate(system: System, name: str, meaning: str, reading: Ratio) -> Field:
    normal = max(1.0, sum(request_class.normal_rate_rps for request_class in system.classes.values()))
    return Field(name, "1/s", 0.0, SURGE * normal, "log", meaning, reading, knee=normal / 30)


def _p95(row: int, name: str) -> Field:
    reading = Percentile("sojourn", (row,), 0.95)
    return Field(f"{name}.p95_s", "s", 0.0, SERVICE_P95_HIGH_S, "log", "sojourn time", reading, knee=0.05)


def _controls(system: System, of: str, parameter: Parameter) -> list[float]:
    """The highest values of the controls that set `parameter` of `of`: one, or none."""
    return [c.high for c in system.controls if c.of == of and c.parameter == parameter]


def _highest(system: System, of: str, parameter: Parameter, found: float) -> float:
    return float(max([1.0, found, *_controls(system, of, parameter)]))
