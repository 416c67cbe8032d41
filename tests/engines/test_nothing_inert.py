"""Nothing is inert: every service and every control of the shipped system does what it is there for.

Each service is slowed down eightfold. Each control is moved from its low to its high end in a situation in which it
matters; all other controls have their default values, or those of the situation. A claim says what must then grow or
shrink, and by which factor at least. A service or control without a claim fails.
"""

from __future__ import annotations

import pytest

from streamflow_env.engines.telemetry import STANDARD
from streamflow_env.episode import ChangeKind
from streamflow_env.system import Control
from tests.engines.inert import SYSTEM, Claim, Run, Situation, less, more, run, some
from tests.engines.inert_controls import CONTROLS, PEAK

SERVICES: dict[str, tuple[Claim, ...]] = {
    "gateway": (more(lambda r: r.sojourn("gateway"), 1.2), more(Run.hit, 1.5)),
    "auth": (
        more(lambda r: r.sojourn("auth"), 10),
        some(lambda r: r.service("auth", "queue_full")),
        some(lambda r: r.users("feed", "failed_deadline")),
        less(lambda r: r.users("feed", "within_sla"), 10),
    ),
    "cache": (more(lambda r: r.sojourn("cache"), 6), more(Run.hit, 1.5), more(Run.miss, 1.05)),
    "user_profile": (more(lambda r: r.sojourn("user_profile"), 1.5), more(Run.miss, 1.05)),
    "profile_db": (
        more(lambda r: r.sojourn("profile_db"), 8),
        more(lambda r: r.sojourn("user_profile"), 2),
        some(lambda r: r.service("user_profile", "deadlines")),
    ),
    "engine": (
        more(lambda r: r.sojourn("engine"), 2),
        more(lambda r: r.service("engine", "cpu_busy_ns"), 3),
        some(lambda r: r.highest("engine", "cpu_queue_length")),
        more(Run.miss, 1.5),
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
    "deferred_asks": (
        more(lambda r: r.service("deferred_asks", "busy_ns"), 3),
        more(lambda r: r.service("deferred_asks", "queue_ns"), 20),
        less(lambda r: r.service("deferred_asks", "enriched"), 1.3),
    ),
    "notification": (
        more(lambda r: r.service("notification", "busy_ns"), 3),
        more(lambda r: r.service("notification", "queue_ns"), 10),
    ),
}
"""What an eightfold slowdown of a service does, in it and in others, at normal load."""
ASKS_ARE_DEFERRED = Situation(settings=(("llm_ask", 0.5), ("llm_defer", 1.0)))
OF_ANOTHER: dict[str, tuple[str, Situation]] = {"deferred_asks": ("llm", ASKS_ARE_DEFERRED)}
"""A service that does no work of its own: the service whose slowness it feels, and when it has something to do."""


@pytest.mark.parametrize("name", SYSTEM.service_names)
def test_no_service_is_inert(name: str) -> None:
    assert name in SERVICES, "say what must change when this service is slowed down"
    slowed, healthy = OF_ANOTHER.get(name, (name, Situation()))
    before, after = run(healthy), run(healthy._replace(changes=((slowed, "slowdown_factor", 8.0),)))
    for claim in SERVICES[name]:
        claim.check(before, after)


@pytest.mark.parametrize("control", SYSTEM.controls, ids=lambda control: control.name)
def test_no_control_is_inert(control: Control) -> None:
    assert control.name in CONTROLS, "say what must change when this control is moved"
    situation, claims = CONTROLS[control.name]
    low, high = (run(situation, **{control.name: value}) for value in (control.low, control.high))
    for claim in claims:
        claim.check(low, high)


def test_every_claim_is_about_a_known_service_or_control() -> None:
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
