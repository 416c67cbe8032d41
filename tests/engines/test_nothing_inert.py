"""Nothing is inert: every service and every control of the shipped system does what it is there for.

Each service is slowed down eightfold, each control is moved from its low to its high end with all others as found,
in a situation in which it matters. What must then be more, or less, and by how much at least, is stated below; a new
service or control without such an expectation fails.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest

from streamflow_env.engines.compiled import CompiledEngine
from streamflow_env.engines.telemetry import PREMIUM, STANDARD, Telemetry
from streamflow_env.episode import Change, ChangeKind, Episode
from streamflow_env.system import Control, load_system

SYSTEM = load_system()
FIVE_MINUTES = 20  # control intervals of 15 s
WARMED_UP_NS = int(SYSTEM.warmup_s * 1e9)


@dataclass(frozen=True)
class Run:
    """Five minutes, summed up."""

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
        """Share of a priority's misses that the LLM answered in earnest."""
        feed = [t.classes[SYSTEM.class_names.index("feed"), priority] for t in self.telemetry]
        return sum(int(c["personalised"]) for c in feed) / sum(int(c["miss_answers"]) for c in feed)

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
    """Loads as multiples of normal, and what happens when the warm-up is over: (service, kind, value)."""

    users: float = 1.0
    ingest: float = 1.0
    changes: tuple[tuple[str, ChangeKind, float], ...] = ()


@functools.cache
def run(situation: Situation, **controls: float) -> Run:
    levels = [situation.users if interactive else situation.ingest for interactive in SYSTEM.interactive]
    rates = np.array([[level * c.normal_rate_rps] for level, c in zip(levels, SYSTEM.classes.values(), strict=True)])
    changes = tuple(Change(WARMED_UP_NS, *change) for change in situation.changes)
    engine = CompiledEngine(SYSTEM)
    engine.reset(Episode("inert", 1, 3600.0, 12.0, 1_000_000_000, rates, changes))
    values = SYSTEM.control_table.with_values(**controls)
    return Run(tuple(engine.step(values) for _ in range(FIVE_MINUTES)))


SERVICES: dict[str, tuple[Claim, ...]] = {
    "gateway": (more(lambda r: r.sojourn("gateway"), 1.2), more(Run.hit, 1.5)),
    "auth": (
        more(lambda r: r.sojourn("auth"), 10),
        some(lambda r: r.service("auth", "queue_full")),
        some(lambda r: r.users("feed", "failed_deadline")),
        less(lambda r: r.users("feed", "within_sla"), 10),
    ),
    "cache": (more(lambda r: r.sojourn("cache"), 6), more(Run.hit, 1.5), more(Run.miss, 1.05)),
    "user_profile": (more(lambda r: r.sojourn("user_profile"), 1.8), more(Run.miss, 1.05)),
    "profile_db": (
        more(lambda r: r.sojourn("profile_db"), 8),
        more(lambda r: r.sojourn("user_profile"), 2),
        some(lambda r: r.service("user_profile", "deadlines")),
    ),
    "engine": (
        more(lambda r: r.sojourn("engine"), 5),
        more(lambda r: r.service("engine", "cpu_busy_ns"), 3),
        some(lambda r: r.highest("engine", "queue_length")),
        less(lambda r: r.users("feed", "miss_answers"), 3),
    ),
    "vector_db": (
        more(lambda r: r.sojourn("vector_db"), 7),
        more(lambda r: r.utilisation("engine"), 2),
        some(lambda r: r.users("feed", "failed_deadline")),
    ),
    "llm": (
        more(lambda r: r.sojourn("llm"), 7),
        more(lambda r: r.utilisation("engine"), 2),
        more(Run.miss, 2),
    ),
    "content": (
        more(lambda r: r.sojourn("content"), 7),
        more(Run.miss, 1.05),
        less(lambda r: r.users("title", "within_sla"), 1.2),
    ),
    "content_pipeline": (
        more(lambda r: r.sojourn("content_pipeline"), 2),
        more(lambda r: r.service("content_pipeline", "cpu_busy_ns"), 6),
        more(lambda r: r.users("ingest", "response_ns"), 1.5),
    ),
    "analytics": (
        more(lambda r: r.service("analytics", "queue_ns"), 4),
        more(lambda r: r.highest("analytics", "queue_length"), 3),
    ),
    "notification": (
        more(lambda r: r.service("notification", "busy_ns"), 3),
        more(lambda r: r.service("notification", "queue_ns"), 10),
    ),
}
"""What an eightfold slowdown of a service does, there and further on, at normal load."""


