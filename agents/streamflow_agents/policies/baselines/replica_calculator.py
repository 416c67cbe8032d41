"""How many replicas one metric asks for: `replica_calculator.go` of kubernetes/kubernetes, as pure functions.

Quantities are whole thousandths, rounded up, as upstream has them: its integer divisions come out the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import model_validator

from streamflow_env.system.schema import Flag, Frozen, Positive, Text

MILLI = 1000
LARGEST = 2**63 - 1
"""The largest integer that upstream counts with."""
NOISE = 5e-7
"""Thousandths: half of a billionth, the finest digit of a Quantity."""

MetricType = Literal["utilization", "average_value", "total_value", "total_average_value"]
PodState = Literal["ready", "unready", "pending", "ignored"]


class MetricSpec(Frozen):
    """One metric of an HPA.

    | type | upstream's | what is compared with `target` |
    |---|---|---|
    | `utilization` | Resource, averageUtilization | the pods' summed use over their summed requests, a share |
    | `average_value` | Pods; Resource, averageValue | the mean over the pods |
    | `total_value` | Object and External, value | one number of the whole, a `Total` |
    | `total_average_value` | Object and External, averageValue | the same, divided by the current replicas |

    `is_cpu`: the metric is the pods' CPU, of which the reports of unready pods are set aside; null: a utilization is.
    A utilization's target is rounded to whole per cent. Any other target is rounded up to thousandths.
    """

    name: Text
    type: MetricType = "utilization"
    target: Positive
    is_cpu: Flag | None = None

    @model_validator(mode="after")
    def _check(self) -> MetricSpec:
        if self.type == "utilization" and self.target < 0.01:
            raise ValueError(f"target {self.target} of a utilization must be at least 0.01")
        return self

    @property
    def target_milli(self) -> int:
        """The target of a plain metric; at least a thousandth, because a Quantity above 0 is never rounded to 0."""
        return max(1, thousandths(self.target))

    @property
    def sets_unready_aside(self) -> bool:
        return self.type == "utilization" if self.is_cpu is None else self.is_cpu


def thousandths(quantity: float) -> int:
    """A quantity as the HPA counts it (`Quantity.MilliValue`): rounded up to whole thousandths, at most `LARGEST`.

    A Quantity has decimal digits, and a float has noise. So a float that misses a thousandth by less than `NOISE`, or
    by less than 1e-12 of itself, is that thousandth: 11.000000000000002 is 11.
    """
    exact = MILLI * quantity
    if exact >= LARGEST:
        return LARGEST
    nearest = round(exact)
    return nearest if math.isclose(exact, nearest, rel_tol=1e-12, abs_tol=NOISE) else math.ceil(exact)


@dataclass(frozen=True)
class Pod:
    """The report of one pod of one metric: `value` in the metric's unit, None where the report is missing.

    A `pending` pod has no place to run yet; an `ignored` one failed, or is being deleted. A utilization is a share of
    `request`; one pod without it makes the metric invalid.
    """

    value: float | None
    state: PodState = "ready"
    request: float | None = 1.0


@dataclass(frozen=True)
class Total:
    """One number for all pods, such as the length of a queue, and how many pods run and are ready."""

    value: float | None
    ready_replicas: int


Report = Sequence[Pod] | Total


@dataclass(frozen=True)
class Tolerances:
    """How far use over target may be from 1, on either side, without a change."""

    down: float = 0.1
    up: float = 0.1

    def hold(self, ratio: float) -> bool:
        return 1.0 - self.down <= ratio <= 1.0 + self.up


@dataclass(frozen=True)
class PodClock:
    """What is known of a running pod: whether it is ready, when (s) it started, and when that last changed."""

    is_ready: bool
    started_s: float
    changed_s: float


def cpu_state(
    pod: PodClock,
    measured_s: float,
    window_s: float,
    time_s: float,
    cpu_initialization_s: float = 300.0,
    initial_readiness_s: float = 30.0,
) -> PodState:
    """Whether a CPU report, of the `window_s` until `measured_s`, is of a ready pod or is set aside.

    While the pod is younger than `cpu_initialization_s`: of a pod that is ready, and was for the whole window. Later:
    of any pod but one that was never ready, which is one that is not and last changed within `initial_readiness_s`.
    """
    if pod.started_s + cpu_initialization_s > time_s:
        counts = pod.is_ready and measured_s >= pod.changed_s + window_s
    else:
        counts = pod.is_ready or pod.started_s + initial_readiness_s <= pod.changed_s
    return "ready" if counts else "unready"


def replicas_for_metric(metric: MetricSpec, tolerances: Tolerances, current: int, report: Report) -> int | None:
    """The replicas that one metric asks for; None where it is invalid: no ready pod reports it."""
    if isinstance(report, Total) != metric.type.startswith("total"):
        raise ValueError(f"metric {metric.name!r}: a {metric.type} is reported by {_reporters(metric)}")
    if isinstance(report, Total):
        return _replicas_for_total(metric, tolerances, current, report)
    return _replicas_for_pods(metric, tolerances, current, report)


def _reporters(metric: MetricSpec) -> str:
    return "one Total" if metric.type.startswith("total") else "pods"


def _replicas_for_total(metric: MetricSpec, tolerances: Tolerances, current: int, total: Total) -> int | None:
    if total.value is None:
        return None
    shared_by = 1 if metric.type == "total_value" else current
    used, target = thousandths(total.value), metric.target_milli
    ratio = used / (float(target) * shared_by)
    if tolerances.hold(ratio):
        return current
    return math.ceil(ratio * total.ready_replicas) if metric.type == "total_value" else math.ceil(used / target)


def _replicas_for_pods(metric: MetricSpec, tolerances: Tolerances, current: int, pods: Sequence[Pod]) -> int | None:
    groups = [_group(pod, metric.sets_unready_aside) for pod in pods]
    ready, unready, missing = ([p for p, g in zip(pods, groups, strict=True) if g == n] for n in _GROUPS)
    if metric.type == "utilization" and any(pod.request is None for pod in pods):
        return None
    ratio = _usage_ratio(metric, ready)
    if ratio is None:
        return None
    up_with_unready = bool(unready) and ratio > 1.0
    if not up_with_unready and not missing:
        return current if tolerances.hold(ratio) else math.ceil(ratio * len(ready))
    counted = list(ready)
    if ratio < 1.0:
        counted += [Pod(_assumed(metric, pod), request=pod.request) for pod in missing]
    elif ratio > 1.0:
        counted += [Pod(0.0, request=pod.request) for pod in (*missing, *unready)]
    new_ratio = _usage_ratio(metric, counted) or 0.0
    if tolerances.hold(new_ratio) or (ratio < 1.0 < new_ratio) or (new_ratio < 1.0 < ratio):
        return current
    proposal = math.ceil(new_ratio * len(counted))
    if (new_ratio < 1.0 and proposal > current) or (new_ratio > 1.0 and proposal < current):
        return current
    return proposal


_GROUPS = ("ready", "unready", "missing")


def _group(pod: Pod, sets_unready_aside: bool) -> str:
    if pod.state == "ignored":
        return "ignored"
    if pod.state == "pending":
        return "unready"
    if pod.value is None:
        return "missing"
    return "unready" if sets_unready_aside and pod.state == "unready" else "ready"


def _assumed(metric: MetricSpec, pod: Pod) -> float:
    """The report assumed of a pod that makes none, when scaling down: its request, or the target if that is more."""
    if metric.type == "average_value":
        return metric.target_milli / MILLI
    return _milli(pod.request) * max(100, round(100 * metric.target)) // 100 / MILLI


def _milli(quantity: float | None) -> int:
    return thousandths(quantity) if quantity is not None else 0


def _usage_ratio(metric: MetricSpec, pods: Sequence[Pod]) -> float | None:
    """Use over target; of the sum of the reports, a utilisation is cut to hundredths, an average to thousandths."""
    used = sum(_milli(pod.value) for pod in pods)
    if metric.type == "average_value":
        return float(used // len(pods)) / metric.target_milli if pods else None
    requested = sum(_milli(pod.request) for pod in pods)
    return float(used * 100 // requested) / round(100 * metric.target) if requested > 0 else None
