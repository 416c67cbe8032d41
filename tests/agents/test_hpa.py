"""The autoscaler against upstream's own examples (kubernetes/kubernetes, pkg/controller/podautoscaler/*_test.go)."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from agents.baselines.kubernetes import (
    SCALE_DOWN,
    SCALE_UP,
    Behavior,
    History,
    HpaSpec,
    MetricSpec,
    Pod,
    ScalingPolicy,
    ScalingRules,
    desired_replicas,
    limit,
    rate_limit,
    replicas_for_metric,
    replicas_for_metrics,
    stabilize,
)

R, U, P = "ready", "unready", "pending"


def pods(levels: list[float | None], states: list[str] | None = None, requests: list[float] | None = None) -> list[Pod]:
    """Pods in thousandths of a core, as upstream's tests write them."""
    values = [None if level is None else level / 1000 for level in levels]
    states = states or [R] * len(levels)
    return [Pod(v, s, q) for v, s, q in zip(values, states, requests or [1.0] * len(levels), strict=True)]  # type: ignore[arg-type]


CPU = [
    ("ScaleUp", 3, [300, 500, 700], None, 30, 5),
    ("ScaleUpUnreadyLessScale", 3, [300, 500, 700], [U, R, R], 30, 4),
    ("ScaleUpUnreadyNoScale", 3, [400, 500, 700], [R, U, U], 30, 3),
    ("ScaleDown", 5, [100, 300, 500, 250, 250], None, 50, 3),
    ("ScaleDownIncludeUnreadyPods", 5, [100, 300, 500, 250, 250], [R, R, R, U, U], 50, 2),
    ("ScaleDownExcludeUnscheduledPods", 5, [100, None, None, None, None], [R, P, P, P, P], 50, 1),
    ("MissingMetrics", 4, [400, 95, None, None], None, 100, 3),
    ("MissingMetricsNoChangeEq", 2, [1000, None], None, 100, 2),
    ("MissingMetricsNoChangeGt", 2, [1900, None], None, 100, 2),
    ("MissingMetricsNoChangeLt", 2, [600, None], None, 100, 2),
    ("MissingMetricsUnreadyChange", 3, [100, 450, None], [U, R, R], 50, 3),
    ("MissingMetricsUnreadyScaleUp", 3, [100, 2000, None], [U, R, R], 50, 4),
    ("MissingMetricsUnreadyScaleDown", 4, [100, 100, 100, None], [U, R, R, R], 50, 3),
    ("DuringRollingUpdateWithMaxSurge", 2, [100, 100, None], None, 50, 2),
    ("EmptyMetrics", 4, [None, None, None], None, 100, None),
]


@pytest.mark.parametrize(
    ("current", "levels", "states", "percent", "expected"), [c[1:] for c in CPU], ids=[c[0] for c in CPU]
)
def test_cpu_utilization(
    current: int, levels: list[float | None], states: list[str] | None, percent: int, expected: int | None
) -> None:
    metric = MetricSpec(name="cpu", target=percent / 100)
    assert replicas_for_metric(metric, 0.1, current, pods(levels, states)) == expected


def test_utilization_is_over_the_summed_requests_and_within_tolerance() -> None:
    metric = MetricSpec(name="cpu", target=1.0)
    assert replicas_for_metric(metric, 0.1, 3, pods([1010, 1030, 1020], requests=[0.9, 1.0, 1.1])) == 3


def test_utilization_is_cut_to_whole_hundredths() -> None:
    metric = MetricSpec(name="cpu", target=0.5)
    assert replicas_for_metric(metric, 0.0, 2, pods([509, 509])) == 2  # 50.9 % counts as 50 %
    assert replicas_for_metric(metric, 0.0, 2, pods([510, 510])) == 3


def test_missing_pods_count_the_target_where_that_is_above_their_request() -> None:
    pods_of = pods([1600, None])
    assert replicas_for_metric(MetricSpec(name="cpu", target=2.0), 0.1, 2, pods_of) == 2  # (1.6 + 2) / 2 = 180 %


