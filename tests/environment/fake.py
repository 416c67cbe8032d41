"""A fake engine: plausible random telemetry that balances, made in microseconds. And telemetry made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines.telemetry import (
    CALL,
    CLASS,
    NUM_BUCKETS,
    SERVICE,
    Telemetry,
)
from streamflow_env.environment.accounting import ATTEMPT_ENDS, SERVICE_ENDS
from streamflow_env.episode import Episode
from streamflow_env.system import Cache, System, WorkerPool

NS = 10**9


def empty_telemetry(system: System) -> Telemetry:
    """An interval in which nothing happened, under the default controls, replicas and memory."""
    interval_ns = round(system.control_interval_s * NS)
    services = np.zeros(len(system.services), SERVICE)
    for row, service in enumerate(system.services.values()):
        if isinstance(service, WorkerPool):
            services["ready_replicas"][row] = service.replicas
            services["replica_ns"][row] = service.replicas * interval_ns
            services["server_ns"][row] = service.replicas * service.workers_per_replica * interval_ns
        elif isinstance(service, Cache):
            services["memory_ns"][row] = service.memory_entries * interval_ns
    return Telemetry(
        start_ns=0,
        end_ns=interval_ns,
        services=services,
        classes=np.zeros((len(system.classes), 2), CLASS),
        calls=np.zeros(len(system.calls), CALL),
        sojourn=np.zeros((len(system.services), NUM_BUCKETS), np.int32),
        response=np.zeros((len(system.classes), 2, NUM_BUCKETS), np.int32),
        controls=system.control_table.default.copy(),
    )


class FakeEngine:
    """Implements the Engine protocol with random numbers that depend on the episode's seed and the controls."""

    def __init__(self, system: System, *, scale: int = 200) -> None:
        self._system = system
        self._scale = scale
        self._random = np.random.default_rng(0)
        self._now_ns = 0
        self._last: Telemetry | None = None

    def reset(self, episode: Episode) -> Telemetry:
        self._random = np.random.default_rng(episode.seed)
        self._now_ns = round(max(self._system.warmup_s - self._system.control_interval_s, 0) * NS)
        self._last = None
        return self._interval(self._system.control_table.default)

    def step(self, controls: NDArray[np.float64]) -> Telemetry:
        return self._interval(controls)

    def _interval(self, controls: NDArray[np.float64]) -> Telemetry:
        start_ns, self._now_ns = self._now_ns, self._now_ns + round(self._system.control_interval_s * NS)
        services = self._records(SERVICE, (len(self._system.services),))
        classes = self._records(CLASS, (len(self._system.classes), 2))
        services["busy_ns"] = (services["server_ns"] * self._random.random(len(services))).astype(np.int64)
        services["lookups"], services["hits"] = services["completions"] // 2, services["completions"] // 3
        services["item_hits"] = services["item_lookups"] // 2
        services["fills"] = services["completions"] // 4
        services["duplicate_fills"], services["stale_hits"] = services["fills"] // 4, services["hits"] // 8
        services["stale_reads"], services["lost"] = services["completions"] // 9, services["enriched"]
        services["core_ns"] = services["server_ns"]
        services["cpu_busy_ns"] = services["busy_ns"]
        services["rate_limited"] = services["breaker_open"] = services["completions"] // 10
        last_services = self._last.services["in_flight"] if self._last else 0
        last_classes = self._last.classes["in_flight"] if self._last else 0
        services["arrivals"] = sum(services[name] for name in SERVICE_ENDS) + services["in_flight"] - last_services
        ended = np.sum([classes[name] for name in ATTEMPT_ENDS], axis=0)
        classes["attempts"] = ended + classes["in_flight"] - last_classes
        services["in_flight"] += np.maximum(0, -services["arrivals"])
        services["arrivals"] = np.maximum(0, services["arrivals"])
        classes["in_flight"] += np.maximum(0, -classes["attempts"])
        classes["attempts"] = np.maximum(0, classes["attempts"])
        classes["intents"] = classes["attempts"] * 4 // 5
        classes["quality_milli"] = (classes["within_sla"] + classes["late"]) * 900
        calls = self._records(CALL, (len(self._system.calls),))
        calls["breaker_state"] = self._random.integers(0, 3, len(calls))
        calls["retries"] = calls["attempts"] // 3
        self._last = Telemetry(
            start_ns=start_ns,
            end_ns=self._now_ns,
            services=services,
            classes=classes,
            calls=calls,
            sojourn=self._histograms(services["completions"]),
            response=self._histograms(ended),
            controls=np.array(controls, dtype=np.float64),
        )
        return self._last

    def _records(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        records = np.zeros(shape, dtype)
        for name in dtype.names or ():
            high = self._scale * (NS if name.endswith("_ns") else 1)
            records[name] = self._random.integers(0, max(1, high), shape)
        return records

    def _histograms(self, counts: NDArray[np.int64]) -> NDArray[np.int32]:
        histograms = np.zeros((*counts.shape, NUM_BUCKETS), np.int32)
        for place in np.ndindex(counts.shape):
            buckets = self._random.integers(150, 480, counts[place])
            histograms[place] = np.bincount(buckets, minlength=NUM_BUCKETS)
        return histograms
