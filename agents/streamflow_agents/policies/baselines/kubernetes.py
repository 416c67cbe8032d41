"""The Kubernetes Horizontal Pod Autoscaler, version 2, as pure functions.

It follows `pkg/controller/podautoscaler` of kubernetes/kubernetes: `horizontal.go` here, `replica_calculator.go` in
the module of that name. Upstream's names are kept where the project has no word of its own. Upstream's unit tests are
repeated in `studies/validation/hpa_limit_cases.py` and `hpa_metric_cases.py`. `docs/guide/controllers.md` has an
example and lists what is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, model_validator

from streamflow_agents.policies.baselines.replica_calculator import (
    MetricSpec,
    Pod,
    Report,
    Tolerances,
    Total,
    cpu_state,
    replicas_for_metric,
)
from streamflow_env.system.schema import Count, Frozen, NonNegative, Positive

__all__ = [
    "AutoscalerMemory",
    "Behavior",
    "History",
    "HpaSpec",
    "MetricSpec",
    "Pod",
    "Report",
    "ScaleDownRules",
    "ScaleUpRules",
    "ScalingPolicy",
    "ScalingRules",
    "Tolerances",
    "Total",
    "cpu_state",
    "desired_replicas",
    "limit",
    "rate_limit",
    "replicas_for_metric",
    "replicas_for_metrics",
    "stabilize",
]

Window = Annotated[NonNegative, Field(le=3600.0)]


class ScalingPolicy(Frozen):
    """At most `value` pods, or `value` per cent of them, per `period_s`."""

    type: Literal["Pods", "Percent"]
    value: Count
    period_s: Annotated[Positive, Field(le=1800.0)]


class ScalingRules(Frozen):
    """What limits scaling in one direction; `select_policy` chooses among several policies."""

    policies: Annotated[tuple[ScalingPolicy, ...], Field(min_length=1)]
    select_policy: Literal["Max", "Min", "Disabled"] = "Max"
    tolerance_fraction: NonNegative | None = None


class ScaleUpRules(ScalingRules):
    """`behavior.scaleUp` with Kubernetes' defaults. Without a tolerance of its own the HPA's tolerance holds."""

    policies: Annotated[tuple[ScalingPolicy, ...], Field(min_length=1)] = (
        ScalingPolicy(type="Pods", value=4, period_s=15.0),
        ScalingPolicy(type="Percent", value=100, period_s=15.0),
    )
    stabilization_window_s: Window = 0.0


class ScaleDownRules(ScalingRules):
    """`behavior.scaleDown`, likewise. Without a window of its own the HPA's `downscale_stabilization_s` holds."""

    policies: Annotated[tuple[ScalingPolicy, ...], Field(min_length=1)] = (
        ScalingPolicy(type="Percent", value=100, period_s=15.0),
    )
    stabilization_window_s: Window | None = None


class Behavior(Frozen):
    """`spec.behavior`; the defaults are Kubernetes' own."""

    scale_up: ScaleUpRules = ScaleUpRules()
    scale_down: ScaleDownRules = ScaleDownRules()


class HpaSpec(Frozen):
    """One autoscaler. Without `behavior`, the older rules hold: the downscale window, and at most doubling."""

    min_replicas: Count
    max_replicas: Count
    metrics: Annotated[tuple[MetricSpec, ...], Field(min_length=1)]
    tolerance_fraction: NonNegative = 0.1
    downscale_stabilization_s: NonNegative = 300.0
    behavior: Behavior | None = None

    @model_validator(mode="after")
    def _check(self) -> HpaSpec:
        if self.max_replicas < self.min_replicas:
            raise ValueError(f"max_replicas {self.max_replicas} must be at least min_replicas {self.min_replicas}")
        return self

    @property
    def tolerances(self) -> Tolerances:
        """`tolerance_fraction`, unless the behavior of a direction has its own."""
        both = (None, None) if self.behavior is None else (self.behavior.scale_down, self.behavior.scale_up)
        own = (None if rules is None else rules.tolerance_fraction for rules in both)
        return Tolerances(*(self.tolerance_fraction if fraction is None else fraction for fraction in own))

    @property
    def windows_s(self) -> tuple[float, float]:
        """The stabilization windows, up and down."""
        if self.behavior is None:
            return 0.0, self.downscale_stabilization_s
        down_s = self.behavior.scale_down.stabilization_window_s
        return self.behavior.scale_up.stabilization_window_s, (
            self.downscale_stabilization_s if down_s is None else down_s
        )


@dataclass(frozen=True)
class History:
    """What an HPA remembers: (time_s, recommended replicas) and (time_s, change of replicas), oldest first."""

    recommendations: tuple[tuple[float, int], ...] = ()
    scale_events: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True)
