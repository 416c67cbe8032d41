"""What an interval, or a whole episode, comes to: service levels, percentiles, rates, cost. Pure functions.

Everything is a ratio of sums of exact counters, or a percentile of a summed histogram. So an episode's metrics are
`interval_metrics` of the telemetry that `accumulate` makes of its intervals: not means of means. Rates of error and
of SLA are per attempt. A share of nothing is what a healthy system would show: 1 for `sla_fraction`, `quality`,
`hit_fraction`, `llm_use_fraction` and `intent_success_fraction`, 0 for the others.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines.telemetry import CALL_FIELDS, CLASS_FIELDS, PREMIUM, SERVICE_FIELDS, STANDARD, Telemetry
from streamflow_env.environment.readings import as_matrix, percentiles_s
from streamflow_env.system import Cache, Consumer, Database, LlmEndpoint, System, VectorIndex, WorkerPool

NS: Final = 1e-9
HOUR_S: Final = 3600.0
MINUTE_S: Final = 60.0

METRICS: Final = {
    "sla_fraction": "attempts that ended within the SLA",
    "sla_fraction.standard": "the same, standard users",
    "sla_fraction.premium": "the same, premium users",
    "error_fraction": "attempts that ended in an error",
    "failed_deadline_fraction": "attempts that ended at the user's deadline (504)",
    "failed_queue_full_fraction": "attempts that ended at a full queue",
    "failed_fault_fraction": "attempts that ended by a service's own fault",
    "failed_dependency_fraction": "attempts that ended because a call failed",
    "p50_s": "median response time",
    "p95_s": "95th percentile of the response time",
    "p99_s": "99th percentile of the response time",
    "mean_response_s": "mean response time of attempts, a 504 counting its deadline",
    "mean_hit_response_s": "mean response time of answers out of a cache",
    "mean_miss_response_s": "mean response time of answers after a cache miss",
    "offered_rps": "attempts per second, users' retries included",
    "intents_rps": "first attempts per second",
    "goodput_rps": "answers per second",
    "intent_success_fraction": "intents answered in the end, of those that came to an end",
    "retry_fraction": "attempts that are users' retries",
    "hit_fraction": "cache lookups that hit",
    "stale_fraction": "hits on entries that an invalidation has yet to reach",
    "mean_age_s": "mean age of the entries that hit",
    "quality": "mean quality of answers",
    "llm_use_fraction": "answers after a miss whose every call was answered in earnest",
    "llm_requests_per_min": "requests sent to LLMs, those answered by a 429 included",
    "llm_accepted_per_min": "of those, the ones that found a token",
    "llm_429_fraction": "requests sent to LLMs that were answered by a 429",
    "cost_per_hour": "replicas and LLM",
    "replicas_cost_per_hour": "replicas paid for: ready, pending and draining",
    "llm_cost_per_hour": "LLM requests that found a token",
    "backlog": "background requests sent and not yet ended, at the end",
    "queue_length.{service}": "mean queue length: worker pools, databases, consumers",
    "utilisation.{service}": "mean share of workers or connections in use: worker pools, databases",
    "cpu_utilisation.{service}": "mean share of cores in use: worker pools with cores",
    "replicas.{service}": "mean replicas paid for: worker pools",
    "mean_sojourn_s.{service}": "mean time from arrival to leaving: pools, databases, vector indexes, LLMs",
    "lost.{service}": "events lost: consumers",
}
"""What `interval_metrics` gives; `{service}` stands for each service of the kinds said."""

FAILURES: Final = ("failed_deadline", "failed_queue_full", "failed_fault", "failed_dependency")
_PERCENTILES: Final = np.array([0.50, 0.95, 0.99])
_FIRST_ROW: Final = np.zeros(3, dtype=np.intp)

Counts = dict[str, int]


def interval_metrics(telemetry: Telemetry, system: System) -> dict[str, float]:
    """The metrics of `METRICS`, of one interval or of what `accumulate` made of several."""
    standard, premium = interactive_counts(telemetry, system)
    users = {name: standard[name] + premium[name] for name in standard}
    services = {name: telemetry.services[name].tolist() for name in _SERVICE_COLUMNS}
    seconds = telemetry.interval_s
    return {
        **_service_levels(users, standard, premium),
        **_response_times(telemetry, system, users),
        **_rates(users, seconds),
        **_answers(users, services, system),
        **_cost(services, system, seconds),
        "backlog": float(background_backlog(telemetry, system)),
        **_by_service(services, system, telemetry.end_ns - telemetry.start_ns),
    }


def accumulate(total: Telemetry | None, telemetry: Telemetry) -> Telemetry:
    """`total` and `telemetry` as one longer interval: counters and histograms summed, gauges and controls the latest.

    Durations add up even where the intervals are of different episodes. Logs are dropped; `total` may be None.
    """
    if total is None:
        total = Telemetry(
            start_ns=telemetry.start_ns,
            end_ns=telemetry.start_ns,
            services=np.zeros_like(telemetry.services),
            classes=np.zeros_like(telemetry.classes),
            calls=np.zeros_like(telemetry.calls),
            sojourn=np.zeros_like(telemetry.sojourn, dtype=np.int32),
            response=np.zeros_like(telemetry.response, dtype=np.int32),
            controls=telemetry.controls,
        )
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


def interactive_counts(telemetry: Telemetry, system: System) -> tuple[Counts, Counts]:
    """The counters of standard and of premium users, summed over the interactive classes."""
    matrix = as_matrix(telemetry.classes).reshape(len(system.classes), 2, -1)
    sums = matrix[np.flatnonzero(system.interactive)].sum(axis=0)
    return _named(sums[STANDARD]), _named(sums[PREMIUM])


def background_backlog(telemetry: Telemetry, system: System) -> int:
    """Background requests (ingest) sent and not yet ended, at the end of the interval."""
    return int(telemetry.classes["in_flight"][np.logical_not(system.interactive)].sum())


def llm_accepted(telemetry: Telemetry, system: System) -> int:
    """LLM requests that found a token."""
    rows = [row for row, service in enumerate(system.services.values()) if isinstance(service, LlmEndpoint)]
    counts = {name: telemetry.services[name].tolist() for name in ("arrivals", "rate_limited", "breaker_open")}
    return sum(counts["arrivals"][row] - counts["rate_limited"][row] - counts["breaker_open"][row] for row in rows)


def replicas_cost_per_hour(replica_ns: list[int], system: System, duration_ns: int) -> float:
    """Price of the replicas paid for, given the integral of each service's replicas."""
    if duration_ns <= 0:
        return 0.0
    priced = (
        service.price_per_replica_hour * replica_ns[row]
        for row, service in enumerate(system.services.values())
        if isinstance(service, WorkerPool)
    )
    return sum(priced) / duration_ns


