"""A system scaled by a whole factor: what depends on the number of users is multiplied, everything else stays.

A field of a system is *extensive* if twice the users need twice of it: workers, connections, queue limits, quota,
memory, a knee in queries in flight, a breaker's window in calls. It is *intensive* if they do not: times, shares,
thresholds, prices per unit. The number of replicas stays, and each replica becomes larger: what a replica has and costs
is extensive. So the controls of replicas keep their ranges, and those of extensive parameters are multiplied.
`EXTENSIVE`, `INVERSE` and `INTENSIVE` list every field; a test compares them with the classes.

Two things do not scale exactly. First, the catalogue (`num_items`) is the same for all users: more users ask for the
same items, so the cache hits a little more often. Second, the queues of a large system fluctuate less at the same
utilisation, so waits are shorter. At normal load, where few requests wait, both effects are small.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

from streamflow_env.errors import ConfigError
from streamflow_env.system.controls import Control
from streamflow_env.system.plans import Breaker, CallPolicy, RequestClass, Users
from streamflow_env.system.schema import Frozen, parse
from streamflow_env.system.services import (
    Cache,
    Consumer,
    Database,
    DeferredQueue,
    LlmEndpoint,
    VectorIndex,
    WorkerPool,
)
from streamflow_env.system.system import Sla, System

EXTENSIVE: Final[dict[type[Frozen], tuple[str, ...]]] = {
    WorkerPool: (
        "workers_per_replica",
        "cores_per_replica",
        "queue_limit",
        "cpu_pressure_queue",  # the queue at which work takes 1 + cpu_pressure times as long
        "rate_limit_rps",
        "price_per_replica_hour",  # of one replica, which is `factor` times as large
    ),
    Database: ("connections", "queue_limit", "price_per_replica_hour"),
    VectorIndex: ("knee_in_flight", "query_entries"),
    LlmEndpoint: ("quota_per_minute", "burst"),
    Cache: ("memory_entries", "invalidation_rate_keys_per_s"),
    Consumer: ("queue_limit", "batch_size"),
    DeferredQueue: ("queue_limit", "workers"),
    Breaker: ("window_size", "minimum_calls", "half_open_calls"),  # calls: the window covers the same time
    CallPolicy: (),
    RequestClass: ("normal_rate_rps",),
    Users: ("num_users", "retry_budget_cap"),
    Sla: (),
    System: (),
}
"""Multiplied by the factor; what is null (off) stays null."""
INVERSE: Final[dict[type[Frozen], tuple[str, ...]]] = {VectorIndex: ("latency_per_query_s",)}
"""Divided by the factor: an effect of each query in flight, and there are `factor` times as many queries."""
INTENSIVE: Final[dict[type[Frozen], tuple[str, ...]]] = {
    WorkerPool: (
        "kind", "replicas", "service_time", "discipline", "cpu_pressure", "startup_delay_s", "removal_hold_s",
        "serves_abandoned", "fault_fraction", "waiting_limit_s", "admission_reserve_fraction",
    ),
    Database: (
        "kind", "service_time", "read_replicas", "startup_delay_s", "removal_hold_s", "replication_lag_s",
        "write_gap_s",
    ),
    VectorIndex: ("kind", "base_latency_s", "saturated_latency_s", "cv", "query_ttl_s", "cached_latency_s"),
    LlmEndpoint: (
        "kind", "floor_latency_s", "tail", "rejection_time_s", "retry_after_s", "interactive_reserve_fraction",
        "premium_reserve_fraction", "background_share_fraction", "token_latency",
    ),
    # `keys_per_item` stays: there are more items, and each affects as many keys
    Cache: (
        "kind", "lookup_time", "ttl_s", "ttl_jitter_fraction", "fresh_s", "keys_per_item", "eviction_samples",
        "price_per_1000_entries_hour",
    ),
    Consumer: ("kind", "batch_time"),
    DeferredQueue: ("kind", "to", "poll_s"),
    Breaker: ("threshold_fraction", "slow_call_s", "open_s"),
    CallPolicy: (
        "to", "max_attempts", "backoff_base_s", "backoff_jitter", "timeout_s", "ask_fraction", "fallback_fraction",
        "fallback_quality", "fallback_spread", "exhausted_quality", "attempt_cpu", "breaker", "retry_budget_fraction",
        "deferred", "defer_fraction", "cacheable",
    ),
    RequestClass: ("kind", "plan"),
    Users: (
        "popularity_exponent", "num_items", "item_exponent", "return_fraction", "return_gap_s", "lookback_s",
        "premium_fraction", "entry", "network_s", "deadline_s", "retry_fraction", "max_retries", "think_time_s",
        "think_time_distribution", "think_cap_s", "retry_budget_fraction", "breaker",
    ),
    Sla: ("target_s", "worst_s"),
    System: (
        "name", "control_interval_s", "warmup_s", "sla", "users", "services", "calls", "classes", "controls",
        "llm_price_per_request",
    ),
}  # fmt: skip
"""Kept. Fields that have fields of their own (`services`, `breaker`, …) are scaled inside."""
EXTENSIVE_PARAMETERS: Final = frozenset(name for names in EXTENSIVE.values() for name in names)
"""A control that sets one of these has its range multiplied too."""

Part = TypeVar("Part", bound=Frozen)


def scaled(system: System, factor: int) -> System:
    """`system` with `factor` times the users and the resources that they need.

    Raises:
        ConfigError: the factor is not a whole number from 1, or the system would be too large.
    """
    if factor < 1 or factor != int(factor):
        raise ConfigError(f"factor {factor!r}: must be a whole number, at least 1")
    factor = int(factor)
    return _with(
        system,
        users=_scaled_with_breaker(system.users, factor),
        services={name: _scaled(service, factor) for name, service in system.services.items()},
        calls={name: _scaled_with_breaker(policy, factor) for name, policy in system.calls.items()},
        classes={name: _scaled(request_class, factor) for name, request_class in system.classes.items()},
        controls=tuple(_scaled_control(control, factor) for control in system.controls),
    )


def _scaled(part: Part, factor: int) -> Part:
    grown = {name: getattr(part, name) for name in EXTENSIVE[type(part)]}
    shrunk = {name: getattr(part, name) / factor for name in INVERSE.get(type(part), ())}
    return _with(part, **{name: value * factor for name, value in grown.items() if value is not None}, **shrunk)


def _scaled_with_breaker(part: Part, factor: int) -> Part:
    breaker: Breaker | None = getattr(part, "breaker")  # noqa: B009 - of users and calls alike
    return _with(_scaled(part, factor), breaker=None if breaker is None else _scaled(breaker, factor))


def _scaled_control(control: Control, factor: int) -> Control:
    if control.parameter not in EXTENSIVE_PARAMETERS:
        return control
    return _with(control, low=control.low * factor, high=control.high * factor)


def _with(part: Part, **changes: Any) -> Part:
    """`part` with changed fields, checked again. Raises ConfigError."""
    return parse(type(part), {**dict(part), **changes}, f"scaled {type(part).__name__}")
