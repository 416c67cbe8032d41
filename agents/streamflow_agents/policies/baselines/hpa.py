"""Autoscaling as is usual in practice: one Kubernetes HPA per worker pool; all other controls are fixed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from streamflow_agents.policies.baselines.baseline import Baseline
from streamflow_agents.policies.baselines.kubernetes import (
    AutoscalerMemory,
    Behavior,
    History,
    HpaSpec,
    MetricSpec,
    Pod,
    desired_replicas,
)
from streamflow_env.environment.observations import ObservationTable
from streamflow_env.errors import ConfigError
from streamflow_env.system import Control, System
from streamflow_env.system.schema import Count, Fraction, Frozen, NonNegative, Text

Targets = dict[Text, Fraction]


class PoolSettings(Frozen):
    """Settings of one pool. By default its bounds are its default replicas and the top of the control's range, and its
    targets are the common ones."""

    min_replicas: Count | None = None
    max_replicas: Count | None = None
    targets: Targets | None = Field(default=None, min_length=1)


class HpaSettings(Frozen):
    """`targets` by the name of a pool's reading, such as `utilisation`; the rest is as in Kubernetes."""

    targets: Targets = Field(min_length=1)
    tolerance_fraction: NonNegative = 0.1
    downscale_stabilization_s: NonNegative = 300.0
    behavior: Behavior | None = None
    pools: dict[Text, PoolSettings] = Field(default_factory=dict)


class HpaBaseline(Baseline[AutoscalerMemory]):
    """An HPA sets the replicas of each pool; the other controls are at `settings`, or at their defaults.

    Each ready replica reports its pool's mean, as the observation gives it; a pending replica is a pod that starts up.

    Raises:
        ConfigError: a setting is of a control or a pool that the system lacks, or no target is observed of a pool.
    """

    def __init__(
        self, system: System, table: ObservationTable, hpa: HpaSettings, settings: Mapping[str, float] | None = None
    ) -> None:
        super().__init__(system, table)
        self.settings = self.controls.with_values(**(settings or {}))
        self.replica_controls = {c.of: c for c in system.controls if c.parameter == "replicas"}
        for pool in hpa.pools:
            if pool not in self.replica_controls:
                known = ", ".join(self.replica_controls)
                raise ConfigError(f"pools.{pool}: this pool has no replicas control; these have one: {known}")
        self.specs = {pool: self._spec(pool, control, hpa) for pool, control in self.replica_controls.items()}

    def _spec(self, pool: str, control: Control, hpa: HpaSettings) -> HpaSpec:
        own = hpa.pools.get(pool, PoolSettings())
        targets = own.targets or hpa.targets
        names = [name for name in targets if f"{pool}.{name}" in self.table.names]
        if not names:
            raise ConfigError(f"targets {', '.join(targets)}: the observation has none of them for {pool}")
        index = self.controls.names.index(control.name)
        smallest = own.min_replicas or int(self.controls.default[index])
        return HpaSpec(
            min_replicas=smallest,
            max_replicas=max(smallest, own.max_replicas or int(control.high)),
            metrics=tuple(MetricSpec(name=name, target=targets[name]) for name in names),
            tolerance_fraction=hpa.tolerance_fraction,
            downscale_stabilization_s=hpa.downscale_stabilization_s,
            behavior=hpa.behavior,
        )

    def decide(
        self, readings: Mapping[str, float], memory: AutoscalerMemory | None
    ) -> tuple[NDArray[np.float64], AutoscalerMemory]:
        past = memory or AutoscalerMemory()
        time_s = past.passes * self.system.control_interval_s
        current, histories, settings = {}, {}, self.settings.copy()
        for pool, spec in self.specs.items():
            ready, pending = (int(readings[f"{pool}.{state}_replicas"]) for state in ("ready", "pending"))
            metrics = {m.name: _pods(readings[f"{pool}.{m.name}"], ready, pending) for m in spec.metrics}
            now, history = past.current.get(pool, ready + pending), past.histories.get(pool, History())
            current[pool], histories[pool] = desired_replicas(spec, now, metrics, history, time_s)
            settings[self.controls.names.index(self.replica_controls[pool].name)] = current[pool]
        return settings, AutoscalerMemory(past.passes + 1, current, histories)


def _pods(reading: float, ready: int, pending: int) -> tuple[Pod, ...]:
    return (Pod(reading),) * ready + (Pod(None, "pending"),) * pending
