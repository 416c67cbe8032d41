"""Scaling on the requests in a pool, waiting or served, as KEDA does it: an HPA on an external metric.

KEDA (kedacore/keda-docs, `scaledobject-spec.md`) makes an HPA and gives it one number for the whole pool. The HPA
scales by `total_average_value`, so that each replica has `target_in_flight_fraction` requests per worker. CPU use lags
behind a queue; the number of requests does not.

KEDA's `pollingInterval` and `cooldownPeriod` are only about scaling from and to zero replicas. A pool here always has
a replica, so they are not settings. The HPA asks for the number at every pass.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from streamflow_agents.policies.baselines.autoscaler import AutoscalerBaseline, ScalingSettings
from streamflow_agents.policies.baselines.kubernetes import MetricSpec, Total
from streamflow_env.environment.observations import ObservationTable
from streamflow_env.system import System
from streamflow_env.system.schema import Count, Positive, Text

IN_FLIGHT = "in_flight"
DIGITS = 3
"""KEDA hands over its number with three decimals, the last one rounded (`quantityFromFloat64` of its scalers)."""


class KedaSettings(ScalingSettings):
    """`target_in_flight_fraction`: requests waiting or served, as a share of a replica's workers. `min_replicas` by
    pool, 1 where it is not given."""

    target_in_flight_fraction: Positive
    min_replicas: dict[Text, Count] = Field(default_factory=dict)


class KedaBaseline(AutoscalerBaseline):
    """Scaling by requests in flight.

    Raises:
        ConfigError: a setting is of a control or a pool that the system lacks.
    """

    def __init__(
        self, system: System, table: ObservationTable, keda: KedaSettings, settings: Mapping[str, float] | None = None
    ) -> None:
        super().__init__(system, table, settings)
        self.check_pools("min_replicas", keda.min_replicas)
        self._workers = {name: pool.workers_per_replica for name, pool in system.pools()}
        self.specs = {
            pool: keda.spec(control, keda.min_replicas.get(pool, 1), None, (self._metric(keda, pool),))
            for pool, control in self.replica_controls.items()
        }

    def _metric(self, keda: KedaSettings, pool: str) -> MetricSpec:
        target = keda.target_in_flight_fraction * self._workers[pool]
        return MetricSpec(name=IN_FLIGHT, type="total_average_value", target=target)

    def reports(self, pool: str, readings: Mapping[str, float], ready: int, pending: int) -> dict[str, Total]:
        busy = readings[f"{pool}.utilisation"] * ready * self._workers[pool]
        return {IN_FLIGHT: Total(round(busy + readings[f"{pool}.queue_length"], DIGITS), ready)}