QPS = [
    ("ScaleUpCM", 3, [20000, 10000, 30000], None, 15000, 4),
    ("ScaleUpCMUnreadyHotCpuNoLessScale", 3, [50000, 10000, 30000], [R, R, U], 15000, 6),
    ("ScaleUpCMUnreadyScaleWouldScaleDown", 3, [50000, 15000, 30000], [U, R, U], 15000, 7),
    ("ScaleDownCM", 5, [12000] * 5, None, 20000, 3),
    ("ToleranceCM", 3, [20000, 21000, 21000], None, 20000, 3),
]


@pytest.mark.parametrize(
    ("current", "levels", "states", "target", "expected"), [c[1:] for c in QPS], ids=[c[0] for c in QPS]
)
def test_average_value(
    current: int, levels: list[float | None], states: list[str] | None, target: float, expected: int
) -> None:
    metric = MetricSpec(name="qps", type="average_value", target=target / 1000)
    assert replicas_for_metric(metric, 0.1, current, pods(levels, states)) == expected


def two_metrics() -> HpaSpec:
    return HpaSpec(
        min_replicas=1, max_replicas=10, metrics=(MetricSpec(name="a", target=0.5), MetricSpec(name="b", target=0.5))
    )


def test_the_largest_metric_wins() -> None:
    assert replicas_for_metrics(two_metrics(), 4, {"a": pods([100] * 4), "b": pods([750] * 4)}) == 6


def test_an_invalid_metric_lets_up_but_never_down() -> None:
    assert replicas_for_metrics(two_metrics(), 4, {"a": pods([750] * 4), "b": pods([None] * 4)}) == 6
    assert replicas_for_metrics(two_metrics(), 4, {"a": pods([100] * 4), "b": pods([None] * 4)}) is None
    assert replicas_for_metrics(two_metrics(), 4, {}) is None


def spec(behavior: Behavior | None = None, low: int = 1, high: int = 100) -> HpaSpec:
    return HpaSpec(
        min_replicas=low, max_replicas=high, metrics=(MetricSpec(name="cpu", target=0.5),), behavior=behavior
    )


def test_without_behavior_the_highest_of_300_s_holds() -> None:
    history = History(((0.0, 8), (100.0, 3)))
    assert limit(spec(), 8, 2, history, 300.0) == 8
    assert limit(spec(), 8, 2, history, 301.0) == 3
    assert limit(spec(), 8, 2, history, 401.0) == 2


@pytest.mark.parametrize(("current", "proposal", "expected"), [(1, 50, 4), (3, 50, 6), (30, 200, 60), (60, 200, 100)])
def test_without_behavior_it_at_most_doubles_or_reaches_four(current: int, proposal: int, expected: int) -> None:
    assert limit(spec(), current, proposal, History(), 0.0) == expected


def test_without_behavior_min_holds() -> None:
    assert limit(spec(low=3), 5, 1, History(), 0.0) == 3


# upstream: TestNormalizeDesiredReplicasWithBehavior / TestScalingWithRules
def test_the_default_rates() -> None:
    assert SCALE_UP.stabilization_window_s == 0
    assert SCALE_DOWN.stabilization_window_s == 300
    behavior = Behavior()
    assert limit(spec(behavior), 1, 50, History(), 0.0) == 5  # 4 pods
    assert limit(spec(behavior), 10, 50, History(), 0.0) == 20  # 100 %
    assert limit(spec(behavior, low=2), 10, 1, History(), 1000.0) == 2  # 100 % down at once


def rules(*policies: tuple[str, int, float], select: str = "Max", window_s: float = 0.0) -> ScalingRules:
    made = tuple(ScalingPolicy(type=t, value=v, period_s=p) for t, v, p in policies)
    return ScalingRules(policies=made, stabilization_window_s=window_s, select_policy=select)


