"""When each control takes effect and what it costs, in words for the documentation."""

from __future__ import annotations

from typing import Final

from streamflow_env.system import Cache, Control, Database, System, WorkerPool
from streamflow_env.system.controls import Parameter

AT_ONCE: Final = "at once"

COSTS: Final[dict[Parameter, str]] = {
    "queue_limit": "free; a short queue refuses (`failed`), a long one makes wait (`late`)",
    "waiting_limit_s": "free; who is given up is `failed`",
    "rate_limit_rps": "free; who is shed is `failed`",
    "admission_reserve_fraction": "free; standard users are `failed` for premium ones",
    "interactive_reserve_fraction": "free; ingest waits (`ingest_backlog`)",
    "premium_reserve_fraction": "free; standard users get more 429s (`late`, `quality`)",
    "background_share_fraction": "free; users get more 429s (`late`, `quality`)",
    "invalidation_rate_keys_per_s": "free; slow: `staleness`, fast: misses (`late`, `failed`)",
    "breaker_threshold_fraction": "free; refused calls take the fallback (`quality`)",
    "timeout_s": "free; who is given up has used a token (`llm`) and may take the fallback (`quality`)",
    "ask_fraction": "the LLM's price a request (`llm`); who is not asked for takes the fallback (`quality`)",
    "fallback_fraction": "free; `quality`",
    "defer_fraction": "the LLM's price a request (`llm`)",
    "retry_budget_fraction": "free; few: generic answers (`quality`), many: work and 429s (`late`)",
    "query_ttl_s": "free; `query_age`",
    "ttl_s": "free; long: `age`, short: misses (`late`)",
}
"""Of parameters without a price of their own: the reward terms through which they are paid."""


def delay_of(control: Control, system: System) -> str:
    """When a setting takes effect, from the start of the control interval in which it is put in force."""
    service = system.services.get(control.of)
    if control.parameter in ("replicas", "read_replicas") and isinstance(service, WorkerPool | Database):
        return f"more: after {service.startup_delay_s:g} s; fewer: after {service.removal_hold_s:g} s, and drained"
    if control.parameter == "ttl_s":
        return "at once, for entries written from then on"
    return AT_ONCE


def cost_of(control: Control, system: System) -> str:
    """What a setting costs: a price, or the reward terms through which it is paid."""
    service = system.services.get(control.of)
    if control.parameter in ("replicas", "read_replicas") and isinstance(service, WorkerPool | Database):
        return f"{service.price_per_replica_hour:g} a replica and hour, from the start-up on (`replicas`)"
    if control.parameter == "memory_entries" and isinstance(service, Cache):
        return f"{service.price_per_1000_entries_hour:g} a thousand entries and hour (`memory`)"
    return COSTS[control.parameter]
