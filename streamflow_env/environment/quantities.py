"""Sums of counters that metrics, reward and observation share: losses of users, prices, LLM requests, backlog."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from streamflow_env.environment.accounting import FAILURES
from streamflow_env.environment.readings import Count, class_counts, service_counts
from streamflow_env.system import Cache, Database, LlmEndpoint, System, VectorIndex, WorkerPool

NS: Final = 1e9
MINUTE_NS: Final = 60 * NS
HOUR_NS: Final = 3600 * NS


def llm_price(system: System, weight: float = 1.0) -> tuple[Count, ...]:
    """LLM requests that found a token, as something that is paid for."""
    return tuple(replace(count, price="llm") for count in llm_accepted(system, weight))


def llm_accepted(system: System, weight: float = 1.0) -> tuple[Count, ...]:
    """LLM requests that found a token."""
    return service_counts(system, LlmEndpoint, "arrivals", weight=weight) + service_counts(
        system, LlmEndpoint, "rate_limited", "breaker_open", weight=-weight
    )


def replicas_price_ns(system: System, weight: float = 1.0) -> tuple[Count, ...]:
    """Price per hour of the replicas paid for, read replicas included, times ns."""
    return tuple(
        Count("services", row, "replica_ns", weight * service.price_per_replica_hour, "replicas")
        for row, service in enumerate(system.services.values())
        if isinstance(service, WorkerPool | Database)
    )


def memory_price_ns(system: System, weight: float = 1.0) -> tuple[Count, ...]:
    """Price per hour of the caches' memory, used or not, times ns."""
    return tuple(
        Count("services", row, "memory_ns", weight * service.price_per_1000_entries_hour / 1000.0, "memory")
        for row, service in enumerate(system.services.values())
        if isinstance(service, Cache)
    )


def lateness(system: System, priority: int | None = None) -> tuple[Count, ...]:
    """Lateness of answers, 1 at the worst latency; of one priority, or of all users."""
    worst_ns = (system.sla.worst_s - system.sla.target_s) * NS
    return class_counts(system, "lateness_ns", weight=1 / worst_ns, priority=priority)


def failures(system: System, priority: int | None = None) -> tuple[Count, ...]:
    """Attempts that ended in an error; of one priority, or of all users."""
    return class_counts(system, *FAILURES, priority=priority)


def quality_loss(system: System) -> tuple[Count, ...]:
    """Sum over answers of 1 - quality."""
    answers = class_counts(system, "within_sla", "late")
    return answers + class_counts(system, "quality_milli", weight=-1e-3)


def stale_answers(system: System) -> tuple[Count, ...]:
    """Cache hits that an invalidation has yet to reach, and database reads that missed the last write."""
    return service_counts(system, Cache | Database, "stale_hits", "stale_reads")


def excess_ages_ns(system: System, weight: float = 1.0) -> tuple[Count, ...]:
    """The sum of the ages of what caches answered, beyond `fresh_s`."""
    return service_counts(system, Cache, "excess_age_ns", weight=weight)


def query_ages_ns(system: System, weight: float = 1.0) -> tuple[Count, ...]:
    """The sum of the ages of what query caches answered."""
    return service_counts(system, VectorIndex, "age_ns", weight=weight)


def ages_ns(system: System, weight: float = 1.0) -> tuple[Count, ...]:
    """The sum of the ages of what caches and query caches answered."""
    return service_counts(system, Cache | VectorIndex, "age_ns", weight=weight)


def cacheable_queries(system: System, index: str | None = None) -> tuple[Count, ...]:
    """Queries sent that a query cache may answer: to the vector index named `index`, or to all."""
    return tuple(
        Count("calls", row, "attempts")
        for row, policy in enumerate(system.calls.values())
        if policy.cacheable and index in (None, policy.to)
    )


def background_in_flight(system: System) -> tuple[Count, ...]:
    """Background requests sent and not yet ended, at the end."""
    return class_counts(system, "in_flight", kind="background")
