"""What Kubernetes' HPA asks for, metric by metric, case by case; from its own tests and documentation.

Levels are in thousandths, as in upstream's tests; a pod is `ready`, `unready`, `pending` or `ignored`. Sources are the
tests of `replica_calculator_test.go` by name, `docs` (the website's page "Horizontal Pod Autoscaling"), and lines of
`replica_calculator.go` and apimachinery's `quantity.go` where neither says it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from streamflow_agents.policies.baselines.replica_calculator import (
    MetricSpec,
    Pod,
    PodClock,
    PodState,
    Report,
    Tolerances,
    Total,
)

LETTERS: Final[dict[str, PodState]] = {"R": "ready", "U": "unready", "P": "pending", "X": "ignored"}
CALCULATOR: Final = "replica_calculator.go"
QUANTITY: Final = "quantity.go: MilliValue"
TESTS: Final = "replica_calculator_test.go: TestReplicaCalc"
DOCS: Final = "docs"


class MetricCase(NamedTuple):
    """`expected` replicas; None is an error in upstream: the metric is invalid."""

    name: str
    source: str
    metric: MetricSpec
    current: int
    report: Report
    expected: int | None
    tolerances: Tolerances = Tolerances()


class StateCase(NamedTuple):
    """Whether a running pod's CPU report counts; times in s before now, as upstream's test has them."""

    name: str
    pod: PodClock
    measured_s: float
    window_s: float
    expected: PodState


def pods(
    levels: Sequence[float | None], letters: str = "", requests: Sequence[float | None] | None = None
) -> tuple[Pod, ...]:
    """Pods from their levels in thousandths; `letters` says each one's state, all ready where it is left out."""
    values = [None if level is None else level / 1000 for level in levels]
    states = [LETTERS[letter] for letter in letters or "R" * len(levels)]
    return tuple(Pod(*p) for p in zip(values, states, requests or [1.0] * len(levels), strict=True))


def cpu(percent: int) -> MetricSpec:
    return MetricSpec(name="cpu", target=percent / 100)


def qps(target: float) -> MetricSpec:
    return MetricSpec(name="qps", type="average_value", target=target / 1000)


def whole(target: float) -> MetricSpec:
    return MetricSpec(name="qps", type="total_value", target=target / 1000)


def per_pod(target: float) -> MetricSpec:
    return MetricSpec(name="qps", type="total_average_value", target=target / 1000)


JITTERED: Final = [0.4, 0.2, 0.31, 0.29, 0.302, 0.298, 0.301, 0.299, 0.3, 0.3]
FIVE: Final = [100, 300, 500, 250, 250]

