"""What Kubernetes' HPA makes of a proposal, case by case: windows, rates, bounds; and whole passes of the controller.

From `horizontal_test.go`, the website's page (`docs`), and `horizontal.go`. Times are 0 now and negative before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from streamflow_agents.policies.baselines.kubernetes import History, Report, Total
from studies.validation.hpa_metric_cases import pods

RULES: Final = "horizontal_test.go: TestScalingWithRules: "
WINDOWS: Final = "horizontal_test.go: TestNormalizeDesiredReplicasWithBehavior: "
PLAIN: Final = "horizontal_test.go: TestConvertDesiredReplicasWithRules: "
LOG: Final = "horizontal_test.go: TestNormalizeDesiredReplicas: "
HORIZONTAL: Final = "horizontal_test.go: "
DOCS: Final = "docs"

Rules = Mapping[str, Any]

NO_PAST: Final = History.of()


class LimitCase(NamedTuple):
    """A proposal at 0 s. `behavior`: as in YAML; None is an HPA without one."""

    name: str
    source: str
    behavior: Mapping[str, Rules] | None
    bounds: tuple[int, int]
    current: int
    proposal: int
    expected: int
    history: History = NO_PAST


class PassCase(NamedTuple):
    """A whole pass at 0 s. `spec`: as in YAML."""

    name: str
    source: str
    spec: Mapping[str, Any]
    current: int
    metrics: Mapping[str, Report]
    expected: int
    history: History = NO_PAST


def rules(num_pods: int = 0, percent: int = 0, period_s: float = 60.0, select: str = "Max", **more: Any) -> Rules:
    """Upstream's `generateScalingRules`: a policy of pods and one of per cent, each left out where it is 0."""
    both = (("Pods", num_pods), ("Percent", percent))
    policies = [{"type": kind, "value": value, "period_s": period_s} for kind, value in both if value]
    return {"policies": tuple(policies), "select_policy": select, **more}


def events(changes: list[int], sign: int = 1) -> History:
    """Upstream's `generateEventsUniformDistribution` over 120 s: each in the middle of its share of them."""
    share_s = 120.0 / len(changes)
    return History.of(scale_events=tuple((share_s * (i + 0.5) - 120.0, sign * c) for i, c in enumerate(changes)))


def recommended(*items: tuple[float, int]) -> History:
    """(minutes ago, replicas)."""
    return History.of(tuple((-60.0 * minutes, replicas) for minutes, replicas in items))


def up(*args: Any, **more: Any) -> dict[str, Rules]:
    return {"scale_up": rules(*args, **more)}


def down(*args: Any, **more: Any) -> dict[str, Rules]:
    return {"scale_down": rules(*args, **more)}


def windows(up_s: float = 0.0, down_s: float = 0.0) -> dict[str, Rules]:
    """Both windows, and rates that limit nothing."""
    return up(1000, stabilization_window_s=up_s) | down(0, 100, stabilization_window_s=down_s)


UPS, DOWNS, WIDELY = events([1, 5, 9]), events([1, 5, 9], -1), (1, 1000)
FOUR_UP, FOUR_DOWN = events([8, 12, 9, 11]), events([8, 12, 9, 11], -1)
MIXED_UP = History.of(scale_events=((-60.0, 4), (-60.0, -2)))
MIXED_DOWN = History.of(scale_events=((-60.0, 2), (-60.0, -4)))
TWO_PERIODS = {
    "policies": ({"type": "Pods", "value": 1000, "period_s": 30.0}, {"type": "Percent", "value": 100, "period_s": 60.0})
}

