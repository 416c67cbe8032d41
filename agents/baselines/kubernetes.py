"""The Kubernetes Horizontal Pod Autoscaler, version 2, as pure functions.

Written after kubernetes/kubernetes `pkg/controller/podautoscaler` (`replica_calculator.go`, `horizontal.go`), whose
names are kept where the project has no word of its own; its unit tests are repeated in `tests/agents/test_hpa.py`.
Quantities are kept as whole thousandths, as upstream does, so that its integer divisions come out the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from streamflow_env.system.schema import Count, Frozen, NonNegative, Positive, Text

MILLI = 1000


class ScalingPolicy(Frozen):
    """At most `value` pods, or `value` per cent of them, per `period_s`."""

    type: Literal["Pods", "Percent"]
    value: Count
    period_s: Positive


class ScalingRules(Frozen):
    """What limits scaling in one direction: of several policies the one that `select_policy` says."""

    policies: Annotated[tuple[ScalingPolicy, ...], Field(min_length=1)]
    stabilization_window_s: NonNegative
    select_policy: Literal["Max", "Min", "Disabled"] = "Max"


SCALE_UP = ScalingRules(
    policies=(
        ScalingPolicy(type="Pods", value=4, period_s=15.0),
        ScalingPolicy(type="Percent", value=100, period_s=15.0),
    ),
    stabilization_window_s=0.0,
)
SCALE_DOWN = ScalingRules(
    policies=(ScalingPolicy(type="Percent", value=100, period_s=15.0),), stabilization_window_s=300.0
)


class Behavior(Frozen):
    """`spec.behavior`; the defaults are Kubernetes' own."""

    scale_up: ScalingRules = SCALE_UP
    scale_down: ScalingRules = SCALE_DOWN


class MetricSpec(Frozen):
    """One metric of an HPA.

    `utilization`: the pods' summed use over their summed requests, a share; pods that are not ready are set aside.
    `average_value`: the mean over the pods that report; readiness does not matter to it.
    """

    name: Text
    type: Literal["utilization", "average_value"] = "utilization"
    target: Positive

    @model_validator(mode="after")
    def _check(self) -> MetricSpec:
        if self.type == "utilization" and self.target < 0.01:
            raise ValueError(f"target {self.target} of a utilization must be at least 0.01")
        return self


class HpaSpec(Frozen):
    """One autoscaler. Without `behavior`, the downscale window and the doubling rule of old hold."""

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


@dataclass(frozen=True)
class Pod:
    """What one pod reports of one metric: `value` in the metric's unit, None where the report is missing."""

    value: float | None
    state: Literal["ready", "unready", "pending"] = "ready"
    request: float = 1.0


@dataclass(frozen=True)
class History:
    """What an HPA remembers: (time_s, recommended replicas) and (time_s, change of replicas), oldest first."""

    recommendations: tuple[tuple[float, int], ...] = ()
    scale_events: tuple[tuple[float, int], ...] = ()


def desired_replicas(
    spec: HpaSpec, current: int, metrics: Mapping[str, Sequence[Pod]], history: History, time_s: float
) -> tuple[int, History]:
    """One pass of the controller: the replicas to set, and the history to hand in at the next pass.

    `current` is what is set now; `metrics` holds the pods' reports by the metric's name.
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


def replicas_for_metrics(spec: HpaSpec, current: int, metrics: Mapping[str, Sequence[Pod]]) -> int | None:
    """The largest of the metrics' proposals; None (do nothing) where all are invalid, or some and it would be down."""
    proposals = [
        replicas_for_metric(m, spec.tolerance_fraction, current, metrics.get(m.name, ())) for m in spec.metrics
    ]
    valid = [proposal for proposal in proposals if proposal is not None]
    if not valid or (len(valid) < len(proposals) and max(valid) < current):
        return None
    return max(valid)


