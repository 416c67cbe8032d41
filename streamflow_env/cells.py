"""Cells differ: what an episode's system has otherwise than the system file, its prices, and how it is measured.

A scenario's `cell` says from where to where each of these goes. Each draws from a random stream of its own, which
depends on the episode's seed and the names of scenario and path: one more line changes nothing about the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
from pydantic import Discriminator, Field, PrivateAttr, Tag

from streamflow_env.errors import ConfigError
from streamflow_env.paths import config_path
from streamflow_env.ranges import (
    FactorRange,
    FractionRange,
    NumberRange,
    Range,
    SizeRange,
    draw,
    draw_count,
    draw_factor,
    stream_called,
)
from streamflow_env.system import CallStep, ComputeStep, LookupStep, Step, System
from streamflow_env.system.schema import Frozen, Text, parse, place, read_yaml

COMPUTE: Final = "compute"
"""The path `compute.POOL.mean_s` is the compute steps that a worker of POOL does, in the plans of all classes."""
ROOTS: Final = ("services", "calls", "users", "classes", COMPUTE)
"""What can differ. Intervals and the SLA are the environment's, and prices have a key of their own."""


Streams = Callable[[str], np.random.Generator]
"""The random stream of an episode by the path or name of what it draws."""


class Factor(Frozen):
    """The number of the system file times a factor that is log-uniform in `factor`."""

    factor: FactorRange

    def draw(self, rng: np.random.Generator, nominal: float) -> float:
        return nominal * draw_factor(rng, self.factor)

    def ends(self, nominal: float) -> Range:
        return nominal * self.factor[0], nominal * self.factor[1]


class Value(Frozen):
    """A number that is uniform in `value`, whatever the system file says."""

    value: NumberRange

    def draw(self, rng: np.random.Generator, nominal: float) -> float:
        low, high = self.value
        if isinstance(nominal, int):
            return draw_count(rng, (math.ceil(low), math.floor(high)))
        return draw(rng, self.value)

    def ends(self, nominal: float) -> Range:
        if isinstance(nominal, int) and math.ceil(self.value[0]) > math.floor(self.value[1]):
            raise ValueError(f"value = {list(self.value)}: must hold a whole number")
        return self.value


def _kind(given: Any) -> str | None:
    keys = given if isinstance(given, dict) else type(given).model_fields if isinstance(given, Frozen) else ()
    return next((kind for kind in ("factor", "value") if kind in keys), None)


Variation = Annotated[
    Annotated[Factor, Tag("factor")] | Annotated[Value, Tag("value")],
    Discriminator(_kind, custom_error_type="variation", custom_error_message="must have the key factor or value"),
]


class Prices(Frozen):
    """Factors of the prices of replicas, of the caches' memory and of LLM requests, each log-uniform."""

    replicas: FactorRange = (1.0, 1.0)
    memory: FactorRange = (1.0, 1.0)
    llm: FactorRange = (1.0, 1.0)


class TelemetryQuality(Frozen):
    """By how many control intervals what is observed is late, and the standard deviation of its relative error."""

    delay_intervals: SizeRange = (0, 0)
    noise_fraction: FractionRange = (0.0, 0.0)


class Cell(Frozen):
    """From where to where the cells of a scenario differ.

    Attributes:
        system: by path of a number in the system file, as `services.auth.service_time.mean_s`.
    """

    name: Text = "inline"
    meaning: Text = Field(default="no description", description="one line for documentation and reports")
    system: dict[Text, Variation] = Field(default_factory=dict)
    prices: Prices = Prices()
    telemetry: TelemetryQuality = TelemetryQuality()
    _source: str = PrivateAttr(default="cell")

    def check(self, system: System) -> None:
        """Raises ConfigError, naming file and path, where a number does not exist, must not differ, or goes too far."""
        for path, variation in self.system.items():
            nominal = self._nominal(system, path)
            try:
                ends = variation.ends(nominal)
            except ValueError as error:
                raise ConfigError(f"{self._at(path)}: system.{path}.{error}") from None
            for end in ends:
                self._with(system, {path: _like(nominal, end)})

    def draw(self, system: System, scenario: str, seed: int) -> dict[str, Any]:
        """The fields of `Episode` that say how the cell of the scenario's episode `seed` differs.

        Scenarios have streams of their own: else a seed would be the same cell in all, and fifty seeds fifty cells.
        """
        called = partial(stream_called, seed, scenario)
        own = {f"prices.{name}": getattr(self.prices, name) for name in Prices.model_fields}
        delay, noise = "telemetry.delay_intervals", "telemetry.noise_fraction"
        return {
            "system": self._draw_system(system, called) if self.system else None,
            "price_factors": tuple(draw_factor(called(name), limits) for name, limits in own.items()),
            "delay_intervals": draw_count(called(delay), self.telemetry.delay_intervals),
            "noise_fraction": draw(called(noise), self.telemetry.noise_fraction),
        }

    def _draw_system(self, system: System, called: Streams) -> System:
        nominals = {path: self._nominal(system, path) for path in self.system}
        drawn = {path: self.system[path].draw(called(path), nominal) for path, nominal in nominals.items()}
        return self._with(system, {path: _like(nominals[path], value) for path, value in drawn.items()})

    def _nominal(self, system: System, path: str) -> float:
        """The number at `path`; raises ConfigError where it cannot differ."""
        try:
            nominal = number_at(system, path)
            _check_may_differ(system, path)
            if nominal == 0 and (isinstance(self.system[path], Factor) or path.startswith(f"{COMPUTE}.")):
                raise ValueError("is 0, which a factor leaves as it is; must be above 0, or have a value")
        except ValueError as error:
            raise ConfigError(f"{self._at(path)}: system.{path}: {error}") from None
        return nominal

    def _with(self, system: System, values: Mapping[str, float]) -> System:
        try:
            return with_values(system, values)
        except ConfigError as error:
            raise ConfigError(f"{self._at(*values)}: system: {error}") from None

    def _at(self, *paths: str) -> str:
        """The file, and the line where it has a path; of several paths, where they begin."""
        return place(self._source, ["system", *(paths if len(paths) == 1 else ())])


