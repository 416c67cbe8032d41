"""Experiment A: Brooker's collapse (github.com/mbrooker/simulator_example, simple_collapse_sim).

A server is slower the more it does at a time. 40/s for 80 s, 80/s over t in [20, 25) s; three tries, the next one as
the deadline of 3 s passes, or after U(0, 20) s and U(0, 40) s: `full_jitter` of 20 s · 2^attempt, attempts counted
from 0.

What is published, "falls from 40 to 13 to 15/s for good", is the mean of 10 runs, and no run is like it: the
published program, run 170 times before ours was measured, stays at nothing in 121 (the goodput of t in [60, 79) is
0.0/s in each) and is back at 40/s in 49. So its mean is 11.5/s with a standard deviation of 18.1/s between runs,
5.7/s of the mean of 10: 13 to 15 is one such mean. Here every seed stands for 60 runs, and the bounds are the
program's figure ± 4 standard deviations, √(1/60 + 1/170) of those between runs: ± 10.9/s, and ± 0.25 of a share of
0.71.

With backoff all of the program's 170 runs recover. Their means were 50.0/s (3.6 between runs) over t in [30, 35),
more than what comes, for the retries come back then; 47.3/s (4.3) over [35, 40), 40.2/s (1.4) over [60, 79); with 4
standard deviations as above and 0.5/s for the windows of the program's seconds, which begin a moment later each: ±
2.6, ± 3, ± 1.4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from studies.validation.experiments import Load, Measure, Override, Run, Trace, summed

SECTION: Final = "A: Brooker's collapse"
SOURCE: Final = "published"
BASE_RPS: Final = 40.0
SPIKE: Final = Load(BASE_RPS, 80.0, 20.0, 5.0)
HORIZON_S: Final = 100
"""80 s are published; so much longer, that "recovered for a minute" can be seen."""
REPEATS: Final = 60
STUCK_RPS: Final = 20.0
"""Between the two states, 0 and 40/s."""
VARIANTS: Final[dict[str, tuple[Override, ...]]] = {
    "no backoff": (),
    "backoff U(0, 20) s, U(0, 40) s": (("users.think_time_distribution", "full_jitter"), ("users.think_time_s", 20.0)),
}


def variant(name: str) -> Run:
    """A curve of the published picture."""
    return Run("collapse", VARIANTS[name], SPIKE, HORIZON_S)


def _repeated(name: str) -> tuple[Run, ...]:
    return tuple(replace(variant(name), repeat=n) for n in range(REPEATS))


def _goodputs(traces: Sequence[Trace], start_s: int, end_s: int) -> list[float]:
    return [trace.goodput_rps(start_s, end_s) for trace in traces]


def _mean_goodput(start_s: int, end_s: int) -> Callable[[Sequence[Trace]], float]:
    return lambda traces: float(np.mean(_goodputs(traces, start_s, end_s)))


def _stuck_fraction(traces: Sequence[Trace]) -> float:
    return float(np.mean([rps < STUCK_RPS for rps in _goodputs(traces, 60, 79)]))


def _highest_of_the_stuck(traces: Sequence[Trace]) -> float:
    return max((rps for rps in _goodputs(traces, 60, 79) if rps < STUCK_RPS), default=0.0)


def _lowest_of_the_others(traces: Sequence[Trace]) -> float:
    return min((rps for rps in _goodputs(traces, 60, 79) if rps >= STUCK_RPS), default=BASE_RPS)


def _recovery(traces: Sequence[Trace]) -> float:
    """Of the runs' mean, which is what is published. One run's windows of 5 s, 200 ± 14 intents, are too uneven."""
    return summed(traces).recovery_time_s


def measures() -> Iterator[Measure]:
    """What the picture shows, and the two states behind its mean."""
    bare, backed = VARIANTS
    for name in VARIANTS:
        yield _measure(name, "goodput 10–20 s", "1/s", _mean_goodput(10, 20), "40; ± 4·√(40/10)/√60, and 1", 38.0, 42.0)
    published = "13 to 15, a mean of 10 runs; 170 runs of its program: 11.5 ± 1.4"
    yield _measure(bare, "mean of 60 runs: goodput 60–79 s", "1/s", _mean_goodput(60, 79), published, 0.7, 22.4)
    yield _measure(
        bare, "share of runs that stay down", "", _stuck_fraction, "for good; its program: 121 of 170", 0.46, 0.96
    )
    yield _measure(bare, "goodput of those, the highest", "1/s", _highest_of_the_stuck, "its program: 0.0", 0.0, 0.5)
    yield _measure(
        bare, "goodput of the others, the lowest", "1/s", _lowest_of_the_others, "its program: 40 ± 1.5", 34.0, 46.0
    )
    yield _measure(
        backed, "share of runs that stay down", "", _stuck_fraction, "recovers; its program: 0 of 170", 0.0, 0.0
    )
    yield _measure(bare, "mean of 60 runs: recovers at", "s", _recovery, "never", np.inf, np.inf)
    yield _measure(backed, "mean of 60 runs: recovers at", "s", _recovery, "by t ≈ 35", SPIKE.end_s, 35.0)
    for start_s, end_s, rps, within in ((30, 35, 50.0, 2.6), (35, 40, 47.3, 3.0), (60, 79, 40.2, 1.4)):
        read, source = _mean_goodput(start_s, end_s), f"its program: {rps:g}"
        yield _measure(backed, f"goodput {start_s}–{end_s} s", "1/s", read, source, rps - within, rps + within)


def _measure(
    name: str, what: str, unit: str, read: Callable[[Sequence[Trace]], float], source: str, low: float, high: float
) -> Measure:
    return Measure(SECTION, f"{name}: {what}", unit, _repeated(name), read, f"{SOURCE}: {source}", low, high)