def as_found_cost_per_hour(system: System) -> float:
    """Price of the replicas of the as-found fleet."""
    return sum(pool.price_per_replica_hour * pool.replicas for _, pool in system.pools())


def ended(counts: Counts) -> int:
    """Attempts that ended."""
    return counts["within_sla"] + counts["late"] + failed(counts)


def failed(counts: Counts) -> int:
    """Attempts that ended in an error."""
    return sum(counts[cause] for cause in FAILURES)


def answered(counts: Counts) -> int:
    """Attempts that were answered."""
    return counts["within_sla"] + counts["late"]


def _service_levels(users: Counts, standard: Counts, premium: Counts) -> dict[str, float]:
    total = ended(users)
    return {
        "sla_fraction": _share(users["within_sla"], total, empty=1.0),
        "sla_fraction.standard": _share(standard["within_sla"], ended(standard), empty=1.0),
        "sla_fraction.premium": _share(premium["within_sla"], ended(premium), empty=1.0),
        "error_fraction": _share(failed(users), total),
        **{f"{cause}_fraction": _share(users[cause], total) for cause in FAILURES},
    }


def _response_times(telemetry: Telemetry, system: System, users: Counts) -> dict[str, float]:
    histogram = telemetry.response[np.flatnonzero(system.interactive)].sum(axis=(0, 1))
    p50_s, p95_s, p99_s = percentiles_s(histogram[None, :], _FIRST_ROW, _PERCENTILES).tolist()
    return {
        "p50_s": p50_s,
        "p95_s": p95_s,
        "p99_s": p99_s,
        "mean_response_s": _share(users["response_ns"], ended(users)) * NS,
        "mean_hit_response_s": _share(users["hit_response_ns"], users["hit_answers"]) * NS,
        "mean_miss_response_s": _share(users["miss_response_ns"], users["miss_answers"]) * NS,
    }


def _rates(users: Counts, seconds: float) -> dict[str, float]:
    intents_ended = users["intents_answered"] + users["intents_failed"]
    return {
        "offered_rps": _share(users["attempts"], seconds),
        "intents_rps": _share(users["intents"], seconds),
        "goodput_rps": _share(answered(users), seconds),
        "intent_success_fraction": _share(users["intents_answered"], intents_ended, empty=1.0),
        "retry_fraction": _share(users["attempts"] - users["intents"], users["attempts"]),
    }


