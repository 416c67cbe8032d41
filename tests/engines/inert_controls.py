"""What each control of the shipped system changes, in a situation in which it matters."""

from __future__ import annotations

from streamflow_env.engines.telemetry import PREMIUM, STANDARD
from tests.engines.inert import Claim, Run, Situation, less, more, some


def bigger_pool(name: str, *claims: Claim) -> tuple[Claim, ...]:
    """What more replicas always do: more servers, more cost, and a lower utilisation."""
    return (
        more(lambda r: r.service(name, "server_ns"), 2.5),
        more(lambda r: r.service(name, "replica_ns"), 2.5),
        more(lambda r: r.highest(name, "ready_replicas"), 2.5),
        less(lambda r: r.utilisation(name), 1.1),
        *claims,
    )


EVERYBODY_WAITS = Situation(
    users=2, changes=(("cache", "invalidate_fraction", 1.0), ("vector_db", "slowdown_factor", 8.0))
)
PEAK = Situation(users=3)
BUSY = Situation(users=2)
CONTROLS: dict[str, tuple[Situation, tuple[Claim, ...]]] = {
    "gateway_replicas": (
        EVERYBODY_WAITS,
        bigger_pool("gateway", less(lambda r: r.service("gateway", "queue_ns"), 3)),
    ),
    "auth_replicas": (
        PEAK,
        bigger_pool(
            "auth",
            less(lambda r: r.service("auth", "queue_ns"), 10),
            less(lambda r: r.service("auth", "queue_full"), 10),
            more(lambda r: r.users("feed", "within_sla"), 2),
        ),
    ),
    "user_profile_replicas": (
        Situation(users=1.2, changes=(("user_profile", "slowdown_factor", 220.0),)),
        bigger_pool("user_profile", less(lambda r: r.service("user_profile", "queue_ns"), 10)),
    ),
    "engine_replicas": (
        PEAK,
        bigger_pool(
            "engine",
            less(lambda r: r.service("engine", "queue_ns"), 10),
            less(lambda r: r.sojourn("engine"), 2),
            more(lambda r: r.users("feed", "within_sla"), 2),
        ),
    ),
    "content_replicas": (
        Situation(users=3, changes=(("content", "slowdown_factor", 20.0),)),
        bigger_pool("content", less(lambda r: r.service("content", "queue_ns"), 5)),
    ),
    "content_pipeline_replicas": (
        Situation(ingest=20),
        (
            more(lambda r: r.service("content_pipeline", "server_ns"), 4),
            more(lambda r: r.service("content_pipeline", "replica_ns"), 4),
            less(lambda r: r.service("content_pipeline", "queue_ns"), 1.3),
            more(lambda r: r.users("ingest", "within_sla"), 1.1),
        ),
    ),
    "engine_queue_limit": (
        Situation(users=1.05, changes=(("vector_db", "slowdown_factor", 8.0),)),  # a little too slow for its workers
        (
            more(lambda r: r.highest("engine", "queue_length"), 3),
            more(lambda r: r.sojourn("engine"), 1.05),
            less(lambda r: r.service("engine", "queue_full"), 10),
        ),
    ),
    "llm_breaker_threshold": (
        Situation(users=2.5),
        (
            less(lambda r: r.call("engine_llm", "opened"), 5),
            less(lambda r: r.call("engine_llm", "breaker_open"), 10),
            more(lambda r: r.service("llm", "rate_limited"), 10),
        ),
    ),
    "vector_breaker_threshold": (
        Situation(users=2.5),
        (
            less(lambda r: r.call("engine_vector", "opened"), 5),
            less(lambda r: r.call("engine_vector", "fallbacks"), 10),
            more(lambda r: r.sojourn("vector_db"), 1.2),
        ),
    ),
    "llm_timeout": (
        Situation(),
        (
            less(lambda r: r.call("engine_llm", "timeouts"), 10),
            less(lambda r: r.service("llm", "orphaned"), 10),
            less(lambda r: r.call("engine_llm", "attempts"), 2),
            more(lambda r: r.personalised(STANDARD), 1.5),
        ),
    ),
    "llm_fallback": (
        BUSY,
        (
            some(lambda r: r.call("engine_llm", "fallbacks")),
            less(lambda r: r.call("engine_llm", "retries"), 10),
            less(lambda r: r.call("engine_llm", "exhausted"), 10),
            less(Run.miss, 1.3),
        ),
    ),
    "llm_ask": (
        Situation(),
        (
            less(lambda r: r.call("engine_llm", "not_asked"), 10),
            some(lambda r: r.call("engine_llm", "attempts")),
            more(lambda r: r.personalised(STANDARD), 10),
            more(Run.miss, 1.5),
        ),
    ),
    "llm_interactive_reserve": (
        Situation(ingest=20),
        (
            less(lambda r: r.call("pipeline_llm", "successes"), 3),
            less(lambda r: r.call("engine_llm", "rate_limited"), 10),
            more(lambda r: r.personalised(STANDARD), 1.02),
        ),
    ),
    "llm_premium_first": (
        Situation(users=2, ingest=5),
        (
            more(lambda r: r.personalised(PREMIUM) / r.personalised(STANDARD), 1.5),
            more(lambda r: r.personalised(PREMIUM), 1.2),
            less(lambda r: r.call("pipeline_llm", "successes"), 1.1),
        ),
    ),
    "invalidation_rate": (
        Situation(changes=(("cache", "invalidate_fraction", 0.8),)),
        (
            more(lambda r: r.service("cache", "fills"), 1.4),
            less(lambda r: r.service("cache", "stale_hits"), 10),
            more(lambda r: r.service("cache", "invalidated"), 10),
            less(lambda r: r.service("cache", "sweep_backlog"), 10),
            less(lambda r: r.users("feed", "within_sla"), 1.2),
        ),
    ),
    "auth_queue_limit": (
        Situation(users=3.5),
        (
            more(lambda r: r.highest("auth", "queue_length"), 50),
            more(lambda r: r.sojourn("auth"), 20),
            more(lambda r: r.users("feed", "failed_deadline"), 1.5),
            less(lambda r: r.users("feed", "within_sla"), 5),
        ),
    ),
    "gateway_waiting_limit": (
        EVERYBODY_WAITS,
        (
            less(lambda r: r.service("gateway", "shed"), 10),
            more(lambda r: r.service("gateway", "queue_ns"), 10),
            more(lambda r: r.users("feed", "failed_deadline"), 1.5),
            less(lambda r: r.users("feed", "within_sla"), 10),
        ),
    ),
    "gateway_rate_limit": (
        PEAK,
        (
            less(lambda r: r.service("gateway", "shed"), 10),
            less(lambda r: r.users("feed", "failed_shed"), 10),
            more(lambda r: r.service("gateway", "completions"), 4),
            more(lambda r: r.service("auth", "queue_ns"), 10),
        ),
    ),
    "gateway_premium_reserve": (
        PEAK._replace(settings=(("gateway_rate_limit", 60),)),
        (
            less(lambda r: r.shed(PREMIUM), 10),
            more(lambda r: r.shed(STANDARD), 1.2),
        ),
    ),
    "profile_db_read_replicas": (
        Situation(changes=(("profile_db", "slowdown_factor", 8.0),)),
        (
            more(lambda r: r.service("profile_db", "server_ns"), 2),
            some(lambda r: r.service("profile_db", "replica_ns")),
            some(lambda r: r.highest("profile_db", "ready_replicas")),
            some(lambda r: r.service("profile_db", "stale_reads")),
            less(lambda r: r.service("profile_db", "queue_ns"), 1.5),
            less(lambda r: r.sojourn("user_profile"), 1.5),
            less(lambda r: r.users("feed", "failed_deadline"), 1.5),
        ),
    ),
    "profile_breaker_threshold": (
        Situation(users=3, changes=(("profile_db", "slowdown_factor", 8.0),)),
        (
            less(lambda r: r.call("profile_query", "opened"), 5),
            less(lambda r: r.call("profile_query", "fallbacks"), 10),
            more(lambda r: r.service("profile_db", "queue_ns"), 2),
            more(lambda r: r.sojourn("user_profile"), 10),
            less(lambda r: r.users("feed", "within_sla"), 2),
        ),
    ),
    "cache_ttl": (
        Situation(changes=(("cache", "invalidate_fraction", 1.0),)),
        (
            less(lambda r: r.service("cache", "fills"), 1.1),
            more(lambda r: r.service("cache", "hits"), 1.15),
            more(lambda r: r.service("cache", "evicted"), 1.1),
        ),
    ),
    "cache_memory": (
        Situation(),
        (
            more(lambda r: r.service("cache", "memory_ns"), 10),
            more(lambda r: r.highest("cache", "entries"), 4),
            less(lambda r: r.service("cache", "evicted"), 10),
            less(lambda r: r.service("cache", "fills"), 1.5),
            more(lambda r: r.users("feed", "within_sla"), 1.3),
        ),
    ),
    "query_cache_ttl": (
        BUSY,
        (
            some(lambda r: r.service("vector_db", "query_hits")),
            less(lambda r: r.service("vector_db", "busy_ns"), 1.5),
            less(lambda r: r.sojourn("vector_db"), 1.5),
        ),
    ),
    "llm_defer": (
        Situation(settings=(("llm_ask", 0.0),)),
        (
            some(lambda r: r.call("engine_llm", "deferred")),
            some(lambda r: r.service("deferred_asks", "arrivals")),
            some(lambda r: r.service("deferred_asks", "enriched")),
            some(lambda r: r.service("llm", "completions")),
            more(Run.quality, 1.02),
        ),
    ),
    "llm_retry_budget": (
        BUSY,
        (
            less(lambda r: r.call("engine_llm", "retries_refused"), 10),
            more(lambda r: r.call("engine_llm", "retries"), 10),
            more(lambda r: r.service("llm", "rate_limited"), 3),
            more(Run.miss, 1.5),
        ),
    ),
    "llm_ingest_share": (
        Situation(users=2, ingest=5),
        (
            more(lambda r: r.call("pipeline_llm", "successes"), 2.5),
            less(lambda r: r.call("pipeline_llm", "rate_limited"), 10),
            less(lambda r: r.call("engine_llm", "successes"), 1.04),
            less(lambda r: r.personalised(STANDARD), 1.04),
        ),
    ),
}
"""For each control a situation, and what moving the control from its low to its high end changes in it."""
