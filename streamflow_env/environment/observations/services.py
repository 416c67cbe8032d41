"""What each kind of service shows. A field is there only where the service, or a control of it, can move it."""

from __future__ import annotations

from collections.abc import Iterator

from streamflow_env.environment.observations.fields import (
    NS,
    SURGE,
    Field,
    RecordReader,
    gauge,
    highest,
    is_controlled,
    p95,
    rate,
    share,
    small_count,
)
from streamflow_env.environment.quantities import cacheable_queries
from streamflow_env.environment.readings import Ratio
from streamflow_env.system import (
    Cache,
    Consumer,
    Database,
    DeferredQueue,
    LlmEndpoint,
    Service,
    System,
    VectorIndex,
    WorkerPool,
)


def service_fields(system: System, row: int, name: str, service: Service) -> Iterator[Field]:
    """The fields of service number `row`."""
    match service:
        case WorkerPool():
            yield from _pool(system, row, name, service)
        case Database():
            yield from _database(system, row, name, service)
        case VectorIndex():
            yield from _vector_index(system, row, name, service)
        case LlmEndpoint():
            yield from _llm(row, name, service)
        case Cache():
            yield from _cache(system, row, name, service)
        case Consumer():
            yield from _consumer(system, row, name, service)
        case DeferredQueue():
            yield from _deferred_queue(system, row, name, service)


def _pool(system: System, row: int, name: str, pool: WorkerPool) -> Iterator[Field]:
    read = RecordReader("services", row)
    queue = highest(system, name, "queue_limit", pool.queue_limit)
    errors = ("queue_full", "shed", "abandoned", "faults", "failed")
    ends = (*errors, "completions")
    yield rate(system, f"{name}.arrival_rate_rps", "requests that came", read.per_s("arrivals"))
    yield share(f"{name}.utilisation", "workers in use", read.ratio(("busy_ns",), ("server_ns",)))
    if pool.cores_per_replica:
        yield share(f"{name}.cpu_utilisation", "CPU cores in use", read.ratio(("cpu_busy_ns",), ("core_ns",)))
    yield gauge(f"{name}.queue_length", "requests", queue, "waiting for a worker", read.gauge("queue_length"))
    yield from _replicas(name, highest(system, name, "replicas", pool.replicas), "replicas that serve", read)
    yield share(f"{name}.error_fraction", "requests that failed here", read.ratio(errors, ends))
    if _can_shed(system, name, pool):
        yield share(f"{name}.shed_fraction", "requests shed here", read.ratio(("shed",), ends))
    yield p95(row, name)


def _replicas(name: str, high: float, meaning: str, read: RecordReader) -> Iterator[Field]:
    yield small_count(f"{name}.ready_replicas", "replicas", high, meaning, read.gauge("ready_replicas"))
    yield small_count(f"{name}.pending_replicas", "replicas", high, "starting up", read.gauge("pending_replicas"))


def _can_shed(system: System, name: str, pool: WorkerPool) -> bool:
    found = pool.waiting_limit_s is not None or pool.rate_limit_rps is not None
    return found or is_controlled(system, name, "waiting_limit_s") or is_controlled(system, name, "rate_limit_rps")


def _database(system: System, row: int, name: str, database: Database) -> Iterator[Field]:
    read = RecordReader("services", row)
    limit = float(max(1, database.queue_limit))
    yield share(f"{name}.utilisation", "connections in use", read.ratio(("busy_ns",), ("server_ns",)))
    yield gauge(f"{name}.queue_length", "queries", limit, "waiting for a connection", read.gauge("queue_length"))
    if database.read_replicas > 0 or is_controlled(system, name, "read_replicas"):
        high = highest(system, name, "read_replicas", database.read_replicas)
        yield from _replicas(name, high, "read replicas that serve", read)
        stale = read.ratio(("stale_reads",), ("completions",))
        yield share(f"{name}.stale_read_fraction", "reads that missed the last write", stale)
    yield p95(row, name)


def _vector_index(system: System, row: int, name: str, index: VectorIndex) -> Iterator[Field]:
    read, high, knee = RecordReader("services", row), SURGE * index.knee_in_flight, index.knee_in_flight
    under_way = read.gauge("in_flight")
    yield Field(f"{name}.in_flight", "queries", 0.0, high, "log", "queries under way", under_way, knee, whole=True)
    if queries := cacheable_queries(system, name):
        oldest = highest(system, name, "query_ttl_s", index.query_ttl_s)
        hits = Ratio(read.counts("query_hits"), queries)
        yield share(f"{name}.query_hit_fraction", "cacheable queries that its query cache answered", hits)
        age = read.mean_s("age_ns", ("query_hits",))
        yield Field(f"{name}.mean_age_s", "s", 0.0, oldest, "linear", "age of the results that hit", age)
    yield p95(row, name)


