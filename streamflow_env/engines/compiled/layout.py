"""A system laid out in arrays: the state in which the compiled engine begins, as found and at rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines.cache_entries import INVALID
from streamflow_env.engines.compiled.breaker import lay_out_breaker, window_places
from streamflow_env.engines.compiled.controls import lay_out_controls
from streamflow_env.engines.compiled.llm import kept_burst, rest_of_burst
from streamflow_env.engines.compiled.plan import flatten
from streamflow_env.engines.compiled.records import (
    ADMISSION,
    CACHE,
    CALL_STATE,
    CELL,
    CLASS_STATE,
    CONSUMER,
    DATABASE,
    DEFERRED_QUEUE,
    FULL_BUDGET,
    JOB,
    LLM,
    NEVER,
    POOL,
    RETRY,
    SERVICE_STATE,
    TOKEN,
    VECTOR,
    WORLD,
)
from streamflow_env.engines.draws.distributions import duration_code, to_ns
from streamflow_env.engines.draws.sweeps import sweep_multiplier
from streamflow_env.system import (
    Breaker,
    Cache,
    Consumer,
    Database,
    DeferredQueue,
    Duration,
    LlmEndpoint,
    System,
    Users,
    VectorIndex,
    WorkerPool,
)


@dataclass(frozen=True)
class CacheRoom:
    """A cache by name and row among the services; the control of its memory, if any, and the most that it sets."""

    name: str
    row: int
    control: int | None
    most: int


@dataclass
class Layout:
    """A system in arrays, as found and at rest.

    `memory` holds breakers' windows, pools' cohorts and settings, query caches, deferred asks and tables of latencies.
    """

    world: NDArray[Any]
    services: NDArray[Any]
    calls: NDArray[Any]
    classes: NDArray[Any]
    steps: NDArray[Any]
    controls: NDArray[Any]
    memory: NDArray[np.int64]
    caches: tuple[CacheRoom, ...]
    interval_ns: int
    num_warmup_intervals: int


def lay_out(system: System) -> Layout:
    """The arrays of `system`."""
    memory = _Memory()
    services = np.zeros(len(system.services), SERVICE_STATE)
    for record, service in zip(services, system.services.values(), strict=True):
        _lay_out_service(record, service, system, memory)
    calls = np.zeros(len(system.calls), CALL_STATE)
    for record, name in zip(calls, system.calls, strict=True):
        _lay_out_call(record, system, name, memory)
    steps, first = flatten(system)
    classes = np.zeros(len(system.classes) * 2, CLASS_STATE)
    classes["interactive"] = np.repeat(system.interactive, 2)
    classes["first_step"] = np.repeat(first, 2)
    interval_ns = to_ns(system.control_interval_s)
    world = _lay_out_world(system)
    _lay_out_clients(world[0], system.users, memory)
    return Layout(
        world, services, calls, classes, steps, lay_out_controls(system), memory.array(),
        _cache_rooms(system), interval_ns, -(-to_ns(system.warmup_s) // interval_ns),
    )  # fmt: skip


class _Memory:
    """Hands out stretches of one int64 array."""

    def __init__(self) -> None:
        self._parts: list[NDArray[np.int64]] = []
        self._size = 0

    def take(self, values: Sequence[int] | NDArray[np.int64]) -> int:
        self._parts.append(np.asarray(values, dtype=np.int64))
        self._size += len(values)
        return self._size - len(values)

    def array(self) -> NDArray[np.int64]:
        return np.concatenate([*self._parts, np.zeros(1, dtype=np.int64)])


def _cache_rooms(system: System) -> tuple[CacheRoom, ...]:
    found = []
    for row, (name, service) in enumerate(system.services.items()):
        if isinstance(service, Cache):
            controls = [i for i, c in enumerate(system.controls) if c.of == name and c.parameter == "memory_entries"]
            most = [int(system.controls[i].high) for i in controls]
            found.append(CacheRoom(name, row, controls[0] if controls else None, max(most, default=0)))
    return tuple(found)


def _lay_out_world(system: System) -> NDArray[Any]:
    world = np.zeros(1, WORLD)
    users = system.users
    world["network_ns"] = to_ns(users.network_s)
    world["deadline_ns"] = to_ns(users.deadline_s)
    world["sla_ns"] = to_ns(system.sla.target_s)
    world["worst_ns"] = to_ns(system.sla.worst_s)
    world["max_retries"] = users.max_retries
    world["num_users"] = users.num_users
    world["num_items"] = users.num_items
    world["item_exponent"] = users.item_exponent
    queues = [service for service in system.services.values() if isinstance(service, DeferredQueue)]
    world["spare_events"] = len(system.services) + sum(queue.workers + 1 for queue in queues)
    caches = [row for row, service in enumerate(system.services.values()) if isinstance(service, Cache)]
    world["first_cache"] = caches[0] if caches else -1
    world["retry_fraction"] = users.retry_fraction
    world["think_time_s"] = users.think_time_s
    world["wake_head"] = world["wake_tail"] = world["free_head"] = -1
    return world


def _lay_out_clients(world: Any, users: Users, memory: _Memory) -> None:
    world["full_jitter"] = users.think_time_distribution == "full_jitter"
    world["think_cap_s"] = math.inf if users.think_cap_s is None else users.think_cap_s
    world["budget_on"] = users.retry_budget_fraction is not None
    world["budget"] = users.retry_budget_fraction or 0.0
    world["budget_cap"] = world["budget_units"] = users.retry_budget_cap * RETRY
    _lay_out_breaker(world, users.breaker, memory)


def _set_duration(record: Any, duration: Duration) -> None:
    record["family"], record["a"], record["b"] = duration_code(duration.mean_s, duration.cv, duration.distribution)


def _lay_out_service(record: Any, service: Any, system: System, memory: _Memory) -> None:
    for name in ("head", "tail", "last_premium", "cpu_head", "cpu_tail"):
        record[name] = -1
    record["slowdown"] = 1.0
    record["waiting_limit_ns"] = NEVER
    match service:
        case WorkerPool():
            _lay_out_pool(record, service, system, memory)
        case Database():
            record["kind"] = DATABASE
            record["primary"] = 1
            record["ready_replicas"] = service.read_replicas
            record["workers"] = service.connections
            record["servers"] = (1 + service.read_replicas) * service.connections
            record["queue_limit"] = service.queue_limit
            record["lag_s"] = service.replication_lag_s
            record["write_gap_s"] = service.write_gap_s
            _set_duration(record, service.service_time)
            _lay_out_replicas(record, service, service.read_replicas, system, memory)
        case VectorIndex():
            _lay_out_vector_index(record, service, memory)
        case LlmEndpoint():
            _lay_out_llm(record, service, memory)
        case DeferredQueue():
            record["kind"] = DEFERRED_QUEUE
            record["to"] = system.service_names.index(service.to)
            record["servers"] = service.workers
            record["queue_limit"] = service.queue_limit
            record["poll_ns"] = to_ns(service.poll_s)
            record["ring_at"] = memory.take(np.zeros(service.queue_limit * JOB, dtype=np.int64))
            record["cells_at"] = memory.take(np.zeros(service.workers * CELL, dtype=np.int64))
        case Cache():
            _lay_out_cache(record, service, system.users.num_users)
        case Consumer():
            record["kind"] = CONSUMER
            record["servers"] = 1
            record["queue_limit"] = service.queue_limit
            record["batch_size"] = service.batch_size
            _set_duration(record, service.batch_time)


def _lay_out_pool(record: Any, pool: WorkerPool, system: System, memory: _Memory) -> None:
    record["kind"] = POOL
    record["ready_replicas"] = pool.replicas
    record["workers"] = pool.workers_per_replica
    record["cores_each"] = pool.cores_per_replica
    record["servers"] = pool.replicas * pool.workers_per_replica
    record["cores"] = pool.replicas * pool.cores_per_replica
    record["queue_limit"] = pool.queue_limit
    record["premium_first"] = pool.discipline == "premium_first"
    record["serves_abandoned"] = pool.serves_abandoned
    record["cpu_pressure"] = pool.cpu_pressure
    record["cpu_pressure_queue"] = pool.cpu_pressure_queue
    record["fault_fraction"] = pool.fault_fraction
    _set_duration(record, pool.service_time)
    if pool.waiting_limit_s is not None:
        record["waiting_limit_ns"] = to_ns(pool.waiting_limit_s)
    record["rate_limit"] = int(pool.rate_limit_rps or 0)
    record["admission_units"] = record["rate_limit"] * ADMISSION
    record["admission_reserve_fraction"] = pool.admission_reserve_fraction
    _lay_out_replicas(record, pool, pool.replicas, system, memory)


def _lay_out_replicas(
    record: Any, service: WorkerPool | Database, replicas: int, system: System, memory: _Memory
) -> None:
    interval_ns = to_ns(system.control_interval_s)
    num_cohorts = -(-to_ns(service.startup_delay_s) // interval_ns) + 2
    record["startup_ns"] = to_ns(service.startup_delay_s)
    record["num_cohorts"] = num_cohorts
    record["cohorts_at"] = memory.take([0] * num_cohorts)
    held = -(-to_ns(service.removal_hold_s) // interval_ns)
    record["num_desired"] = held + 1
    record["desired_at"] = memory.take([replicas] * (held + 1))


def _lay_out_vector_index(record: Any, index: VectorIndex, memory: _Memory) -> None:
    record["kind"] = VECTOR
    record["base_s"] = index.base_latency_s
    record["span_s"] = index.saturated_latency_s - index.base_latency_s
    record["knee"] = index.knee_in_flight
    record["per_query_s"] = index.latency_per_query_s
    record["query_slots"] = index.query_slots
    record["query_ttl_ns"] = to_ns(index.query_ttl_s)
    record["cached_s"] = index.cached_latency_s
    table = np.zeros((index.query_slots, 2), dtype=np.int64)
    table[:, 0] = -1
    record["queries_at"] = memory.take(table.reshape(-1))
    _set_duration(record, Duration(mean_s=1.0, cv=index.cv))


def _lay_out_llm(record: Any, llm: LlmEndpoint, memory: _Memory) -> None:
    record["kind"] = LLM
    record["quota"] = record["quota_now"] = llm.quota_per_minute
    record["burst_units"] = llm.burst * TOKEN
    record["background_share"] = llm.background_share_fraction
    record["kept_burst"] = record["kept_units"] = kept_burst(llm.burst * TOKEN, llm.background_share_fraction)
    record["token_units"] = rest_of_burst(llm.burst * TOKEN, int(record["kept_burst"]))
    if llm.token_latency is not None:
        record["num_latencies"] = len(llm.token_latency.latencies_ns)
        record["latencies_at"] = memory.take(llm.token_latency.latencies_ns)
    record["tokens_milli"] = (record["token_units"] + record["kept_units"]) * 1000 // TOKEN
    record["rejection_ns"] = to_ns(llm.rejection_time_s)
    record["retry_after_s"] = llm.retry_after_s
    record["floor_s"] = llm.floor_latency_s
    record["interactive_reserve_fraction"] = llm.interactive_reserve_fraction
    record["premium_reserve_fraction"] = llm.premium_reserve_fraction
    _set_duration(record, llm.tail)


def _lay_out_cache(record: Any, cache: Cache, num_users: int) -> None:
    record["kind"] = CACHE
    record["multiplier"] = sweep_multiplier(num_users)
    record["keys_per_item"] = cache.keys_per_item
    record["memory_entries"] = cache.memory_entries
    record["samples"] = cache.eviction_samples
    record["sweep_start"] = INVALID
    record["sweep_rate"] = int(cache.invalidation_rate_keys_per_s or 0)
    record["ttl_s"] = cache.ttl_s
    record["ttl_jitter"] = cache.ttl_jitter_fraction
    _set_duration(record, cache.lookup_time)


def _milli(quality: float | None) -> int:
    return -1 if quality is None else round(1000 * quality)


def _lay_out_call(record: Any, system: System, name: str, memory: _Memory) -> None:
    policy = system.calls[name]
    record["to"] = system.service_names.index(policy.to)
    record["max_attempts"] = policy.max_attempts
    record["timeout_ns"] = NEVER if policy.timeout_s is None else to_ns(policy.timeout_s)
    record["fallback_milli"] = _milli(policy.fallback_quality)
    record["fallback_spread"] = policy.fallback_spread
    record["exhausted_milli"] = _milli(policy.exhausted_quality)
    record["backoff_base_s"] = policy.backoff_base_s
    record["jitter_low"], record["jitter_high"] = policy.backoff_jitter
    record["ask_fraction"] = policy.ask_fraction
    record["fallback_fraction"] = policy.fallback_fraction
    record["budget_on"] = policy.retry_budget_fraction is not None
    record["budget"] = policy.retry_budget_fraction or 0.0
    record["budget_units"] = FULL_BUDGET
    record["deferred_to"] = -1 if policy.deferred is None else system.service_names.index(policy.deferred)
    record["defer_fraction"] = policy.defer_fraction
    record["cacheable"] = policy.cacheable
    if policy.attempt_cpu is not None:
        cpu = policy.attempt_cpu
        record["has_cpu"] = 1
        record["cpu_family"], record["cpu_a"], record["cpu_b"] = duration_code(cpu.mean_s, cpu.cv, cpu.distribution)
    _lay_out_breaker(record, policy.breaker, memory)


def _lay_out_breaker(record: Any, breaker: Breaker | None, memory: _Memory) -> None:
    if breaker is not None:
        lay_out_breaker(record, breaker, memory.take([0] * window_places(breaker)))
