"""What the baselines that scale as Kubernetes does have in common: one HPA per worker pool, asked every interval."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from streamflow_agents.policies.baselines.desk import REMEMBERED_S, Cells, Desk, Rows, rows
from streamflow_agents.policies.baselines.kubernetes import (
    Behavior,
    History,
    HpaSpec,
    MetricSpec,
    Tolerances,
    Window,
    largest_proposal,
    settle,
)
from streamflow_agents.policies.baselines.parts import Part
from streamflow_env.errors import ConfigError
from streamflow_env.system import Control
from streamflow_env.system.schema import Frozen, NonNegative


class ScalingSettings(Frozen):
    """Settings of an HPA that have nothing to do with what it measures; as in Kubernetes."""

    tolerance_fraction: NonNegative = 0.1
    downscale_stabilization_s: Window = 300.0
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


_SHARED = ("tolerance_fraction", "downscale_stabilization_s")


class AutoscalerMemory(NamedTuple):
    """Passes so far; of each pool, shape (…, pools, cells), the size that was set (NaN at first) and the history."""

    passes: Cells
    current: Rows
    history: History


class Autoscaler(Part[AutoscalerMemory]):
    """An HPA sets the replicas of each pool; with `largest`, only where they are more than those already set.

    The control interval is the HPA's sync period: each HPA makes one pass per decision. Subclasses call `set_up`, and
    say what each pool's metrics propose.

    Attributes:
        specs: one HPA by pool.
    """

    def __init__(self, desk: Desk, name: str, scaling: ScalingSettings, *, largest: bool = False) -> None:
        self.specs: dict[str, HpaSpec] = {}
        self._largest = largest
        self._interval_s = desk.system.control_interval_s
        self.pools = {c.of: c for c in desk.system.controls if c.parameter == "replicas"}
        self._controls = rows(desk.control(control.name) for control in self.pools.values())
        self.ready, self._pending = (
            rows(desk.reading(f"{pool}.{state}_replicas") for pool in self.pools) for state in ("ready", "pending")
        )

        self._shared = rows(desk.number(f"{name}/{number}", getattr(scaling, number)) for number in _SHARED)

    def set_up(self, desk: Desk, specs: dict[str, HpaSpec], min_replicas: str) -> None:
        """Take `specs`, one HPA by pool; `min_replicas` is the path of a least size, with the pool as {}."""
        self.specs = specs
        memory_s = max([REMEMBERED_S, *(spec.memory_s for spec in specs.values())])
        self._slots = math.ceil(memory_s / self._interval_s) + 2
        self._least = rows(desk.number(min_replicas.format(pool), spec.min_replicas) for pool, spec in specs.items())
        self._most = np.array([[spec.max_replicas] for spec in specs.values()], dtype=np.float64)

    @abstractmethod
    def proposals(self, readings: Rows, numbers: Rows, tolerances: Tolerances, current: Rows, pending: Rows) -> Rows:
        """The replicas that each metric asks for, shape (metrics, pools, cells); NaN where the metric is invalid."""

    def check_pools(self, where: str, pools: Iterable[str]) -> None:
        """Raises ConfigError where a pool has no replicas control; `where` names the setting."""
        for pool in pools:
            if pool not in self.pools:
                known = ", ".join(self.pools)
                raise ConfigError(f"{where}.{pool}: this pool has no replicas control; these have one: {known}")

    def begin(self, num_cells: int) -> AutoscalerMemory:
        shape = (len(self.pools), num_cells)
        return AutoscalerMemory(np.zeros(num_cells), np.full(shape, np.nan), History.of(slots=self._slots, shape=shape))

    def adjust(self, settings: Rows, readings: Rows, numbers: Rows, memory: AutoscalerMemory) -> AutoscalerMemory:
        if not self.specs:
            return memory
        pending, least = readings[self._pending], np.rint(numbers[self._least])
        tolerance, window_s = numbers[self._shared]
        spec = next(iter(self.specs.values())).of_many(
            min_replicas=least,
            max_replicas=np.maximum(least, self._most),
            tolerance_fraction=tolerance,
            downscale_stabilization_s=window_s,
        )
        current = np.where(np.isnan(memory.current), readings[self.ready] + pending, memory.current)
        proposals = self.proposals(readings, numbers, spec.tolerances, current, pending)
        proposal = largest_proposal(proposals, current)
        desired, history = settle(spec, current, proposal, memory.history, memory.passes * self._interval_s)
        settings[self._controls] = np.maximum(settings[self._controls], desired) if self._largest else desired
        return AutoscalerMemory(memory.passes + 1.0, desired, history)
