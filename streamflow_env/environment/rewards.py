"""The reward: a pure function of one interval's telemetry that returns named terms. Their sum is the reward."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines.fleet import FleetTelemetry
from streamflow_env.engines.telemetry import PREMIUM, Telemetry
from streamflow_env.environment.quantities import (
    MINUTE_NS,
    NS,
    background_in_flight,
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
from streamflow_env.environment.readings import PriceFactors, Ratio, Readings, class_counts, once_per_system
from streamflow_env.environment.sequential_sum import sequential_sum
from streamflow_env.episode import USUAL_PRICES
from streamflow_env.paths import config_path
from streamflow_env.system import LlmEndpoint, System
from streamflow_env.system.schema import Flag, Frozen, NonNegative, Positive, PositiveSeconds, load, parse, read_yaml

REWARD_TERMS = {
    "late": "lateness past the SLA, 1 at the worst latency; not graded: 1 for each late answer",
    "failed": "attempts that ended in an error",
    "premium": "premium users' lateness and failures, once more",
    "quality": "answers' loss of quality, 1 - quality",
    "staleness": "cache hits that an invalidation has yet to reach, and database reads that missed the last write",
    "age": "age of what caches answered, beyond `fresh_s`, relative to `age_scale_s`",
    "query_age": "age of what query caches answered, relative to `age_scale_s`",
    "ingest_backlog": "background requests in flight at the end, relative to `backlog_scale`",
    "churn": "mean movement of the controls, relative to their whole range",
    "replicas": "price of the replicas and read replicas paid for, relative to the default fleet",
    "memory": "price of the caches' memory, relative to the default fleet of replicas",
    "llm": "LLM requests that found a token, relative to the quota",
}
"""The terms, and what each measures."""
REWARD_GROUPS = {
    "sla": ("late", "failed", "premium"),
    "quality": ("quality",),
    "freshness": ("staleness", "age", "query_age", "ingest_backlog"),
    "calm": ("churn",),
    "price": ("replicas", "memory", "llm"),
}
"""What each term is there for. Every term is in one group."""


class RewardWeights(Frozen):
    """The weights of the terms; `configs/reward/default.yaml` gives values and reasons."""

    graded: Flag
    late: NonNegative
    failed: NonNegative
    premium: NonNegative
    quality: NonNegative
    staleness: NonNegative
    age: NonNegative
    query_age: NonNegative
    age_scale_s: PositiveSeconds
    ingest_backlog: NonNegative
    backlog_scale: Positive
    churn: NonNegative
    replicas: NonNegative
    memory: NonNegative
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
    telemetry: Telemetry, previous_controls: NDArray[np.floating], system: System, weights: RewardWeights,
    price_factors: PriceFactors = USUAL_PRICES,
) -> dict[str, float]:  # fmt: skip
    """The terms of `REWARD_TERMS` for one interval, each at most 0.

    `previous_controls` are the natural values that were in force before, shape (num_controls,). The terms of users and
    answers are per first attempt of the interval. Where there are fewer than at half the normal load, they are per
    first attempt of half the normal load: after a sudden fall of the load, the attempts that end outnumber those that
    begin. `price_factors` are those of the episode.
    """
    terms = _terms(telemetry, previous_controls, system, weights, price_factors)
    return {name: float(value) for name, value in terms.items()}


def fleet_reward_terms(
    telemetry: FleetTelemetry, previous_controls: NDArray[np.floating], system: System, weights: RewardWeights,
    price_factors: PriceFactors = USUAL_PRICES,
) -> dict[str, NDArray[np.float64]]:  # fmt: skip
    """`reward_terms` of each cell, shape (num_cells,).

    `previous_controls` has shape (num_cells, num_controls), `price_factors` (num_cells, 3).
    """
    return _terms(telemetry, previous_controls, system, weights, price_factors)


def reward_info(terms: dict[str, Any]) -> dict[str, Any]:
    """What an info tells of the reward: its `terms`, and what they cost, each at least 0.

    `costs` has one number for each of `REWARD_TERMS`, shape (num_terms,). `cost` is the sum of those of the group
    `sla`. For terms of shape (num_cells,) the shapes are (num_cells, num_terms) and (num_cells,).
    """
    costs = {name: 0.0 - terms[name] for name in REWARD_TERMS}  # 0.0 - 0.0 is 0.0, but -(0.0) is -0.0
    return {
        "reward_terms": terms,
        "costs": np.stack([np.asarray(cost, dtype=np.float64) for cost in costs.values()], axis=-1),
        "cost": sequential_sum(costs[name] for name in REWARD_GROUPS["sla"]),
    }


def _terms(
    telemetry: Telemetry | FleetTelemetry, previous_controls: NDArray[np.floating], system: System,
    weights: RewardWeights, price_factors: PriceFactors,
) -> dict[str, Any]:  # fmt: skip
    """Each term as an array of the shape of the telemetry's leading axis: of one interval, shape ()."""
    read = dict(zip(MEASURES, _readings(system).evaluate(telemetry, price_factors).T, strict=True))
    late, premium_late = ("lateness", "premium_lateness") if weights.graded else ("late", "premium_late")
    premium = weights.late * read[premium_late] + weights.failed * read["premium_failed"]
    attempts = np.maximum(read["intents"], LEAST_LOAD * _normal_intents(telemetry, system))
    return {
        "late": -weights.late * read[late] / attempts,
        "failed": -weights.failed * read["failed"] / attempts,
        "premium": -weights.premium * premium / attempts,
        "quality": -weights.quality * np.maximum(0.0, read["quality_loss"]) / attempts,
        "staleness": -weights.staleness * read["stale"] / attempts,
        "age": -weights.age * read["age_s"] / weights.age_scale_s / attempts,
        "query_age": -weights.query_age * read["query_age_s"] / weights.age_scale_s / attempts,
        "ingest_backlog": -weights.ingest_backlog * read["backlog"] / weights.backlog_scale,
        "churn": -weights.churn * _movement(previous_controls, telemetry.controls, system),
        "replicas": -weights.replicas * read["fleet"],
        "memory": -weights.memory * read["memory"],
        "llm": -weights.llm * np.maximum(0.0, read["quota"]),  # a difference, which rounding may leave below 0
    }


