"""The autoscaler against upstream's own examples, as listed in studies/validation, and over time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import ValidationError

from streamflow_agents.policies.baselines.kubernetes import (
    Behavior,
    History,
    HpaSpec,
    Log,
    MetricSpec,
    Pod,
    ScaleDownRules,
    ScaleUpRules,
    ScalingPolicy,
    Total,
    cpu_state,
    desired_replicas,
    limit,
    replicas_for_metric,
)
from streamflow_agents.policies.baselines.replica_calculator import LARGEST, PodClock, Tolerances, thousandths
from streamflow_env.errors import ConfigError
from streamflow_env.system.schema import load
from studies.validation.controllers import run_limit, run_metric, run_pass, run_state
from studies.validation.hpa_limit_cases import LIMIT_CASES, PASS_CASES, LimitCase, PassCase
from studies.validation.hpa_metric_cases import METRIC_CASES, STATE_CASES, MetricCase, StateCase, pods


@pytest.mark.parametrize("case", STATE_CASES, ids=lambda case: case.name)
def test_whether_a_report_counts(case: StateCase) -> None:
    assert run_state(case) == case.expected


@pytest.mark.parametrize("case", METRIC_CASES, ids=lambda case: case.name)
def test_what_a_metric_asks_for(case: MetricCase) -> None:
    assert run_metric(case) == case.expected


@pytest.mark.parametrize("case", LIMIT_CASES, ids=lambda case: case.name)
def test_what_becomes_of_a_proposal(case: LimitCase) -> None:
    assert run_limit(case) == case.expected


@pytest.mark.parametrize("case", PASS_CASES, ids=lambda case: case.name)
def test_a_pass_of_the_controller(case: PassCase) -> None:
    assert run_pass(case) == case.expected


def test_by_default_a_pod_is_initializing_for_five_minutes() -> None:
    measured = {age_s: cpu_state(PodClock(True, -age_s, -age_s), -age_s, 30.0, 0.0) for age_s in (299.0, 300.0)}
    assert measured == {299.0: "unready", 300.0: "ready"}


def spec(behavior: Behavior | None = None, low: int = 1, high: int = 100) -> HpaSpec:
    return HpaSpec(
        min_replicas=low, max_replicas=high, metrics=(MetricSpec(name="cpu", target=0.5),), behavior=behavior
    )


def entries(log: Log) -> list[tuple[float, float]]:
    """What is written in a log of one HPA."""
    return [(at_s, number) for at_s, number in zip(*map(np.ndarray.tolist, log), strict=True) if at_s > -math.inf]


def test_the_downscale_window_ends_after_its_last_second() -> None:
    history = History.of(((0.0, 8), (100.0, 3)))
    assert [limit(spec(), 8, 2, history, at_s) for at_s in (300.0, 301.0, 400.0, 401.0)] == [8, 3, 3, 2]


def test_the_windows_of_a_behavior_end_at_their_last_second() -> None:
    behavior = Behavior(
        scale_up=ScaleUpRules(stabilization_window_s=60.0), scale_down=ScaleDownRules(stabilization_window_s=120.0)
    )
    history = History.of(((0.0, 4), (50.0, 9), (100.0, 7)))
    assert [limit(spec(behavior), 5, 9, history, at_s) for at_s in (105.0, 159.0, 160.0)] == [7, 7, 9]
    assert [limit(spec(behavior), 12, 2, history, at_s) for at_s in (169.0, 170.0, 220.0)] == [9, 7, 2]


def test_a_period_ends_at_its_last_second() -> None:
    behavior = Behavior(scale_up=ScaleUpRules(policies=(ScalingPolicy(type="Pods", value=4, period_s=60.0),)))
    history = History.of(scale_events=((0.0, 3), (30.0, -1)))
    assert [limit(spec(behavior), 7, 50, history, at_s) for at_s in (59.0, 60.0, 90.0)] == [9, 12, 11]


def test_a_controller_run() -> None:
    """0.9 at target 0.5: up by 100 % or 4 pods; then calm: down only when the high recommendation is 300 s old."""
    autoscaler = spec(Behavior(), low=2, high=10)
    current, history, seen = 2, History.of(), []
    for step in range(30):
        level = 900 if step < 3 else 100
        asked, history = desired_replicas(autoscaler, current, {"cpu": pods([level] * current)}, history, step * 15.0)
        current = int(asked)
        seen.append(current)
    assert seen[:3] == [4, 8, 10]
    assert seen[3:22] == [10] * 19
    assert seen[22:] == [2] * 8
    assert entries(history.scale_events) == [(0.0, 2), (15.0, 4), (30.0, 2), (330.0, -8)]


def test_the_first_size_is_remembered_once() -> None:
    cpu = {"cpu": pods([50] * 6)}
    desired, history = desired_replicas(spec(), 6, cpu, History.of(), 0.0)
    assert desired == 6
    assert entries(history.recommendations) == [(0.0, 6), (0.0, 1)]
    _, history = desired_replicas(spec(high=5), 6, cpu, history, 1000.0)  # out of bounds: nothing recommended
    assert entries(history.recommendations) == [(0.0, 6), (0.0, 1)]
    assert desired_replicas(spec(), 5, cpu, history, 1000.0)[0] == 1


def test_without_behavior_no_event_is_kept() -> None:
    _, history = desired_replicas(spec(), 2, {"cpu": pods([900] * 2)}, History.of(), 0.0)
    assert entries(history.scale_events) == []


def test_a_report_of_the_wrong_kind_is_an_error() -> None:
    with pytest.raises(ValueError, match="reported by pods"):
        replicas_for_metric(MetricSpec(name="cpu", target=0.5), Tolerances(), 2, Total(1.0, 2))
    with pytest.raises(ValueError, match="reported by one Total"):
        replicas_for_metric(MetricSpec(name="q", type="total_value", target=0.5), Tolerances(), 2, (Pod(1.0),))


@pytest.mark.parametrize(
    "change",
    [
        {"min_replicas": 5, "max_replicas": 4}, {"metrics": ()}, {"typo": 1},
        {"metrics": ({"name": "cpu", "target": 0.009},)},
        {"behavior": {"scale_up": {"policies": ({"type": "Pods", "value": 1, "period_s": 1801.0},)}}},
        {"behavior": {"scale_down": {"stabilization_window_s": 3601.0}}},
    ],
)  # fmt: skip
def test_a_wrong_spec_is_an_error(change: dict[str, object]) -> None:
    good = {"min_replicas": 1, "max_replicas": 4, "metrics": ({"name": "cpu", "target": 0.5},)}
    with pytest.raises(ValidationError):
        HpaSpec.model_validate(good | change)


@pytest.mark.parametrize(
    ("quantity", "counted"),
    [
        (0.0, 0), (0.5, 500), (0.5001, 501), (1e-9, 1), (11.0, 11_000), (11.0001, 11_001), (11.000000001, 11_001),
        (11.000000000000002, 11_000), (10.999999999999998, 11_000), (0.1 + 0.2, 300), (123456789.1, 123_456_789_100),
        (1e17, LARGEST), (1.7e308, LARGEST), (float("inf"), LARGEST),
    ],
)  # fmt: skip
def test_a_quantity_is_rounded_up_to_thousandths_but_for_the_noise_of_floats(quantity: float, counted: int) -> None:
    assert thousandths(quantity) == counted


def test_the_noise_of_floats_starts_no_replica() -> None:
    metric = MetricSpec(name="queue", type="total_average_value", target=1.0)
    asked = [replicas_for_metric(metric, Tolerances(), 10, Total(total, 10)) for total in (11.000000000000002, 11.0001)]
    assert asked == [10, 12]


@pytest.mark.parametrize("target", [1e-9, 1e-10])
@pytest.mark.parametrize("kind", ["average_value", "total_value", "total_average_value"])
def test_a_tiny_target_is_a_thousandth(kind: str, target: float) -> None:
    metric = MetricSpec.model_validate({"name": "queue", "type": kind, "target": target})
    report = (Pod(0.005), Pod(0.005)) if kind == "average_value" else Total(0.005, 2)
    assert replicas_for_metric(metric, Tolerances(), 2, report) == (5 if kind == "total_average_value" else 10)
    endless = (Pod(1e300), Pod(None)) if kind == "average_value" else Total(1e300, 2)
    up = HpaSpec(min_replicas=1, max_replicas=20, metrics=(metric,), behavior=Behavior())
    assert desired_replicas(up, 2, {"queue": endless}, History.of(), 0.0)[0] == 6
    idle = (Pod(0.0), Pod(None)) if kind == "average_value" else Total(0.0, 2)
    assert desired_replicas(up, 2, {"queue": idle}, History.of(), 0.0)[0] == 2


@pytest.mark.parametrize("target", [0.0, -1.0, float("inf"), float("nan")])
@pytest.mark.parametrize("kind", ["utilization", "average_value", "total_value", "total_average_value"])
def test_a_target_that_is_no_number_above_0_is_one_error(kind: str, target: float) -> None:
    with pytest.raises(ConfigError) as caught:
        load(MetricSpec, {"name": "queue", "type": kind, "target": target})
    expected = "greater than 0" if target <= 0 else "a finite number"
    assert str(caught.value) == f"configuration: target = {target}: must be {expected}"
