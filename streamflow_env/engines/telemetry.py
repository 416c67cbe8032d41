"""What is measured in one control interval. It is all that comes out of an engine.

Both engines fill the same records by the same definitions: the engines are equal if these bytes are. Times are integer
nanoseconds and sums are exact. At every service, over every interval:

    arrivals = completions + queue_full + shed + rate_limited + breaker_open + abandoned + faults + failed + orphaned
               + lost + change of in_flight

and for every request class and priority:

    attempts = within_sla + late + failed_deadline + failed_queue_full + failed_fault + failed_dependency
               + failed_shed + change of in_flight
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines.compiling import kernel, with_run_time

SERVICE_FIELDS: Final = {
    "arrivals": "requests that came",
    "completions": "requests served to the end",
    "queue_full": "refused, because the queue was full",
    "shed": "refused by admission control, or given up after the waiting limit",
    "rate_limited": "refused with a 429",
    "breaker_open": "refused by the caller's circuit breaker, so that they did not get here",
    "abandoned": "left the queue because their user (of a deferred ask: its entry) was gone",
    "faults": "served, and then failed by a fault of the service",
    "failed": "gave their worker back because a call within failed",
    "orphaned": "work finished for a caller that no longer waited",
    "lost": "events or deferred asks that a full queue dropped",
    "timeouts": "calls that their caller gave up; the work goes on until it is orphaned",
    "deadlines": "users' deadlines that passed while the gateway's call to this service was under way",
    "busy_ns": "integral of workers (connections, requests in flight) in use",
    "server_ns": "integral of the workers (connections) there are",
    "queue_ns": "integral of the queue length",
    "cpu_busy_ns": "integral of CPU cores in use",
    "core_ns": "integral of the CPU cores there are",
    "replica_ns": "integral of replicas paid for: ready, pending and draining",
    "sojourn_ns": "sum over completions of the time from arrival to leaving",
    "memory_ns": "integral of the entries that a cache has room for",
    "lookups": "cache lookups of users' keys",
    "hits": "of those, answered",
    "hit_quality_milli": "sum over these hits of the entry's quality, in thousandths",
    "stale_hits": "of the hits, with an entry that an invalidation has not yet reached",
    "item_lookups": "cache lookups of items' keys",
    "item_hits": "of those, answered",
    "query_hits": "queries answered from the query cache",
    "age_ns": "sum over all these hits of the entry's age",
    "excess_age_ns": "of a cache, sum over its hits of the entry's age beyond `fresh_s`",
    "fills": "cache entries written",
    "duplicate_fills": "of those, over one written since the writer's lookup missed: concurrent misses of one key",
    "evicted": "valid cache entries that gave way because memory was full",
    "enriched": "deferred asks whose cache entry was enriched",
    "stale_reads": "reads of a replica that had not yet seen the last write",
    "invalidated": "cache entries that became invalid before their time",
    "queue_length": "at the end: requests waiting",
    "in_flight": "at the end: requests here, waiting or in service",
    "busy": "at the end: workers in use",
    "ready_replicas": "at the end",
    "pending_replicas": "at the end: starting up",
    "draining_replicas": "at the end: removed, still finishing their requests",
    "cpu_queue_length": "at the end: work waiting for a core",
    "tokens_milli": "at the end: thousandths of LLM tokens in the bucket",
    "sweep_backlog": "at the end: keys that a bulk invalidation has not yet reached",
    "entries": "at the end: entries in the cache",
}
CLASS_FIELDS: Final = {
    "intents": "first attempts",
    "attempts": "first attempts and users' retries",
    "within_sla": "answered within the SLA (background: completed)",
    "late": "answered after the SLA, before the deadline",
    "failed_deadline": "504: the user's deadline passed",
    "failed_queue_full": "a queue was full",
    "failed_fault": "a service had a fault",
    "failed_dependency": "a call without a fallback failed",
    "failed_shed": "admission control or a waiting limit refused it",
    "intents_answered": "intents that were answered in the end",
    "intents_failed": "intents whose user gave up",
    "response_ns": "sum of response times of all attempts that ended, a 504 counting its deadline",
    "lateness_ns": "sum over answers of the time past the SLA, each at most worst - target",
    "quality_milli": "sum over answers of their quality, in thousandths",
    "hit_answers": "answers out of a cache (by the first lookup)",
    "hit_response_ns": "their summed response time",
    "miss_answers": "answers after a cache miss",
    "miss_response_ns": "their summed response time",
    "personalised": "answers after a miss that are not degraded: every call was answered",
    "in_flight": "at the end: attempts sent and not yet ended",
    "thinking": "at the end: users who will retry",
}
CALL_FIELDS: Final = {
    "requests": "requests that reached this call of their plan",
    "not_asked": "of those, answered by the fallback without asking",
    "attempts": "attempts sent (those that the breaker refused are not)",
    "successes": "attempts answered",
    "rate_limited": "attempts answered by a 429",
    "timeouts": "attempts given up",
    "queue_full": "attempts refused by a full queue",
    "breaker_open": "attempts refused by the breaker",
    "retries": "attempts after the first",
    "retries_refused": "retries for which the budget had nothing left",
    "fallbacks": "requests answered by the fallback, those not asked included",
    "exhausted": "requests whose attempts, or whose retry budget, were used up",
    "deferred": "requests to be asked again through the deferred queue",
    "opened": "how often the breaker opened",
    "breaker_state": "at the end: 0 CLOSED, 1 OPEN, 2 HALF_OPEN",
}
SERVICE: Final = np.dtype([(name, "i8") for name in SERVICE_FIELDS])
CLASS: Final = np.dtype([(name, "i8") for name in CLASS_FIELDS])
CALL: Final = np.dtype([(name, "i8") for name in CALL_FIELDS])

HEADER: Final = 2
"""Numbers before the records in `Telemetry.counts`: 1, and the length of the interval in ns."""

STANDARD: Final = 0
PREMIUM: Final = 1

CLOSED: Final = 0
OPEN: Final = 1
HALF_OPEN: Final = 2

# How a visit to a service, and an attempt, can end.
OK: Final = 0
QUEUE_FULL: Final = 1
RATE_LIMITED: Final = 2
TIMEOUT: Final = 3
BREAKER_OPEN: Final = 4
ABANDONED: Final = 5
FAULT: Final = 6
FAILED: Final = 7
DEADLINE: Final = 8
MISS: Final = 9
SHED: Final = 10
OUTCOMES: Final = (
    "ok", "queue full", "429", "timeout", "breaker open", "abandoned", "fault", "failed", "deadline", "miss",
    "shed",
)  # fmt: skip

VISIT: Final = np.dtype(
    [
        (name, "i8")
        for name in ("request", "attempt", "step", "round", "service", "arrived_ns", "started_ns", "left_ns", "outcome")
    ]
)
"""One visit of one attempt to one service, logged as it leaves. `step` is the plan step's number, `round` the attempt
of the call. CPU work is a visit of the pool with the step of its own."""
ANSWER: Final = np.dtype(
    [
        (name, "i8")
        for name in (
            "request",
            "attempt",
            "class_",
            "premium",
            "user",
            "sent_ns",
            "ended_ns",
            "outcome",
            "quality_milli",
        )
    ]
)
"""One attempt, logged as its user sees it end."""

# Histogram of durations: 32 buckets an octave from 2^17 ns (131 µs) to 2^38 ns (275 s).
FIRST_EXPONENT: Final = 17
NUM_OCTAVES: Final = 21
PER_OCTAVE: Final = 32
NUM_BUCKETS: Final = NUM_OCTAVES * PER_OCTAVE
PERCENTILE_ERROR: Final = 0.5 / PER_OCTAVE
"""Largest relative error of a percentile read from the histogram: half a bucket, 1/64."""


@kernel
def bucket(duration_ns: int) -> int:
    """The histogram bucket of a duration; what is shorter or longer than the range counts in the end buckets."""
    if duration_ns < 131072:
        return 0
    mantissa, exponent = math.frexp(float(duration_ns))
    index = (exponent - 1 - FIRST_EXPONENT) * PER_OCTAVE + int((mantissa - 0.5) * (2 * PER_OCTAVE))
    return min(index, NUM_BUCKETS - 1)


def bucket_middle_s(index: NDArray[np.integer]) -> NDArray[np.float64]:
    """Middle of each bucket, in seconds."""
    octave, part = np.divmod(np.asarray(index), PER_OCTAVE)
    return np.asarray(2.0 ** (octave + FIRST_EXPONENT) * (1.0 + (part + 0.5) / PER_OCTAVE) * 1e-9, dtype=np.float64)


def percentile_s(histogram: NDArray[np.integer], fraction: float) -> float:
    """The duration of rank ceil(fraction · n) in s, within `PERCENTILE_ERROR`; 0 where nothing was counted."""
    cumulated = np.cumsum(histogram)
    total = int(cumulated[-1])
    if total == 0:
        return 0.0
    rank = max(1, math.ceil(fraction * total))
    return float(bucket_middle_s(np.asarray(np.searchsorted(cumulated, rank))))


@with_run_time
def percentile_buckets(histograms: Any, rows: Any, starts: Any, which: Any, fractions: Any) -> Any:
    """The bucket of rank ceil(fraction · n) of sums of histograms, -1 where nothing was counted; (num_cells, num).

    `histograms` has shape (num_cells, num_histograms, NUM_BUCKETS). Sum s is of the histograms `rows[starts[s] :
    starts[s + 1]]`; the percentile i is `fractions[i]` of sum `which[i]`.
    """
    num_cells, num_sums = histograms.shape[0], starts.size - 1
    found = np.full((num_cells, which.size), -1, dtype=np.int64)
    pooled = np.zeros(NUM_BUCKETS, dtype=np.int32)
    octaves = np.zeros(NUM_OCTAVES, dtype=np.int64)
    for cell in range(num_cells):
        for s in range(num_sums):
            summed = histograms[cell, rows[starts[s]]]
            if starts[s + 1] - starts[s] > 1:
                for index in range(NUM_BUCKETS):
                    count = 0
                    for place in range(starts[s], starts[s + 1]):
                        count += histograms[cell, rows[place], index]
                    pooled[index] = count
                summed = pooled
            total = 0
            for octave in range(NUM_OCTAVES):
                count = 0
                for index in range(octave * PER_OCTAVE, (octave + 1) * PER_OCTAVE):
                    count += summed[index]
                octaves[octave] = count
                total += count
            if total == 0:
                continue
            for i in range(which.size):
                if which[i] == s:
                    rank = max(1, math.ceil(fractions[i] * total))
                    octave = 0
                    while octaves[octave] < rank:
                        rank -= octaves[octave]
                        octave += 1
                    index = octave * PER_OCTAVE
                    while summed[index] < rank:
                        rank -= summed[index]
                        index += 1
                    found[cell, i] = index
    return found


@dataclass(frozen=True)
class Telemetry:
    """The measurements of one control interval.

    Attributes:
        start_ns, end_ns: the interval on the engine's clock (0 is the start of warm-up).
        services: shape (num_services,), dtype SERVICE.
        classes: shape (num_classes, 2), dtype CLASS; by priority: STANDARD, PREMIUM.
        calls: shape (num_calls,), dtype CALL.
        sojourn: shape (num_services, NUM_BUCKETS), int32: histogram of completions' sojourn times.
        response: shape (num_classes, 2, NUM_BUCKETS), int32: histogram of ended attempts' response times.
        controls: shape (num_controls,), the natural values in force.
        visits, answers: logs, dtype VISIT and ANSWER; empty unless the engine was asked to log.
    """

    start_ns: int
    end_ns: int
    services: NDArray[Any]
    classes: NDArray[Any]
    calls: NDArray[Any]
    sojourn: NDArray[np.int32]
    response: NDArray[np.int32]
    controls: NDArray[np.float64]
    visits: NDArray[Any] = field(default_factory=lambda: np.zeros(0, VISIT))
    answers: NDArray[Any] = field(default_factory=lambda: np.zeros(0, ANSWER))

    @property
    def interval_s(self) -> float:
        """Length of the interval."""
        return (self.end_ns - self.start_ns) * 1e-9

    @property
    def counts(self) -> NDArray[np.int64]:
        """[1, interval in ns, services, classes, calls], flattened in the order of the fields."""
        header = np.array((1, self.end_ns - self.start_ns), dtype=np.int64)
        records = (self.services, self.classes, self.calls)
        return np.concatenate((header, *(part.reshape(-1).view(np.int64) for part in records)))

    def equals(self, other: Telemetry) -> bool:
        """Whether every measurement, and every logged visit and answer, is the same."""
        return not self.differences(other)

    def differences(self, other: Telemetry) -> list[str]:
        """The names of the parts that differ, records field by field."""
        found = [n for n in ("start_ns", "end_ns") if getattr(self, n) != getattr(other, n)]
        for name in ("services", "classes", "calls"):
            mine, theirs = getattr(self, name), getattr(other, name)
            for key in mine.dtype.names:
                if not np.array_equal(mine[key], theirs[key]):
                    found.append(f"{name}.{key}: {mine[key].tolist()} != {theirs[key].tolist()}")
        for name in ("sojourn", "response", "controls", "visits", "answers"):
            if not np.array_equal(getattr(self, name), getattr(other, name)):
                found.append(name)
        return found
