"""What the reward counts, as fields: users' loss per first attempt, and money per hour.

Each term of the reward can be read from the fields that `reward_fields` names.
"""

from __future__ import annotations

from collections.abc import Iterator

from streamflow_env.engines.telemetry import PREMIUM
from streamflow_env.environment.observations.fields import Field, highest, share
from streamflow_env.environment.quantities import (
    HOUR_NS,
    NS,
    excess_ages_ns,
    failures,
    lateness,
    llm_price,
    memory_price_ns,
    quality_loss,
    query_ages_ns,
    replicas_price_ns,
    stale_answers,
)
from streamflow_env.environment.readings import Count, Ratio, class_counts
from streamflow_env.system import Cache, Database, LlmEndpoint, System, VectorIndex, WorkerPool


def reward_fields(system: System) -> dict[str, tuple[str, ...]]:
    """By reward term, the names of the fields that it can be read from.

    `churn` can be read from the settings of two observations, one after the other.
    """
    background = [name for name, request_class in system.classes.items() if request_class.kind == "background"]
    accepted = [f"{n}.accepted_per_min" for n, service in system.services.items() if isinstance(service, LlmEndpoint)]
    named = {
        "late": ("users.lateness",),
        "failed": ("users.failures",),
        "premium": ("users.premium_lateness", "users.premium_failures"),
        "quality": ("users.quality_loss",),
        "staleness": ("users.staleness",),
        "age": ("users.excess_age_s",),
        "query_age": ("users.query_age_s",),
        "ingest_backlog": tuple(f"{name}.in_flight" for name in background),
        "churn": tuple(f"control.{control.name}" for control in system.controls),
        "replicas": ("cost.replicas_per_hour",),
        "memory": ("cost.memory_per_hour",),
        "llm": ("cost.llm_per_hour",) if system.llm_price_per_request > 0 else tuple(accepted),
    }
    present = {field.name for field in rewarded_fields(system)}
    shown = ("users.", "cost.")
    return {
        term: tuple(name for name in names if name in present or not name.startswith(shown))
        for term, names in named.items()
    }


def rewarded_fields(system: System) -> Iterator[Field]:
    """What users lose, and what is paid. Where a system cannot have a loss, it has no field of it."""
    yield from _losses(system)
    yield from _costs(system)


def _losses(system: System) -> Iterator[Field]:
    tries = 1.0 + system.users.max_retries
    answers = class_counts(system, "within_sla", "late")
    whole = tuple(count.times(1000.0) for count in answers)
    yield share("users.lateness", "lateness per first attempt, 1 is as late as counts", _each(system, lateness(system)))
    late = _each(system, lateness(system, PREMIUM))
    yield share("users.premium_lateness", "of that, premium users'", late)
    failed = _each(system, failures(system))
    yield _loss("users.failures", "failures", tries, "attempts that ended in an error, per first attempt", failed)
    failed = _each(system, failures(system, PREMIUM))
    yield _loss("users.premium_failures", "failures", tries, "of those, premium users'", failed)
    quality = Ratio(class_counts(system, "quality_milli"), whole, empty=1.0)
    yield share("users.mean_quality", "quality of answers", quality)
    yield share("users.quality_loss", "loss of quality, per first attempt", _each(system, quality_loss(system)))
    if stale := stale_answers(system):
        meaning = "stale hits and reads, per first attempt"
        yield _loss("users.staleness", "hits and reads", tries, meaning, _each(system, stale))
    if ages := excess_ages_ns(system, 1 / NS):
        oldest = max(
            highest(system, name, "ttl_s", cache.ttl_s) * (1 + cache.ttl_jitter_fraction)
            for name, cache in system.services.items()
            if isinstance(cache, Cache)
        )
        meaning = "age beyond `fresh_s` of what caches answered, per first attempt"
        yield _loss("users.excess_age_s", "s", oldest, meaning, _each(system, ages))
    if ages := query_ages_ns(system, 1 / NS):
        oldest = max(
            highest(system, name, "query_ttl_s", index.query_ttl_s)
            for name, index in system.services.items()
            if isinstance(index, VectorIndex)
        )
        meaning = "age of what query caches answered, per first attempt"
        yield _loss("users.query_age_s", "s", oldest, meaning, _each(system, ages))


def _costs(system: System) -> Iterator[Field]:
    high = sum(
        service.price_per_replica_hour * highest(system, name, parameter, getattr(service, parameter))
        for kind, parameter in ((WorkerPool, "replicas"), (Database, "read_replicas"))
        for name, service in system.services.items()
        if isinstance(service, kind)
    )
    if high > 0:
        meaning = "replicas and read replicas paid for"
        yield _loss(
            "cost.replicas_per_hour", "currency/h", high, meaning, Ratio(replicas_price_ns(system), per_ns=True)
        )
    high = sum(
        cache.price_per_1000_entries_hour * highest(system, name, "memory_entries", cache.memory_entries) / 1000.0
        for name, cache in system.services.items()
        if isinstance(cache, Cache)
    )
    if high > 0:
        meaning = "room for cache entries, used or not"
        yield _loss("cost.memory_per_hour", "currency/h", high, meaning, Ratio(memory_price_ns(system), per_ns=True))
    quota = sum(service.quota_per_minute for service in system.services.values() if isinstance(service, LlmEndpoint))
    high = 2.0 * quota * 60.0 * system.llm_price_per_request
    if high > 0:
        spent = Ratio(llm_price(system, system.llm_price_per_request * HOUR_NS), per_ns=True)
        yield _loss("cost.llm_per_hour", "currency/h", high, "LLM requests that found a token", spent)


def _each(system: System, counts: tuple[Count, ...]) -> Ratio:
    """`counts` per first attempt."""
    return Ratio(counts, class_counts(system, "intents"))


def _loss(name: str, unit: str, high: float, meaning: str, reading: Ratio) -> Field:
    return Field(name, unit, 0.0, high, "linear", meaning, reading)