def _answers(users: Counts, services: dict[str, list[int]], system: System) -> dict[str, float]:
    caches = [row for row, service in enumerate(system.services.values()) if isinstance(service, Cache)]
    hits = sum(services["hits"][row] for row in caches)
    lookups = sum(services["completions"][row] - services["fills"][row] for row in caches)
    return {
        "hit_fraction": _share(hits, lookups, empty=1.0),
        "stale_fraction": _share(sum(services["stale_hits"][row] for row in caches), hits),
        "mean_age_s": _share(sum(services["age_ns"][row] for row in caches), hits) * NS,
        "quality": _share(users["quality_milli"], 1000 * answered(users), empty=1.0),
        "llm_use_fraction": _share(users["personalised"], users["miss_answers"], empty=1.0),
    }


def _cost(services: dict[str, list[int]], system: System, seconds: float) -> dict[str, float]:
    llms = [row for row, service in enumerate(system.services.values()) if isinstance(service, LlmEndpoint)]
    sent = sum(services["arrivals"][row] - services["breaker_open"][row] for row in llms)
    refused = sum(services["rate_limited"][row] for row in llms)
    replicas_per_hour = replicas_cost_per_hour(services["replica_ns"], system, round(seconds / NS))
    llm_per_hour = _share((sent - refused) * system.llm_price_per_request, seconds) * HOUR_S
    return {
        "llm_requests_per_min": _share(sent, seconds) * MINUTE_S,
        "llm_accepted_per_min": _share(sent - refused, seconds) * MINUTE_S,
        "llm_429_fraction": _share(refused, sent),
        "cost_per_hour": replicas_per_hour + llm_per_hour,
        "replicas_cost_per_hour": replicas_per_hour,
        "llm_cost_per_hour": llm_per_hour,
    }


def _by_service(services: dict[str, list[int]], system: System, duration_ns: int) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for row, (name, service) in enumerate(system.services.items()):
        if isinstance(service, WorkerPool | Database | Consumer):
            metrics[f"queue_length.{name}"] = _share(services["queue_ns"][row], duration_ns)
        if isinstance(service, WorkerPool | Database):
            metrics[f"utilisation.{name}"] = _share(services["busy_ns"][row], services["server_ns"][row])
        if isinstance(service, WorkerPool):
            metrics[f"replicas.{name}"] = _share(services["replica_ns"][row], duration_ns)
            if service.cores_per_replica:
                metrics[f"cpu_utilisation.{name}"] = _share(services["cpu_busy_ns"][row], services["core_ns"][row])
        if isinstance(service, WorkerPool | Database | VectorIndex | LlmEndpoint):
            metrics[f"mean_sojourn_s.{name}"] = _share(services["sojourn_ns"][row], services["completions"][row]) * NS
        if isinstance(service, Consumer):
            metrics[f"lost.{name}"] = float(services["lost"][row])
    return metrics


_SERVICE_COLUMNS: Final = (
    "arrivals", "completions", "rate_limited", "breaker_open", "lost", "busy_ns", "server_ns", "queue_ns",
    "cpu_busy_ns", "core_ns", "replica_ns", "sojourn_ns", "hits", "stale_hits", "age_ns", "fills",
)  # fmt: skip


def _is_count(fields: dict[str, str]) -> NDArray[np.bool_]:
    """Which fields add up over intervals; the others are gauges, measured at the end of an interval."""
    return np.array([not meaning.startswith("at the end") for meaning in fields.values()])


_SERVICE_IS_COUNT: Final = _is_count(SERVICE_FIELDS)
_CLASS_IS_COUNT: Final = _is_count(CLASS_FIELDS)
_CALL_IS_COUNT: Final = _is_count(CALL_FIELDS)


def _added(total: NDArray[Any], latest: NDArray[Any], is_count: NDArray[np.bool_]) -> NDArray[Any]:
    summed = as_matrix(total) * is_count + as_matrix(latest)
    return summed.reshape(-1).view(latest.dtype).reshape(latest.shape)


def _named(sums: NDArray[np.int64]) -> Counts:
    return dict(zip(CLASS_FIELDS, sums.tolist(), strict=True))


def _share(part: float, whole: float, empty: float = 0.0) -> float:
    return part / whole if whole > 0 else empty