@pytest.mark.parametrize(("select", "up", "down"), [("Max", 17, 5), ("Min", 13, 9), ("Disabled", 10, 10)])
def test_select_policy(select: str, up: int, down: int) -> None:
    assert rate_limit(rules(("Pods", 3, 60.0), ("Percent", 70, 60.0), select=select), 10, History(), 0.0, up=True) == up
    assert (
        rate_limit(rules(("Pods", 5, 60.0), ("Percent", 10, 60.0), select=select), 10, History(), 0.0, up=False) == down
    )


def test_percent_rounds_up_on_the_way_up_and_truncates_on_the_way_down() -> None:
    assert rate_limit(rules(("Percent", 10, 60.0)), 1, History(), 0.0, up=True) == 2
    assert rate_limit(rules(("Percent", 10, 60.0)), 15, History(), 0.0, up=False) == 13


def test_a_rate_counts_from_the_size_at_the_start_of_its_period() -> None:
    pods_up = rules(("Pods", 4, 60.0))
    history = History(scale_events=((0.0, 3), (30.0, -1)))
    assert rate_limit(pods_up, 7, history, 40.0, up=True) == 5 + 4
    assert rate_limit(pods_up, 7, history, 60.0, up=True) == 8 + 4  # the first event has left the period
    assert rate_limit(rules(("Pods", 4, 60.0)), 7, history, 40.0, up=False) == 5 - 4
    used_up = Behavior(scale_up=rules(("Pods", 2, 60.0)))
    assert limit(spec(used_up), 7, 50, History(scale_events=((0.0, 6),)), 30.0) == 7  # never down for a spent rate


def test_both_windows_clamp() -> None:
    behavior = Behavior(
        scale_up=rules(("Pods", 50, 15.0), window_s=60.0), scale_down=rules(("Pods", 50, 15.0), window_s=120.0)
    )
    history = History(((0.0, 4), (50.0, 9), (100.0, 7)))
    assert stabilize(behavior, 5, 20, history, 105.0) == 7  # lowest of the last 60 s
    assert stabilize(behavior, 8, 2, history, 105.0) == 8  # within [2, 9]: stays
    assert stabilize(behavior, 12, 2, history, 105.0) == 9  # highest of the last 120 s
    assert stabilize(behavior, 12, 2, history, 171.0) == 7  # at 170 the 9 of 50 s has left its window


def test_a_controller_run() -> None:
    """0.9 at target 0.5: up by 100 % or 4 pods; then calm: down only when the high recommendation is 300 s old."""
    autoscaler = spec(Behavior(), low=2, high=10)
    current, history, seen = 2, History(), []
    for step in range(30):
        level = 900.0 if step < 3 else 100.0
        current, history = desired_replicas(autoscaler, current, {"cpu": pods([level] * current)}, history, step * 15.0)
        seen.append(current)
    assert seen[:3] == [4, 8, 10]
    assert seen[3:22] == [10] * 19
    assert seen[22:] == [2] * 8
    assert all(at >= 435.0 - 300.0 for at, _ in history.recommendations)


def test_out_of_bounds_is_corrected_at_once_and_zero_is_disabled() -> None:
    assert desired_replicas(spec(high=5), 9, {}, History(), 0.0)[0] == 5
    assert desired_replicas(spec(low=3), 1, {}, History(), 0.0)[0] == 3
    assert desired_replicas(spec(), 0, {}, History(), 0.0)[0] == 0


def test_the_first_size_counts_as_a_recommendation() -> None:
    desired, history = desired_replicas(spec(), 6, {"cpu": pods([50] * 6)}, History(), 0.0)
    assert desired == 6
    assert history.recommendations == ((0.0, 6), (0.0, 1))


@pytest.mark.parametrize("change", [{"min_replicas": 5, "max_replicas": 4}, {"metrics": ()}, {"typo": 1}])
def test_a_wrong_spec_is_an_error(change: dict[str, object]) -> None:
    good = {"min_replicas": 1, "max_replicas": 4, "metrics": ({"name": "cpu", "target": 0.5},)}
    with pytest.raises(ValidationError):
        HpaSpec.model_validate(good | change)
