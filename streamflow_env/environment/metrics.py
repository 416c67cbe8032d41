"""The metrics of an interval or an episode: service levels, percentiles, rates, cost. One table, pure functions.

Every metric is a ratio of sums of exact counters, or a percentile of a summed histogram. So an episode's metrics are
`interval_metrics` of the telemetry that `accumulate` makes of its intervals, not means of means. Fractions of errors
and of the SLA are per attempt that ended. Where there is nothing to count, a fraction has the value of a healthy
system: 1 for `sla_fraction`, `quality`, `hit_fraction`, `item_hit_fraction`, `llm_use_fraction` and
`intent_success_fraction`, 0 for the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines.fleet import FleetTelemetry
from streamflow_env.engines.telemetry import CALL_FIELDS, CLASS_FIELDS, PREMIUM, SERVICE_FIELDS, STANDARD, Telemetry
from streamflow_env.environment.accounting import ATTEMPT_ENDS, FAILURES
from streamflow_env.environment.quantities import (
    HOUR_NS,
    MINUTE_NS,
    NS,
    ages_ns,
    background_in_flight,
    cacheable_queries,
    llm_accepted,
    llm_price,
    memory_price_ns,
    replicas_price_ns,
)
from streamflow_env.environment.readings import (
    Count,
    Percentile,
    PriceFactors,
    Ratio,
    Reading,
    Readings,
    as_matrix,
    call_counts,
    class_counts,
    once_per_system,
    service_counts,
)
from streamflow_env.episode import USUAL_PRICES
from streamflow_env.system import (
    Cache,
    Consumer,
    Database,
    DeferredQueue,
    LlmEndpoint,
    System,
    VectorIndex,
    WorkerPool,
)


@dataclass(frozen=True)
class Metric:
    """One number that is reported, and its reading of the telemetry."""

    name: str
    unit: str
    meaning: str
    reading: Reading


class MetricTable:
    """The metrics of a system; `of(telemetry)` gives them by name."""

    def __init__(self, system: System) -> None:
        self.metrics = tuple(_metrics(system))
        self.names = tuple(metric.name for metric in self.metrics)
        self._readings = Readings(system, [metric.reading for metric in self.metrics])

    def of(self, telemetry: Telemetry, price_factors: PriceFactors = USUAL_PRICES) -> dict[str, float]:
        """Every metric by name, of one interval or of several that `accumulate` has joined."""
        return dict(zip(self.names, self._readings.evaluate(telemetry, price_factors).tolist(), strict=True))

    def of_fleet(
        self, telemetry: FleetTelemetry, price_factors: PriceFactors = USUAL_PRICES
    ) -> dict[str, NDArray[np.float64]]:
        """Every metric of each cell's interval, shape (num_cells,); `price_factors` has shape (num_cells, 3)."""
        values = np.ascontiguousarray(self._readings.evaluate(telemetry, price_factors).T)
        return dict(zip(self.names, values, strict=True))


metric_table = once_per_system(MetricTable)


def interval_metrics(
    telemetry: Telemetry, system: System, price_factors: PriceFactors = USUAL_PRICES
) -> dict[str, float]:
    """The metrics by name, of one interval or of several that `accumulate` has joined.

    `price_factors` are those of the episode.
    """
    return metric_table(system).of(telemetry, price_factors)


def accumulate(total: Telemetry | None, telemetry: Telemetry) -> Telemetry:
    """`total` and `telemetry` as one longer interval: counters and histograms summed, gauges and controls the latest.

    Durations add up even where the intervals are of different episodes. Logs are dropped; `total` may be None.
    """
    if total is None:
        return _without_logs(telemetry)
    return Telemetry(
        start_ns=total.start_ns,
        end_ns=total.end_ns + telemetry.end_ns - telemetry.start_ns,
        services=_added(total.services, telemetry.services, _SERVICE_IS_COUNT),
        classes=_added(total.classes, telemetry.classes, _CLASS_IS_COUNT),
        calls=_added(total.calls, telemetry.calls, _CALL_IS_COUNT),
        sojourn=total.sojourn + telemetry.sojourn,
        response=total.response + telemetry.response,
        controls=telemetry.controls.copy(),
    )


def _metrics(system: System) -> Iterator[Metric]:
    yield from _service_levels(system)
    yield from _response_times(system)
    yield from _rates(system)
    yield from _caches(system)
    yield from _answers(system)
    yield from _llm(system)
    yield from _costs(system)
    for row, name in enumerate(system.services):
        yield from _service(system, row, name)


