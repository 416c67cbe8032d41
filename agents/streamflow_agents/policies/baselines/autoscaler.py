"""What the baselines that scale as Kubernetes does have in common: one HPA per worker pool, asked every interval."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from streamflow_agents.policies.baselines.baseline import Baseline
from streamflow_agents.policies.baselines.kubernetes import (
    AutoscalerMemory,
    Behavior,
    History,
    HpaSpec,
    MetricSpec,
    Report,
    desired_replicas,
)
from streamflow_env.environment.observations import ObservationTable
from streamflow_env.errors import ConfigError
from streamflow_env.system import Control, System
from streamflow_env.system.schema import Frozen, NonNegative


class ScalingSettings(Frozen):
    """Settings of an HPA that have nothing to do with what it measures; as in Kubernetes."""

    tolerance_fraction: NonNegative = 0.1
    downscale_stabilization_s: NonNegative = 300.0
    behavior: Behavior | None = None

    def spec(self, control: Control, smallest: int, largest: int | None, metrics: tuple[MetricSpec, ...]) -> HpaSpec:
        """The HPA of the pool of `control`; without `largest` the top of the control's range."""
        return HpaSpec(
            min_replicas=smallest,
            max_replicas=max(smallest, largest or int(control.high)),
            metrics=metrics,
            tolerance_fraction=self.tolerance_fraction,
            downscale_stabilization_s=self.downscale_stabilization_s,
            behavior=self.behavior,
        )


class AutoscalerBaseline(Baseline[AutoscalerMemory]):
    """An HPA sets the replicas of each pool; the other controls are at `settings`, or at their defaults.

    The control interval is the HPA's sync period: each HPA makes one pass per decision. Subclasses fill `specs`, one
    HPA by pool, and say what each measures.
    """

    specs: Mapping[str, HpaSpec]

    def __init__(self, system: System, table: ObservationTable, settings: Mapping[str, float] | None = None) -> None:
        super().__init__(system, table)
        self.settings = self.controls.with_values(**(settings or {}))
        self.replica_controls = {c.of: c for c in system.controls if c.parameter == "replicas"}

    @abstractmethod
    def reports(self, pool: str, readings: Mapping[str, float], ready: int, pending: int) -> Mapping[str, Report]:
        """What is measured of a pool with so many replicas, by the metric's name."""

    def check_pools(self, where: str, pools: Iterable[str]) -> None:
        """Raises ConfigError where a pool has no replicas control; `where` names the setting."""
        for pool in pools:
            if pool not in self.replica_controls:
                known = ", ".join(self.replica_controls)
                raise ConfigError(f"{where}.{pool}: this pool has no replicas control; these have one: {known}")

    def decide(
        self, readings: Mapping[str, float], memory: AutoscalerMemory | None
    ) -> tuple[NDArray[np.float64], AutoscalerMemory]:
        past = memory or AutoscalerMemory()
        time_s = past.passes * self.system.control_interval_s
        current, histories, settings = {}, {}, self.settings.copy()
        for pool, spec in self.specs.items():
            ready, pending = (int(readings[f"{pool}.{state}_replicas"]) for state in ("ready", "pending"))
            metrics = self.reports(pool, readings, ready, pending)
            now, history = past.current.get(pool, ready + pending), past.histories.get(pool, History())
            current[pool], histories[pool] = desired_replicas(spec, now, metrics, history, time_s)
            settings[self.controls.names.index(self.replica_controls[pool].name)] = current[pool]
        return settings, AutoscalerMemory(past.passes + 1, current, histories)
