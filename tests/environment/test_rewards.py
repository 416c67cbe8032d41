"""The reward: each term by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamflow_env.engines.telemetry import PREMIUM, STANDARD, Telemetry
from streamflow_env.environment.rewards import (
    LEAST_LOAD,
    REWARD_GROUPS,
    REWARD_TERMS,
    RewardWeights,
    load_reward,
    reward_info,
    reward_terms,
)
from streamflow_env.errors import ConfigError
from streamflow_env.paths import config_path
from streamflow_env.system import Cache, LlmEndpoint, load_system
from studies.reference.report import WEIGHT
from tests.environment.fake import empty_telemetry

SYSTEM = load_system()
ONES = dict.fromkeys(REWARD_TERMS, 1.0)
WEIGHTS = load_reward({**ONES, "backlog_scale": 100.0, "age_scale_s": 1800.0})
CLASS = SYSTEM.interactive.index(True)
BACKGROUND = SYSTEM.interactive.index(False)
NS = 10**9


def terms(telemetry: Telemetry, weights: RewardWeights = WEIGHTS) -> dict[str, float]:
    return reward_terms(telemetry, SYSTEM.control_table.default, SYSTEM, weights)


def users(**counts: int) -> Telemetry:
    telemetry = empty_telemetry(SYSTEM)
    for name, count in counts.items():
        telemetry.classes[name][CLASS, STANDARD] = count
    return telemetry


def service(kind: str, **counts: int) -> Telemetry:
    telemetry = empty_telemetry(SYSTEM)
    row = next(row for row, found in enumerate(SYSTEM.services.values()) if found.kind == kind)
    for name, count in counts.items():
        telemetry.services[name][row] = count
    return telemetry


FLEET = sum(pool.price_per_replica_hour * pool.replicas for _, pool in SYSTEM.pools())
CACHE = next(service for service in SYSTEM.services.values() if isinstance(service, Cache))
MEMORY = CACHE.memory_entries / 1000 * CACHE.price_per_1000_entries_hour


def test_nothing_happened_costs_the_fleet_and_its_memory_alone() -> None:
    found = terms(empty_telemetry(SYSTEM))
    assert tuple(found) == tuple(REWARD_TERMS)
    assert found.pop("replicas") == pytest.approx(-1.0)
    assert found.pop("memory") == pytest.approx(-MEMORY / FLEET)
    assert set(found.values()) == {0.0}


WORST_NS = round((SYSTEM.sla.worst_s - SYSTEM.sla.target_s) * NS)
FEWEST = LEAST_LOAD * 30 * SYSTEM.control_interval_s  # first attempts that terms are at least divided by
QUOTA = 500 * SYSTEM.control_interval_s / 60


@pytest.mark.parametrize(
    ("telemetry", "term", "value"),
    [
        (users(intents=450, late=180, lateness_ns=90 * WORST_NS, quality_milli=180_000), "late", -0.2),
        (
            users(intents=450, failed_deadline=45, failed_fault=45, failed_queue_full=90, failed_dependency=45),
            "failed",
            -0.5,
        ),
        (users(intents=450, failed_deadline=225), "premium", 0.0),
        (users(intents=450, within_sla=360, late=90, quality_milli=405_000), "quality", -0.1),
        (users(intents=900, failed_deadline=225), "failed", -0.25),
        (users(intents=450, attempts=1800, failed_deadline=225), "failed", -0.5),
        (users(intents=0, failed_deadline=225), "failed", -225 / FEWEST),
        (service("cache", stale_hits=90), "staleness", -90 / FEWEST),
        (service("database", stale_reads=90), "staleness", -90 / FEWEST),
        (users(intents=450, failed_shed=225), "failed", -0.5),
        (service("cache", excess_age_ns=90 * 900 * NS), "age", -45 / FEWEST),
        (service("vector_index", age_ns=90 * 900 * NS), "query_age", -45 / FEWEST),
        (service("llm_endpoint", arrivals=90, rate_limited=20, breaker_open=20), "llm", -50 / QUOTA),
    ],
)
def test_a_term_is_what_it_says(telemetry: Telemetry, term: str, value: float) -> None:
    assert terms(telemetry)[term] == pytest.approx(value)


def test_premium_counts_once_more() -> None:
    telemetry = users(intents=450)
    telemetry.classes["failed_fault"][CLASS, PREMIUM] = 90
    telemetry.classes["lateness_ns"][CLASS, PREMIUM] = 45 * WORST_NS
    found = terms(telemetry, load_reward({"failed": 3.0, "late": 1.0, "premium": 0.3}))
    assert found["failed"] == pytest.approx(-0.6)
    assert found["late"] == pytest.approx(-0.1)
    assert found["premium"] == pytest.approx(0.3 * -0.7)


def test_not_graded_every_late_answer_counts_one() -> None:
    telemetry = users(intents=450, late=180, lateness_ns=1)
    assert terms(telemetry, load_reward({"graded": False, "late": 1.0}))["late"] == pytest.approx(-0.4)


def test_backlog_is_background_in_flight() -> None:
    telemetry = users(in_flight=70)
    telemetry.classes["in_flight"][BACKGROUND, STANDARD] = 50
    assert terms(telemetry)["ingest_backlog"] == pytest.approx(-0.5)


def test_replicas_are_priced_against_the_default_fleet() -> None:
    telemetry = empty_telemetry(SYSTEM)
    telemetry.services["replica_ns"] *= 3
    assert terms(telemetry)["replicas"] == pytest.approx(-3.0)


def test_read_replicas_are_replicas() -> None:
    telemetry = empty_telemetry(SYSTEM)
    row, (_, database) = SYSTEM.service_names.index("profile_db"), next(SYSTEM.databases())
    telemetry.services["replica_ns"][row] = 2 * (telemetry.end_ns - telemetry.start_ns)
    assert terms(telemetry)["replicas"] == pytest.approx(-1.0 - 2 * database.price_per_replica_hour / FLEET)


def test_memory_is_priced_against_the_default_fleet() -> None:
    telemetry = empty_telemetry(SYSTEM)
    telemetry.services["memory_ns"] *= 3
    assert terms(telemetry)["memory"] == pytest.approx(-3.0 * MEMORY / FLEET)


def test_no_request_of_the_llm_is_worth_more_than_none() -> None:
    """All that came to two endpoints were refused; what rounding leaves of the difference must not be a gain."""
    endpoint = next(s for s in SYSTEM.services.values() if isinstance(s, LlmEndpoint))
    few = endpoint.model_copy(update={"quota_per_minute": 30})
    services = {name: few if service is endpoint else service for name, service in SYSTEM.services.items()}
    system = SYSTEM.model_copy(update={"services": services | {"second": few}})
    rows = [row for row, found in enumerate(system.services.values()) if found is few]
    for rate_limited in range(100):
        telemetry = empty_telemetry(system)
        telemetry.services["arrivals"][rows] = 159, 100
        telemetry.services["rate_limited"][rows] = 25, rate_limited
        telemetry.services["breaker_open"][rows] = 134, 100 - rate_limited
        assert -1e-12 < reward_terms(telemetry, SYSTEM.control_table.default, system, WEIGHTS)["llm"] <= 0.0


def test_a_longer_ttl_does_not_make_an_age_younger() -> None:
    data = SYSTEM.model_dump(mode="json", exclude_unset=True)
    data["services"]["cache"]["ttl_s"] = 7200.0
    telemetry = service("cache", excess_age_ns=90 * 900 * NS)
    longer = reward_terms(telemetry, SYSTEM.control_table.default, load_system(data), WEIGHTS)
    assert longer["age"] == terms(telemetry)["age"]
    half = load_reward({**ONES, "age_scale_s": 900.0})
    assert terms(telemetry, half)["age"] == pytest.approx(2 * terms(telemetry)["age"])


def test_results_of_queries_and_cached_answers_age_in_terms_of_their_own() -> None:
    assert terms(service("vector_index", age_ns=NS))["age"] == 0.0
    assert terms(service("cache", excess_age_ns=NS))["query_age"] == 0.0


def test_a_currency_unit_weighs_about_the_same_in_every_term() -> None:
    """The default fleet is what a whole `replicas` or `memory` costs, and the full quota a whole `llm`."""
    weights = load_reward()
    quota_price = QUOTA / SYSTEM.control_interval_s * 3600 * SYSTEM.llm_price_per_request
    assert weights.llm / quota_price == pytest.approx(weights.replicas / FLEET, rel=0.06)
    assert weights.memory == weights.replicas


def test_churn_is_the_mean_share_of_the_range_moved() -> None:
    telemetry, table = empty_telemetry(SYSTEM), SYSTEM.control_table
    low, high = table.natural(-np.ones(len(table))), table.natural(np.ones(len(table)))
    telemetry.controls[:] = high
    assert reward_terms(telemetry, low, SYSTEM, WEIGHTS)["churn"] == pytest.approx(-1.0)
    one = low.copy()
    one[0] = high[0]
    telemetry.controls[:] = one
    assert reward_terms(telemetry, low, SYSTEM, WEIGHTS)["churn"] == pytest.approx(-1.0 / len(table))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"speed": 1.0}, "speed: unknown key"),
        ({"late": -1.0}, "late"),
        ({"late": "much"}, "late"),
        ({"graded": 1}, "graded"),
        ({"age_scale_s": 0.0}, "age_scale_s = 0.0: must be greater than 0"),
        ({"memory": -0.1}, "memory = -0.1: must be greater than or equal to 0"),
    ],
)
def test_wrong_weights_are_errors(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        load_reward(changes)


def test_every_term_is_in_one_group() -> None:
    assert [name for group in REWARD_GROUPS.values() for name in group] == list(REWARD_TERMS)


def test_costs_are_minus_the_terms_and_the_cost_is_the_slas() -> None:
    values = {name: -float(index) for index, name in enumerate(REWARD_TERMS, start=1)}
    info = reward_info(values)
    assert info["reward_terms"] == values
    assert info["costs"].dtype == np.float64
    assert info["costs"].tolist() == [float(index) for index in range(1, len(REWARD_TERMS) + 1)]
    assert info["cost"] == 1.0 + 2.0 + 3.0
    assert type(info["cost"]) is float


def test_costs_of_many_cells_are_those_of_each() -> None:
    drawn = -np.random.default_rng(0).uniform(size=(5, len(REWARD_TERMS)))
    together = reward_info(dict(zip(REWARD_TERMS, drawn.T, strict=True)))
    assert together["costs"].shape == (5, len(REWARD_TERMS))
    assert together["cost"].shape == (5,)
    for cell, row in enumerate(drawn.tolist()):
        alone = reward_info(dict(zip(REWARD_TERMS, row, strict=True)))
        assert together["costs"][cell].tobytes() == alone["costs"].tobytes()
        assert together["cost"][cell] == alone["cost"]


@pytest.mark.parametrize("nothing", [0.0, -0.0])
def test_what_costs_nothing_is_not_minus_0(nothing: float) -> None:
    info = reward_info(dict.fromkeys(REWARD_TERMS, nothing))
    assert not np.signbit(info["costs"]).any()
    assert not np.signbit(info["cost"])


def test_every_default_weight_has_a_reason() -> None:
    reasons = {name for name, _, _ in WEIGHT.findall(config_path("reward", "default").read_text(encoding="utf-8"))}
    assert reasons == set(RewardWeights.model_fields)
    assert set(REWARD_TERMS) <= reasons