def _service_levels(system: System) -> Iterator[Metric]:
    ended = class_counts(system, *ATTEMPT_ENDS)
    within = Ratio(class_counts(system, "within_sla"), ended, empty=1.0)
    yield Metric("sla_fraction", "fraction", "attempts that ended within the SLA", within)
    for priority, label in ((STANDARD, "standard"), (PREMIUM, "premium")):
        mine = class_counts(system, *ATTEMPT_ENDS, priority=priority)
        within = Ratio(class_counts(system, "within_sla", priority=priority), mine, empty=1.0)
        yield Metric(f"sla_fraction.{label}", "fraction", f"the same, {label} users", within)
    yield Metric("error_fraction", "fraction", "attempts that failed", Ratio(class_counts(system, *FAILURES), ended))
    for cause, meaning in FAILURES.items():
        yield Metric(f"{cause}_fraction", "fraction", f"attempts {meaning}", Ratio(class_counts(system, cause), ended))


def _response_times(system: System) -> Iterator[Metric]:
    rows = tuple(dict.fromkeys(count.row for count in class_counts(system, "attempts")))
    for percent in (50, 95, 99):
        reading = Percentile("response", rows, percent / 100)
        yield Metric(f"p{percent}_s", "s", "response time of attempts, a 504 counting its deadline", reading)
    for name, above, below, meaning in (
        ("mean_response_s", "response_ns", ATTEMPT_ENDS, "response time of attempts, a 504 counting its deadline"),
        ("mean_hit_response_s", "hit_response_ns", ("hit_answers",), "response time of answers out of a cache"),
        ("mean_miss_response_s", "miss_response_ns", ("miss_answers",), "response time of answers after a miss"),
    ):
        mean_s = Ratio(class_counts(system, above), class_counts(system, *below, weight=NS))
        yield Metric(name, "s", meaning, mean_s)


def _rates(system: System) -> Iterator[Metric]:
    for name, counters, meaning in (
        ("offered_rps", ("attempts",), "attempts, users' retries included"),
        ("intents_rps", ("intents",), "first attempts"),
        ("goodput_rps", ("within_sla", "late"), "answers"),
    ):
        yield Metric(name, "1/s", meaning, Ratio(class_counts(system, *counters, weight=NS), per_ns=True))
    answered = class_counts(system, "intents_answered")
    success = Ratio(answered, answered + class_counts(system, "intents_failed"), empty=1.0)
    yield Metric("intent_success_fraction", "fraction", "intents answered, of those that came to an end", success)
    attempts = class_counts(system, "attempts")
    retries = Ratio(attempts + class_counts(system, "intents", weight=-1.0), attempts)
    yield Metric("retry_fraction", "fraction", "attempts that are users' retries", retries)


def _caches(system: System) -> Iterator[Metric]:
    def of(*fields: str, weight: float = 1.0) -> tuple[Count, ...]:
        return service_counts(system, Cache, *fields, weight=weight)

    hits, fills, items = of("hits"), of("fills"), Ratio(of("item_hits"), of("item_lookups"), empty=1.0)
    yield Metric("hit_fraction", "fraction", "cache lookups of users that hit", Ratio(hits, of("lookups"), empty=1.0))
    yield Metric("item_hit_fraction", "fraction", "cache lookups of items that hit", items)
    query_hits = service_counts(system, VectorIndex, "query_hits")
    queries = Ratio(query_hits, cacheable_queries(system))
    yield Metric("query_hit_fraction", "fraction", "cacheable queries that a query cache answered", queries)
    stale = Ratio(of("stale_hits"), hits)
    yield Metric("stale_fraction", "fraction", "users' hits that an invalidation has yet to reach", stale)
    reads = Ratio(service_counts(system, Database, "stale_reads"), service_counts(system, Database, "completions"))
    yield Metric("stale_read_fraction", "fraction", "database reads that missed the last write", reads)
    aged = of("hits", "item_hits", weight=NS) + tuple(count.times(NS) for count in query_hits)
    yield Metric("mean_age_s", "s", "age of what caches and query caches answered", Ratio(ages_ns(system), aged))
    evicted = Ratio(of("evicted", weight=NS), per_ns=True)
    yield Metric("evictions_per_s", "1/s", "valid cache entries that gave way for want of memory", evicted)
    twice = Ratio(of("duplicate_fills"), fills)
    yield Metric("duplicate_fill_fraction", "fraction", "cache fills that a concurrent miss had done already", twice)
    enriched = Ratio(service_counts(system, DeferredQueue, "enriched", weight=MINUTE_NS), per_ns=True)
    yield Metric("enriched_per_min", "1/min", "cache entries enriched by deferred asks", enriched)


def _answers(system: System) -> Iterator[Metric]:
    whole = class_counts(system, "within_sla", "late", weight=1000.0)
    quality = Ratio(class_counts(system, "quality_milli"), whole, empty=1.0)
    yield Metric("quality", "fraction", "quality of answers", quality)
    asked = call_counts(system, LlmEndpoint, "successes"), call_counts(system, LlmEndpoint, "requests")
    yield Metric(
        "llm_use_fraction", "fraction", "users' requests due an LLM answer that got one", Ratio(*asked, empty=1.0)
    )