def replicas_for_metric(metric: MetricSpec, tolerance: float, current: int, pods: Sequence[Pod]) -> int | None:
    """What one metric asks for; None where no ready pod reports it."""
    by_utilization = metric.type == "utilization"
    groups = [_group(pod, by_utilization) for pod in pods]
    ready, unready, missing = ([p for p, g in zip(pods, groups, strict=True) if g == n] for n in _GROUPS)
    ratio = _usage_ratio(metric, ready)
    if ratio is None:
        return None
    up_with_unready = bool(unready) and ratio > 1.0
    if not up_with_unready and not missing:
        return current if _within(ratio, tolerance) else math.ceil(ratio * len(ready))
    counted = list(ready)
    if ratio < 1.0:
        counted += [Pod(_assumed(metric, pod), request=pod.request) for pod in missing]
    elif ratio > 1.0 or not by_utilization:
        counted += [Pod(0.0, request=pod.request) for pod in missing]
    if up_with_unready:
        counted += [Pod(0.0, request=pod.request) for pod in unready]
    new_ratio = _usage_ratio(metric, counted) or 0.0
    if _within(new_ratio, tolerance) or (ratio < 1.0 < new_ratio) or (new_ratio < 1.0 < ratio):
        return current
    proposal = math.ceil(new_ratio * len(counted))
    if (new_ratio < 1.0 and proposal > current) or (new_ratio > 1.0 and proposal < current):
        return current
    return proposal


_GROUPS = ("ready", "unready", "missing")


def _group(pod: Pod, by_utilization: bool) -> str:
    if pod.state == "pending":
        return "unready"
    if pod.value is None:
        return "missing"
    return "unready" if by_utilization and pod.state == "unready" else "ready"


def _within(ratio: float, tolerance: float) -> bool:
    return abs(1.0 - ratio) <= tolerance


def _assumed(metric: MetricSpec, pod: Pod) -> float:
    """The report of a pod that makes none, on the way down: all that it requests, or the target if that is more."""
    return max(1.0, metric.target) * pod.request if metric.type == "utilization" else metric.target


def _usage_ratio(metric: MetricSpec, pods: Sequence[Pod]) -> float | None:
    """Use over target; the utilisation is cut to whole hundredths, an average to whole thousandths."""
    used = sum(round(MILLI * pod.value) for pod in pods if pod.value is not None)
    if metric.type == "average_value":
        return float(used // len(pods)) / round(MILLI * metric.target) if pods else None
    requested = sum(round(MILLI * pod.request) for pod in pods)
    return float(used * 100 // requested) / round(100 * metric.target) if requested > 0 else None


def limit(spec: HpaSpec, current: int, proposal: int, history: History, time_s: float) -> int:
    """The proposal after the stabilization windows, the limits on the rate of change, and the bounds."""
    if spec.behavior is None:
        window_s = spec.downscale_stabilization_s
        stable = max([proposal] + [r for at, r in history.recommendations if time_s - at <= window_s])
        most = min(spec.max_replicas, max(2 * current, 4))
        return spec.min_replicas if stable < spec.min_replicas else min(stable, most)
    stable = stabilize(spec.behavior, current, proposal, history, time_s)
    if stable > current:
        allowed = max(current, rate_limit(spec.behavior.scale_up, current, history, time_s, up=True))
        return min(stable, allowed, spec.max_replicas)
    if stable < current:
        allowed = min(current, rate_limit(spec.behavior.scale_down, current, history, time_s, up=False))
        return max(stable, allowed, spec.min_replicas)
    return stable


def stabilize(behavior: Behavior, current: int, proposal: int, history: History, time_s: float) -> int:
    """`current` brought between the lowest recommendation of the up window and the highest of the down window."""
    up_s, down_s = behavior.scale_up.stabilization_window_s, behavior.scale_down.stabilization_window_s
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
    """`past` with this pass added and what no window or period reaches any more dropped."""
    window_s, period_s = spec.downscale_stabilization_s, 0.0
    if spec.behavior is not None:
        both = (spec.behavior.scale_up, spec.behavior.scale_down)
        window_s = max(rules.stabilization_window_s for rules in both)
        period_s = max(policy.period_s for rules in both for policy in rules.policies)
    kept = tuple(item for item in past.recommendations if time_s - item[0] <= window_s)
    events = tuple(item for item in past.scale_events if time_s - item[0] <= period_s)
    return History(
        kept + (((time_s, proposal),) if proposal is not None else ()),
        events + (((time_s, change),) if change != 0 and spec.behavior is not None else ()),
    )