_UPSTREAM: Final[tuple[tuple[str, MetricSpec, int, Report, int | None], ...]] = (
    ("DisjointResourcesMetrics", cpu(100), 1, pods([None]), None),
    ("ScaleUp", cpu(30), 3, pods([300, 500, 700]), 5),
    ("ScaleUpUnreadyLessScale", cpu(30), 3, pods([300, 500, 700], "URR"), 4),
    ("ScaleUpUnreadyNoScale", cpu(30), 3, pods([400, 500, 700], "RUU"), 3),
    ("ScaleUpIgnoresFailedPods", cpu(30), 2, pods([500, 700, None, None], "RRXX"), 4),
    ("ScaleUpIgnoresDeletionPods", cpu(30), 2, pods([500, 700, None, None], "RRXX"), 4),
    ("ScaleUpCM", qps(15000), 3, pods([20000, 10000, 30000]), 4),
    ("ScaleUpCMUnreadyHotCpuNoLessScale", qps(15000), 3, pods([50000, 10000, 30000], "RRU"), 6),
    ("ScaleUpCMUnreadyHotCpuScaleWouldScaleDown", qps(15000), 3, pods([50000, 15000, 30000], "URU"), 7),
    ("ScaleUpCMObject", whole(15000), 3, Total(20.0, 3), 4),
    ("ScaleUpCMPerPodObject", per_pod(5000), 3, Total(20.0, 3), 4),
    ("ScaleUpCMObjectIgnoresUnreadyPods", whole(10000), 3, Total(50.0, 1), 5),
    ("ScaleUpCMExternal", qps(4400), 1, pods([8600]), 2),
    ("ScaleUpCMExternalIgnoresUnreadyPods", whole(4400), 3, Total(8.6, 1), 2),
    ("ScaleUpPerPodCMExternal", per_pod(2150), 3, Total(8.6, 3), 4),
    ("ScaleDown", cpu(50), 5, pods(FIVE), 3),
    ("ScaleDownCM", qps(20000), 5, pods([12000] * 5), 3),
    ("ScaleDownPerPodCMObject", per_pod(2000), 5, Total(6.0, 5), 3),
    ("ScaleDownCMObject", whole(20000), 5, Total(12.0, 5), 3),
    ("ScaleDownCMExternal", whole(14334), 5, Total(8.6, 5), 3),
    ("ScaleDownPerPodCMExternal", per_pod(2867), 5, Total(8.6, 5), 3),
    ("ScaleDownIncludeUnreadyPods", cpu(50), 5, pods(FIVE, "RRRUU"), 2),
    ("ScaleDownExcludeUnscheduledPods", cpu(50), 5, pods([100, None, None, None, None], "RPPPP"), 1),
    ("ScaleDownIgnoresFailedPods", cpu(50), 5, pods([*FIVE, None, None], "RRRRRXX"), 3),
    ("ScaleDownIgnoresDeletionPods", cpu(50), 5, pods([*FIVE, None, None], "RRRRRXX"), 3),
    ("Tolerance", cpu(100), 3, pods([1010, 1030, 1020], requests=[0.9, 1.0, 1.1]), 3),
    ("ToleranceCM", qps(20000), 3, pods([20000, 21000, 21000]), 3),
    ("ToleranceCMObject", whole(20000), 3, Total(20.666, 3), 3),
    ("TolerancePerPodCMObject", per_pod(5000), 4, Total(20.166, 4), 4),
    ("ToleranceCMExternal", whole(8888), 3, Total(8.6, 3), 3),
    ("TolerancePerPodCMExternal", per_pod(2900), 3, Total(8.6, 3), 3),
    ("SuperfluousMetrics", cpu(100), 4, pods([4000, 9500, 3000, 7000]), 24),
    ("MissingMetrics", cpu(100), 4, pods([400, 95, None, None]), 3),
    ("EmptyMetrics", cpu(100), 4, pods([None] * 4), None),
    ("EmptyCPURequest", cpu(100), 1, pods([200], requests=[None]), None),
    ("MissingMetricsNoChangeEq", cpu(100), 2, pods([1000, None]), 2),
    ("MissingMetricsNoChangeGt", cpu(100), 2, pods([1900, None]), 2),
    ("MissingMetricsNoChangeLt", cpu(100), 2, pods([600, None]), 2),
    ("MissingMetricsUnreadyChange", cpu(50), 3, pods([100, 450, None], "URR"), 3),
    ("MissingMetricsUnreadyScaleUp", cpu(50), 3, pods([100, 2000, None], "URR"), 4),
    ("MissingMetricsUnreadyScaleDown", cpu(50), 4, pods([100, 100, 100, None], "URRR"), 3),
    ("DuringRollingUpdateWithMaxSurge", cpu(50), 2, pods([100, 100, None]), 2),
    ("ComputedToleranceAlgImplementation, beyond it", cpu(56), 10, pods([150] * 10, requests=JITTERED), 9),
    ("ComputedToleranceAlgImplementation, within it", cpu(55), 10, pods([150] * 10, requests=JITTERED), 10),
)

MEMORY: Final = MetricSpec(name="memory", target=0.5, is_cpu=False)
CPU_AVERAGE: Final = MetricSpec(name="cpu", type="average_value", target=0.3, is_cpu=True)
UP_5: Final = Tolerances(up=0.05)

