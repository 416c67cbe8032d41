"""Incidents that come unannounced: a service slows down or is replaced, an LLM is in trouble, content is dropped."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, Literal

import numpy as np
from pydantic import Field

from streamflow_env.episode import Mark
from streamflow_env.incidents.incident import (
    BaseIncident,
    Effect,
    Extra,
    Outbreak,
    check_class,
    check_service,
    stretch,
)
from streamflow_env.ranges import (
    CountRange,
    FactorRange,
    FractionRange,
    PositiveSecondsRange,
    Range,
    SecondsRange,
    draw,
    draw_count,
)
from streamflow_env.system import System
from streamflow_env.system.schema import Fraction, Frozen, Text

MAX_SLOWDOWN: Final = 1e6
"""By so much all incidents together may slow a service down."""


class Precursor(Frozen):
    """The warning sign: for `lead_s` before the incident the service is `factor` times as slow as healthy.

    With probability 1 - `chance` there is none, and the incident comes out of the blue.
    """

    lead_s: PositiveSecondsRange
    factor: FactorRange
    chance: Fraction = 1.0


class Slowdown(BaseIncident):
    """A service becomes `factor` times as slow."""

    kind: Literal["slowdown"]
    service: Text
    factor: FactorRange
    duration_s: PositiveSecondsRange
    precursor: Precursor | None = None

    @property
    def sign_chance(self) -> float:
        return 0.0 if self.precursor is None else self.precursor.chance

    def check(self, system: System) -> None:
        check_service(system, "service", self.service)

    def sample(self, rng: np.random.Generator, has_sign: bool = True) -> Outbreak:
        start_s, end_s = stretch(rng, self.start_s, self.duration_s)
        factor = draw(rng, self.factor)
        effect = Effect(self.service, "slowdown_factor", factor, start_s, end_s)
        mark = Mark(f"{self.service} {factor:.1f}x slower", start_s, end_s)
        sign = _warning(rng, self.precursor if has_sign else None, self.service, start_s)
        return Outbreak((*sign.effects, effect), (*sign.marks, mark))


class LlmDegradation(BaseIncident):
    """An LLM endpoint's provider is in trouble: less quota, higher latency and a longer retry-after, together."""

    kind: Literal["llm_degradation"]
    service: Text
    quota_factor: FractionRange
    latency_factor: FactorRange
    retry_after_s: SecondsRange
    duration_s: PositiveSecondsRange
    precursor: Precursor | None = None

    @property
    def sign_chance(self) -> float:
        return 0.0 if self.precursor is None else self.precursor.chance

    def check(self, system: System) -> None:
        check_service(system, "service", self.service, "llm_endpoint")

    def sample(self, rng: np.random.Generator, has_sign: bool = True) -> Outbreak:
        start_s, end_s = stretch(rng, self.start_s, self.duration_s)
        quota, latency = draw(rng, self.quota_factor), draw(rng, self.latency_factor)
        retry_after_s = draw(rng, self.retry_after_s)
        effects = (
            Effect(self.service, "quota_factor", quota, start_s, end_s),
            Effect(self.service, "slowdown_factor", latency, start_s, end_s),
            Effect(self.service, "retry_after_s", retry_after_s, start_s, end_s),
        )
        mark = Mark(f"{self.service} quota {quota:.2f}x, latency {latency:.1f}x", start_s, end_s)
        sign = _warning(rng, self.precursor if has_sign else None, self.service, start_s)
        return Outbreak((*sign.effects, *effects), (*sign.marks, mark))


class Deployment(BaseIncident):
    """A new version of one of `services` comes, and for the rest of the episode it takes `factor` times as long."""

    kind: Literal["deployment"]
    services: tuple[Text, ...] = Field(min_length=1)
    factor: FactorRange

    def check(self, system: System) -> None:
        for service in self.services:
            check_service(system, "services", service)

    def sample(self, rng: np.random.Generator, has_sign: bool = True) -> Outbreak:
        start_s = draw(rng, self.start_s)
        service = self.services[draw_count(rng, (0, len(self.services) - 1))]
        factor = draw(rng, self.factor)
        effect = Effect(service, "slowdown_factor", factor, start_s, math.inf)
        return Outbreak((effect,), (Mark(f"new version: {service} takes {factor:.2f}x", start_s, math.inf),))


class ContentDrop(BaseIncident):
    """New content: `num_items` requests of `items_class` within `spread_s`, and a bulk invalidation at the start."""

    kind: Literal["content_drop"]
    cache: Text
    items_class: Text
    num_items: CountRange
    spread_s: PositiveSecondsRange
    invalidate_fraction: FractionRange

    def check(self, system: System) -> None:
        check_service(system, "cache", self.cache, "cache")
        check_class(system, "items_class", self.items_class, "background")

    def sample(self, rng: np.random.Generator, has_sign: bool = True) -> Outbreak:
        start_s, end_s = stretch(rng, self.start_s, self.spread_s)
        num_items = draw_count(rng, self.num_items)
        fraction = draw(rng, self.invalidate_fraction)
        return Outbreak(
            effects=(Effect(self.cache, "invalidate_fraction", fraction, start_s, start_s),),
            marks=(Mark(f"content drop, {num_items} items", start_s, end_s),),
            extras=(Extra(self.items_class, num_items, start_s, end_s),),
        )


def _warning(rng: np.random.Generator, precursor: Precursor | None, service: str, start_s: float) -> Outbreak:
    """The precursor of an incident at `start_s`. It does not begin before t = 0, so the warm-up is healthy."""
    if precursor is None:
        return Outbreak()
    factor = draw(rng, precursor.factor)
    begin_s = max(0.0, start_s - draw(rng, precursor.lead_s))
    if begin_s == start_s:
        return Outbreak()
    effect = Effect(service, "slowdown_factor", factor, begin_s, start_s)
    return Outbreak((effect,), (Mark(f"warning sign: {service} {factor:.1f}x slower", begin_s, start_s),))


def check_slowdowns(incidents: Sequence[BaseIncident]) -> None:
    """Raises ValueError, naming the service, where `incidents` at once would slow it down by more than can be meant."""
    slowest: dict[str, float] = defaultdict(lambda: 1.0)
    fastest: dict[str, float] = defaultdict(lambda: 1.0)
    for incident in incidents:
        for service, (low, high) in _slowdowns(incident):
            slowest[service] *= max(1.0, high)
            fastest[service] *= min(1.0, low)
    for service in slowest:
        if slowest[service] > MAX_SLOWDOWN or fastest[service] < 1.0 / MAX_SLOWDOWN:
            raise ValueError(
                f"incidents: together they may slow {service!r} down by a factor of {fastest[service]:g} to"
                f" {slowest[service]:g}: must be in [{1.0 / MAX_SLOWDOWN:g}, {MAX_SLOWDOWN:g}]"
            )


def _slowdowns(incident: BaseIncident) -> Iterator[tuple[str, Range]]:
    """The service and the range of each slowdown that an incident may cause."""
    match incident:
        case Slowdown():
            yield incident.service, incident.factor
        case LlmDegradation():
            yield incident.service, incident.latency_factor
        case Deployment():
            yield from ((service, incident.factor) for service in incident.services)
    if isinstance(incident, Slowdown | LlmDegradation) and incident.precursor is not None:
        yield incident.service, incident.precursor.factor
