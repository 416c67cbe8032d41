"""Random services and calls, as the content of a system file: usual figures, and now and then one at its extreme."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any, Final

from streamflow_env.paths import CONFIGS
from streamflow_env.system.schema import SMALLEST

Data = dict[str, Any]

EXTREME: Final = 0.3
"""How often a figure is at one of its extremes, where it has any."""
WHOLE_NUMBERS: Final = CONFIGS / "traces" / "example_day.csv"
"""Requests a minute, which stand for an LLM's tokens here: any whole numbers will do."""


def some(rng: random.Random, low: float, high: float, *extremes: float) -> float:
    """A number in [low, high], uniform in its logarithm; or one of `extremes`."""
    if extremes and rng.random() < EXTREME:
        return rng.choice(extremes)
    value = low * math.exp(rng.random() * math.log(high / low))
    return min(max(round(value, 6), low), high)


def part(rng: random.Random, whole: float) -> float:
    """A number in [0, `whole`), uniform; 0 where it would be smaller than a system file may have it."""
    value = whole * rng.random()
    return value if value >= SMALLEST else 0.0


def duration(rng: random.Random, mean_s: float) -> Data:
    """A random duration of about `mean_s`, or of none at all."""
    return {
        "mean_s": some(rng, mean_s / 10, mean_s * 10, 0.0),
        "cv": some(rng, 0.1, 3.0, 0.0, 1.0),
        "distribution": rng.choice(["lognormal", "lognormal", "exponential", "constant"]),
    }


def worker_pool(rng: random.Random) -> Data:
    pool: Data = {
        "kind": "worker_pool",
        "replicas": rng.choice([1, 1, 2, 5]),
        "workers_per_replica": rng.choice([1, 3, 3, 10]),
        "queue_limit": rng.choice([0, 1, 5, 50]),
        "service_time": duration(rng, 0.03),
        "discipline": rng.choice(["fifo", "premium_first"]),
        "cores_per_replica": rng.choice([0, 1, 1, 1, 3]),
        "cpu_pressure": some(rng, 0.1, 10.0, 0.0),
        "cpu_pressure_queue": rng.choice([1, 5, 100]),
        "serves_abandoned": rng.random() < 0.5,
        "fault_fraction": some(rng, 0.001, 0.3, 0.0, 0.0, 1.0),
        **_replicated(rng),
    }
    if rng.random() < 0.4:
        pool["waiting_limit_s"] = some(rng, 0.002, 3.0)
    return pool


def _replicated(rng: random.Random) -> Data:
    return {
        "startup_delay_s": some(rng, 0.1, 20.0, 0.0),
        "removal_hold_s": some(rng, 0.1, 20.0, 0.0),
        "price_per_replica_hour": some(rng, 0.1, 1.0, 0.0),
    }


def database(rng: random.Random) -> Data:
    return {
        "kind": "database",
        "connections": rng.choice([1, 1, 2, 8]),
        "queue_limit": rng.choice([0, 1, 5, 50]),
        "service_time": duration(rng, 0.05),
        "read_replicas": rng.choice([0, 0, 1, 3]),
        "replication_lag_s": some(rng, 0.01, 5.0, 0.0),
        "write_gap_s": some(rng, 0.1, 100.0),
        **_replicated(rng),
    }


def vector_index(rng: random.Random) -> Data:
    base_s = some(rng, 0.001, 0.5)
    return {
        "kind": "vector_index",
        "base_latency_s": base_s,
        "saturated_latency_s": base_s * some(rng, 1.0, 30.0, 1.0),
        "knee_in_flight": some(rng, 0.1, 20.0),
        "cv": some(rng, 0.1, 3.0, 0.0),
        "latency_per_query_s": some(rng, 0.001, 0.1, 0.0, 0.0),
        "query_ttl_s": some(rng, 0.1, 30.0, 0.0),
        "query_entries": rng.choice([1, 3, 100]),
        "cached_latency_s": some(rng, 0.001, 0.1, 0.0),
    }