def bigger_pool(name: str, *claims: Claim) -> tuple[Claim, ...]:
    """What more replicas do of themselves: servers, cost, and less of the pool's time busy."""
    return (
        more(lambda r: r.service(name, "server_ns"), 4),
        more(lambda r: r.service(name, "replica_ns"), 4),
        more(lambda r: r.highest(name, "ready_replicas"), 4),
        less(lambda r: r.utilisation(name), 1.2),
        *claims,
    )


EVERYBODY_WAITS = Situation(
    users=2, changes=(("cache", "invalidate_fraction", 1.0), ("vector_db", "slowdown_factor", 8.0))
)
PEAK = Situation(users=3)
BUSY = Situation(users=2)
CONTROLS: dict[str, tuple[Situation, tuple[Claim, ...]]] = {
    "gateway_replicas": (
        EVERYBODY_WAITS,
        bigger_pool("gateway", less(lambda r: r.service("gateway", "queue_ns"), 3)),
    ),
    "auth_replicas": (
        PEAK,
        bigger_pool(
            "auth",
            less(lambda r: r.service("auth", "queue_ns"), 10),
            less(lambda r: r.service("auth", "queue_full"), 10),
            more(lambda r: r.users("feed", "within_sla"), 2),
        ),
    ),
    "user_profile_replicas": (
        Situation(users=2.5, changes=(("user_profile", "slowdown_factor", 20.0),)),
        bigger_pool("user_profile", less(lambda r: r.service("user_profile", "queue_ns"), 10)),
    ),
    "engine_replicas": (
        PEAK,
        bigger_pool(
            "engine",
            less(lambda r: r.service("engine", "queue_ns"), 10),
            less(lambda r: r.sojourn("engine"), 2),
            more(lambda r: r.users("feed", "within_sla"), 2),
        ),
    ),
    "content_replicas": (
        Situation(users=3, changes=(("content", "slowdown_factor", 20.0),)),
        bigger_pool("content", less(lambda r: r.service("content", "queue_ns"), 5)),
    ),
    "content_pipeline_replicas": (
        Situation(ingest=20),
        (
            more(lambda r: r.service("content_pipeline", "server_ns"), 4),
            more(lambda r: r.service("content_pipeline", "replica_ns"), 4),
            less(lambda r: r.service("content_pipeline", "queue_ns"), 1.3),
            more(lambda r: r.users("ingest", "within_sla"), 1.1),
        ),
    ),
    "engine_queue_limit": (
        Situation(users=2, changes=(("cache", "invalidate_fraction", 0.8),)),
        (
            more(lambda r: r.highest("engine", "queue_length"), 50),
            more(lambda r: r.sojourn("engine"), 1.1),
            less(lambda r: r.service("engine", "queue_full"), 1.5),
        ),
    ),
    "llm_breaker_threshold": (
        Situation(users=2.5),
        (
            less(lambda r: r.call("engine_llm", "opened"), 5),
            less(lambda r: r.call("engine_llm", "breaker_open"), 10),
            more(lambda r: r.service("llm", "rate_limited"), 10),
        ),
    ),
    "vector_breaker_threshold": (
        Situation(users=2.5),
        (
            less(lambda r: r.call("engine_vector", "opened"), 5),
            less(lambda r: r.call("engine_vector", "fallbacks"), 10),
            more(lambda r: r.sojourn("vector_db"), 1.2),
        ),
    ),
    "llm_timeout": (
        Situation(),
        (
            less(lambda r: r.call("engine_llm", "timeouts"), 10),
            less(lambda r: r.service("llm", "abandoned"), 10),
            less(lambda r: r.call("engine_llm", "attempts"), 2),
            more(lambda r: r.personalised(STANDARD), 1.5),
        ),
    ),
    "llm_fallback": (
        BUSY,
        (
            some(lambda r: r.call("engine_llm", "fallbacks")),
            less(lambda r: r.call("engine_llm", "retries"), 10),
            less(lambda r: r.call("engine_llm", "exhausted"), 10),
            less(Run.miss, 1.3),
        ),
    ),
    "llm_ask": (
        Situation(),
        (
            less(lambda r: r.call("engine_llm", "not_asked"), 10),
            some(lambda r: r.call("engine_llm", "attempts")),
            more(lambda r: r.personalised(STANDARD), 10),
            more(Run.miss, 1.5),
        ),
    ),
    "llm_interactive_reserve": (
        Situation(users=1.2, ingest=20),
        (
            less(lambda r: r.call("pipeline_llm", "successes"), 3),
            less(lambda r: r.call("engine_llm", "rate_limited"), 10),
            more(lambda r: r.personalised(STANDARD), 1.02),
        ),
    ),
    "llm_premium_first": (
        BUSY,
        (
            more(lambda r: r.personalised(PREMIUM) / r.personalised(STANDARD), 1.5),
            more(lambda r: r.personalised(PREMIUM), 1.2),
            less(lambda r: r.call("pipeline_llm", "successes"), 1.1),
        ),
    ),
    "invalidation_rate": (
        Situation(changes=(("cache", "invalidate_fraction", 0.8),)),
        (
            more(lambda r: r.service("cache", "fills"), 1.4),
            less(lambda r: r.service("cache", "stale_hits"), 10),
            more(lambda r: r.service("cache", "invalidated"), 10),
            less(lambda r: r.service("cache", "sweep_backlog"), 10),
            less(lambda r: r.users("feed", "within_sla"), 1.2),
        ),
    ),
}
"""The situation, and what moving the control from its low to its high end does in it."""


