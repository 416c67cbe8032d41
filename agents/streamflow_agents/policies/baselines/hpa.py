"""Autoscaling as is usual in practice: one Kubernetes HPA per worker pool; all other controls are fixed."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from streamflow_agents.policies.baselines.autoscaler import Autoscaler, ScalingSettings
from streamflow_agents.policies.baselines.desk import Desk, Rows, rows
from streamflow_agents.policies.baselines.kubernetes import HpaSpec, MetricSpec, Pod, Tolerances, replicas_for_metric
from streamflow_env.errors import ConfigError
from streamflow_env.system import Control
from streamflow_env.system.schema import Count, Frozen, Number, Text

NAME = "hpa"
UTILISATION = MetricSpec(name="utilisation", target=1.0)
"""The kind of all metrics here."""
Target = Annotated[Number, Field(ge=0.01, le=1)]
"""A share; at least 1 %, which is Kubernetes' least."""
Targets = dict[Text, Target]


class PoolSettings(Frozen):
    """Settings of one pool. By default its bounds are its default replicas and the top of the control's range, and its
    targets are the common ones."""

    min_replicas: Count | None = None
    max_replicas: Count | None = None
    targets: Targets | None = Field(default=None, min_length=1)


class HpaSettings(ScalingSettings):
    """`targets` by the name of a pool's reading, such as `utilisation`."""

    targets: Targets = Field(min_length=1)
    pools: dict[Text, PoolSettings] = Field(default_factory=dict)


class Hpa(Autoscaler):
    """Scaling by utilisation. Each ready replica reports its pool's mean; a pending replica is a pod that starts up.

    Raises:
        ConfigError: a setting is of a pool that the system lacks, or no target is observed of a pool.
    """

    def __init__(self, desk: Desk, hpa: HpaSettings, *, largest: bool = False) -> None:
        super().__init__(desk, NAME, hpa, largest=largest)
        self.check_pools("pools", hpa.pools)
        default = dict(zip(desk.system.control_table.names, desk.system.control_table.default, strict=True))
        specs = {p: _spec(desk, p, control, hpa, int(default[control.name])) for p, control in self.pools.items()}
        self.set_up(desk, specs, f"{NAME}/pools/{{}}/min_replicas")
        most = max((len(spec.metrics) for spec in specs.values()), default=0)
        padded = [[(pool, _repeated(spec, row)) for pool, spec in specs.items()] for row in range(most)]
        self._shares = np.array([rows(desk.reading(f"{pool}.{m.name}") for pool, m in row) for row in padded])
        self._targets = np.array([rows(desk.number(_path(hpa, p, m.name), m.target) for p, m in row) for row in padded])

    def proposals(self, readings: Rows, numbers: Rows, tolerances: Tolerances, current: Rows, pending: Rows) -> Rows:
        metric = UTILISATION.of_many(numbers[self._targets])
        pods = (Pod(readings[self._shares], number=readings[self.ready]), Pod(None, "pending", number=pending))
        return replicas_for_metric(metric, tolerances, current, pods)


def _repeated(spec: HpaSpec, number: int) -> MetricSpec:
    """The metric of this number; a pool with fewer metrics has one of them again, which changes no maximum."""
    return spec.metrics[number % len(spec.metrics)]


def _spec(desk: Desk, pool: str, control: Control, hpa: HpaSettings, default: int) -> HpaSpec:
    own = hpa.pools.get(pool, PoolSettings())
    targets = own.targets or hpa.targets
    names = [name for name in targets if desk.has_reading(f"{pool}.{name}")]
    if not names:
        raise ConfigError(f"targets {', '.join(targets)}: the observation has none of them for {pool}")
    metrics = tuple(MetricSpec(name=name, target=targets[name]) for name in names)
    return hpa.spec(control, own.min_replicas or default, own.max_replicas, metrics)


def _path(hpa: HpaSettings, pool: str, metric: str) -> str:
    """The path of a target: the pool's own, or the common one."""
    own = hpa.pools.get(pool, PoolSettings()).targets
    return f"{NAME}/pools/{pool}/targets/{metric}" if own else f"{NAME}/targets/{metric}"
