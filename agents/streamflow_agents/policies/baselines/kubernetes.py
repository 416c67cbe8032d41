"""The Kubernetes Horizontal Pod Autoscaler, version 2, as pure functions.

It follows `pkg/controller/podautoscaler` of kubernetes/kubernetes: `horizontal.go` here, `replica_calculator.go` in
the module of that name. Upstream's names are kept where the project has no word of its own. Upstream's unit tests are
repeated in `studies/validation/hpa_limit_cases.py` and `hpa_metric_cases.py`. `docs/guide/controllers.md` has an
example and lists what is left out.

A number may be an array, one number for each of many HPAs, as in `replica_calculator`. The many HPAs have the same
metrics and the same behavior. Replicas are whole numbers, held as floats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from streamflow_agents.policies.baselines.replica_calculator import (
    Bools,
    Floats,
    MetricSpec,
    Pod,
    Quantity,
    Report,
    Tolerances,
    Total,
    cpu_state,
    replicas_for_metric,
)
from streamflow_env.system.schema import Count, Frozen, NonNegative, PositiveSeconds, Seconds

__all__ = [
    "Behavior",
    "History",
    "HpaSpec",
    "Log",
    "MetricSpec",
    "Pod",
    "Report",
    "ScaleDownRules",
    "ScaleUpRules",
    "ScalingPolicy",
    "ScalingRules",
    "Tolerances",
    "Total",
    "Window",
    "cpu_state",
    "desired_replicas",
    "largest_proposal",
    "limit",
    "rate_limit",
    "replicas_for_metric",
    "replicas_for_metrics",
    "settle",
    "stabilize",
]

Window = Annotated[Seconds, Field(le=3600.0)]


class ScalingPolicy(Frozen):
    """At most `value` pods, or `value` per cent of them, per `period_s`."""

    type: Literal["Pods", "Percent"]
    value: Count
    period_s: Annotated[PositiveSeconds, Field(le=1800.0)]


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
    downscale_stabilization_s: Window = 300.0
    behavior: Behavior | None = None

    @model_validator(mode="after")
    def _check(self) -> HpaSpec:
        if self.max_replicas < self.min_replicas:
            raise ValueError(f"max_replicas {self.max_replicas} must be at least min_replicas {self.min_replicas}")
        return self

    def of_many(self, **numbers: Quantity) -> HpaSpec:
        """This HPA with `numbers` that are one for each of many HPAs; they are not checked."""
        return self.model_copy(update=numbers)

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

    @property
    def memory_s(self) -> float:
        """How long the longest window or period is: what is older has no effect."""
        rules = () if self.behavior is None else (self.behavior.scale_up, self.behavior.scale_down)
        return max(*self.windows_s, *(policy.period_s for each in rules for policy in each.policies))


class Log(NamedTuple):
    """Numbers that were written down, and when (s), oldest first, shape (slots, …). What fills no slot is at -inf."""

    at_s: Floats
    number: Floats

    @classmethod
    def of(cls, entries: Sequence[tuple[float, float]], slots: int, shape: tuple[int, ...] = ()) -> Log:
        """A log of (at_s, number), the same for each HPA of an array of `shape`, with room for `slots` entries."""
        padded = [(-np.inf, 0.0)] * (slots - len(entries)) + list(entries)
        columns = np.array(padded, dtype=np.float64).T
        return cls(*np.tile(columns.reshape(*columns.shape, *(1 for _ in shape)), shape))

    def add(self, at_s: Quantity, number: Floats, where: Bools) -> Log:
        """The log with one more entry where `where` is true. The oldest slot falls out."""
        if not where.any():
            return self
        at_s, number = np.where(where, at_s, -np.inf)[None], np.where(where, number, 0.0)[None]
        return Log(np.concatenate((self.at_s[1:], at_s)), np.concatenate((self.number[1:], number)))


class History(NamedTuple):
    """What an HPA remembers: whether it has made a pass, recommended replicas, and changes of replicas."""

    has_begun: Bools
    recommendations: Log
    scale_events: Log

    @classmethod
    def of(
        cls,
        recommendations: Sequence[tuple[float, float]] = (),
        scale_events: Sequence[tuple[float, float]] = (),
        *,
        slots: int = 256,
        shape: tuple[int, ...] = (),
    ) -> History:
        """The history of HPAs in an array of `shape`, which all remember the same (time_s, number).

        `slots`: how many passes there may be in the longest window or period; with fewer slots it forgets too early.
        """
        logs = (Log.of(entries, slots, shape) for entries in (recommendations, scale_events))
        return cls(np.full(shape, bool(recommendations)), *logs)


def desired_replicas(
    spec: HpaSpec, current: Quantity, metrics: Mapping[str, Report], history: History, time_s: Quantity
) -> tuple[Floats, History]:
    """One pass of the controller: the replicas to set, and the history to hand in at the next pass.

    `current` is what is set now; `metrics` holds what is reported, by the metric's name.
    """
    return settle(spec, current, replicas_for_metrics(spec, current, metrics), history, time_s)


def settle(
    spec: HpaSpec, current: Quantity, proposal: Floats, history: History, time_s: Quantity
) -> tuple[Floats, History]:
    """What becomes of the metrics' proposal, NaN for no change, in one pass; as `desired_replicas`."""
    is_on = np.not_equal(current, 0.0)
    bounded = np.minimum(np.maximum(current, spec.min_replicas), spec.max_replicas)
    in_bounds = bounded == current
    counts = is_on & in_bounds & ~np.isnan(proposal)
    proposal = np.where(counts, proposal, current)
    recommendations = history.recommendations.add(time_s, np.asarray(current), ~history.has_begun)
    past = History(np.ones_like(history.has_begun), recommendations, history.scale_events)
    limited = limit(spec, current, proposal, past, time_s)
    desired = np.where(counts, limited, np.where(is_on, bounded, current))
    recommendations = recommendations.add(time_s, proposal, counts)
    events = past.scale_events
    if spec.behavior is not None:
        events = events.add(time_s, desired - current, desired != current)
    return desired, History(past.has_begun, recommendations, events)


