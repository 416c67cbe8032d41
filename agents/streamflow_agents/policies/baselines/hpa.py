"""Autoscaling as is usual in practice: one Kubernetes HPA per worker pool; all other controls are fixed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from streamflow_agents.policies.baselines.autoscaler import AutoscalerBaseline, ScalingSettings
from streamflow_agents.policies.baselines.kubernetes import HpaSpec, MetricSpec, Pod
from streamflow_env.environment.observations import ObservationTable
from streamflow_env.errors import ConfigError
from streamflow_env.system import Control, System
from streamflow_env.system.schema import Count, Frozen, Number, Text

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


class HpaBaseline(AutoscalerBaseline):
    """Scaling by utilisation. Each ready replica reports its pool's mean; a pending replica is a pod that starts up.

    Raises:
        ConfigError: a setting is of a control or a pool that the system lacks, or no target is observed of a pool.
    """

    def __init__(
        self, system: System, table: ObservationTable, hpa: HpaSettings, settings: Mapping[str, float] | None = None
    ) -> None:
        super().__init__(system, table, settings)
        self.check_pools("pools", hpa.pools)
        self.specs = {pool: self._spec(pool, control, hpa) for pool, control in self.replica_controls.items()}

    def _spec(self, pool: str, control: Control, hpa: HpaSettings) -> HpaSpec:
        own = hpa.pools.get(pool, PoolSettings())
        targets = own.targets or hpa.targets
        names = [name for name in targets if f"{pool}.{name}" in self.table.names]
        if not names:
            raise ConfigError(f"targets {', '.join(targets)}: the observation has none of them for {pool}")
        smallest = own.min_replicas or int(self.controls.default[self.controls.names.index(control.name)])
        metrics = tuple(MetricSpec(name=name, target=targets[name]) for name in names)
        return hpa.spec(control, smallest, own.max_replicas, metrics)

    def reports(self, pool: str, readings: Mapping[str, float], ready: int, pending: int) -> dict[str, tuple[Pod, ...]]:
        starting = (Pod(None, "pending"),) * pending
        return {m.name: (Pod(readings[f"{pool}.{m.name}"]),) * ready + starting for m in self.specs[pool].metrics}
