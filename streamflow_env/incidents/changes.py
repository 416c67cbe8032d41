"""The changes of the system that effects cause together, also where they overlap."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final

from streamflow_env.episode import Change, ChangeKind
from streamflow_env.incidents.incident import Effect

NANOSECONDS: Final = 1e9

_COMBINE: Final[dict[ChangeKind, Callable[[Iterable[float]], float]]] = {
    "slowdown_factor": lambda values: math.prod(values, start=1.0),
    "quota_factor": lambda values: math.prod(values, start=1.0),
    "retry_after_s": lambda values: max(values, default=0.0),
    "invalidate_fraction": max,
}
"""How simultaneous values combine. Without values: the healthy value."""


def changes_of(effects: Iterable[Effect], zero_s: float, horizon_s: float) -> tuple[Change, ...]:
    """The changes that `effects` cause together, in order of time, without those after the end of the episode.

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
    """(time, value) of each change that these effects, all of one service and kind, cause."""
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
