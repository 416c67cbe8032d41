"""Kinds of service: what a system can be built of. All are plain data; the engines give them their meaning.

Sources of the numbers are in the YAML file that gives them. Durations are in seconds, rates per second unless the
name says otherwise, shares in [0, 1].
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from streamflow_env.system.schema import Count, Flag, Fraction, Frozen, NonNegative, Positive, Size


class Duration(Frozen):
    """A random duration: its mean, coefficient of variation and family (`cv` = 0 is always constant).

    An exponential duration has CV 1 whatever `cv` says; a constant one 0.
    """

    mean_s: NonNegative
    cv: NonNegative = 0.0
    distribution: Literal["lognormal", "exponential", "constant"] = "lognormal"


class WorkerPool(Frozen):
    """Replicas × workers behind one FIFO queue. A worker is held while it waits for the calls below it.

    With `cores_per_replica` the pool has a CPU of its own beside its workers: a FIFO queue for ready replicas ×
    cores. `cpu_pressure` p makes CPU work take (1 + p · queue length / `cpu_pressure_queue`) times as long.
    """

    kind: Literal["worker_pool"]
    replicas: Count
    workers_per_replica: Count
    queue_limit: Size
    service_time: Duration
    cores_per_replica: Size = 0
    cpu_pressure: NonNegative = 0.0
    cpu_pressure_queue: Count = 1000
    startup_delay_s: NonNegative = 60.0
    removal_hold_s: NonNegative = 60.0
    serves_departed: Flag = True
    fault_fraction: Fraction = 0.0
    price_per_replica_hour: NonNegative = 0.0


class Database(Frozen):
    """A pool of connections; a query waits in FIFO order for one and holds it for its service time."""

    kind: Literal["database"]
    connections: Count
    queue_limit: Size
    service_time: Duration


class VectorIndex(Frozen):
    """Latency grows with queries in flight: base + (saturated - base) · x²/(1 + x²), x = in flight / knee."""

    kind: Literal["vector_index"]
    base_latency_s: Positive
    saturated_latency_s: Positive
    knee_in_flight: Positive
    cv: NonNegative = 0.0

    @model_validator(mode="after")
    def _check(self) -> VectorIndex:
        if self.saturated_latency_s < self.base_latency_s:
            raise ValueError(
                f"saturated_latency_s {self.saturated_latency_s} must be at least base_latency_s {self.base_latency_s}"
            )
        return self


class LlmEndpoint(Frozen):
    """A token bucket in front of a heavy-tailed latency: `floor_latency_s` plus a random `tail`.

    A request finds a token or a 429 after `rejection_time_s`. Tokens are kept back by trunk reservation: an ingest
    request may take one only above `interactive_reserve_fraction` of the burst, a standard user's only above
    `premium_reserve_fraction` of it.
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


class Cache(Frozen):
    """Entries by key (a user of the cell) with a jittered TTL. A bulk invalidation sweeps keys at a rate, or at once.

    `invalidation_rate_keys_per_s` = null invalidates all at once.
    """

    kind: Literal["cache"]
    lookup_time: Duration
    ttl_s: Positive
    ttl_jitter_fraction: Fraction = 0.0
    keys_per_item: Annotated[Size, Field(le=1024)] = 0
    invalidation_rate_keys_per_s: Count | None = None


class Consumer(Frozen):
    """An asynchronous consumer: a bounded queue of events served in batches, one batch at a time; overflow is lost."""

    kind: Literal["consumer"]
    queue_limit: Count
    batch_size: Count
    batch_time: Duration


Service = Annotated[
    WorkerPool | Database | VectorIndex | LlmEndpoint | Cache | Consumer,
    Field(discriminator="kind"),
]