def _llm(row: int, name: str, llm: LlmEndpoint) -> Iterator[Field]:
    read, quota = RecordReader("services", row), float(llm.quota_per_minute)
    sent = read.counts("arrivals") + read.counts("breaker_open", weight=-1.0)
    per_min = tuple(count.times(60 * NS) for count in sent)
    tokens = Ratio(read.counts("tokens_milli", weight=1e-3))
    refused = Ratio(read.counts("rate_limited"), sent)
    accepted = sent + read.counts("rate_limited", weight=-1.0)
    accepted_per_min = Ratio(tuple(count.times(60 * NS) for count in accepted), per_ns=True)
    per_minute = Ratio(per_min, per_ns=True)
    yield Field(f"{name}.tokens", "tokens", 0.0, float(llm.burst), "linear", "requests it would take at once", tokens)
    yield Field(f"{name}.requests_per_min", "1/min", 0.0, 20 * quota, "log", "requests sent", per_minute, quota / 10)
    yield Field(f"{name}.accepted_per_min", "1/min", 0.0, 2 * quota, "linear", "of those, accepted", accepted_per_min)
    yield share(f"{name}.rate_limited_fraction", "of those sent, answered by a 429", refused)
    yield p95(row, name)


def _cache(system: System, row: int, name: str, cache: Cache) -> Iterator[Field]:
    read, keys = RecordReader("services", row), float(system.users.num_users)
    oldest = highest(system, name, "ttl_s", cache.ttl_s) * (1 + cache.ttl_jitter_fraction)
    room = highest(system, name, "memory_entries", cache.memory_entries)
    users, items = (read.ratio((f"{of}hits",), (f"{of}lookups",), empty=1.0) for of in ("", "item_"))
    yield share(f"{name}.hit_fraction", "lookups of users that hit", users)
    yield share(f"{name}.item_hit_fraction", "lookups of items that hit", items)
    quality = Ratio(read.counts("hit_quality_milli"), read.counts("hits", weight=1000.0), empty=1.0)
    yield share(f"{name}.mean_quality", "quality of the answers that users' hits gave", quality)
    yield share(f"{name}.stale_fraction", "hits on entries to be invalidated", read.ratio(("stale_hits",), ("hits",)))
    sweep = read.gauge("sweep_backlog")
    yield Field(f"{name}.sweep_backlog", "keys", 0.0, keys, "log", "to be invalidated", sweep, keys / 100, whole=True)
    age = read.mean_s("age_ns", ("hits", "item_hits"))
    yield Field(f"{name}.mean_age_s", "s", 0.0, oldest, "linear", "age of the entries that hit", age)
    yield small_count(f"{name}.entries", "entries", room, "in memory", read.gauge("entries"))
    evicted = read.per_s("evicted")
    yield rate(system, f"{name}.evictions_per_s", "valid entries that gave way for want of memory", evicted)
    twice = read.ratio(("duplicate_fills",), ("fills",))
    yield share(f"{name}.duplicate_fill_fraction", "fills that a concurrent miss had done already", twice)


def _consumer(system: System, row: int, name: str, consumer: Consumer) -> Iterator[Field]:
    read, limit = RecordReader("services", row), float(consumer.queue_limit)
    yield gauge(f"{name}.queue_length", "events", limit, "waiting", read.gauge("queue_length"))
    yield rate(system, f"{name}.lost_rps", "events lost to a full queue", read.per_s("lost"))


def _deferred_queue(system: System, row: int, name: str, queue: DeferredQueue) -> Iterator[Field]:
    read, limit = RecordReader("services", row), float(queue.queue_limit)
    yield gauge(f"{name}.queue_length", "asks", limit, "waiting", read.gauge("queue_length"))
    yield share(f"{name}.utilisation", "workers in use", read.ratio(("busy_ns",), ("server_ns",)))
    yield rate(system, f"{name}.enriched_per_s", "cache entries enriched", read.per_s("enriched"))
    yield share(f"{name}.lost_fraction", "asks lost to a full queue", read.ratio(("lost",), ("arrivals",)))
