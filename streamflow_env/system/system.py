"""A system: services, calls, request classes, users and controls, read from one YAML file and checked as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from streamflow_env.paths import config_path
from streamflow_env.system.controls import Control, ControlTable
from streamflow_env.system.parameters import Parameter
from streamflow_env.system.plans import (
    CallPolicy,
    CallStep,
    ComputeStep,
    EmitStep,
    FillStep,
    InvalidateStep,
    LookupStep,
    QueryStep,
    RequestClass,
    Step,
    Users,
)
from streamflow_env.system.schema import Frozen, NonNegative, PositiveSeconds, Seconds, Text, load
from streamflow_env.system.services import Database, DeferredQueue, Service, WorkerPool
from streamflow_env.system.size import check_size

MAX_HELD = 4
"""How many workers one request may hold at once, that of the entry pool not counted."""


LEAST_GAP_S = 1e-6
"""So much worst_s must be above target_s: in between, lateness is graded."""


class Sla(Frozen):
    """An answer within `target_s` meets the SLA. Lateness grows from 0 at `target_s` to 1 at `worst_s`."""

    target_s: PositiveSeconds
    worst_s: PositiveSeconds

    @model_validator(mode="after")
    def _check(self) -> Sla:
        if self.worst_s < self.target_s + LEAST_GAP_S:
            raise ValueError(
                f"worst_s {self.worst_s} must be above target_s {self.target_s}, by {LEAST_GAP_S} s or more"
            )
        return self


class System(Frozen):
    """Everything that is simulated, as data.

    The quality of an answer is the product of the qualities of its plan's calls: 1 for a full answer, less for a
    fallback. `llm_price_per_request` and the prices of services are in the same arbitrary currency.
    """

    name: Text
    control_interval_s: Annotated[PositiveSeconds, Field(ge=0.001)]
    warmup_s: Seconds
    sla: Sla
    users: Users
    services: dict[Text, Service] = Field(min_length=1, max_length=1000)
    calls: dict[Text, CallPolicy] = Field(default_factory=dict, max_length=1000)
    classes: dict[Text, RequestClass] = Field(min_length=1, max_length=100)
    controls: tuple[Control, ...] = Field(min_length=1, max_length=1000)
    llm_price_per_request: NonNegative = 0.0

    @model_validator(mode="after")
    def _check_references(self) -> System:
        check_size(self)
        self._check_calls()
        if not any(request_class.kind == "interactive" for request_class in self.classes.values()):
            raise ValueError("classes: must have at least one of kind interactive")
        for name, request_class in self.classes.items():
            where = f"classes.{name}.plan"
            self._check_plan(where, request_class.plan, None, request_class.kind == "interactive")
            if (depth := _depth(request_class.plan)) > MAX_HELD:
                raise ValueError(f"{where}: `holding` is nested {depth} deep, must be at most {MAX_HELD}")
        entry = self.services.get(self.users.entry)
        if not isinstance(entry, WorkerPool):
            raise ValueError(f"users.entry = {self.users.entry!r}: must be a service of kind worker_pool")
        if entry.serves_abandoned:
            raise ValueError(f"services.{self.users.entry}.serves_abandoned: must be false for users.entry")
        self._check_services()
        self._check_controls()
        return self

    def _check_services(self) -> None:
        for name, service in self.services.items():
            if isinstance(service, DeferredQueue):
                self._kind(f"services.{name}.to", service.to, {"llm_endpoint"})
            if not isinstance(service, WorkerPool) or name == self.users.entry:
                continue
            if service.rate_limit_rps is not None or service.admission_reserve_fraction > 0:
                what = "admission_reserve_fraction and rate_limit_rps"
                raise ValueError(f"services.{name}: {what} are for users.entry alone")

    def _check_calls(self) -> None:
        for name, policy in self.calls.items():
            kind = self._kind(f"calls.{name}.to", policy.to, {"database", "vector_index", "llm_endpoint"})
            if kind == "database" and policy.timeout_s is not None:
                raise ValueError(f"calls.{name}.timeout_s: a database call takes no timeout; leave it out")
            if policy.fallback_quality is None and (policy.ask_fraction < 1 or policy.fallback_fraction > 0):
                raise ValueError(
                    f"calls.{name}: ask_fraction below 1, fallback_fraction above 0 need a fallback_quality"
                )
            if policy.cacheable and kind != "vector_index":
                raise ValueError(f"calls.{name}.cacheable: only a call to a vector_index can be cacheable")
            if policy.deferred is not None:
                self._check_deferred(name, policy.deferred, policy.to)
            elif policy.defer_fraction > 0:
                raise ValueError(
                    f"calls.{name}.defer_fraction above 0 needs `deferred`, a service of kind deferred_queue"
                )

    def _check_deferred(self, name: str, deferred: str, to: str) -> None:
        self._kind(f"calls.{name}.deferred", deferred, {"deferred_queue"})
        queue = self.services[deferred]
        if isinstance(queue, DeferredQueue) and queue.to != to:
            raise ValueError(f"calls.{name}.deferred = {deferred!r}: asks {queue.to!r}, must ask {to!r} like the call")

    def _check_plan(self, where: str, plan: tuple[Step, ...], held: str | None, interactive: bool) -> None:
        for index, step in enumerate(plan):
            at = f"{where}[{index}]"
            match step:
                case CallStep():
                    self._kind(f"{at}.call", step.call, {"worker_pool"})
                    self._check_plan(f"{at}.holding", step.holding, step.call, interactive)
                case QueryStep():
                    self._check_query(at, step.query, held)
                case ComputeStep():
                    self._check_cpu(f"{at}.compute", held)
                case LookupStep() | FillStep() if not interactive:
                    raise ValueError(f"{at}: only an interactive class has a user whose key can be looked up or filled")
                case LookupStep():
                    self._kind(f"{at}.lookup", step.lookup, {"cache"})
                    self._check_plan(f"{at}.on_miss", step.on_miss, held, interactive)
                case FillStep():
                    self._kind(f"{at}.fill", step.fill, {"cache"})
                case InvalidateStep():
                    self._kind(f"{at}.invalidate", step.invalidate, {"cache"})
                case EmitStep():
                    self._kind(f"{at}.emit", step.emit, {"consumer"})

    def _check_query(self, at: str, name: str, held: str | None) -> None:
        if name not in self.calls:
            raise ValueError(f"{at}.query = {name!r}: must be one of {', '.join(self.calls)}")
        if self.calls[name].attempt_cpu is not None:
            self._check_cpu(f"{at}.query = {name!r} (attempt_cpu)", held)

    def _check_cpu(self, at: str, held: str | None) -> None:
        pool = self.services.get(held) if held is not None else None
        if not isinstance(pool, WorkerPool) or pool.cores_per_replica == 0:
            raise ValueError(f"{at}: must stand under `holding` of a worker_pool with cores_per_replica of at least 1")

    def _check_controls(self) -> None:
        names = [control.name for control in self.controls]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"controls: name {name!r} is given twice")
        targets = [(control.of, control.parameter) for control in self.controls]
        for of, parameter in targets:
            if targets.count((of, parameter)) > 1:
                raise ValueError(f"controls: {parameter} of {of!r} is set by two controls, must be set by one")
        for index, control in enumerate(self.controls):
            self._check_control(f"controls[{index}] ({control.name})", control)

    def _check_control(self, where: str, control: Control) -> None:
        parameter = control.sets
        if not parameter.is_of_call:
            self._kind(f"{where}.of", control.of, {parameter.kind})
        elif control.of not in self.calls:
            raise ValueError(f"{where}.of = {control.of!r}: must be a call, one of {', '.join(self.calls)}")
        if (obstacle := parameter.obstacle(self, control.of)) is not None:
            raise ValueError(f"{where}.of = {control.of!r}: {obstacle}")
        value = self._default(control)
        if not control.low <= value <= control.high:
            raise ValueError(f"{where}: its default is {value}, must be in [{control.low}, {control.high}]")

    def _kind(self, where: str, name: str, allowed: set[str]) -> str:
        kind = self._kind_of(name)
        if kind not in allowed:
            known = [n for n in self.services if self._kind_of(n) in allowed]
            kinds = " or ".join(sorted(allowed))
            raise ValueError(f"{where} = {name!r}: must be a service of kind {kinds}: {', '.join(known)}")
        return kind

    def _kind_of(self, name: str) -> str:
        return str(self.services[name].kind) if name in self.services else ""

    def _default(self, control: Control) -> float:
        value = control.sets.default(self.owners(control.sets)[control.of])
        if value is not None:
            return value
        if not control.off_at_high:
            raise ValueError(f"controls ({control.name}): it is off by default, so off_at_high must be true")
        return control.high

    def owners(self, parameter: Parameter) -> Mapping[str, Frozen]:
        """The calls, or the services of the kind, that have `parameter`, by name."""
        if parameter.is_of_call:
            return self.calls
        return {name: service for name, service in self.services.items() if service.kind == parameter.kind}

    @cached_property
    def control_table(self) -> ControlTable:
        """The controls with their default values, which are those of the services and calls."""
        return ControlTable(self.controls, np.array([self._default(control) for control in self.controls]))

    @cached_property
    def service_names(self) -> tuple[str, ...]:
        return tuple(self.services)

    @cached_property
    def call_names(self) -> tuple[str, ...]:
        return tuple(self.calls)

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        return tuple(self.classes)

    @cached_property
    def interactive(self) -> tuple[bool, ...]:
        """For each class, in order, whether users send it."""
        return tuple(request_class.kind == "interactive" for request_class in self.classes.values())

    def calls_of(self, kind: Literal["interactive", "background"]) -> tuple[str, ...]:
        """The calls that plans of interactive, or of background, classes make."""
        made = {name for c in self.classes.values() if c.kind == kind for name in _queries(c.plan)}
        return tuple(name for name in self.calls if name in made)

    def pools(self) -> Iterator[tuple[str, WorkerPool]]:
        """The worker pools, by name."""
        return ((name, service) for name, service in self.services.items() if isinstance(service, WorkerPool))

    def databases(self) -> Iterator[tuple[str, Database]]:
        """The databases, by name."""
        return ((name, service) for name, service in self.services.items() if isinstance(service, Database))


def _depth(plan: tuple[Step, ...]) -> int:
    """How deep calls are nested under `holding`."""
    depths = [0]
    for step in plan:
        if isinstance(step, CallStep):
            depths.append(1 + _depth(step.holding))
        elif isinstance(step, LookupStep):
            depths.append(_depth(step.on_miss))
    return max(depths)


def _queries(plan: tuple[Step, ...]) -> Iterator[str]:
    """The calls that a plan makes."""
    for step in plan:
        if isinstance(step, QueryStep):
            yield step.query
        elif isinstance(step, CallStep):
            yield from _queries(step.holding)
        elif isinstance(step, LookupStep):
            yield from _queries(step.on_miss)


def load_system(source: str | Path | dict[str, Any] | System = "streamflow") -> System:
    """A system by the name of a shipped one, by the path of a YAML file, or from its content.

    Raises:
        ConfigError: naming file, key, value and what is allowed.
    """
    if isinstance(source, System):
        return source
    if isinstance(source, dict):
        return load(System, source)
    return load(System, config_path("system", source))