METRIC_CASES: Final[tuple[MetricCase, ...]] = (
    *(MetricCase(name, TESTS + name, *rest) for name, *rest in _UPSTREAM),  # type: ignore[arg-type]
    MetricCase("200m at a target of 100m doubles", DOCS, qps(100), 3, pods([200] * 3), 6),
    MetricCase("50m at a target of 100m halves", DOCS, qps(100), 4, pods([50] * 4), 2),
    MetricCase("up to 10 % above is within the tolerance", f"{CALCULATOR}: isWithin", cpu(60), 3, pods([660] * 3), 3),
    MetricCase("more is not", f"{CALCULATOR}: isWithin", cpu(60), 3, pods([670] * 3), 4),
    MetricCase("down to 10 % below is within the tolerance", f"{CALCULATOR}: isWithin", cpu(60), 9, pods([540] * 9), 9),
    MetricCase("less is not", f"{CALCULATOR}: isWithin", cpu(60), 9, pods([530] * 9), 8),
    MetricCase("105 at 100 is within a tolerance of 5 % up", DOCS, qps(100), 4, pods([105] * 4), 4, UP_5),
    MetricCase("106 at 100 is not", DOCS, qps(100), 4, pods([106] * 4), 5, UP_5),
    MetricCase("95 at 100 is within what is left at 10 % down", DOCS, qps(100), 20, pods([95] * 20), 20, UP_5),
    MetricCase("a missing pod that would turn down into up: no action", DOCS, cpu(50), 2, pods([400, None]), 2),
    MetricCase("a missing pod that would turn up into down: no action", DOCS, cpu(50), 2, pods([600, None]), 2),
    MetricCase("missing pods dampen a scale-up", DOCS, cpu(50), 4, pods([1000, 1000, 1000, None]), 6),
    MetricCase("an unready pod that brings it within the tolerance: no action", DOCS, cpu(50), 9,
               pods([620] * 8 + [900], "RRRRRRRRU"), 9),
    MetricCase("missing pods dampen a scale-down", DOCS, cpu(50), 8, pods([100] * 7 + [None]), 4),
    MetricCase("above 100 %, a missing pod uses the target",
               f"{CALCULATOR}: fallbackUtilization", cpu(200), 4, pods([1600] * 3 + [None]), 4),
    MetricCase("of a plain metric a missing pod uses the target on the way down",
               f"{CALCULATOR}: calcPlainMetricReplicas", qps(1000), 4, pods([400, 400, None, None]), 3),
    MetricCase("of a plain metric a missing pod uses nothing on the way up",
               f"{CALCULATOR}: calcPlainMetricReplicas", qps(1000), 3, pods([3000, 3000, None]), 6),
    MetricCase("of a plain metric at its target a missing pod changes nothing",
               f"{CALCULATOR}: calcPlainMetricReplicas", qps(1000), 2, pods([1000, None]), 2),
    MetricCase("a new pod's report that would change the direction by its number: no action",
               f"{CALCULATOR}: calcPlainMetricReplicas", qps(1000), 2, pods([400, 400, None]), 2),
    MetricCase("pending pods dampen a scale-up of any metric", f"{CALCULATOR}: groupPods",
               qps(1000), 4, pods([2000, 2000, 2000, None], "RRRP"), 6),
    MetricCase("of memory, unready pods count", f"{CALCULATOR}: groupPods", MEMORY, 3, pods([600, 700, 800], "URR"), 5),
    MetricCase("of CPU in cores, unready pods are set aside", f"{CALCULATOR}: groupPods",
               CPU_AVERAGE, 3, pods([400, 500, 700], "RUU"), 3),
    MetricCase("a utilization is cut to whole per cent: 66.9 is 66", "metrics/utilization.go", cpu(60), 10,
               pods([669] * 10), 10),
    MetricCase("an average is cut to whole thousandths", "metrics/utilization.go", qps(1), 3,
               pods([1, 2, 2]), 3),
    MetricCase("11.0001 counts as 11.001, which is beyond the tolerance", QUANTITY, per_pod(1000), 10,
               Total(11.0001, 10), 12),
    MetricCase("11 is within it", QUANTITY, per_pod(1000), 10, Total(11.0, 10), 10),
    MetricCase("one number for all is rounded up too", QUANTITY, whole(1000), 10, Total(1.1001, 10), 12),
    MetricCase("a target of 0.0011 counts as 0.002", QUANTITY, per_pod(1.1), 1, Total(0.01, 1), 5),
    MetricCase("a target of a billionth counts as a thousandth", QUANTITY, per_pod(1e-6), 1, Total(0.007, 1), 7),
    MetricCase("each pod's report is rounded up: 1.1 thousandths are 2", QUANTITY, qps(1), 3, pods([1.1] * 3), 6),
    MetricCase("before a utilization is cut to whole per cent: 66.91 is 67", QUANTITY, cpu(60), 10,
               pods([669.1] * 10), 12),
    MetricCase("a request is rounded up: 2 of 1.1 thousandths is 100 %", QUANTITY, cpu(50), 2,
               pods([2, 2], requests=[0.0011] * 2), 4),
    MetricCase("one number that cannot be had is invalid", DOCS, whole(1000), 3, Total(None, 3), None),
)  # fmt: skip

STATE_CASES: Final[tuple[StateCase, ...]] = (
    StateCase("count in a ready pod with fresh metrics during initialization period",
              PodClock(True, -60.0, -30.0), 0.0, 30.0, "ready"),
    StateCase("ignore a ready pod without fresh metrics during initialization period",
              PodClock(True, -60.0, -30.0), 0.0, 60.0, "unready"),
    StateCase("ignore an unready pod during initialization period",
              PodClock(False, -600.0, -594.0), 0.0, 30.0, "unready"),
    StateCase("count in a ready pod without fresh metrics after initialization period",
              PodClock(True, -180.0, -180.0), -120.0, 60.0, "ready"),
    StateCase("count in an unready pod that was ready after initialization period",
              PodClock(False, -600.0, -540.0), 0.0, 30.0, "ready"),
    StateCase("ignore pod that has never been ready after initialization period (at 10 s it counts)",
              PodClock(False, -600.0, -590.0), 0.0, 30.0, "ready"),
    StateCase("an unready pod during initialization period, freshly measured",
              PodClock(False, -60.0, -30.0), 0.0, 30.0, "unready"),
)  # fmt: skip
"""`TestGroupPods`: initialization period 120 s, initial readiness delay 10 s."""