_RATES: Final[tuple[tuple[str, Mapping[str, Rules], tuple[int, int], int, int, int, History], ...]] = (
    ("prenormalized desired replicas within range", {}, (3, 8), 5, 7, 7, NO_PAST),
    ("prenormalized desired replicas < minReplicas", {}, (2, 8), 3, 1, 2, NO_PAST),
    ("maxReplicas is the limit because maxReplicas < scaleUpLimit", {}, (1, 10), 20, 1000, 10, NO_PAST),
    ("desired replica count is more than the maximum replica count", {}, (100, 150), 100, 1000, 150, NO_PAST),
    ("scaleUpLimit is the limit with user policies", up(0, 1), (1, 2000), 3, 1000, 4, NO_PAST),
    ("scaleDownLimit is the limit with user defined policies", down(20), (3, 2000), 1000, 3, 980, NO_PAST),
    ("scaleUp with default behavior", {}, WIDELY, 10, 50, 20, NO_PAST),
    ("scaleUp with pods policy larger than percent policy", up(100, 100), WIDELY, 10, 500, 110, NO_PAST),
    ("scaleUp with percent policy larger than pods policy", up(2, 100), WIDELY, 10, 500, 20, NO_PAST),
    ("scaleUp with spec MaxReplicas limitation with large pod policy", up(100), WIDELY, 10, 50, 50, NO_PAST),
    ("scaleUp with spec MaxReplicas limitation with large percent policy", up(10000), WIDELY, 10, 50, 50, NO_PAST),
    ("scaleUp with pod policy limitation", up(30), WIDELY, 10, 50, 40, NO_PAST),
    ("scaleUp with percent policy limitation", up(0, 200), WIDELY, 10, 50, 30, NO_PAST),
    ("scaleDown with percent policy larger than pod policy", down(20, 1), WIDELY, 100, 2, 80, NO_PAST),
    ("scaleDown with pod policy larger than percent policy", down(2, 1), WIDELY, 100, 2, 98, NO_PAST),
    ("scaleDown with spec MinReplicas limitation with large pod policy", down(100), WIDELY, 10, 0, 1, NO_PAST),
    ("scaleDown with spec MinReplicas limitation with large percent policy",
     down(0, 100), (5, 1000), 10, 2, 5, NO_PAST),
    ("scaleDown with pod policy limitation", down(5), WIDELY, 10, 2, 5, NO_PAST),
    ("scaleDown with percent policy limitation", down(0, 50), WIDELY, 10, 5, 5, NO_PAST),
    ("scaleUp with spec MaxReplicas limitation with large pod policy and events",
     up(300), (1, 200), 100, 500, 200, UPS),
    ("scaleUp with spec MaxReplicas limitation with large percent policy and events",
     up(0, 10000), (1, 200), 100, 500, 200, UPS),
    ("scaleUp with currentReplicas limitation with a lot of recent scale up events",
     up(5, 0, 120.0), WIDELY, 100, 500, 100, UPS),
    ("scaleUp with pod policy and previous scale up events", up(150, 0, 120.0), WIDELY, 100, 500, 235, UPS),
    ("scaleUp with percent policy and previous scale up events", up(0, 200, 120.0), WIDELY, 100, 500, 255, UPS),
    ("scaleUp with percent policy and previous scale up and down events",
     up(0, 300, 300.0), WIDELY, 6, 24, 16, MIXED_UP),
    ("scaleDown with default policy and previous events", {}, WIDELY, 10, 5, 5, DOWNS),
    ("scaleDown with spec MinReplicas=nil limitation with large pod policy and previous events",
     down(115, 0, 120.0), WIDELY, 100, 0, 1, DOWNS),
    ("scaleDown with spec MinReplicas limitation with large pod policy and previous events",
     down(130, 0, 120.0), (5, 1000), 100, 0, 5, DOWNS),
    ("scaleDown with spec MinReplicas limitation with large percent policy and previous events",
     down(0, 100, 120.0), (5, 1000), 100, 2, 5, DOWNS),
    ("scaleDown with pod policy limitation and previous events", down(5, 0, 120.0), WIDELY, 100, 2, 100, DOWNS),
    ("scaleDown with percent policy limitation and previous events",
     down(0, 50, 120.0), WIDELY, 100, 0, 56, events([2, 4, 6], -1)),
    ("scaleDown with percent policy and previous scale up and down events",
     down(0, 50, 180.0), WIDELY, 10, 1, 6, MIXED_DOWN),
    ("scaleDown with previous events preventing further scale down",
     down(0, 10, 120.0), WIDELY, 100, 0, 100, events([10, 10, 10], -1)),
    ("scaleDown with with previous events still allowing more scale down",
     down(0, 1000, 120.0), WIDELY, 10, 5, 5, events([10, 10, 10], -1)),
    ("check 'outdated' flag for events for one behavior for up", up(1000), WIDELY, 100, 200, 200, FOUR_UP),
    ("check that events were marked 'outdated' for two different policies in the behavior for up",
     {"scale_up": TWO_PERIODS}, WIDELY, 100, 200, 200, FOUR_UP),
    ("check 'outdated' flag for events for one behavior for down", down(1000), WIDELY, 100, 5, 5, FOUR_DOWN),
    ("check that events were marked 'outdated' for two different policies in the behavior for down",
     {"scale_down": TWO_PERIODS}, WIDELY, 100, 5, 5, FOUR_DOWN),
)  # fmt: skip