def replicas_for_metrics(spec: HpaSpec, current: Quantity, metrics: Mapping[str, Report]) -> Floats:
    """The largest of the metrics' proposals, as `largest_proposal`."""
    reports = [(metric, metrics.get(metric.name)) for metric in spec.metrics]
    proposals = [
        np.nan if report is None else replicas_for_metric(metric, spec.tolerances, current, report)
        for metric, report in reports
    ]
    return largest_proposal(np.stack(np.broadcast_arrays(*proposals)), current)


def largest_proposal(proposals: Floats, current: Quantity) -> Floats:
    """The largest of the metrics' proposals, shape (metrics, …); NaN is the proposal of an invalid metric.

    NaN, which means no change, where all are invalid, or where some are and the others would scale down.
    """
    largest = np.fmax.reduce(proposals)
    return np.where(np.isnan(proposals).any(axis=0) & (largest < current), np.nan, largest)


def limit(spec: HpaSpec, current: Quantity, proposal: Quantity, history: History, time_s: Quantity) -> Floats:
    """The proposal after the stabilization windows, the limits on the rate of change, and the bounds."""
    if spec.behavior is None:
        at_s, replicas = history.recommendations
        recent = np.where(time_s - at_s <= spec.downscale_stabilization_s, replicas, -np.inf)
        stable = np.maximum(proposal, recent.max(axis=0))
        most = np.minimum(spec.max_replicas, np.maximum(2.0 * np.asarray(current), 4.0))
        return np.where(stable < spec.min_replicas, spec.min_replicas, np.minimum(stable, most))
    stable = stabilize(spec, current, proposal, history, time_s)
    most = np.maximum(current, rate_limit(spec.behavior.scale_up, current, history, time_s, up=True))
    least = np.minimum(current, rate_limit(spec.behavior.scale_down, current, history, time_s, up=False))
    up = np.minimum(np.minimum(stable, most), spec.max_replicas)
    down = np.maximum(np.maximum(stable, least), spec.min_replicas)
    return np.where(stable > current, up, np.where(stable < current, down, stable))


def stabilize(spec: HpaSpec, current: Quantity, proposal: Quantity, history: History, time_s: Quantity) -> Floats:
    """`current` brought between the lowest recommendation of the up window and the highest of the down window."""
    up_s, down_s = spec.windows_s
    at_s, replicas = history.recommendations
    age_s = time_s - at_s
    lowest = np.minimum(proposal, np.where(age_s < up_s, replicas, np.inf).min(axis=0))
    highest = np.maximum(proposal, np.where(age_s < down_s, replicas, -np.inf).max(axis=0))
    return np.asarray(np.minimum(np.maximum(current, lowest), highest))


def rate_limit(rules: ScalingRules, current: Quantity, history: History, time_s: Quantity, *, up: bool) -> Floats:
    """The most (up) or least (down) replicas that the policies allow, each counted from the start of its period."""
    if rules.select_policy == "Disabled":
        return np.asarray(current, dtype=np.float64)
    allowed = []
    at_s, change = history.scale_events
    for policy in rules.policies:
        start = current - np.where(time_s - at_s < policy.period_s, change, 0.0).sum(axis=0)
        sign = 1 if up else -1
        if policy.type == "Pods":
            allowed.append(start + sign * policy.value)
        else:
            scaled = start * (1 + sign * float(policy.value) / 100)
            allowed.append(np.ceil(scaled) if up else np.trunc(scaled))
    is_widest = rules.select_policy == "Max"
    choose = np.maximum if up == is_widest else np.minimum
    return np.asarray(choose.reduce(allowed))
