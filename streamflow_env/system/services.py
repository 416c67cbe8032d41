"""The kinds of service, as plain data. The engines simulate them.

The YAML file that gives a number gives its source. Durations are in seconds, shares in [0, 1]. Rates are per second
unless the name says otherwise.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from streamflow_env.system.schema import (
    Count,
    Flag,
    Fraction,
    Frozen,
    NonNegative,
    Positive,
    PositiveSeconds,
    Seconds,
    Size,
    Text,
)
from streamflow_env.system.token_latency import TokenLatency

Variation = Annotated[NonNegative, Field(le=100)]
"""A coefficient of variation."""


class Duration(Frozen):
    """A random duration: its mean, coefficient of variation and family (`cv` = 0 is always constant).

    An exponential duration has CV 1 whatever `cv` says; a constant one 0.
    """

    mean_s: Seconds
    cv: Variation = 0.0
    distribution: Literal["lognormal", "exponential", "constant"] = "lognormal"


class WorkerPool(Frozen):
    """Replicas × workers behind one queue. A worker is held while it waits for the calls that it makes.

    * Queue: FIFO, or nonpreemptive with two priorities (`discipline` premium_first). Premium users come before all
      others; within a priority the order is that of arrival.
    * CPU: with `cores_per_replica` above 0 the pool has a FIFO queue for ready replicas × cores, besides its workers.
      With `cpu_pressure` p, CPU work takes (1 + p · queue length / `cpu_pressure_queue`) times as long.
    * Waiting limit: a request that has waited `waiting_limit_s` for a worker is shed. With null it waits as long as its
      user does.
    * Admission, at the entry pool only: it admits `rate_limit_rps` requests per second (null: all). It reserves
      `admission_reserve_fraction` of one second's admissions for premium users, so that standard users are shed first.
    """

    kind: Literal["worker_pool"]
    replicas: Count
    workers_per_replica: Count
    queue_limit: Size
    service_time: Duration
    discipline: Literal["fifo", "premium_first"] = "fifo"
    cores_per_replica: Size = 0
    cpu_pressure: NonNegative = 0.0
    cpu_pressure_queue: Count = 1000
    startup_delay_s: Seconds = 60.0
    removal_hold_s: Seconds = 60.0
    serves_abandoned: Flag = True
    fault_fraction: Fraction = 0.0
    price_per_replica_hour: NonNegative = 0.0
    waiting_limit_s: PositiveSeconds | None = None
    rate_limit_rps: Annotated[Count, Field(le=10_000_000)] | None = None
    admission_reserve_fraction: Fraction = 0.0


class Database(Frozen):
    """A pool of connections. A query waits in FIFO order for one and holds it for its service time.

    Each of `read_replicas` adds `connections` to those of the primary. It starts up and drains like a pool's replica.
    Its data lag by `replication_lag_s` (times the slowdown). A read of it is stale if its record was written within the
    lag; a record is written every `write_gap_s` on average.
    """

    kind: Literal["database"]
    connections: Count
    queue_limit: Size
    service_time: Duration
    read_replicas: Size = 0
    startup_delay_s: Seconds = 60.0
    removal_hold_s: Seconds = 60.0
    replication_lag_s: Seconds = 0.0
    write_gap_s: PositiveSeconds = 3600.0
    price_per_replica_hour: NonNegative = 0.0


class VectorIndex(Frozen):
    """Its latency grows with the queries in flight: base + (saturated - base) · x²/(1 + x²), x = in flight / knee.

    `latency_per_query_s` is added for each query in flight, without bound (Brooker's linear model of coordination).

    With `query_ttl_s` above 0 there is a query cache. It keeps the results of cacheable queries for so long, by item,
    in `query_entries` entries, and answers a repeated query after `cached_latency_s`. Each item has one possible entry;
    a new result replaces that of another item there.
    """

    kind: Literal["vector_index"]
    base_latency_s: PositiveSeconds
    saturated_latency_s: PositiveSeconds
    knee_in_flight: Annotated[Positive, Field(ge=0.001)]
    cv: Variation = 0.0
    latency_per_query_s: Seconds = 0.0
    query_ttl_s: Seconds = 0.0
    query_entries: Annotated[Count, Field(le=10_000_000)] = 1
    cached_latency_s: Seconds = 0.0

    @model_validator(mode="after")
    def _check(self) -> VectorIndex:
        if self.saturated_latency_s < self.base_latency_s:
            raise ValueError(
                f"saturated_latency_s {self.saturated_latency_s} must be at least base_latency_s {self.base_latency_s}"
            )
        return self


class LlmEndpoint(Frozen):
    """A token bucket in front of a heavy-tailed latency: `floor_latency_s` plus a random `tail`, or `token_latency`.

    A request takes a token, or gets a 429 after `rejection_time_s`. Some tokens are reserved (trunk reservation): an
    ingest request takes one only while more than `interactive_reserve_fraction` of the burst is left, a standard user's
    request only while more than `premium_reserve_fraction` is. A share `background_share_fraction` of quota and burst
    is for ingest and deferred asks alone; these may take from the rest too.
    """

    kind: Literal["llm_endpoint"]
    quota_per_minute: Annotated[Count, Field(le=10_000_000)]
    burst: Annotated[Count, Field(le=150_000)]  # counted in 64 bits, in thousandths of 1/6e10 of a token
    floor_latency_s: Seconds
    tail: Duration
    rejection_time_s: Seconds
    retry_after_s: Seconds = 0.0
    interactive_reserve_fraction: Fraction = 0.0
    premium_reserve_fraction: Fraction = 0.0
    background_share_fraction: Fraction = 0.0
    token_latency: TokenLatency | None = None


class Cache(Frozen):
    """Entries by key (a user, or an item) with a jittered TTL, in bounded memory.

    Where there is no room for a new entry, one of `eviction_samples` sampled entries is evicted: an expired one, or
    else the least recently used (Redis: maxmemory-samples). A bulk invalidation sweeps the users' keys at
    `invalidation_rate_keys_per_s`; with null it invalidates all at once. An entry up to `fresh_s` old is as good
    as new.
    """

    kind: Literal["cache"]
    lookup_time: Duration
    ttl_s: PositiveSeconds
    ttl_jitter_fraction: Fraction = 0.0
    fresh_s: Seconds = 0.0
    keys_per_item: Annotated[Size, Field(le=1024)] = 0
    invalidation_rate_keys_per_s: Annotated[Count, Field(le=100_000_000)] | None = None
    memory_entries: Annotated[Count, Field(le=100_000_000)] = 100_000
    eviction_samples: Annotated[Count, Field(le=64)] = 5
    price_per_1000_entries_hour: NonNegative = 0.0


class Consumer(Frozen):
    """An asynchronous consumer: a bounded queue of events, served one batch at a time. Events beyond it are lost."""

    kind: Literal["consumer"]
    queue_limit: Count
    batch_size: Count
    batch_time: Duration


class DeferredQueue(Frozen):
    """LLM requests that no user waits for: they enrich cache entries that were written with a fallback.

    Every `poll_s` the first requests of the queue are sent to the LLM endpoint `to`, as background requests, as long as
    there are tokens and free `workers`.
    """

    kind: Literal["deferred_queue"]
    to: Text
    queue_limit: Count
    workers: Annotated[Count, Field(le=65_536)]  # cells of the ring are numbered in 16 bits
    poll_s: Annotated[PositiveSeconds, Field(ge=0.001)]


Service = Annotated[
    WorkerPool | Database | VectorIndex | LlmEndpoint | Cache | Consumer | DeferredQueue,
    Field(discriminator="kind"),
]
