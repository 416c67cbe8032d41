"""Five minutes of the shipped system in a situation, and claims that compare two such runs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from streamflow_env.engines.compiled import CompiledEngine
from streamflow_env.engines.telemetry import Telemetry
from streamflow_env.episode import Change, ChangeKind, Episode
from streamflow_env.system import load_system

SYSTEM = load_system()
FIVE_MINUTES = 20  # control intervals of 15 s
WARMED_UP_NS = int(SYSTEM.warmup_s * 1e9)


@dataclass(frozen=True)
class Run:
    """The telemetry of five minutes. Counts are sums over them."""

    telemetry: tuple[Telemetry, ...]

    def service(self, name: str, field: str) -> float:
        return self._sum("services", SYSTEM.service_names.index(name), field)

    def highest(self, name: str, field: str) -> float:
        """The highest value of a gauge of a service."""
        return max(int(t.services[field][SYSTEM.service_names.index(name)]) for t in self.telemetry)

    def sojourn(self, name: str) -> float:
        """Mean time at a service, in ns."""
        return self.service(name, "sojourn_ns") / self.service(name, "completions")

    def utilisation(self, name: str) -> float:
        return self.service(name, "busy_ns") / self.service(name, "server_ns")

    def call(self, name: str, field: str) -> float:
        return self._sum("calls", SYSTEM.call_names.index(name), field)

    def users(self, name: str, field: str) -> float:
        return self._sum("classes", SYSTEM.class_names.index(name), field)

    def hit(self) -> float:
        """Mean response time of cache hits, in ns."""
        return self.users("feed", "hit_response_ns") / self.users("feed", "hit_answers")

    def miss(self) -> float:
        """Mean response time of cache misses, in ns."""
        return self.users("feed", "miss_response_ns") / self.users("feed", "miss_answers")

    def personalised(self, priority: int) -> float:
        """Share of a priority's cache misses whose answer was not degraded: the LLM answered."""
        feed = [t.classes[SYSTEM.class_names.index("feed"), priority] for t in self.telemetry]
        return sum(int(c["personalised"]) for c in feed) / sum(int(c["miss_answers"]) for c in feed)

    def shed(self, priority: int) -> float:
        """How many attempts of a priority were shed."""
        feed = [t.classes[SYSTEM.class_names.index("feed"), priority] for t in self.telemetry]
        return sum(int(c["failed_shed"]) for c in feed)

    def quality(self) -> float:
        """Mean quality of the answers, in thousandths."""
        return self.users("feed", "quality_milli") / self.users("feed", "intents_answered")

    def _sum(self, table: str, index: int, field: str) -> float:
        return sum(int(getattr(t, table)[field][index].sum()) for t in self.telemetry)


Measure = Callable[[Run], float]


class Claim(NamedTuple):
    """`measure` grows (or shrinks) at least by the factor `times`."""

    measure: Measure
    grows: bool
    times: float

    def check(self, before: Run, after: Run) -> None:
        less, more = self.measure(before), self.measure(after)
        if not self.grows:
            less, more = more, less
        assert more > 0
        assert more >= self.times * less, (
            f"{'from' if self.grows else 'to'} {less:g} {'to' if self.grows else 'from'} {more:g}"
        )


def more(measure: Measure, times: float = 2.0) -> Claim:
    return Claim(measure, True, times)


def less(measure: Measure, times: float = 2.0) -> Claim:
    return Claim(measure, False, times)


def some(measure: Measure) -> Claim:
    """From (nearly) nothing to something."""
    return Claim(measure, True, 10.0)


class Situation(NamedTuple):
    """Load as multiples of normal, changes (service, kind, value) at the end of the warm-up, and other controls."""

    users: float = 1.0
    ingest: float = 1.0
    changes: tuple[tuple[str, ChangeKind, float], ...] = ()
    settings: tuple[tuple[str, float], ...] = ()


@functools.cache
def run(situation: Situation, **controls: float) -> Run:
    levels = [situation.users if interactive else situation.ingest for interactive in SYSTEM.interactive]
    rates = np.array([[level * c.normal_rate_rps] for level, c in zip(levels, SYSTEM.classes.values(), strict=True)])
    changes = tuple(Change(WARMED_UP_NS, *change) for change in situation.changes)
    engine = CompiledEngine(SYSTEM)
    engine.reset(Episode("inert", 1, 3600.0, 12.0, 1_000_000_000, rates, changes))
    values = SYSTEM.control_table.with_values(**{**dict(situation.settings), **controls})
    return Run(tuple(engine.step(values) for _ in range(FIVE_MINUTES)))
