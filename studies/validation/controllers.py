"""The controllers of the field against their originals: Kubernetes' HPA, resilience4j's circuit breaker."""

from __future__ import annotations

import math
from collections.abc import Iterator

from streamflow_agents.policies.baselines.kubernetes import (
    HpaSpec,
    MetricSpec,
    cpu_state,
    desired_replicas,
    limit,
    replicas_for_metric,
)
from studies.validation.breakers import breaker_cases
from studies.validation.cases import Case, markdown
from studies.validation.hpa_limit_cases import LIMIT_CASES, PASS_CASES, LimitCase, PassCase
from studies.validation.hpa_metric_cases import METRIC_CASES, STATE_CASES, MetricCase, StateCase

__all__ = ["Case", "controller_cases", "hpa_cases", "markdown"]

HPA = "HPA"
CPU = MetricSpec(name="cpu", target=0.5)


def controller_cases() -> list[Case]:
    """Every case of every controller, run now."""
    return [*hpa_cases(), *breaker_cases()]


def hpa_cases() -> list[Case]:
    """Every case of the HPA: what one pod's report counts as, what one metric asks for, what becomes of it."""
    return list(_hpa_cases())


def _hpa_cases() -> Iterator[Case]:
    source = "replica_calculator_test.go: TestGroupPods"
    for state in STATE_CASES:
        yield Case(HPA, state.name, source, state.expected, run_state(state))
    for metric in METRIC_CASES:
        yield Case(HPA, metric.name, metric.source, str(metric.expected), str(run_metric(metric)))
    for limited in LIMIT_CASES:
        yield Case(HPA, limited.name, limited.source, str(limited.expected), str(run_limit(limited)))
    for whole in PASS_CASES:
        yield Case(HPA, whole.name, whole.source, str(whole.expected), str(run_pass(whole)))


def run_state(case: StateCase) -> str:
    return cpu_state(
        case.pod, case.measured_s, case.window_s, 0.0, cpu_initialization_s=120.0, initial_readiness_s=10.0
    )


def run_metric(case: MetricCase) -> int | None:
    asked = float(replicas_for_metric(case.metric, case.tolerances, case.current, case.report))
    return None if math.isnan(asked) else int(asked)


def run_limit(case: LimitCase) -> int:
    low, high = case.bounds
    spec = HpaSpec.model_validate(
        {"min_replicas": low, "max_replicas": high, "metrics": (CPU,), "behavior": case.behavior}
    )
    return int(limit(spec, case.current, case.proposal, case.history, 0.0))


def run_pass(case: PassCase) -> int:
    spec = HpaSpec.model_validate(case.spec)
    return int(desired_replicas(spec, case.current, case.metrics, case.history, 0.0)[0])