def _normal_intents(telemetry: Telemetry | FleetTelemetry, system: System) -> Any:
    """The number of first attempts of users in the interval at normal load, at least 1."""
    return np.maximum(1.0, _normal_rps(system) * telemetry.interval_s)


@once_per_system
def _normal_rps(system: System) -> float:
    return sequential_sum(c.normal_rate_rps for c in system.classes.values() if c.kind == "interactive")


def _measures(system: System) -> dict[str, Ratio]:
    """The sums over the interval that the terms are made of."""
    services = system.services.values()
    fleet = _default_fleet_price(system)
    quota_per_ns = sum(s.quota_per_minute for s in services if isinstance(s, LlmEndpoint)) / MINUTE_NS
    return {
        "intents": Ratio(class_counts(system, "intents")),
        "late": Ratio(class_counts(system, "late")),
        "lateness": Ratio(lateness(system)),
        "failed": Ratio(failures(system)),
        "premium_late": Ratio(class_counts(system, "late", priority=PREMIUM)),
        "premium_lateness": Ratio(lateness(system, PREMIUM)),
        "premium_failed": Ratio(failures(system, PREMIUM)),
        "quality_loss": Ratio(quality_loss(system)),
        "stale": Ratio(stale_answers(system)),
        "age_s": Ratio(excess_ages_ns(system, 1 / NS)),
        "query_age_s": Ratio(query_ages_ns(system, 1 / NS)),
        "backlog": Ratio(background_in_flight(system)),
        "fleet": Ratio(replicas_price_ns(system, 1 / fleet if fleet > 0 else 0.0), per_ns=True),
        "memory": Ratio(memory_price_ns(system, 1 / fleet if fleet > 0 else 0.0), per_ns=True),
        "quota": Ratio(llm_price(system, 1 / quota_per_ns if quota_per_ns > 0 else 0.0), per_ns=True),
    }


LEAST_LOAD = 0.5
"""Below this share of the normal load, terms are per first attempt of that load instead. Assumed."""
MEASURES = (
    "intents", "late", "lateness", "failed", "premium_late", "premium_lateness", "premium_failed",
    "quality_loss", "stale", "age_s", "query_age_s", "backlog", "fleet", "memory", "quota",
)  # fmt: skip


@once_per_system
def _readings(system: System) -> Readings:
    measures = _measures(system)
    return Readings(system, [measures[name] for name in MEASURES])


def _default_fleet_price(system: System) -> float:
    """Price per hour of the replicas and read replicas of the default configuration."""
    pools = sequential_sum(pool.price_per_replica_hour * pool.replicas for _, pool in system.pools())
    return pools + sequential_sum(db.price_per_replica_hour * db.read_replicas for _, db in system.databases())


def _movement(before: NDArray[np.floating], now: NDArray[np.floating], system: System) -> Any:
    """Mean over the controls of |difference of actions| / 2, so that 1 is from one end to the other."""
    table = system.control_table
    return np.abs(table.action(now) - table.action(before)).sum(axis=-1).astype(np.float64) / (2.0 * len(table))
