"""What goes wrong, and when: incidents as data, and the changes of the system that they come to.

An incident of a new kind is a class with `kind`, `check` and `sample`, added to `Incident`. Each is drawn into an
`Outbreak`: effects (a value of a service for a while), extra first attempts, and marks for pictures.

Effects that overlap on the same kind of change of the same service combine: slowdown and quota factors multiply, of
retry-afters the longest holds, of bulk invalidations at one instant the largest. When the last effect ends, the value
is again exactly the healthy one.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import numpy as np
from pydantic import Field

from streamflow_env.episode import Change, ChangeKind, Mark
from streamflow_env.ranges import (
    CountRange,
    FractionRange,
    NonNegativeRange,
    PositiveRange,
    Range,
    draw,
    draw_count,
)
from streamflow_env.system import System
from streamflow_env.system.schema import Fraction, Frozen, Text

NANOSECONDS: Final = 1e9


@dataclass(frozen=True)
class Effect:
    """`kind` of `service` is `value` from `start_s` to `end_s`, seconds from t = 0; or once, where they are equal."""

    service: str
    kind: ChangeKind
    value: float
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Extra:
    """`num_requests` first attempts of a class beyond its rate, spread evenly over [start_s, end_s)."""

    request_class: str
    num_requests: int
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Outbreak:
    """What one incident comes to in one episode."""

    effects: tuple[Effect, ...] = ()
    marks: tuple[Mark, ...] = ()
    extras: tuple[Extra, ...] = ()


class BaseIncident(Frozen):
    """What all incidents share: they begin at `start_s` after t = 0, with probability `chance`."""

    start_s: NonNegativeRange
    chance: Fraction = 1.0

    @abstractmethod
    def check(self, system: System) -> None:
        """Raises ValueError, naming the key, where the incident does not fit the system."""

    @abstractmethod
    def sample(self, rng: np.random.Generator) -> Outbreak:
        """The incident as it happens in one episode (if it does: `chance` is decided elsewhere)."""


class Precursor(Frozen):
    """The warning sign: for `lead_s` before the incident the service is `factor` times as slow as healthy."""

    lead_s: PositiveRange
    factor: PositiveRange


class Slowdown(BaseIncident):
    """A service becomes `factor` times as slow."""

    kind: Literal["slowdown"]
    service: Text
    factor: PositiveRange
    duration_s: PositiveRange
    precursor: Precursor | None = None

    def check(self, system: System) -> None:
        _check_service(system, "service", self.service)

    def sample(self, rng: np.random.Generator) -> Outbreak:
        start_s, end_s = _stretch(rng, self.start_s, self.duration_s)
        factor = draw(rng, self.factor)
        effect = Effect(self.service, "slowdown_factor", factor, start_s, end_s)
        mark = Mark(f"{self.service} {factor:.1f}x slower", start_s, end_s)
        sign = _warning(rng, self.precursor, self.service, start_s)
        return Outbreak((*sign.effects, effect), (*sign.marks, mark))


class LlmDegradation(BaseIncident):
    """An LLM endpoint's provider is in trouble: less quota, higher latency and a longer retry-after, together."""

    kind: Literal["llm_degradation"]
    service: Text
    quota_factor: FractionRange
    latency_factor: PositiveRange
    retry_after_s: NonNegativeRange
    duration_s: PositiveRange
    precursor: Precursor | None = None

    def check(self, system: System) -> None:
        _check_service(system, "service", self.service, "llm_endpoint")

    def sample(self, rng: np.random.Generator) -> Outbreak:
        start_s, end_s = _stretch(rng, self.start_s, self.duration_s)
        quota, latency = draw(rng, self.quota_factor), draw(rng, self.latency_factor)
        retry_after_s = draw(rng, self.retry_after_s)
        effects = (
            Effect(self.service, "quota_factor", quota, start_s, end_s),
            Effect(self.service, "slowdown_factor", latency, start_s, end_s),
            Effect(self.service, "retry_after_s", retry_after_s, start_s, end_s),
        )
        mark = Mark(f"{self.service} quota {quota:.2f}x, latency {latency:.1f}x", start_s, end_s)
        sign = _warning(rng, self.precursor, self.service, start_s)
        return Outbreak((*sign.effects, *effects), (*sign.marks, mark))


