"""The reward: a pure function of one interval's telemetry that returns named terms. Their sum is the reward."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines.telemetry import Telemetry
from streamflow_env.environment.metrics import (
    Counts,
    answered,
    as_found_cost_per_hour,
    background_backlog,
    failed,
    interactive_counts,
    llm_accepted,
    replicas_cost_per_hour,
)
from streamflow_env.paths import config_path
from streamflow_env.system import Cache, LlmEndpoint, System
from streamflow_env.system.schema import Flag, Frozen, NonNegative, Positive, load, parse, read_yaml

REWARD_TERMS = {
    "late": "lateness past the SLA, 1 at the worst latency; not graded: 1 for each late answer",
    "failed": "attempts that ended in an error",
    "premium": "premium users' lateness and failures, once more",
    "quality": "answers' loss of quality, 1 - quality",
    "staleness": "cache hits on entries that an invalidation has yet to reach",
    "age": "age of the entries that hit, relative to the TTL",
    "ingest_backlog": "background requests in flight at the end, relative to `backlog_scale`",
    "churn": "mean movement of the controls, relative to their whole range",
    "replicas": "price of the replicas paid for, relative to the as-found fleet",
    "llm": "LLM requests that found a token, relative to the quota",
}
"""The terms and what each weighs."""


class RewardWeights(Frozen):
    """The weights of the terms; `configs/reward/default.yaml` gives values and reasons."""

    graded: Flag
    late: NonNegative
    failed: NonNegative
    premium: NonNegative
    quality: NonNegative
    staleness: NonNegative
    age: NonNegative
    ingest_backlog: NonNegative
    backlog_scale: Positive
    churn: NonNegative
    replicas: NonNegative
    llm: NonNegative


def load_reward(source: str | Path | dict[str, Any] | RewardWeights = "default") -> RewardWeights:
    """Weights by the name of a shipped file, by the path of one, or as changes of the default weights.

    Raises:
        ConfigError: no such file, an unknown weight, or a value out of range.
    """
    if isinstance(source, RewardWeights):
        return source
    if isinstance(source, dict):
        return parse(RewardWeights, {**read_yaml(config_path("reward", "default")), **source}, "reward")
    return load(RewardWeights, config_path("reward", source))


def reward_terms(
    telemetry: Telemetry, previous_controls: NDArray[np.floating], system: System, weights: RewardWeights
) -> dict[str, float]:
    """The terms of `REWARD_TERMS` for one interval, each at most 0.

    `previous_controls` are the natural values in force before, shape (num_controls,). What users and answers cost is
    per first attempt of the interval, at least 1.
    """
    standard, premium = interactive_counts(telemetry, system)
    users = {name: standard[name] + premium[name] for name in standard}
    attempts = max(1, users["intents"])
    costs = {
        "late": weights.late * _lateness(users, system, weights) / attempts,
        "failed": weights.failed * failed(users) / attempts,
        "premium": weights.premium * _missed(premium, system, weights) / attempts,
        "quality": weights.quality * (answered(users) - users["quality_milli"] / 1000) / attempts,
        "staleness": weights.staleness * int(telemetry.services["stale_hits"].sum()) / attempts,
        "age": weights.age * _age(telemetry, system) / attempts,
        "ingest_backlog": weights.ingest_backlog * background_backlog(telemetry, system) / weights.backlog_scale,
        "churn": weights.churn * _movement(previous_controls, telemetry.controls, system),
        "replicas": weights.replicas * _fleet(telemetry, system),
        "llm": weights.llm * _quota_used(telemetry, system),
    }
    return {name: -cost for name, cost in costs.items()}


def _missed(counts: Counts, system: System, weights: RewardWeights) -> float:
    """Weighed lateness and failures."""
    return weights.late * _lateness(counts, system, weights) + weights.failed * failed(counts)


def _lateness(counts: Counts, system: System, weights: RewardWeights) -> float:
    if not weights.graded:
        return counts["late"]
    return counts["lateness_ns"] / ((system.sla.worst_s - system.sla.target_s) * 1e9)


def _age(telemetry: Telemetry, system: System) -> float:
    """Sum over hits of the entry's age relative to the TTL of its cache."""
    age_ns = telemetry.services["age_ns"].tolist()
    caches = ((row, s.ttl_s) for row, s in enumerate(system.services.values()) if isinstance(s, Cache))
    return float(sum(age_ns[row] / (ttl_s * 1e9) for row, ttl_s in caches))


def _movement(before: NDArray[np.floating], now: NDArray[np.floating], system: System) -> float:
    """Mean over the controls of |difference of actions| / 2, so that 1 is from one end to the other."""
    actions = system.control_table.action(np.stack((before, now)))
    return float(np.abs(actions[1] - actions[0]).mean()) / 2.0


def _fleet(telemetry: Telemetry, system: System) -> float:
    usual = as_found_cost_per_hour(system)
    duration_ns = telemetry.end_ns - telemetry.start_ns
    now = replicas_cost_per_hour(telemetry.services["replica_ns"].tolist(), system, duration_ns)
    return now / usual if usual > 0 else 0.0


def _quota_used(telemetry: Telemetry, system: System) -> float:
    quota_per_minute = sum(s.quota_per_minute for s in system.services.values() if isinstance(s, LlmEndpoint))
    quota = quota_per_minute * telemetry.interval_s / 60.0
    return llm_accepted(telemetry, system) / quota if quota > 0 else 0.0
