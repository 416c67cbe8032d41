"""Scaling on the requests in a pool, waiting or served, as KEDA does it: an HPA on an external metric.

KEDA (kedacore/keda-docs, `scaledobject-spec.md`) makes an HPA and gives it one number for the whole pool. The HPA
scales by `total_average_value`, so that each replica has `target_in_flight_fraction` requests per worker. CPU use lags
behind a queue; the number of requests does not.

KEDA's `pollingInterval` and `cooldownPeriod` are only about scaling from and to zero replicas. A pool here always has
a replica, so they are not settings. The HPA asks for the number at every pass.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from streamflow_agents.policies.baselines.autoscaler import Autoscaler, ScalingSettings
from streamflow_agents.policies.baselines.desk import Desk, Rows, rows
from streamflow_agents.policies.baselines.kubernetes import MetricSpec, Tolerances, Total, replicas_for_metric
from streamflow_env.system.schema import Count, Positive, Text

NAME = "keda"
IN_FLIGHT = "in_flight"
DIGITS = 3
"""KEDA hands over its number with three decimals, the last one rounded (`quantityFromFloat64` of its scalers)."""


class KedaSettings(ScalingSettings):
    """`target_in_flight_fraction`: requests waiting or served, as a share of a replica's workers. `min_replicas` by
    pool, 1 where it is not given."""

    target_in_flight_fraction: Positive
    min_replicas: dict[Text, Count] = Field(default_factory=dict)


class Keda(Autoscaler):
    """Scaling by requests in flight.

    Raises:
        ConfigError: a setting is of a pool that the system lacks.
    """

    def __init__(self, desk: Desk, keda: KedaSettings) -> None:
        super().__init__(desk, NAME, keda)
        self.check_pools("min_replicas", keda.min_replicas)
        workers = {name: pool.workers_per_replica for name, pool in desk.system.pools()}
        self._workers = np.array([[workers[pool]] for pool in self.pools], dtype=np.float64)
        self._metric = MetricSpec(name=IN_FLIGHT, type="total_average_value", target=keda.target_in_flight_fraction)
        specs = {
            pool: keda.spec(control, keda.min_replicas.get(pool, 1), None, (self._metric,))
            for pool, control in self.pools.items()
        }
        self.set_up(desk, specs, f"{NAME}/min_replicas/{{}}")
        self._target = desk.number(f"{NAME}/target_in_flight_fraction", keda.target_in_flight_fraction)
        self._shares = rows(desk.reading(f"{pool}.utilisation") for pool in self.pools)
        self._queues = rows(desk.reading(f"{pool}.queue_length") for pool in self.pools)

    def proposals(self, readings: Rows, numbers: Rows, tolerances: Tolerances, current: Rows, pending: Rows) -> Rows:
        ready = readings[self.ready]
        busy = readings[self._shares] * ready * self._workers
        metric = self._metric.of_many(numbers[self._target] * self._workers)
        total = Total(np.round(busy + readings[self._queues], DIGITS), ready)
        return replicas_for_metric(metric, tolerances, current, total)[None]
