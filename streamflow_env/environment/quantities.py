"""Sums of counters that both the metrics and the reward use: prices, LLM requests, ages, backlog."""

from __future__ import annotations

from typing import Final

from streamflow_env.environment.readings import Count, class_counts, service_counts
from streamflow_env.system import Cache, Database, LlmEndpoint, System, VectorIndex, WorkerPool

NS: Final = 1e9
MINUTE_NS: Final = 60 * NS
HOUR_NS: Final = 3600 * NS


def llm_accepted(system: System, weight: float = 1.0) -> tuple[Count, ...]:
    """LLM requests that found a token."""
    return service_counts(system, LlmEndpoint, "arrivals", weight=weight) + service_counts(
        system, LlmEndpoint, "rate_limited", "breaker_open", weight=-weight
    )


def replicas_price_ns(system: System, weight: float = 1.0) -> tuple[Count, ...]:
    """Price per hour of the replicas paid for, read replicas included, times ns."""
    return tuple(
        Count("services", row, "replica_ns", weight * service.price_per_replica_hour)
        for row, service in enumerate(system.services.values())
        if isinstance(service, WorkerPool | Database)
    )


def memory_price_ns(system: System, weight: float = 1.0) -> tuple[Count, ...]:
    """Price per hour of the caches' memory, used or not, times ns."""
    return tuple(
        Count("services", row, "memory_ns", weight * service.price_per_1000_entries_hour / 1000.0)
        for row, service in enumerate(system.services.values())
        if isinstance(service, Cache)
    )


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
