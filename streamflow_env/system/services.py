"""Kinds of service: what a system can be built of. All are plain data; the engines give them their meaning.

Sources of the numbers are in the YAML file that gives them. Durations are in seconds, rates per second unless the
name says otherwise, shares in [0, 1].
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from streamflow_env.system.schema import Count, Flag, Fraction, Frozen, NonNegative, Positive, Size, Text
from streamflow_env.system.token_latency import TokenLatency


class Duration(Frozen):
    """A random duration: its mean, coefficient of variation and family (`cv` = 0 is always constant).

    An exponential duration has CV 1 whatever `cv` says; a constant one 0.
    """

    mean_s: NonNegative
    cv: NonNegative = 0.0
    distribution: Literal["lognormal", "exponential", "constant"] = "lognormal"


class WorkerPool(Frozen):
    """Replicas × workers behind one queue. A worker is held while it waits for the calls below it.

    The queue is FIFO, or with the `discipline` premium_first nonpreemptive with two priorities: premium users, and
    behind them all others, each of the two in order of arrival.
    With `cores_per_replica` the pool has a CPU of its own beside its workers: a FIFO queue for ready replicas ×
    cores. `cpu_pressure` p makes CPU work take (1 + p · queue length / `cpu_pressure_queue`) times as long.
    A request that has waited `waiting_limit_s` for a worker is shed (null: it waits as long as its user does). The
    pool at which requests enter may admit `rate_limit_rps` of them (null: all), keeping `admission_reserve_fraction`
    of one second's worth for premium users, so that standard ones are shed first.
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
    startup_delay_s: NonNegative = 60.0
    removal_hold_s: NonNegative = 60.0
    serves_abandoned: Flag = True
    fault_fraction: Fraction = 0.0
    price_per_replica_hour: NonNegative = 0.0
    waiting_limit_s: Positive | None = None
    rate_limit_rps: Count | None = None
    admission_reserve_fraction: Fraction = 0.0


class Database(Frozen):
    """A pool of connections; a query waits in FIFO order for one and holds it for its service time.

    Each of `read_replicas` adds `connections` to those of the primary, starts up and drains like a pool's replica, and
    is behind by `replication_lag_s` (times the slowdown): a read of it is stale if its record, written every
    `write_gap_s` on average, was written within the lag.
    """

    kind: Literal["database"]
    connections: Count
    queue_limit: Size
    service_time: Duration
    read_replicas: Size = 0
    startup_delay_s: NonNegative = 60.0
    removal_hold_s: NonNegative = 60.0
    replication_lag_s: NonNegative = 0.0
    write_gap_s: Positive = 3600.0
    price_per_replica_hour: NonNegative = 0.0


class VectorIndex(Frozen):
    """Latency grows with queries in flight: base + (saturated - base) · x²/(1 + x²), x = in flight / knee.

    `latency_per_query_s` adds so much for each of them, without bound (Brooker's linear model of coordination).

    With `query_ttl_s` above 0, results of cacheable queries are kept so long, by item, in `query_slots` slots (an item
    has one slot and takes it from whoever holds it), and a repeated query is answered after `cached_latency_s`.
    """

    kind: Literal["vector_index"]
    base_latency_s: Positive
    saturated_latency_s: Positive
    knee_in_flight: Positive
    cv: NonNegative = 0.0
    latency_per_query_s: NonNegative = 0.0
    query_ttl_s: NonNegative = 0.0
    query_slots: Annotated[Count, Field(le=10_000_000)] = 1
    cached_latency_s: NonNegative = 0.0

    @model_validator(mode="after")
    def _check(self) -> VectorIndex:
        if self.saturated_latency_s < self.base_latency_s:
            raise ValueError(
                f"saturated_latency_s {self.saturated_latency_s} must be at least base_latency_s {self.base_latency_s}"
            )
        return self


class LlmEndpoint(Frozen):
    """A token bucket in front of a heavy-tailed latency: `floor_latency_s` plus a random `tail`, or `token_latency`.

    A request finds a token or a 429 after `rejection_time_s`. Tokens are kept back by trunk reservation: an ingest
    request may take one only above `interactive_reserve_fraction` of the burst, a standard user's only above
    `premium_reserve_fraction` of it. A part `background_share_fraction` of quota and burst is kept for ingest and
    for deferred asks, which may take of the rest too.
    """

    kind: Literal["llm_endpoint"]
    quota_per_minute: Count
    burst: Count
    floor_latency_s: NonNegative
    tail: Duration
    rejection_time_s: NonNegative
    retry_after_s: NonNegative = 0.0
    interactive_reserve_fraction: Fraction = 0.0
    premium_reserve_fraction: Fraction = 0.0
    background_share_fraction: Fraction = 0.0
    token_latency: TokenLatency | None = None


class Cache(Frozen):
    """Entries by key (a user, or an item) with a jittered TTL, in bounded memory.

    Where there is no room for a new entry, one of `eviction_samples` sampled ones gives way: an expired one, or else
    the one least recently used (Redis: maxmemory-samples). A bulk invalidation sweeps the users' keys at a rate;
    `invalidation_rate_keys_per_s` = null invalidates all at once.
    """

    kind: Literal["cache"]
    lookup_time: Duration
    ttl_s: Positive
    ttl_jitter_fraction: Fraction = 0.0
    keys_per_item: Annotated[Size, Field(le=1024)] = 0
    invalidation_rate_keys_per_s: Count | None = None
    memory_entries: Annotated[Count, Field(le=100_000_000)] = 100_000
    eviction_samples: Annotated[Count, Field(le=64)] = 5
    price_per_1000_entries_hour: NonNegative = 0.0


class Consumer(Frozen):
    """An asynchronous consumer: a bounded queue of events served in batches, one batch at a time; overflow is lost."""

    kind: Literal["consumer"]
    queue_limit: Count
    batch_size: Count
    batch_time: Duration


class DeferredQueue(Frozen):
    """Asks that nobody waits for: entries written with a fallback, to be enriched when the LLM endpoint `to` has time.

    Every `poll_s` the first of the queue are asked, as background requests, while tokens and `workers` are left.
    """

    kind: Literal["deferred_queue"]
    to: Text
    queue_limit: Count
    workers: Annotated[Count, Field(le=65_536)]  # cells of the ring are numbered in 16 bits
    poll_s: Annotated[Positive, Field(ge=0.001)]


Service = Annotated[
    WorkerPool | Database | VectorIndex | LlmEndpoint | Cache | Consumer | DeferredQueue,
    Field(discriminator="kind"),
]