@pytest.mark.parametrize("name", SYSTEM.service_names)
def test_no_service_is_inert(name: str) -> None:
    assert name in SERVICES, "say what must change when this service is slowed down"
    healthy, slow = run(Situation()), run(Situation(changes=((name, "slowdown_factor", 8.0),)))
    for claim in SERVICES[name]:
        claim.check(healthy, slow)


@pytest.mark.parametrize("control", SYSTEM.controls, ids=lambda control: control.name)
def test_no_control_is_inert(control: Control) -> None:
    assert control.name in CONTROLS, "say what must change when this control is moved"
    situation, claims = CONTROLS[control.name]
    low, high = (run(situation, **{control.name: value}) for value in (control.low, control.high))
    for claim in claims:
        claim.check(low, high)


def test_nothing_is_expected_of_what_there_is_not() -> None:
    assert SERVICES.keys() == set(SYSTEM.service_names)
    assert CONTROLS.keys() == {control.name for control in SYSTEM.controls}


@pytest.mark.parametrize(
    ("change", "claim"),
    [
        (("llm", "quota_factor", 0.2), some(lambda r: r.service("llm", "rate_limited"))),
        (("llm", "quota_factor", 0.2), less(lambda r: r.personalised(STANDARD), 2)),
        (("cache", "invalidate_fraction", 0.8), more(lambda r: r.service("cache", "fills"), 1.5)),
    ],
)
def test_no_incident_is_inert(change: tuple[str, ChangeKind, float], claim: Claim) -> None:
    claim.check(run(Situation()), run(Situation(changes=(change,))))


def test_retry_after_is_waited_for() -> None:
    short = Situation(changes=(("llm", "quota_factor", 0.2),))
    long = Situation(changes=(*short.changes, ("llm", "retry_after_s", 4.0)))
    more(lambda r: r.sojourn("engine"), 1.3).check(run(short), run(long))


@pytest.mark.parametrize("name", [name for name, pool in SYSTEM.pools() if pool.fault_fraction > 0])
def test_faults_happen(name: str) -> None:
    assert run(PEAK).service(name, "faults") > 0
    assert run(PEAK).users("feed", "failed_fault") > 0
