"""Experiment B: the M/M/1 retry storm. What outlives a spike of 10 s, and three closed forms.

μ = 100/s, deadline T = 1 s, R = 3 retries, λ = 70/s, a spike of 200/s over t in [30, 40) s. The published figures are
the project's own (docs of the field, section 3 B), means or ranges of 3 seeds. How far ours may be from them was said
before anything was measured:

- goodput over 30 s of 70/s Poisson first attempts has a standard deviation of √70/√30 = 1.5/s: ± 5 is three of them;
- a goodput of 0 may be up to 5 % of 70: the first second of a retry storm's user may still be lucky;
- a time of recovery: the published range ± 5 s, the length of the window in which recovery is seen (`experiments`);
  without retries the backlog at the spike's end is 1000 and shrinks by 30/s until less than μT = 100 wait: 70 s, with
  a standard deviation of 3 s, √((70 + 100) · 30 + 3000) requests by 30/s; so 61 to 79 s, and (90 - these) · 70/30 for
  the goodput until 90 s.

One of these bounds was wrong. Where expired requests are dropped the figure published is 45 s, and ours, 47 to 53 s,
went out of ± 5. The rule, written down again in forty lines of Python (`tests/studies/validation/plain_models.py`),
gives 44 to 54 s in 12 runs, a mean of 47.7 with a standard deviation of 3.0 s (60 of ours: 43 to 55 s, 48.2 and 3.3 s):
whoever is served has waited nearly 1 s, so that hardly anybody is answered in time until the queue by chance becomes
shorter, and the time at which it does is random by far more than the window. So the bounds are the plain model's mean ±
4 of its standard deviations, from the spike's end at 40 s on: 40 to 60 s. The published 45 s is among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from studies.validation.experiments import Load, Measure, Override, Run, Trace

SECTION: Final = "B: M/M/1 retry storm"
SOURCE: Final = "published"
SERVICE_RPS: Final = 100.0
DEADLINE_S: Final = 1.0
RETRIES: Final = 3
SPIKE: Final = Load(70.0, 200.0, 30.0, 10.0)
HORIZON_S: Final = 180
LONG_S: Final = 3000
NEVER: Final = np.inf
BREAKER: Final[tuple[Override, ...]] = (
    ("users.breaker.threshold_fraction", 0.5), ("users.breaker.window_size", 100), ("users.breaker.open_s", 5.0),
    ("users.breaker.half_open_calls", 10),
)  # fmt: skip
VARIANTS: Final[dict[str, tuple[Override, ...]]] = {
    "no retries": (("users.max_retries", 0),),
    "3 immediate retries": (),
    "full jitter, base 1 s, cap 20 s": (
        ("users.think_time_distribution", "full_jitter"), ("users.think_time_s", 1.0), ("users.think_cap_s", 20.0),
    ),
    "retry token bucket, 10 %, cap 100": (("users.retry_budget_fraction", 0.1), ("users.retry_budget_cap", 100)),
    "queue limit 50": (("services.server.queue_limit", 50),),
    "queue limit 1000": (("services.server.queue_limit", 1000),),
    "expired requests dropped": (("services.server.serves_abandoned", False),),
    "breaker": BREAKER,
}  # fmt: skip
TABLE: Final[dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float], str]]] = {
    "no retries": ((51 - 25, 51 + 17), (65, 75), (61, 79), "51, 70, 63–74 s"),
    "3 immediate retries": ((0, 3.5), (0, 3.5), (NEVER, NEVER), "0, 0, never"),
    "full jitter, base 1 s, cap 20 s": ((0, 3.5), (0, 3.5), (NEVER, NEVER), "0, 0, never"),
    "retry token bucket, 10 %, cap 100": ((0, 33), (65, 75), (76, 98), "10, 70, 81–93 s"),
    "queue limit 50": ((65, 75), (65, 75), (40, 46), "70, 70, 41 s"),
    "queue limit 1000": ((0, 3.5), (0, 3.5), (NEVER, NEVER), "0, 0, never"),
    "expired requests dropped": ((65, 75), (65, 75), (40, 60), "70, 70, 45 s; a plain model: 48 ± 3 s"),
    "breaker": ((66, 76), (65, 75), (40, 50), "71, 70, 45 s"),
}
"""Bounds of goodput in 60–90 s, in 150–180 s, and of the time of recovery; and the published figures."""
RATES_RPS: Final = (20.0, 23.0, 24.5, 26.0, 30.0)
TRIGGERS_S: Final = tuple(round(0.2 * n, 1) for n in range(2, 9))
TRIGGER_REPEATS: Final = 5
LIMITS: Final = tuple(range(80, 170, 10))


def variant(name: str) -> Run:
    """A line of the published table."""
    return Run("retry_storm", VARIANTS[name], SPIKE, HORIZON_S)


def _recovery(traces: Sequence[Trace]) -> float:
    return traces[0].recovery_time_s


def _early(traces: Sequence[Trace]) -> float:
    return traces[0].goodput_rps(60, 90)


def _late(traces: Sequence[Trace]) -> float:
    return traces[0].goodput_rps(150, 180)


def _attempts(traces: Sequence[Trace]) -> float:
    return traces[0].attempt_rate_rps(150, 180)


def measures() -> Iterator[Measure]:
    """The table, and the closed forms."""
    for name, (early, late, recovered, published) in TABLE.items():
        source, runs = f"{SOURCE}: {published}", (variant(name),)
        yield Measure(SECTION, f"{name}: goodput 60–90 s", "1/s", runs, _early, source, *early)
        yield Measure(SECTION, f"{name}: goodput 150–180 s", "1/s", runs, _late, source, *late)
        yield Measure(SECTION, f"{name}: recovers at", "s", runs, _recovery, source, *recovered)
    storm, expected = (variant("3 immediate retries"),), f"{SOURCE}: 275; λ(1 + R) = 280"
    yield Measure(SECTION, "3 immediate retries: attempts 150–180 s", "1/s", storm, _attempts, expected, 255, 295)
    yield from _hidden_capacity()
    yield from _smallest_trigger()
    yield from _safe_queue_limit()


def _hidden_capacity() -> Iterator[Measure]:
    """Once stuck, every intent is 1 + R attempts: what is served drains the backlog only below μ/(1 + R)."""
    capacity = SERVICE_RPS / (1 + RETRIES)
    for rate in RATES_RPS:
        run = Run("retry_storm", (), Load(rate, 200.0, 30.0, 3.0), LONG_S, until_recovered=True)
        low, high, said = (33, LONG_S, "recovers") if rate < capacity else (NEVER, NEVER, "never")
        source = f"{SOURCE}: {said}; hidden capacity μ/(1 + R) = {capacity:g}/s"
        measure = f"λ = {rate:g}/s, a spike of 3 s: recovers at"
        yield Measure(SECTION, measure, "s", (run,), _recovery, source, low, high)


def _smallest_trigger() -> Iterator[Measure]:
    """μT requests must be waiting. Their number after 1 s varies by √300 = 17, so the length by 0.17 s: ± 0.5 s.

    Which spike a single run is stuck after is a matter of chance: in 60 runs each, 7 % after 0.8 s, 28 % after 1 s,
    62 % after 1.2 s, all after 1.6 s (a plain model: 5, 40, 73 and 98 %). So it is asked what most of several runs do:
    when it was asked of single runs, one seed in four came to 1.6 s.
    """
    spikes = [Load(70.0, 200.0, 30.0, length_s) for length_s in TRIGGERS_S]
    runs = tuple(Run("retry_storm", (), spike, 120, repeat=n) for spike in spikes for n in range(TRIGGER_REPEATS))
    closed = SERVICE_RPS * DEADLINE_S / (SPIKE.spike_rps - SERVICE_RPS)

    def read(traces: Sequence[Trace]) -> float:
        is_stuck = np.array([not np.isfinite(trace.recovery_time_s) for trace in traces])
        most = is_stuck.reshape(len(TRIGGERS_S), TRIGGER_REPEATS).mean(axis=1) > 0.5
        return min((s for s, stuck in zip(TRIGGERS_S, most, strict=True) if stuck), default=np.inf)

    source = f"{SOURCE}: μT/(spike - μ) = {closed:g} s (± 0.5)"
    name = f"shortest spike that most of {TRIGGER_REPEATS} runs do not recover from"
    yield Measure(SECTION, name, "s", runs, read, source, 0.5, 1.5)


def _safe_queue_limit() -> Iterator[Measure]:
    """About μT wait at most as long as a user does. Published: 110 is fine, 150 collapses."""
    runs = tuple(Run("retry_storm", (("services.server.queue_limit", n),), SPIKE, HORIZON_S) for n in LIMITS)

    def read(traces: Sequence[Trace]) -> float:
        stuck = [n for n, trace in zip(LIMITS, traces, strict=True) if not np.isfinite(trace.recovery_time_s)]
        return max((n for n in LIMITS if n < min(stuck, default=np.inf)), default=0)

    source = f"{SOURCE}: ≈ μT = {SERVICE_RPS * DEADLINE_S:g}; 110 fine, 150 collapses"
    yield Measure(SECTION, "largest queue limit that is recovered with", "requests", runs, read, source, 110, 140)
