"""What calls between services, and the requests of each class, show."""

from __future__ import annotations

from collections.abc import Iterator

from streamflow_env.engines.telemetry import PERCENTILE_ERROR, PREMIUM, STANDARD
from streamflow_env.environment.accounting import ATTEMPT_ENDS, FAILURES
from streamflow_env.environment.observations.fields import (
    NS,
    Field,
    RecordReader,
    gauge,
    is_controlled,
    rate,
    share,
    small_count,
)
from streamflow_env.environment.readings import NUM_PRIORITIES, Count, Percentile, Ratio, class_counts
from streamflow_env.system import CallPolicy, RequestClass, System


def call_fields(system: System, row: int, name: str, policy: CallPolicy) -> Iterator[Field]:
    """Only what the call's policy can show: no breaker, no timeout, no fallback, no retry, no field."""
    read = RecordReader("calls", row)
    ends = ("successes", "rate_limited", "timeouts", "queue_full")
    answers = ("successes", "fallbacks", "exhausted")
    if policy.breaker is not None:
        state = read.gauge("breaker_state")
        yield small_count(f"{name}.breaker_state", "state", 2.0, "0 CLOSED, 1 OPEN, 2 HALF_OPEN", state)
    if policy.timeout_s is not None or is_controlled(system, name, "timeout_s"):
        yield share(f"{name}.timeout_fraction", "attempts given up", read.ratio(("timeouts",), ends))
    if policy.fallback_quality is not None:
        yield share(f"{name}.fallback_fraction", "calls answered by the fallback", read.ratio(("fallbacks",), answers))
    if policy.max_attempts > 1:
        yield share(f"{name}.retry_fraction", "attempts after the first", read.ratio(("retries",), ("attempts",)))
    if policy.retry_budget_fraction is not None or is_controlled(system, name, "retry_budget_fraction"):
        refused = read.ratio(("retries_refused",), ("retries", "retries_refused"))
        yield share(f"{name}.retries_refused_fraction", "retries that the budget refused", refused)
    if policy.deferred is not None:
        yield share(
            f"{name}.deferred_fraction", "calls to be asked again later", read.ratio(("deferred",), ("requests",))
        )


def class_fields(system: System, row: int, name: str, request_class: RequestClass) -> Iterator[Field]:
    """Of a background class what comes and what is under way; of an interactive one, by priority, what users see."""
    if request_class.kind == "background":
        both = tuple(Count("classes", NUM_PRIORITIES * row + p, "in_flight") for p in range(NUM_PRIORITIES))
        came = tuple(Count("classes", NUM_PRIORITIES * row + p, "attempts", NS) for p in range(NUM_PRIORITIES))
        yield rate(system, f"{name}.attempt_rate_rps", "requests that came", Ratio(came, per_ns=True))
        yield gauge(f"{name}.in_flight", "requests", 10_000.0, "sent and not yet ended", Ratio(both))
        return
    for priority, label in ((STANDARD, "standard"), (PREMIUM, "premium")):
        rank = NUM_PRIORITIES * row + priority
        read, where = RecordReader("classes", rank), f"{name}.{label}"
        yield rate(system, f"{where}.attempt_rate_rps", "attempts that came", read.per_s("attempts"))
        within = read.ratio(("within_sla",), ATTEMPT_ENDS, empty=1.0)
        yield share(f"{where}.sla_fraction", "ended within the SLA", within)
        yield share(f"{where}.error_fraction", "ended in an error", read.ratio(tuple(FAILURES), ATTEMPT_ENDS))
        for percent in (50, 95, 99):
            high = system.users.deadline_s * (1 + 2 * PERCENTILE_ERROR)
            reading = Percentile("response", (rank,), percent / 100)
            yield Field(f"{where}.p{percent}_s", "s", 0.0, high, "log", "response time", reading, system.sla.target_s)


def overall_fields(system: System) -> Iterator[Field]:
    """All users together: how many come again, and what their attempts fail of."""
    attempts, ended = class_counts(system, "attempts"), class_counts(system, *ATTEMPT_ENDS)
    retries = Ratio(attempts + class_counts(system, "intents", weight=-1.0), attempts)
    yield share("users.retry_fraction", "attempts that are users' retries", retries)
    for cause, meaning in FAILURES.items():
        yield share(f"users.{cause}_fraction", f"attempts {meaning}", Ratio(class_counts(system, cause), ended))
