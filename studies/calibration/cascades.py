"""The three cascades of the brief as chains of links, each with the stretch of its cause."""

from __future__ import annotations

from typing import Final

from studies.calibration.onsets import Cascade, Link

LLM_LIMITED_S: Final = (300.0, 1200.0)
LLM_LIMITED_LEVEL: Final = 1.4
LLM_LIMITED: Final = {"quota_factor": 0.15, "latency_factor": 2.0, "retry_after_s": 4.0}
"""Within the ranges of configs/scenarios/llm-rate-limit.yaml, quota and retry-after the worst of them; no precursor."""
INVALIDATED_S: Final = (600.0, 601.0)
AUTH_SLOW_S: Final = (300.0, 360.0)
AUTH_FACTOR: Final = 8.0
AUTH_LEVEL: Final = 1.5

LLM_RATE_LIMIT: Final = Cascade(
    slug="cascade-1-llm-rate-limit",
    title=f"Cascade 1: the LLM's rate limit, at {LLM_LIMITED_LEVEL:g}x load",
    caption="The LLM answers 429; engine slots wait for it, the queue before them fills and saturates the engine's "
    "CPU, users' deadlines pass and the gateway answers 504.",
    cause="LLM quota × {quota_factor:g}, latency × {latency_factor:g}, retry-after {retry_after_s:g} s".format(
        **LLM_LIMITED
    ),
    cause_s=LLM_LIMITED_S,
    links=(
        Link("LLM answers 429", "llm_429_fraction", 0.10, "% of LLM calls"),
        Link("engine slots are held", "utilisation.engine", 0.95, "% of slots"),
        Link("engine queue grows", "queue_length.engine", 100.0, "requests"),
        Link("engine CPU saturates", "cpu_utilisation.engine", 0.90, "% of cores"),
        Link("calls to the engine time out", "engine_timeout_fraction", 0.01, "% of calls"),
        Link("gateway answers 504", "failed_deadline_fraction", 0.01, "% of attempts"),
    ),
)
INVALIDATION_STORM: Final = Cascade(
    slug="cascade-2-invalidation-storm",
    title="Cascade 2: an invalidation storm, at normal load",
    caption="Everything cached becomes invalid at once; what missed goes to the vector DB and to the engine, and users "
    "wait.",
    cause="all keys are invalidated",
    cause_s=INVALIDATED_S,
    links=(
        Link("cache hit rate falls", "hit_fraction", 0.60, "% of lookups", falls=True),
        Link("vector DB slows down", "mean_sojourn_s.vector_db", 0.5, "s a query"),
        Link("engine slots fill", "utilisation.engine", 0.50, "% of slots"),
        Link("users wait", "mean_response_s", 2.0, "s, mean of attempts"),
        Link("gateway answers 504", "failed_deadline_fraction", 0.10, "% of attempts"),
    ),
)
RETRY_STORM: Final = Cascade(
    slug="cascade-3-retry-storm",
    title=f"Cascade 3: a retry storm, at {AUTH_LEVEL:g}x load",
    caption="A front service is slow for a minute; users time out and retry, and their retries keep it overloaded "
    "after it is as fast as before.",
    cause=f"auth {AUTH_FACTOR:g}x slower",
    cause_s=AUTH_SLOW_S,
    links=(
        Link("auth slows down", "mean_sojourn_s.auth", 0.2, "s a request"),
        Link("auth queue grows", "queue_length.auth", 100.0, "requests"),
        Link("gateway answers 504", "failed_deadline_fraction", 0.10, "% of attempts"),
        Link("goodput is below half of what is offered", "answers_per_attempt", 0.50, "% of attempts", falls=True),
        Link("users retry", "retry_fraction", 0.20, "% of attempts"),
        Link("attempts are twice the intents", "attempts_per_intent", 2.0, "attempts an intent"),
    ),
)
CASCADES: Final = (LLM_RATE_LIMIT, INVALIDATION_STORM, RETRY_STORM)
