"""Metrics and accounts: by hand, and sums of intervals against one long interval."""

from __future__ import annotations

import gc
import math

import numpy as np
import pytest

from streamflow_env.engines.telemetry import PREMIUM, STANDARD, Telemetry, percentile_s
from streamflow_env.environment.metrics import MetricTable, accumulate, interval_metrics
from streamflow_env.environment.readings import once_per_system
from streamflow_env.episode import Episode
from streamflow_env.system import Cache, Database, System, WorkerPool, load_system
from studies.accounting.balance import accounting_errors
from tests.environment.fake import FakeEngine, empty_telemetry

SYSTEM = load_system()
CLASS = SYSTEM.interactive.index(True)


def some(count: int) -> list[Telemetry]:
    engine = FakeEngine(SYSTEM)
    first = engine.reset(Episode("any", 5, 60.0, 0.0, 10**9, np.zeros((len(SYSTEM.classes), 120))))
    return [first, *(engine.step(first.controls) for _ in range(count - 1))]


def test_of_nothing_everything_is_defined_and_healthy() -> None:
    metrics = interval_metrics(empty_telemetry(SYSTEM), SYSTEM)
    assert all(math.isfinite(value) for value in metrics.values())
    ones = {
        "sla_fraction", "sla_fraction.standard", "sla_fraction.premium", "intent_success_fraction", "hit_fraction",
        "item_hit_fraction", "quality", "llm_use_fraction",
    }  # fmt: skip
    for name, value in metrics.items():
        if "fraction" in name or name == "quality":
            assert value == (1.0 if name in ones else 0.0), name


def test_metrics_by_hand() -> None:
    telemetry = empty_telemetry(SYSTEM)
    seconds = telemetry.interval_s
    standard, premium = telemetry.classes[CLASS, STANDARD], telemetry.classes[CLASS, PREMIUM]
    standard["intents"], standard["attempts"], standard["within_sla"], standard["late"] = 80, 100, 60, 20
    standard["failed_deadline"], standard["quality_milli"], standard["response_ns"] = 20, 72_000, 150 * 10**9
    premium["attempts"], premium["intents"], premium["within_sla"], premium["quality_milli"] = 20, 20, 20, 20_000
    telemetry.response[CLASS, STANDARD, 200], telemetry.response[CLASS, STANDARD, 400] = 80, 20
    metrics = interval_metrics(telemetry, SYSTEM)
    assert metrics["sla_fraction"] == pytest.approx(80 / 120)
    assert metrics["sla_fraction.standard"] == pytest.approx(0.6)
    assert metrics["sla_fraction.premium"] == 1.0
    assert metrics["error_fraction"] == metrics["failed_deadline_fraction"] == pytest.approx(20 / 120)
    assert metrics["mean_response_s"] == pytest.approx(150 / 120)
    assert metrics["p95_s"] == percentile_s(telemetry.response[CLASS, STANDARD], 0.95)
    assert metrics["offered_rps"] == pytest.approx(120 / seconds)
    assert metrics["intents_rps"] == pytest.approx(100 / seconds)
    assert metrics["goodput_rps"] == pytest.approx(100 / seconds)
    assert metrics["retry_fraction"] == pytest.approx(20 / 120)
    assert metrics["quality"] == pytest.approx(0.92)
    for name, pool in SYSTEM.pools():
        assert metrics[f"replicas.{name}"] == pool.replicas


def service_row(name: str, **counts: int) -> dict[str, float]:
    """The metrics of an interval in which the service `name` counted this and nothing else happened."""
    telemetry = empty_telemetry(SYSTEM)
    for field, count in counts.items():
        telemetry.services[field][SYSTEM.service_names.index(name)] = count
    return interval_metrics(telemetry, SYSTEM)


@pytest.mark.parametrize(
    ("name", "counts", "metric", "value"),
    [
        ("cache", {"lookups": 40, "hits": 30, "item_lookups": 9, "completions": 60}, "hit_fraction", 0.75),
        ("cache", {"lookups": 40, "item_hits": 3, "item_lookups": 12}, "item_hit_fraction", 0.25),
        ("cache", {"hits": 40, "item_hits": 10, "stale_hits": 10}, "stale_fraction", 0.25),
        ("cache", {"hits": 30, "item_hits": 10, "age_ns": 80 * 10**9}, "mean_age_s", 2.0),
        ("cache", {"evicted": 30}, "evictions_per_s", 2.0),
        ("cache", {"fills": 40, "duplicate_fills": 10}, "duplicate_fill_fraction", 0.25),
        ("profile_db", {"completions": 40, "stale_reads": 10}, "stale_read_fraction", 0.25),
        ("profile_db", {"replica_ns": 2 * 15 * 10**9}, "replicas.profile_db", 2.0),
        ("vector_db", {"query_hits": 4, "age_ns": 10 * 10**9}, "mean_age_s", 2.5),
        ("deferred_asks", {"enriched": 5}, "enriched_per_min", 20.0),
        ("deferred_asks", {"lost": 5}, "lost.deferred_asks", 5.0),
        ("deferred_asks", {"queue_ns": 30 * 10**9}, "queue_length.deferred_asks", 2.0),
        ("deferred_asks", {"busy_ns": 10**9, "server_ns": 4 * 10**9}, "utilisation.deferred_asks", 0.25),
    ],
)
def test_what_a_service_counts_is_in_its_metrics(name: str, counts: dict[str, int], metric: str, value: float) -> None:
    assert service_row(name, **counts)[metric] == pytest.approx(value)


