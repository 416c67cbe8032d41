"""Scaling on the requests in a pool, waiting or served, as KEDA does it: an HPA on external metrics, polled every 30 s.

KEDA (kedacore/keda-docs, `scaledobject-spec.md`) hands the HPA one number for the whole pool. The HPA then scales by
`total_average_value`, so that each replica has `target_in_flight_fraction` requests per worker. CPU use lags behind a
queue; the number of requests does not.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from streamflow_agents.policies.baselines.baseline import Baseline
from streamflow_agents.policies.baselines.kubernetes import (
    AutoscalerMemory,
    History,
    HpaSpec,
    MetricSpec,
    Total,
    desired_replicas,
)
from streamflow_env.environment.observations import ObservationTable
from streamflow_env.system import System, WorkerPool
from streamflow_env.system.schema import Count, Frozen, Positive, Text

IN_FLIGHT = "in_flight"


class KedaSettings(Frozen):
    """`target_in_flight_fraction`: requests waiting or served, as a share of a replica's workers; pools may differ."""

    target_in_flight_fraction: Positive
    polling_s: Positive = 30.0
    cooldown_s: Positive = 300.0
    tolerance_fraction: Positive = 0.1
    min_replicas: dict[Text, Count] = Field(default_factory=dict)


class KedaBaseline(Baseline[AutoscalerMemory]):
    """A ScaledObject sets the replicas of each worker pool; other controls are at `settings`, or at their defaults."""

    def __init__(
        self, system: System, table: ObservationTable, keda: KedaSettings, settings: Mapping[str, float] | None = None
    ) -> None:
        super().__init__(system, table)
        self.settings = self.controls.with_values(**(settings or {}))
        self._every = max(1, round(keda.polling_s / system.control_interval_s))
        self._pools: dict[str, tuple[int, int, HpaSpec]] = {}
        for index, control in enumerate(system.controls):
            pool = system.services.get(control.of)
            if control.parameter == "replicas" and isinstance(pool, WorkerPool):
                target = keda.target_in_flight_fraction * pool.workers_per_replica
                spec = HpaSpec(
                    min_replicas=keda.min_replicas.get(control.of, 1),
                    max_replicas=int(control.high),
                    metrics=(MetricSpec(name=IN_FLIGHT, type="total_average_value", target=target),),
                    tolerance_fraction=keda.tolerance_fraction,
                    downscale_stabilization_s=keda.cooldown_s,
                )
                self._pools[control.of] = index, pool.workers_per_replica, spec

    def decide(
        self, readings: Mapping[str, float], memory: AutoscalerMemory | None
    ) -> tuple[NDArray[np.float64], AutoscalerMemory]:
        past = memory or AutoscalerMemory()
        settings, current, histories = self.settings.copy(), dict(past.current), dict(past.histories)
        time_s = past.passes * self.system.control_interval_s
        for pool, (index, workers, spec) in self._pools.items():
            ready = int(readings[f"{pool}.ready_replicas"])
            now = current.get(pool, ready + int(readings[f"{pool}.pending_replicas"]))
            if past.passes % self._every == 0:
                busy = readings[f"{pool}.utilisation"] * ready * workers
                report = {IN_FLIGHT: Total(busy + readings[f"{pool}.queue_length"], ready)}
                now, histories[pool] = desired_replicas(spec, now, report, histories.get(pool, History()), time_s)
            current[pool] = now
            settings[index] = now
        return settings, AutoscalerMemory(past.passes + 1, current, histories)
