"""How many replicas one metric asks for: `replica_calculator.go` of kubernetes/kubernetes, as pure functions.

A number may be an array: one number for each of many HPAs, which all make the same pass. All arrays have one shape, or
shapes that NumPy broadcasts. What is no number here (a metric's type, a pod's state) is the same for all of them.

Quantities are whole thousandths, rounded up, as upstream has them: its integer divisions come out the same. They are
held as floats, which are exact below 2**53.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from streamflow_env.system.schema import Flag, Frozen, Positive, Text

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Quantity = float | Floats

MILLI = 1000.0
LARGEST = 2.0**63
"""The largest number that upstream counts with, but for one."""
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

    def of_many(self, target: Quantity) -> MetricSpec:
        """This metric with one target for each of many HPAs; they are not checked."""
        return self.model_copy(update={"target": target})

    @property
    def target_milli(self) -> Floats:
        """The target of a plain metric; at least a thousandth, because a Quantity above 0 is never rounded to 0."""
        return np.asarray(np.maximum(1.0, thousandths(self.target)))

    @property
    def target_percent(self) -> Floats:
        """The target of a utilization, in whole per cent."""
        return np.asarray(np.maximum(1.0, np.rint(100.0 * self.target)))

    @property
    def sets_unready_aside(self) -> bool:
        return self.type == "utilization" if self.is_cpu is None else self.is_cpu


def thousandths(quantity: Quantity) -> Floats:
    """A quantity as the HPA counts it (`Quantity.MilliValue`): rounded up to whole thousandths, at most `LARGEST`.

    A Quantity has decimal digits, and a float has noise. So a float that misses a thousandth by less than `NOISE`, or
    by less than 1e-12 of itself, is that thousandth: 11.000000000000002 is 11.
    """
    exact = MILLI * np.minimum(quantity, LARGEST / MILLI)
    nearest = np.rint(exact)
    is_noise = np.abs(exact - nearest) <= np.maximum(1e-12 * np.maximum(exact, nearest), NOISE)
    return np.where(is_noise, nearest, np.ceil(exact))


@dataclass(frozen=True)
class Pod:
    """The report of one pod of one metric: `value` in the metric's unit, None where the report is missing.

    A `pending` pod has no place to run yet; an `ignored` one failed, or is being deleted. A utilization is a share of
    `request`; one pod without it makes the metric invalid. `number`: how many pods report the same.
    """

    value: Quantity | None
    state: PodState = "ready"
    request: float | None = 1.0
    number: Quantity = 1.0


@dataclass(frozen=True)
class Total:
    """One number for all pods, such as the length of a queue, and how many pods run and are ready."""

    value: Quantity | None
    ready_replicas: Quantity


Report = Sequence[Pod] | Total


@dataclass(frozen=True)
class Tolerances:
    """How far use over target may be from 1, on either side, without a change."""

    down: Quantity = 0.1
    up: Quantity = 0.1

    def hold(self, ratio: Quantity) -> Bools:
        return np.logical_and(1.0 - self.down <= ratio, ratio <= 1.0 + self.up)


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


def replicas_for_metric(metric: MetricSpec, tolerances: Tolerances, current: Quantity, report: Report) -> Floats:
    """The replicas that one metric asks for; NaN where it is invalid: no ready pod reports it."""
    if isinstance(report, Total) != metric.type.startswith("total"):
        raise ValueError(f"metric {metric.name!r}: a {metric.type} is reported by {_reporters(metric)}")
    if isinstance(report, Total):
        return _replicas_for_total(metric, tolerances, current, report)
    return _replicas_for_pods(metric, tolerances, current, report)


def _reporters(metric: MetricSpec) -> str:
    return "one Total" if metric.type.startswith("total") else "pods"


def _replicas_for_total(metric: MetricSpec, tolerances: Tolerances, current: Quantity, total: Total) -> Floats:
    if total.value is None:
        return np.asarray(np.nan)
    used, target = thousandths(total.value), metric.target_milli
    if metric.type == "total_value":
        ratio = used / target
        proposal = ratio * total.ready_replicas
    else:
        ratio = used / (target * np.maximum(current, 1.0))
        proposal = used / target
    return np.where(tolerances.hold(ratio), current, np.ceil(proposal))


def _replicas_for_pods(metric: MetricSpec, tolerances: Tolerances, current: Quantity, pods: Sequence[Pod]) -> Floats:
    """By the ready pods alone; but pods that are missing, or on the way up unready, soften the change.

    On the way down a missing pod is taken to use what it requests, on the way up it and an unready one to use nothing.
    If that turns the direction, there is no change.
    """
    groups = [_group(pod, metric.sets_unready_aside) for pod in pods]
    ready, unready, missing = ([p for p, g in zip(pods, groups, strict=True) if g == n] for n in _GROUPS)
    if metric.type == "utilization" and any(pod.request is None for pod in pods):
        return np.asarray(np.nan)
    ratio = _usage_ratio(metric, ready)
    plain = np.where(tolerances.hold(ratio), current, np.ceil(ratio * _number(ready)))
    up_with_unready = np.logical_and(_number(unready) > 0, ratio > 1.0)
    adjusts = np.logical_or(up_with_unready, np.logical_and(_number(missing) > 0, ~np.isnan(ratio)))
    if not adjusts.any():
        return plain
    down = [*ready, *(Pod(_assumed(metric, pod), request=pod.request, number=pod.number) for pod in missing)]
    up = [*ready, *(Pod(0.0, request=pod.request, number=pod.number) for pod in (*missing, *unready))]
    is_down, is_up = ratio < 1.0, ratio > 1.0
    new_ratio = np.where(is_down, _usage_ratio(metric, down), np.where(is_up, _usage_ratio(metric, up), ratio))
    counted = np.where(is_down, _number(down), np.where(is_up, _number(up), _number(ready)))
    proposal = np.ceil(new_ratio * counted)
    turns = (is_down & (new_ratio > 1.0)) | (is_up & (new_ratio < 1.0))
    against = ((new_ratio < 1.0) & (proposal > current)) | ((new_ratio > 1.0) & (proposal < current))
    adjusted = np.where(tolerances.hold(new_ratio) | turns | against, current, proposal)
    return np.where(adjusts, adjusted, plain)


_GROUPS = ("ready", "unready", "missing")


def _group(pod: Pod, sets_unready_aside: bool) -> str:
    if pod.state == "ignored":
        return "ignored"
    if pod.state == "pending":
        return "unready"
    if pod.value is None:
        return "missing"
    return "unready" if sets_unready_aside and pod.state == "unready" else "ready"


def _assumed(metric: MetricSpec, pod: Pod) -> Quantity:
    """The report assumed of a pod that makes none, when scaling down: its request, or the target if that is more."""
    if metric.type == "average_value":
        return metric.target_milli / MILLI
    return _request_milli(pod) * np.maximum(100.0, metric.target_percent) // 100.0 / MILLI


def _number(pods: Sequence[Pod]) -> Quantity:
    return sum((pod.number for pod in pods), 0.0)


def _request_milli(pod: Pod) -> float:
    return _milli(pod.request) if pod.request is not None else 0.0


@lru_cache(maxsize=1024)
def _milli(quantity: float) -> float:
    return float(thousandths(quantity))


def _usage_ratio(metric: MetricSpec, pods: Sequence[Pod]) -> Floats:
    """Use over target, NaN where it cannot be had; of the sum of the reports, a utilisation is cut to hundredths, an
    average to thousandths."""
    used = sum((thousandths(pod.value) * pod.number for pod in pods if pod.value is not None), 0.0)
    if metric.type == "average_value":
        shared_by, scale, target = _number(pods), 1.0, metric.target_milli
    else:
        shared_by = sum((_request_milli(pod) * pod.number for pod in pods), 0.0)
        scale, target = 100.0, metric.target_percent
    ratio = np.floor_divide(used * scale, np.maximum(shared_by, 1.0)) / target
    return np.where(shared_by > 0, ratio, np.nan)