class AutoscalerMemory:
    """What the autoscalers of one episode remember: passes so far, and by pool the size set and the history."""

    passes: int = 0
    current: Mapping[str, int] = field(default_factory=dict)
    histories: Mapping[str, History] = field(default_factory=dict)


def desired_replicas(
    spec: HpaSpec, current: int, metrics: Mapping[str, Report], history: History, time_s: float
) -> tuple[int, History]:
    """One pass of the controller: the replicas to set, and the history to hand in at the next pass.

    `current` is what is set now; `metrics` holds what is reported, by the metric's name.
    """
    past = history if history.recommendations else History(((time_s, current),), history.scale_events)
    if current == 0:
        return 0, past
    if not spec.min_replicas <= current <= spec.max_replicas:
        desired = min(max(current, spec.min_replicas), spec.max_replicas)
        return desired, _remember(spec, past, None, desired - current, time_s)
    proposal = replicas_for_metrics(spec, current, metrics)
    if proposal is None:
        return current, past
    desired = limit(spec, current, proposal, past, time_s)
    return desired, _remember(spec, past, proposal, desired - current, time_s)


def replicas_for_metrics(spec: HpaSpec, current: int, metrics: Mapping[str, Report]) -> int | None:
    """The largest of the metrics' proposals.

    None, which means no change, where all are invalid, or where some are and the others would scale down.
    """
    reports = [(metric, metrics.get(metric.name)) for metric in spec.metrics]
    proposals = [
        None if report is None else replicas_for_metric(metric, spec.tolerances, current, report)
        for metric, report in reports
    ]
    valid = [proposal for proposal in proposals if proposal is not None]
    if not valid or (len(valid) < len(proposals) and max(valid) < current):
        return None
    return max(valid)


def limit(spec: HpaSpec, current: int, proposal: int, history: History, time_s: float) -> int:
    """The proposal after the stabilization windows, the limits on the rate of change, and the bounds."""
    if spec.behavior is None:
        window_s = spec.downscale_stabilization_s
        stable = max([proposal] + [r for at, r in history.recommendations if time_s - at <= window_s])
        most = min(spec.max_replicas, max(2 * current, 4))
        return spec.min_replicas if stable < spec.min_replicas else min(stable, most)
    stable = stabilize(spec, current, proposal, history, time_s)
    if stable > current:
        allowed = max(current, rate_limit(spec.behavior.scale_up, current, history, time_s, up=True))
        return min(stable, allowed, spec.max_replicas)
    if stable < current:
        allowed = min(current, rate_limit(spec.behavior.scale_down, current, history, time_s, up=False))
        return max(stable, allowed, spec.min_replicas)
    return stable


def stabilize(spec: HpaSpec, current: int, proposal: int, history: History, time_s: float) -> int:
    """`current` brought between the lowest recommendation of the up window and the highest of the down window."""
    up_s, down_s = spec.windows_s
    lowest = min([proposal] + [r for at, r in history.recommendations if time_s - at < up_s])
    highest = max([proposal] + [r for at, r in history.recommendations if time_s - at < down_s])
    return min(max(current, lowest), highest)


def rate_limit(rules: ScalingRules, current: int, history: History, time_s: float, *, up: bool) -> int:
    """The most (up) or least (down) replicas that the policies allow, each counted from the start of its period."""
    if rules.select_policy == "Disabled":
        return current
    allowed = []
    for policy in rules.policies:
        start = current - sum(change for at, change in history.scale_events if time_s - at < policy.period_s)
        sign = 1 if up else -1
        if policy.type == "Pods":
            allowed.append(start + sign * policy.value)
        else:
            scaled = float(start) * (1 + sign * float(policy.value) / 100)
            allowed.append(math.ceil(scaled) if up else int(scaled))
    widest = max if up else min
    tightest = min if up else max
    return widest(allowed) if rules.select_policy == "Max" else tightest(allowed)


def _remember(spec: HpaSpec, past: History, proposal: int | None, change: int, time_s: float) -> History:
    """`past` with this pass added, and without what is older than every window or period."""
    recommendations, events = past.recommendations, past.scale_events
    if proposal is not None:
        window_s = max(spec.windows_s)
        kept = tuple(item for item in recommendations if time_s - item[0] <= window_s)
        recommendations = (*kept, (time_s, proposal))
    if change != 0 and spec.behavior is not None:
        both = (spec.behavior.scale_up, spec.behavior.scale_down)
        period_s = max(policy.period_s for rules in both for policy in rules.policies)
        recent = tuple(item for item in events if time_s - item[0] <= period_s)
        events = (*recent, (time_s, change))
    return History(recommendations, events)
