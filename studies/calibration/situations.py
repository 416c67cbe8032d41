"""What the shipped system must show by default: situations, and the required range of every figure measured there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from streamflow_env.scenarios import Timeline
from streamflow_env.system.schema import parse
from studies.calibration.cascades import (
    AUTH_FACTOR,
    AUTH_LEVEL,
    AUTH_SLOW_S,
    INVALIDATED_S,
    INVALIDATION_STORM,
    LLM_LIMITED,
    LLM_LIMITED_LEVEL,
    LLM_LIMITED_S,
    LLM_RATE_LIMIT,
    RETRY_STORM,
)
from studies.calibration.measures import (
    CacheCounter,
    Counter,
    Extreme,
    HighestGauge,
    LlmPercentile,
    Measure,
    Metric,
    Over,
    QuietMinutes,
    RecoveryTime,
)
from studies.calibration.onsets import Cascade, InOrder

RAMP_S: Final = 1800.0
ABOVE_ZERO: Final = math.ulp(0.0)
"""The least number above 0. As `low` it means: more than 0."""
SECOND: Final = 1.0
INTERVAL: Final = 15.0
"""Lengths in s of the measured intervals: 1 s where windows slide, else 15 s, which requirements less memory."""
STORM_S: Final = 600.0
"""A retry storm is watched for 10 min after its cause has ended; at normal load from 3 min on."""
RECOVERED_S: Final = 180.0


@dataclass(frozen=True)
class Requirement:
    """What a figure must be: in [low, high] in at least `share` of the seeds.

    `contradicts` names the requirements that rule it out. Such a requirement is measured and shown, but does not count.
    """

    measure: str
    unit: str
    low: float
    high: float
    read: Measure
    share: float = 1.0
    contradicts: str = ""


@dataclass(frozen=True)
class Situation:
    """A scenario, measured every `interval_s` from `skip_s` on, and what must be seen in it."""

    name: str
    scenario: Timeline
    requirements: tuple[Requirement, ...]
    interval_s: float = INTERVAL
    skip_s: float = 0.0
    cascade: Cascade | None = None


def situations() -> tuple[Situation, ...]:
    """All of them, as the calibration lists them."""
    return (
        Situation("normal load", _steady(1.0, 3600.0), tuple(_normal())),
        Situation("0.1x load", _steady(0.1, 3600.0), tuple(_idle())),
        Situation("3x load, held 30 min", _climb(3.0, 1800.0), tuple(_peak()), skip_s=RAMP_S),
        Situation("3x load, held 3 h", _climb(3.0, 10800.0), tuple(_peak()), skip_s=RAMP_S),
        _invalidation_storm(3.0, "invalidation storm at 3x load", tuple(_beyond())),
        _llm_rate_limit(),
        _invalidation_storm(1.0, "invalidation storm at normal load", tuple(_stormy()), INVALIDATION_STORM),
        _retry_storm(AUTH_LEVEL, f"retry storm at {AUTH_LEVEL:g}x load", tuple(_stuck()), RETRY_STORM),
        _retry_storm(1.0, "retry storm at normal load", tuple(_healed())),
    )


def _normal() -> Iterator[Requirement]:
    yield Requirement("mean latency of cache hits", "ms", 67.5, 82.5, Metric("mean_hit_response_s", 1000))
    yield Requirement("mean latency of cache misses", "ms", 751.5, 918.5, Metric("mean_miss_response_s", 1000))
    yield Requirement("error rate", "", 0.0005, 0.002, Metric("error_fraction"))
    yield Requirement("cache hit rate", "", 0.78, 0.82, Metric("hit_fraction"))
    yield Requirement("LLM requests", "per min", 0, 500, Metric("llm_requests_per_min"))
    yield Requirement("minutes without a 429", "", 0.9, 1.0, QuietMinutes())
    yield Requirement("LLM latency, 1st percentile", "s", 0.19, 0.25, LlmPercentile(0.01))
    yield Requirement("LLM latency, 99th percentile", "s", 1.5, 2.2, LlmPercentile(0.99))


def _idle() -> Iterator[Requirement]:
    yield Requirement("vector DB, mean latency", "s", 0.14, 0.17, Metric("mean_sojourn_s.vector_db"))
    yield Requirement("profile DB, mean latency", "s", 0.045, 0.055, Metric("mean_sojourn_s.profile_db"))


def _peak() -> Iterator[Requirement]:
    yield Requirement("mean latency", "s", 0.8, 2.0, Metric("mean_response_s"))
    yield Requirement("95th percentile", "s", 3.0, math.inf, Metric("p95_s"))
    yield Requirement("error rate", "", 0.02, 0.05, Metric("error_fraction"))
    yield Requirement("cache entries evicted", "", 1, math.inf, CacheCounter("evicted"))
    waited = Counter("profile_db", "queue_ns", 1e-9)
    yield Requirement("waiting for a profile DB connection, all requests", "s", ABOVE_ZERO, math.inf, waited)


def _beyond() -> Iterator[Requirement]:
    for name, label, low, high in (("vector_db", "vector DB", 0.5, 1.1), ("profile_db", "profile DB", 0.25, 0.6)):
        start_s = INVALIDATED_S[0]
        worst = Extreme(f"mean_sojourn_s.{name}", highest=True, from_s=start_s, to_s=start_s + 180.0)
        yield Requirement(f"{label}, mean latency in the worst minute of the first 3", "s", low, high, worst)


def llm_limited_at(level: float) -> Timeline:
    """The cause of cascade 1 at `level` times the normal load."""
    start_s, end_s = LLM_LIMITED_S
    incident = {
        "kind": "llm_degradation", "service": "llm", "start_s": start_s, "duration_s": end_s - start_s, **LLM_LIMITED,
    }  # fmt: skip
    return _steady(level, end_s, incident)


def _llm_rate_limit() -> Situation:
    order = Requirement(
        "the chain's onsets are in order, 504s last (1: yes)", "", 1, 1, InOrder(LLM_RATE_LIMIT), share=0.9,
        contradicts="hit rate and errors at 3x",
    )  # fmt: skip
    inner = Requirement("429s, slots, queue, CPU in order (1: yes)", "", 1, 1, InOrder(LLM_RATE_LIMIT, 4), share=0.9)
    fullest = Requirement("engine queue, longest", "", 1000, math.inf, HighestGauge("engine", "queue_length"))
    refused = Requirement("refused by the full engine queue", "", 1, math.inf, Counter("engine", "queue_full"))
    scenario = llm_limited_at(LLM_LIMITED_LEVEL)
    requirements = (order, inner, fullest, refused)
    return Situation(
        f"LLM rate limit at {LLM_LIMITED_LEVEL:g}x load",
        scenario,
        requirements,
        interval_s=SECOND,
        cascade=LLM_RATE_LIMIT,
    )


def _stormy() -> Iterator[Requirement]:
    lowest = Extreme("hit_fraction", highest=False, from_s=INVALIDATED_S[0])
    yield Requirement("lowest one-minute hit rate", "", 0.15, 0.25, lowest)


def _invalidation_storm(
    level: float, name: str, requirements: tuple[Requirement, ...], cascade: Cascade | None = None
) -> Situation:
    start_s, end_s = INVALIDATED_S
    incident = {
        "kind": "content_drop", "cache": "cache", "items_class": "ingest", "start_s": start_s,
        "num_items": 1, "spread_s": end_s - start_s, "invalidate_fraction": 1.0,
    }  # fmt: skip
    return Situation(name, _steady(level, 1800.0, incident), requirements, interval_s=SECOND, cascade=cascade)


def _stuck() -> Iterator[Requirement]:
    gone_s = AUTH_SLOW_S[1]
    best = Extreme("answers_per_attempt", highest=True, from_s=gone_s, to_s=gone_s + STORM_S)
    yield Requirement("goodput / offered, best minute of the 10 after the cause", "", 0.0, 0.5, best)
    load = Over("attempts_per_intent", gone_s, gone_s + STORM_S)
    yield Requirement("attempts an intent, the 10 min after the cause", "", 2.0, math.inf, load)


def _healed() -> Iterator[Requirement]:
    gone_s = AUTH_SLOW_S[1]
    recovery = RecoveryTime("answers_per_attempt", 0.99, gone_s)
    yield Requirement("recovered after", "s", 0.0, RECOVERED_S, recovery)
    lowest = Extreme("intent_success_fraction", highest=False, from_s=gone_s + RECOVERED_S)
    yield Requirement("intents answered, worst minute from 3 min on", "", 0.99, 1.0, lowest)


def _retry_storm(
    level: float, name: str, requirements: tuple[Requirement, ...], cascade: Cascade | None = None
) -> Situation:
    start_s, end_s = AUTH_SLOW_S
    incident = {
        "kind": "slowdown", "service": "auth", "start_s": start_s, "duration_s": end_s - start_s, "factor": AUTH_FACTOR,
    }  # fmt: skip
    scenario = _steady(level, end_s + RECOVERED_S + STORM_S, incident)
    return Situation(name, scenario, requirements, interval_s=SECOND, cascade=cascade)


def _steady(level: float, horizon_s: float, *incidents: dict[str, Any]) -> Timeline:
    return _scenario(level, horizon_s, [], list(incidents))


def _climb(level: float, hold_s: float) -> Timeline:
    """From normal load to `level` in `RAMP_S`, and held."""
    ramp = {"start_s": 0, "duration_s": RAMP_S, "level": level}
    return _scenario(1.0, RAMP_S + hold_s, [ramp], [])


def _scenario(level: float, horizon_s: float, ramps: list[dict[str, Any]], incidents: list[dict[str, Any]]) -> Timeline:
    traffic = {"kind": "ramps", "start_hour": 12, "level": level, "ramps": ramps}
    data = {"name": "calibration", "horizon_s": horizon_s, "traffic": traffic, "incidents": incidents}
    return parse(Timeline, data, "calibration")