_WINDOWS: Final[tuple[tuple[str, Mapping[str, Rules], int, int, int, History], ...]] = (
    ("empty recommendations for scaling down", windows(), 100, 5, 5, NO_PAST),
    ("simple scale down stabilization", windows(0.0, 180.0), 100, 3, 5, recommended((2, 4), (1, 5))),
    ("simple scale up stabilization", windows(300.0), 1, 7, 4, recommended((2, 4), (1, 5))),
    ("no scale down stabilization", windows(300.0), 100, 3, 3, recommended((2, 1), (1, 2))),
    ("no scale up stabilization", windows(0.0, 300.0), 1, 3, 3, recommended((2, 4), (1, 5))),
    ("no scale down stabilization, reuse recommendation element", windows(), 100, 3, 3, recommended((10, 10), (9, 9))),
    ("no scale up stabilization, reuse recommendation element", windows(), 1, 100, 100, recommended((10, 10), (9, 9))),
    ("scale down stabilization, reuse one of obsolete recommendation element",
     windows(0.0, 180.0), 100, 3, 5, recommended((10, 10), (9, 9), (2, 5), (1, 4))),
    ("scale up stabilization, reuse one of obsolete recommendation element",
     windows(300.0), 1, 100, 5, recommended((100, 10), (3, 9), (2, 5), (1, 6))),
    ("scale up and down stabilization, do not scale up when prenormalized rec goes down",
     windows(300.0, 300.0), 2, 1, 2, recommended((100, 2), (3, 3))),
    ("scale up and down stabilization, do not scale down when prenormalized rec goes up",
     windows(300.0, 300.0), 2, 3, 2, recommended((100, 2), (3, 1))),
)  # fmt: skip

_TEN_PERCENT, _FOUR_OR_TEN = down(0, 10), down(4, 10)

LIMIT_CASES: Final[tuple[LimitCase, ...]] = (
    *(LimitCase(name, RULES + name, *rest) for name, *rest in _RATES),  # type: ignore[arg-type]
    *(LimitCase(name, WINDOWS + name, behavior, (1, 1000), *rest) for name, behavior, *rest in _WINDOWS),  # type: ignore[arg-type]
    LimitCase("desired replicas within range", PLAIN + "within range", None, (3, 8), 5, 7, 7),
    LimitCase("desired replicas < minReplicas", PLAIN + "< minReplicas", None, (2, 8), 3, 1, 2),
    LimitCase("maxReplicas < scaleUpLimit", PLAIN + "maxReplicas < scaleUpLimit", None, (1, 10), 20, 1000, 10),
    LimitCase("scaleUpLimit < maxReplicas", PLAIN + "scaleUpLimit < maxReplicas", None, (1, 2000), 3, 1000, 6),
    LimitCase("from one pod to four at most", "horizontal.go: calculateScaleUpLimit", None, (1, 2000), 1, 1000, 4),
    LimitCase("empty log", LOG + "empty log", None, (1, 100), 9, 5, 5),
    LimitCase("stabilize", LOG + "stabilize", None, (1, 100), 9, 3, 5, recommended((2, 4), (1, 5))),
    LimitCase("no stabilize", LOG + "no stabilize", None, (1, 100), 9, 3, 3, recommended((2, 1), (1, 2))),
    LimitCase("no stabilize - old recommendations", LOG + "no stabilize - old recommendations",
              None, (1, 100), 9, 3, 3, recommended((10, 10), (9, 9))),
    LimitCase("stabilize - old recommendations", LOG + "stabilize - old recommendations",
              None, (1, 100), 9, 3, 5, recommended((10, 10), (9, 9), (2, 5), (1, 4))),
    LimitCase("up by the smaller of 2 pods and 50 %", HORIZONTAL + "TestCalculateScaleUpLimitWithScalingRules",
              up(2, 50, select="Min"), (1, 99), 1, 50, 2),
    LimitCase("down by the smaller of 2 pods and 50 %", HORIZONTAL + "TestCalculateScaleDownLimitWithBehaviors",
              down(2, 50, select="Min"), (1, 99), 5, 1, 3),
    LimitCase("80 replicas, by 10 % or 4: 8 fewer", DOCS, _FOUR_OR_TEN, WIDELY, 80, 10, 72),
    LimitCase("72 replicas: 7.2 is rounded up to 8", DOCS, _FOUR_OR_TEN, WIDELY, 72, 10, 64),
    LimitCase("40 replicas or fewer: 4 fewer", DOCS, _FOUR_OR_TEN, WIDELY, 40, 10, 36),
    LimitCase("10 % a minute", DOCS, _TEN_PERCENT, WIDELY, 50, 10, 45),
    LimitCase("no more than 5, of 10 % and 5", DOCS, down(5, 10, select="Min"), WIDELY, 100, 10, 95),
    LimitCase("Disabled: never down", DOCS, {"scale_down": {"select_policy": "Disabled"}}, WIDELY, 100, 10, 100),
    LimitCase("Disabled: never up", DOCS, {"scale_up": {"select_policy": "Disabled"}}, WIDELY, 10, 100, 10),
    LimitCase("what is not given is the default: up by 4", DOCS, {"scale_down": {"stabilization_window_s": 60.0}},
              WIDELY, 1, 100, 5),
    LimitCase("a window of 1 minute", DOCS, {"scale_down": {"stabilization_window_s": 60.0}}, WIDELY, 9, 2, 3,
              recommended((2, 8), (0.5, 3))),
    LimitCase("without a window the controller's own of 5 minutes",
              "horizontal.go: maybeInitScaleDownStabilizationWindow",
              _TEN_PERCENT, WIDELY, 100, 50, 95, recommended((6, 99), (4, 95))),
)  # fmt: skip