class ContentDrop(BaseIncident):
    """New content: `num_items` requests of `items_class` within `spread_s`, and a bulk invalidation at the start."""

    kind: Literal["content_drop"]
    cache: Text
    items_class: Text
    num_items: CountRange
    spread_s: PositiveRange
    invalidate_fraction: FractionRange

    def check(self, system: System) -> None:
        _check_service(system, "cache", self.cache, "cache")
        background = [name for name, c in system.classes.items() if c.kind == "background"]
        if self.items_class not in background:
            known = ", ".join(background) or "none"
            raise ValueError(f"items_class = {self.items_class!r}: must be a background class of the system: {known}")

    def sample(self, rng: np.random.Generator) -> Outbreak:
        start_s, end_s = _stretch(rng, self.start_s, self.spread_s)
        num_items = draw_count(rng, self.num_items)
        fraction = draw(rng, self.invalidate_fraction)
        return Outbreak(
            effects=(Effect(self.cache, "invalidate_fraction", fraction, start_s, start_s),),
            marks=(Mark(f"content drop, {num_items} items", start_s, end_s),),
            extras=(Extra(self.items_class, num_items, start_s, end_s),),
        )


Incident = Annotated[Slowdown | LlmDegradation | ContentDrop, Field(discriminator="kind")]


def _stretch(rng: np.random.Generator, start_s: Range, duration_s: Range) -> tuple[float, float]:
    start = draw(rng, start_s)
    return start, start + draw(rng, duration_s)


def _warning(rng: np.random.Generator, precursor: Precursor | None, service: str, start_s: float) -> Outbreak:
    """The precursor of an incident at `start_s`; it never reaches back before t = 0, so the warm-up is healthy."""
    if precursor is None:
        return Outbreak()
    factor = draw(rng, precursor.factor)
    begin_s = max(0.0, start_s - draw(rng, precursor.lead_s))
    if begin_s == start_s:
        return Outbreak()
    effect = Effect(service, "slowdown_factor", factor, begin_s, start_s)
    return Outbreak((effect,), (Mark(f"warning sign: {service} {factor:.1f}x slower", begin_s, start_s),))


def _check_service(system: System, key: str, name: str, kind: str | None = None) -> None:
    known = [n for n, service in system.services.items() if kind in (None, service.kind)]
    if name not in known:
        what = f"a service of kind {kind}" if kind else "a service"
        raise ValueError(f"{key} = {name!r}: must be {what} of the system: {', '.join(known) or 'it has none'}")


_COMBINE: Final[dict[ChangeKind, Callable[[Iterable[float]], float]]] = {
    "slowdown_factor": lambda values: math.prod(values, start=1.0),
    "quota_factor": lambda values: math.prod(values, start=1.0),
    "retry_after_s": lambda values: max(values, default=0.0),
    "invalidate_fraction": max,
}
"""How values in force together combine; of no values: the healthy one."""


def changes_of(effects: Iterable[Effect], zero_s: float, horizon_s: float) -> tuple[Change, ...]:
    """The changes that `effects` come to together, in order of time; those after the episode's end are left out.

    Args:
        zero_s: t = 0 on the engine's clock, which is the length of the warm-up.
    """
    grouped: dict[tuple[str, ChangeKind], list[Effect]] = defaultdict(list)
    for effect in effects:
        grouped[effect.service, effect.kind].append(effect)
    changes = [
        Change(round((zero_s + at_s) * NANOSECONDS), service, kind, value)
        for (service, kind), group in grouped.items()
        for at_s, value in _course(kind, group)
        if at_s < horizon_s
    ]
    return tuple(sorted(changes, key=lambda change: (change.at_ns, change.service, change.kind)))


def _course(kind: ChangeKind, effects: list[Effect]) -> list[tuple[float, float]]:
    """(time, value) of each change that these effects, all of one service and kind, come to."""
    if kind == "invalidate_fraction":
        instants = sorted({effect.start_s for effect in effects})
        return [(at_s, max(e.value for e in effects if e.start_s == at_s)) for at_s in instants]
    course: list[tuple[float, float]] = []
    before = _COMBINE[kind](())
    for at_s in sorted({edge for effect in effects for edge in (effect.start_s, effect.end_s)}):
        value = _COMBINE[kind](effect.value for effect in effects if effect.start_s <= at_s < effect.end_s)
        if value != before:
            course.append((at_s, value))
            before = value
    return course