def load_cell(source: Any) -> Any:
    """A cell by the name of a shipped one, by the path of a YAML file, or what is inline, to be validated."""
    if not isinstance(source, (str, Path)):
        return source
    path = config_path("cells", source)
    cell = parse(Cell, read_yaml(path), str(path))
    cell._source = str(path)
    return cell


def with_values(system: System, values: Mapping[str, float]) -> System:
    """`system` with other numbers at some paths, checked again as a whole.

    Raises:
        ConfigError: the system would not be valid, or has no such path.
    """
    nested: dict[str, Any] = {}
    for path, value in values.items():
        at = nested
        *parts, last = path.split(".")
        for part in parts:
            at = at.setdefault(part, {})
        at[last] = value
    for pool, change in nested.pop(COMPUTE, {}).items():
        factor = change["mean_s"] / _mean_compute_s(system, pool)
        classes = nested.setdefault("classes", {})
        for name, request_class in system.classes.items():
            classes.setdefault(name, {})["plan"] = _times(
                classes.get(name, {}).get("plan", request_class.plan), pool, factor
            )
    changed: System = _rebuilt(system, nested, "")
    return changed


def _rebuilt(part: Any, changes: dict[str, Any], where: str) -> Any:
    """`part` with changed fields, checked again."""
    old = part if isinstance(part, dict) else {name: getattr(part, name) for name in type(part).model_fields}
    new = {
        key: _rebuilt(old[key], change, f"{where}{key}.") if isinstance(change, dict) else change
        for key, change in changes.items()
    }
    if isinstance(part, dict):
        return {**old, **new}
    return parse(type(part), {**old, **new}, where.removesuffix(".") or "the whole")


def number_at(system: System, path: str) -> float:
    """The number at `path`. Raises ValueError where there is none."""
    keys = path.split(".")
    if keys[0] not in ROOTS:
        raise ValueError(f"must begin with one of {', '.join(ROOTS)}")
    if keys[0] == COMPUTE:
        if len(keys) != 3 or keys[2] != "mean_s":
            raise ValueError(f"must be {COMPUTE}.POOL.mean_s")
        return _mean_compute_s(system, keys[1])
    part: Any = system
    for depth, key in enumerate(keys):
        known = list(type(part).model_fields) if isinstance(part, Frozen) else list(part) if _is_map(part) else []
        if key not in known:
            place = ".".join(keys[:depth]) or "a system"
            raise ValueError(f"{place} has no {key!r}; it has {', '.join(known) or 'nothing below it'}")
        part = getattr(part, key) if isinstance(part, Frozen) else part[key]
    if isinstance(part, bool) or not isinstance(part, int | float):
        raise ValueError("must be the path of a number")
    return part


def _is_map(part: Any) -> bool:
    return isinstance(part, dict)


def _check_may_differ(system: System, path: str) -> None:
    """Raises ValueError for what an operator sets, and for a price."""
    for control in system.controls:
        group = "calls" if control.sets.is_of_call else "services"
        if path == f"{group}.{control.of}.{control.sets.field or control.parameter}":
            raise ValueError(f"must not differ: the control {control.name} sets it")
    if path.split(".")[-1].startswith("price_per_"):
        raise ValueError("must not differ here: prices are varied by `prices`")


def _like(nominal: float, value: float) -> float:
    """`value` as a whole number where the nominal one is."""
    return math.floor(value + 0.5) if isinstance(nominal, int) else float(value)


def _mean_compute_s(system: System, pool: str) -> float:
    """The longest mean of the compute steps that a worker of `pool` does. Raises ValueError where there are none."""
    means = [s for request_class in system.classes.values() for s in _compute_means(request_class.plan, pool, None)]
    if not means:
        raise ValueError(f"no plan has a compute step under `holding` of {pool!r}")
    return max(means)


def _compute_means(plan: tuple[Step, ...], pool: str, held: str | None) -> Iterator[float]:
    for step in plan:
        match step:
            case CallStep():
                yield from _compute_means(step.holding, pool, step.call)
            case LookupStep():
                yield from _compute_means(step.on_miss, pool, held)
            case ComputeStep() if held == pool:
                yield step.compute.mean_s


def _times(plan: tuple[Step, ...], pool: str, factor: float, held: str | None = None) -> tuple[Step, ...]:
    """`plan` whose compute steps, where a worker of `pool` does them, take `factor` times as long on average."""
    return tuple(_step_times(step, pool, factor, held) for step in plan)


def _step_times(step: Step, pool: str, factor: float, held: str | None) -> Step:
    match step:
        case CallStep():
            return CallStep(call=step.call, holding=_times(step.holding, pool, factor, step.call))
        case LookupStep():
            return step.model_copy(update={"on_miss": _times(step.on_miss, pool, factor, held)})
        case ComputeStep() if held == pool:
            longer = step.compute.model_copy(update={"mean_s": step.compute.mean_s * factor})
            return ComputeStep(compute=longer)
    return step