CPU: Final = {"name": "cpu", "target": 0.3}
OTHER: Final = {"name": "qps", "type": "total_value", "target": 0.1}
SPEC: Final[dict[str, Any]] = {"min_replicas": 2, "max_replicas": 6, "metrics": (CPU,)}
WIDE: Final[dict[str, Any]] = {"min_replicas": 1, "max_replicas": 100}
EAGER: Final[dict[str, Any]] = {"metrics": ({"name": "cpu", "target": 0.1},), "behavior": up(0, 700)}
TENTHS: Final = pods([100, 200, 300], requests=[0.1] * 3)
FIVE: Final = {"cpu": pods([100, 300, 500, 250, 250])}
BOTH: Final[dict[str, Any]] = {"min_replicas": 2, "max_replicas": 6, "metrics": (CPU | {"target": 0.5}, OTHER)}
PAIR: Final = WIDE | {"metrics": ({"name": "a", "target": 0.5}, {"name": "b", "target": 0.5})}

PASS_CASES: Final[tuple[PassCase, ...]] = (
    PassCase("below the minimum: at once up to it", HORIZONTAL + "TestScaleUpRCImmediately", SPEC, 1, {}, 2),
    PassCase("above the maximum: at once down to it", HORIZONTAL + "TestScaleDownRCImmediately",
             SPEC | {"max_replicas": 5}, 6, {}, 5),
    PassCase("more pods than replicas, at the target", HORIZONTAL + "TestMoreReplicasThanSpecNoScale",
             WIDE | {"metrics": (CPU | {"target": 0.5},)}, 4, {"cpu": pods([500] * 5)}, 4),
    PassCase("up by 700 %", HORIZONTAL + "TestUpscaleCap", WIDE | EAGER, 3, {"cpu": TENTHS}, 24),
    PassCase("up by 700 %, up to the maximum", HORIZONTAL + "TestUpscaleCapGreaterThanMaxReplicas",
             WIDE | EAGER | {"max_replicas": 20}, 3, {"cpu": TENTHS}, 20),
    PassCase("the largest metric wins, up to the maximum", HORIZONTAL + "TestNoBackoffUpscaleCMNoBackoffCpu",
             {"min_replicas": 1, "max_replicas": 5, "metrics": (
                 {"name": "cpu", "target": 0.1}, {"name": "qps", "type": "average_value", "target": 15.0})},
             3, {"cpu": pods([20000, 10000, 30000]), "qps": pods([20000, 10000, 30000])}, 5),
    PassCase("a recommendation of a minute ago holds", HORIZONTAL + "TestStabilizeDownscale",
             {"min_replicas": 1, "max_replicas": 5, "metrics": (CPU | {"target": 1.0},)}, 4,
             {"cpu": pods([50, 50, 50, None], requests=[0.1] * 4)}, 4, recommended((10, 10), (1, 4))),
    PassCase("one of two metrics empty: up all the same", HORIZONTAL + "TestScaleUpOneMetricEmpty",
             SPEC | {"metrics": (CPU, OTHER)}, 3, {"cpu": pods([300, 400, 500]), "qps": Total(None, 3)}, 4),
    PassCase("one of two metrics not there: never down", HORIZONTAL + "TestNoScaleDownOneMetricInvalid",
             BOTH, 5, FIVE, 5),
    PassCase("one of two metrics empty: never down", HORIZONTAL + "TestNoScaleDownOneMetricEmpty",
             BOTH, 5, FIVE | {"qps": Total(None, 5)}, 5),
    PassCase("no metric at all: nothing", DOCS, SPEC, 4, {}, 4),
    PassCase("the largest of the metrics' sizes", DOCS, PAIR, 4, {"a": pods([100] * 4), "b": pods([750] * 4)}, 6),
    PassCase("down only as far as the largest says", DOCS, PAIR, 8,
             {"a": pods([100] * 8), "b": pods([300] * 8)}, 5, recommended((9, 9))),
    PassCase("zero replicas: the HPA is off", DOCS, SPEC, 0, {"cpu": pods([900])}, 0),
    PassCase("the first size counts as a recommendation", "horizontal.go: recordInitialRecommendation",
             WIDE | {"metrics": (CPU,)}, 6, {"cpu": pods([50] * 6)}, 6),
)  # fmt: skip