def test_query_hits_are_of_the_queries_that_could_have_been_answered() -> None:
    telemetry = empty_telemetry(SYSTEM)
    telemetry.services["query_hits"][SYSTEM.service_names.index("vector_db")] = 10
    telemetry.calls["attempts"][SYSTEM.call_names.index("engine_vector")] = 40
    telemetry.calls["attempts"][SYSTEM.call_names.index("pipeline_vector")] = 99
    assert interval_metrics(telemetry, SYSTEM)["query_hit_fraction"] == 0.25


def test_what_is_paid_is_replicas_and_read_replicas_and_memory_and_the_llm() -> None:
    pools = sum(pool.price_per_replica_hour * pool.replicas for _, pool in SYSTEM.pools())
    database, cache = (SYSTEM.services[name] for name in ("profile_db", "cache"))
    assert isinstance(database, Database)
    assert isinstance(cache, Cache)
    telemetry = empty_telemetry(SYSTEM)
    interval_ns = telemetry.end_ns - telemetry.start_ns
    telemetry.services["replica_ns"][SYSTEM.service_names.index("profile_db")] = 3 * interval_ns
    telemetry.services["arrivals"][SYSTEM.service_names.index("llm")] = 100
    metrics = interval_metrics(telemetry, SYSTEM)
    assert metrics["replicas_cost_per_hour"] == pytest.approx(pools + 3 * database.price_per_replica_hour)
    memory = cache.memory_entries / 1000 * cache.price_per_1000_entries_hour
    assert metrics["memory_cost_per_hour"] == pytest.approx(memory)
    assert metrics["llm_cost_per_hour"] == pytest.approx(240 * 100 * SYSTEM.llm_price_per_request)
    parts = ("replicas_cost_per_hour", "memory_cost_per_hour", "llm_cost_per_hour")
    assert metrics["cost_per_hour"] == pytest.approx(sum(metrics[part] for part in parts))


def test_a_sum_of_intervals_is_one_long_interval() -> None:
    intervals, total = some(5), None
    for telemetry in intervals:
        total = accumulate(total, telemetry)
    assert total is not None
    assert (total.start_ns, total.end_ns) == (intervals[0].start_ns, intervals[-1].end_ns)
    assert total.services["arrivals"].tolist() == np.sum([t.services["arrivals"] for t in intervals], axis=0).tolist()
    assert total.services["queue_length"].tolist() == intervals[-1].services["queue_length"].tolist()
    assert total.classes["in_flight"].tolist() == intervals[-1].classes["in_flight"].tolist()
    np.testing.assert_array_equal(total.response, np.sum([t.response for t in intervals], axis=0))
    assert accounting_errors(None, total) == []
    costs = [interval_metrics(telemetry, SYSTEM)["cost_per_hour"] for telemetry in intervals]
    assert interval_metrics(total, SYSTEM)["cost_per_hour"] == pytest.approx(np.mean(costs))


def test_accumulating_changes_neither_part() -> None:
    first, second = some(2)
    copies = accumulate(None, first), accumulate(None, second)
    accumulate(accumulate(None, first), second)
    assert copies[0].equals(first)
    assert copies[1].equals(second)


def test_every_metric_has_a_unit_and_a_meaning() -> None:
    table = MetricTable(SYSTEM)
    assert len(set(table.names)) == len(table.names)
    assert all(metric.unit and metric.meaning and metric.reading.formula for metric in table.metrics)


def test_a_balanced_account_has_no_errors_and_a_broken_one_names_the_place() -> None:
    before, after = some(2)
    assert accounting_errors(None, before) == []
    assert accounting_errors(before, after) == []
    pool = next(row for row, s in enumerate(SYSTEM.services.values()) if isinstance(s, WorkerPool))
    after.services["shed"][pool] += 1
    after.classes["failed_shed"][CLASS, PREMIUM] -= 1
    after.calls["retries"][0] = -1
    errors = accounting_errors(before, after)
    assert any(error.startswith(f"arrivals[{pool}]") for error in errors)
    assert any(error.startswith(f"attempts[{CLASS}, {PREMIUM}]") for error in errors)
    assert any(error.startswith(f"response histogram[{CLASS}, {PREMIUM}]") for error in errors)
    assert any("calls.retries is negative" in error for error in errors)


def test_what_is_built_for_a_system_is_forgotten_with_it() -> None:
    built: list[str] = []

    @once_per_system
    def build(system: System) -> str:
        built.append(system.name)
        return system.name

    system = load_system()
    assert build(system) == build(system) == SYSTEM.name
    assert len(built) == 1
    del system
    gc.collect()
    build(load_system())
    assert len(built) == 2
