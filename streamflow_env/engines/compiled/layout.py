"""A system laid out in arrays: the state in which the compiled engine begins, with default controls and idle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines.compiled.cache import lay_out_cache
from streamflow_env.engines.compiled.calls import lay_out_call
from streamflow_env.engines.compiled.clients import lay_out_clients
from streamflow_env.engines.compiled.consumer import lay_out_consumer
from streamflow_env.engines.compiled.controls import lay_out_controls
from streamflow_env.engines.compiled.database import lay_out_database
from streamflow_env.engines.compiled.deferred import lay_out_deferred
from streamflow_env.engines.compiled.llm import lay_out_llm
from streamflow_env.engines.compiled.plan import flatten
from streamflow_env.engines.compiled.pools import lay_out_pool
from streamflow_env.engines.compiled.records import (
    CALL_STATE,
    CLASS_STATE,
    NEVER,
    SERVICE_STATE,
    WORLD,
)
from streamflow_env.engines.compiled.state import Memory
from streamflow_env.engines.compiled.vector_index import lay_out_vector_index
from streamflow_env.engines.draws.distributions import to_ns
from streamflow_env.system import Cache, Consumer, Database, DeferredQueue, LlmEndpoint, System, VectorIndex, WorkerPool


@dataclass(frozen=True)
class CacheRoom:
    """A cache: its name, its row among the services, the control of its memory (if any) and the most that it allows."""

    name: str
    row: int
    control: int | None
    most: int


@dataclass
class Layout:
    """A system in arrays: the parts of a `State` that every episode begins with, and what stays constant."""

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
    memory = Memory()
    services = np.zeros(len(system.services), SERVICE_STATE)
    for record, service in zip(services, system.services.values(), strict=True):
        _lay_out_service(record, service, system, memory)
    calls = np.zeros(len(system.calls), CALL_STATE)
    for record, name in zip(calls, system.calls, strict=True):
        lay_out_call(record, system, name, memory)
    steps, first = flatten(system)
    classes = np.zeros(len(system.classes) * 2, CLASS_STATE)
    classes["interactive"] = np.repeat(system.interactive, 2)
    classes["first_step"] = np.repeat(first, 2)
    interval_ns = to_ns(system.control_interval_s)
    world = _lay_out_world(system)
    lay_out_clients(world[0], system.users, memory)
    return Layout(
        world, services, calls, classes, steps, lay_out_controls(system), memory.array(),
        _cache_rooms(system), interval_ns, -(-to_ns(system.warmup_s) // interval_ns),
    )  # fmt: skip


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


def _lay_out_service(record: Any, service: Any, system: System, memory: Memory) -> None:
    for name in ("head", "tail", "last_premium", "cpu_head", "cpu_tail"):
        record[name] = -1
    record["slowdown"] = 1.0
    record["waiting_limit_ns"] = NEVER
    match service:
        case WorkerPool():
            lay_out_pool(record, service, system, memory)
        case Database():
            lay_out_database(record, service, system, memory)
        case VectorIndex():
            lay_out_vector_index(record, service, memory)
        case LlmEndpoint():
            lay_out_llm(record, service, memory)
        case DeferredQueue():
            lay_out_deferred(record, service, system, memory)
        case Cache():
            lay_out_cache(record, service, system.users.num_users)
        case Consumer():
            lay_out_consumer(record, service)