def llm_endpoint(rng: random.Random) -> Data:
    endpoint: Data = {
        "kind": "llm_endpoint",
        "quota_per_minute": rng.choice([1, 30, 300, 6000]),
        "burst": rng.choice([1, 2, 10, 40]),
        "floor_latency_s": some(rng, 0.01, 0.5, 0.0),
        "tail": duration(rng, 0.1),
        "rejection_time_s": some(rng, 0.001, 0.1, 0.0),
        "retry_after_s": some(rng, 0.01, 2.0, 0.0),
        "interactive_reserve_fraction": some(rng, 0.1, 1.0, 0.0, 1.0),
        "premium_reserve_fraction": some(rng, 0.1, 1.0, 0.0, 1.0),
        "background_share_fraction": some(rng, 0.1, 1.0, 0.0, 1.0),
    }
    if rng.random() < 0.3:
        endpoint["token_latency"] = {
            "trace": str(WHOLE_NUMBERS), "input_column": "requests", "output_column": "requests",
            "base_s": some(rng, 0.01, 0.5, 0.0), "seconds_per_input_token": some(rng, 1e-6, 1e-3, 0.0),
            "seconds_per_output_token": some(rng, 1e-6, 1e-3),
        }  # fmt: skip
    return endpoint


def cache(rng: random.Random) -> Data:
    of_cache: Data = {
        "kind": "cache",
        "lookup_time": duration(rng, 0.005),
        "ttl_s": some(rng, 0.05, 30.0),
        "ttl_jitter_fraction": some(rng, 0.1, 1.0, 0.0, 1.0),
        "fresh_s": some(rng, 0.05, 10.0, 0.0),
        "keys_per_item": rng.choice([0, 1, 20]),
        "memory_entries": rng.choice([1, 2, 20, 300]),
        "eviction_samples": rng.choice([1, 5, 64]),
        "price_per_1000_entries_hour": some(rng, 0.01, 1.0, 0.0),
    }
    if rng.random() < 0.6:
        of_cache["invalidation_rate_keys_per_s"] = rng.choice([1, 30, 10_000])
    return of_cache


def consumer(rng: random.Random) -> Data:
    return {
        "kind": "consumer",
        "queue_limit": rng.choice([1, 5, 100]),
        "batch_size": rng.choice([1, 3, 200]),
        "batch_time": duration(rng, 0.1),
    }


SERVICES: Final[dict[str, Callable[[random.Random], Data]]] = {
    "worker_pool": worker_pool,
    "database": database,
    "vector_index": vector_index,
    "llm_endpoint": llm_endpoint,
    "cache": cache,
    "consumer": consumer,
}


def random_call(rng: random.Random, to: str, kind: str, queues: list[str]) -> Data:
    """A call of the service `to`, of that `kind`; `queues` are the deferred queues in front of it."""
    low = some(rng, 0.1, 1.0, 0.0)
    call: Data = {
        "to": to,
        "max_attempts": rng.choice([1, 2, 4, 16]),
        "backoff_base_s": some(rng, 0.001, 0.5, 0.0),
        "backoff_jitter": [low, low + some(rng, 0.1, 1.0, 0.0)],
    }
    if kind != "database" and rng.random() < 0.5:
        call["timeout_s"] = some(rng, 0.001, 2.0)
    if rng.random() < 0.6:
        call |= _fallback(rng)
    if rng.random() < 0.6:
        call["exhausted_quality"] = some(rng, 0.1, 1.0, 0.0)
    if rng.random() < 0.3:
        call["attempt_cpu"] = duration(rng, 0.01)
    if rng.random() < 0.5:
        call["breaker"] = breaker(rng)
    if rng.random() < 0.4:
        call["retry_budget_fraction"] = some(rng, 0.001, 1.0, 0.0)
    if queues and rng.random() < 0.8:
        call |= {"deferred": rng.choice(queues), "defer_fraction": some(rng, 0.1, 1.0, 0.0, 1.0)}
    if kind == "vector_index":
        call["cacheable"] = rng.random() < 0.6
    return call


def _fallback(rng: random.Random) -> Data:
    quality = some(rng, 0.1, 1.0, 0.0, 1.0)
    loss_milli = 1000 - round(1000 * quality)
    widest = 1.0 if loss_milli <= 500 else max(0.0, 1000 / loss_milli - 1.0 - 1e-9)
    return {
        "fallback_quality": quality,
        "fallback_spread": rng.choice([0.0, widest, part(rng, widest)]),
        "ask_fraction": some(rng, 0.1, 1.0, 0.0, 1.0),
        "fallback_fraction": some(rng, 0.1, 1.0, 0.0, 1.0),
    }


def breaker(rng: random.Random) -> Data:
    """A circuit breaker, now and then off."""
    of_calls: Data = {
        "window_size": rng.choice([1, 5, 100]),
        "minimum_calls": rng.choice([1, 5, 100]),
        "slow_call_s": some(rng, 0.001, 1.0),
        "open_s": some(rng, 0.01, 10.0),
        "half_open_calls": rng.choice([1, 3, 10]),
    }
    if rng.random() < 0.7:
        of_calls["threshold_fraction"] = some(rng, 0.01, 1.0, 1.0)
    return of_calls