def _llm(system: System) -> Iterator[Metric]:
    sent = service_counts(system, LlmEndpoint, "arrivals")
    sent += service_counts(system, LlmEndpoint, "breaker_open", weight=-1.0)
    refused = service_counts(system, LlmEndpoint, "rate_limited")
    requests = Ratio(tuple(c.times(MINUTE_NS) for c in sent), per_ns=True)
    yield Metric("llm_requests_per_min", "1/min", "requests sent to LLMs, 429s included", requests)
    accepted = Ratio(llm_accepted(system, MINUTE_NS), per_ns=True)
    yield Metric("llm_accepted_per_min", "1/min", "of those, the ones that found a token", accepted)
    yield Metric("llm_429_fraction", "fraction", "requests sent to LLMs answered by a 429", Ratio(refused, sent))


def _costs(system: System) -> Iterator[Metric]:
    replicas, memory = replicas_price_ns(system), memory_price_ns(system)
    llm = llm_price(system, system.llm_price_per_request * HOUR_NS)
    total = Ratio(replicas + memory + llm, per_ns=True)
    yield Metric("cost_per_hour", "currency/h", "replicas paid for, cache memory, and LLM", total)
    meaning = "replicas and read replicas paid for: ready, pending and draining"
    yield Metric("replicas_cost_per_hour", "currency/h", meaning, Ratio(replicas, per_ns=True))
    meaning = "room for cache entries, used or not"
    yield Metric("memory_cost_per_hour", "currency/h", meaning, Ratio(memory, per_ns=True))
    yield Metric("llm_cost_per_hour", "currency/h", "LLM requests that found a token", Ratio(llm, per_ns=True))
    backlog = Ratio(background_in_flight(system))
    yield Metric("backlog", "requests", "background requests sent and not yet ended, at the end", backlog)


def _service(system: System, row: int, name: str) -> Iterator[Metric]:
    def counts(*fields: str, weight: float = 1.0) -> tuple[Count, ...]:
        return tuple(Count("services", row, field, weight) for field in fields)

    service = system.services[name]
    if isinstance(service, WorkerPool | Database | Consumer | DeferredQueue):
        queue = Ratio(counts("queue_ns"), per_ns=True)
        yield Metric(f"queue_length.{name}", "requests", "mean queue length", queue)
    if isinstance(service, WorkerPool | Database | DeferredQueue):
        busy = Ratio(counts("busy_ns"), counts("server_ns"))
        yield Metric(f"utilisation.{name}", "fraction", "workers or connections in use", busy)
    if isinstance(service, WorkerPool) and service.cores_per_replica:
        busy = Ratio(counts("cpu_busy_ns"), counts("core_ns"))
        yield Metric(f"cpu_utilisation.{name}", "fraction", "CPU cores in use", busy)
    if isinstance(service, WorkerPool | Database):
        paid = Ratio(counts("replica_ns"), per_ns=True)
        yield Metric(f"replicas.{name}", "replicas", "mean replicas (of a database: read replicas) paid for", paid)
    if isinstance(service, WorkerPool | Database | VectorIndex | LlmEndpoint):
        sojourn = Ratio(counts("sojourn_ns"), counts("completions", weight=NS))
        yield Metric(f"mean_sojourn_s.{name}", "s", "from arrival to leaving", sojourn)
    if isinstance(service, Consumer):
        yield Metric(f"lost.{name}", "events", "lost to a full queue", Ratio(counts("lost")))
    if isinstance(service, DeferredQueue):
        yield Metric(f"lost.{name}", "asks", "lost to a full queue", Ratio(counts("lost")))


def _is_count(fields: dict[str, str]) -> NDArray[np.bool_]:
    """Which fields add up over intervals; the others are gauges, measured at the end of an interval."""
    return np.array([not meaning.startswith("at the end") for meaning in fields.values()])


_SERVICE_IS_COUNT: Final = _is_count(SERVICE_FIELDS)
_CLASS_IS_COUNT: Final = _is_count(CLASS_FIELDS)
_CALL_IS_COUNT: Final = _is_count(CALL_FIELDS)


def _added(total: NDArray[Any], latest: NDArray[Any], is_count: NDArray[np.bool_]) -> NDArray[Any]:
    summed = as_matrix(total) * is_count + as_matrix(latest)
    return summed.reshape(-1).view(latest.dtype).reshape(latest.shape)


def _without_logs(telemetry: Telemetry) -> Telemetry:
    return Telemetry(
        start_ns=telemetry.start_ns,
        end_ns=telemetry.end_ns,
        services=telemetry.services.copy(),
        classes=telemetry.classes.copy(),
        calls=telemetry.calls.copy(),
        sojourn=telemetry.sojourn.copy(),
        response=telemetry.response.copy(),
        controls=telemetry.controls.copy(),
    )
