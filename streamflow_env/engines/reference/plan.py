"""The steps of a call plan, as an attempt walks them.

Each step has its number in the plan, the service where it happens, and `walk`: the events that an attempt waits for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from streamflow_env import system
from streamflow_env.engines.draws.hashing import SERVICE_TIME
from streamflow_env.engines.reference.attempt import Attempt, Step
from streamflow_env.engines.reference.cache import Cache
from streamflow_env.engines.reference.calls import Call
from streamflow_env.engines.reference.consumer import Consumer
from streamflow_env.engines.reference.pools import WorkerPool
from streamflow_env.engines.reference.protocols import KeyOf
from streamflow_env.engines.reference.service import Service
from streamflow_env.engines.reference.simulation import DurationDraw, Waiting, Waits

S = TypeVar("S", bound=Service)


@dataclass(frozen=True, slots=True)
class CallStep:
    """Get a worker of a pool, be served, hold the worker during the nested steps, leave."""

    number: int
    service: WorkerPool
    holding: tuple[Step, ...]

    def walk(self, attempt: Attempt) -> Waiting:
        pool = self.service
        visit = yield from attempt.wait_for_worker(pool, self.number)
        attempt.held.append((pool, visit))
        yield from attempt.pause(pool.work_ns(attempt, self.number), self.number)
        yield from attempt.walk(self.holding)
        attempt.held.pop()
        pool.finish(visit)


@dataclass(frozen=True, slots=True)
class QueryStep:
    """Call a database, vector index or LLM endpoint, holding a worker of `pool`."""

    number: int
    service: Service
    call: Call
    pool: WorkerPool | None

    def walk(self, attempt: Attempt) -> Waits:
        return self.call.query(attempt, self.number, self.pool)


@dataclass(frozen=True, slots=True)
class ComputeStep:
    """Work on the CPU of `service`, the pool whose worker the attempt holds."""

    number: int
    service: WorkerPool
    work: DurationDraw

    def walk(self, attempt: Attempt) -> Waits:
        return self.service.compute(attempt, self.number, 0, SERVICE_TIME, self.work)


@dataclass(frozen=True, slots=True)
class LookupStep:
    """Look up the key of the user or of the item; after a miss walk the nested steps."""

    number: int
    service: Cache
    of: KeyOf
    on_miss: tuple[Step, ...]

    def walk(self, attempt: Attempt) -> Waiting:
        hit = yield from self.service.lookup(attempt, self.number, self.of)
        if attempt.first_lookup_hit is None:
            attempt.first_lookup_hit = hit
        if not hit:
            yield from attempt.walk(self.on_miss)


@dataclass(frozen=True, slots=True)
class FillStep:
    """Write the answer to the cache, under the key of the user or of the item."""

    number: int
    service: Cache
    of: KeyOf

    def walk(self, attempt: Attempt) -> Waits:
        return self.service.fill(attempt, self.number, self.of)


@dataclass(frozen=True, slots=True)
class InvalidateStep:
    """Invalidate the cache entries that a new item affects. Takes no time."""

    number: int
    service: Cache

    def walk(self, attempt: Attempt) -> Waits:
        self.service.invalidate(attempt, self.number)
        return ()


@dataclass(frozen=True, slots=True)
class EmitStep:
    """Give an event to an asynchronous consumer. Takes no time."""

    number: int
    service: Consumer

    def walk(self, attempt: Attempt) -> Waits:
        self.service.emit()
        return ()


class PlanBuilder:
    """Numbers the steps of one plan depth-first from 1, and connects them with services and calls."""

    def __init__(self, config: system.System, services: Mapping[str, Service], calls: Mapping[str, Call]) -> None:
        self._config = config
        self._services = services
        self._calls = calls
        self._last_number = 0

    def build(self, plan: tuple[system.Step, ...], held: WorkerPool | None = None) -> tuple[Step, ...]:
        """The steps of `plan`. An attempt holds a worker of `held` during them; None: of no pool but the entry."""
        return tuple(self._step(step, held) for step in plan)

    def _step(self, step: system.Step, held: WorkerPool | None) -> Step:
        self._last_number += 1
        number = self._last_number
        match step:
            case system.CallStep():
                pool = self._at(WorkerPool, step.call)
                return CallStep(number, pool, self.build(step.holding, pool))
            case system.QueryStep():
                to = self._services[self._config.calls[step.query].to]
                return QueryStep(number, to, self._calls[step.query], held)
            case system.ComputeStep():
                assert held is not None
                return ComputeStep(number, held, DurationDraw.of(step.compute))
            case system.LookupStep():
                return LookupStep(number, self._at(Cache, step.lookup), step.key, self.build(step.on_miss, held))
            case system.FillStep():
                return FillStep(number, self._at(Cache, step.fill), step.key)
            case system.InvalidateStep():
                return InvalidateStep(number, self._at(Cache, step.invalidate))
            case system.EmitStep():
                return EmitStep(number, self._at(Consumer, step.emit))

    def _at(self, kind: type[S], name: str) -> S:
        service = self._services[name]
        assert isinstance(service, kind)
        return service
