"""The observation table: bounds, the round trip, what it reads, and what it must not read."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow_env.engines.telemetry import NUM_BUCKETS, PREMIUM, percentile_s
from streamflow_env.environment.observations import NOTHING_ANNOUNCED, ObservationTable
from streamflow_env.environment.readings import Percentile, Readings
from streamflow_env.episode import Episode
from streamflow_env.errors import ConfigError
from streamflow_env.system import load_system
from tests.environment.fake import FakeEngine, empty_telemetry

SYSTEM = load_system()
TABLE = ObservationTable(SYSTEM)
CONTROLS = SYSTEM.control_table
DO_NOTHING = CONTROLS.action(CONTROLS.default)
EPISODE = Episode("any", 0, 60.0, 0.0, 10**9, np.zeros((len(SYSTEM.classes), 120)))


@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([1, 10, 1000, 1_000_000]), hour=st.floats(0, 24))
def test_any_telemetry_is_within_the_bounds(seed: int, scale: int, hour: float) -> None:
    telemetry = FakeEngine(SYSTEM, scale=scale).reset(dataclasses.replace(EPISODE, seed=seed))
    observation = TABLE.encode(telemetry, hour, DO_NOTHING)
    assert observation.dtype == np.float32
    assert observation.shape == (TABLE.size,) == (len(TABLE.names),)
    assert (observation >= TABLE.low).all()
    assert (observation <= TABLE.high).all()


def test_what_is_in_range_comes_back_as_it_was() -> None:
    rng = np.random.default_rng(0)
    engine = FakeEngine(SYSTEM, scale=30)
    engine.reset(EPISODE)
    telemetry = engine.step(CONTROLS.natural(rng.uniform(-1, 1, len(CONTROLS))))
    decoded = TABLE.decode(TABLE.encode(telemetry, 20.25, CONTROLS.action(telemetry.controls)))
    values = dict(zip(TABLE.names, TABLE._readings.evaluate(telemetry), strict=False))
    for field in TABLE.fields:
        if field.name in values and values[field.name] <= field.high:
            assert decoded[field.name] == pytest.approx(values[field.name], rel=2e-6, abs=1e-7 * field.high), field.name
    for control, value in zip(SYSTEM.controls, telemetry.controls, strict=True):
        assert decoded[f"control.{control.name}"] == pytest.approx(value, rel=1e-5)
    assert decoded["time_of_day_h"] == pytest.approx(20.25, abs=1e-5)


def test_counts_come_back_exactly() -> None:
    telemetry = empty_telemetry(SYSTEM)
    for count in (0, 1, 2, 7, 137, 499):
        telemetry.services["queue_length"] = count
        decoded = TABLE.decode(TABLE.encode(telemetry, 0.0, DO_NOTHING))
        queues = [value for name, value in decoded.items() if name.endswith("queue_length")]
        assert queues == [count] * len(queues)
    for name, pool in SYSTEM.pools():
        assert decoded[f"{name}.ready_replicas"] == pool.replicas


def test_many_observations_decode_at_once() -> None:
    rng = np.random.default_rng(1)
    observations = rng.uniform(TABLE.low, TABLE.high, (5, TABLE.size)).astype(np.float32)
    together = TABLE.decode(observations)
    for index in range(5):
        for name, value in TABLE.decode(observations[index]).items():
            assert value.shape == ()
            assert together[name].shape == (5,)
            assert together[name][index] == value


def test_some_readings_decode_as_all_do() -> None:
    rng = np.random.default_rng(1)
    observations = rng.uniform(TABLE.low, TABLE.high, (5, TABLE.size)).astype(np.float32)
    names = ["time_of_day_h", "control.llm_timeout", "auth.ready_replicas", "llm.p95_s", "control.llm_ask"]
    for some in (names, names[:1], names[2:4], []):
        rows, all_rows = TABLE.decoder(some)(observations), TABLE.decode(observations)
        assert rows.shape == (len(some), 5)
        for name, row in zip(some, rows, strict=True):
            np.testing.assert_array_equal(row, all_rows[name])
        np.testing.assert_array_equal(TABLE.decoder(some)(observations[3]), rows[:, 3])
    with pytest.raises(ConfigError, match="no reading 'nosuch'"):
        TABLE.decoder(["nosuch"])


def test_known_telemetry_reads_as_known_values() -> None:
    telemetry = empty_telemetry(SYSTEM)
    seconds, users = telemetry.interval_s, list(SYSTEM.classes).index("feed")
    engine, llm = SYSTEM.service_names.index("engine"), SYSTEM.service_names.index("llm")
    telemetry.services["arrivals"][engine] = 90
    telemetry.services["busy_ns"][engine] = telemetry.services["server_ns"][engine] // 4
    telemetry.services["arrivals"][llm], telemetry.services["rate_limited"][llm] = 125, 25
    telemetry.services["breaker_open"][llm], telemetry.services["tokens_milli"][llm] = 25, 12_500
    telemetry.classes["within_sla"][users, PREMIUM], telemetry.classes["late"][users, PREMIUM] = 3, 1
    telemetry.response[users, PREMIUM, 300] = 4
    decoded = TABLE.decode(TABLE.encode(telemetry, 6.0, DO_NOTHING))
    assert decoded["engine.arrival_rate_rps"] == pytest.approx(90 / seconds)
    assert decoded["engine.utilisation"] == pytest.approx(0.25)
    assert decoded["llm.requests_per_min"] == pytest.approx(100 * 60 / seconds)
    assert decoded["llm.rate_limited_fraction"] == pytest.approx(0.25)
    assert decoded["llm.tokens"] == pytest.approx(12.5)
    assert decoded["feed.premium.sla_fraction"] == pytest.approx(0.75)
    assert decoded["feed.standard.sla_fraction"] == 1.0
    assert decoded["feed.premium.p95_s"] == pytest.approx(percentile_s(telemetry.response[users, PREMIUM], 0.95))
    assert decoded["feed.standard.p95_s"] == 0.0


def decoded_of(name: str, **counts: int) -> dict[str, float]:
    """What is read where the service `name` counted this and nothing else happened."""
    telemetry = empty_telemetry(SYSTEM)
    for field, count in counts.items():
        telemetry.services[field][SYSTEM.service_names.index(name)] = count
    decoded = TABLE.decode(TABLE.encode(telemetry, 6.0, DO_NOTHING))
    return {field: float(value) for field, value in decoded.items()}


@pytest.mark.parametrize(
    ("name", "counts", "field", "value"),
    [
        ("cache", {"lookups": 40, "hits": 30, "completions": 70, "fills": 5}, "hit_fraction", 0.75),
        ("cache", {"item_lookups": 40, "item_hits": 10}, "item_hit_fraction", 0.25),
        ("cache", {"hits": 30, "item_hits": 10, "age_ns": 80 * 10**9}, "mean_age_s", 2.0),
        ("cache", {"entries": 12_345}, "entries", 12_345),
        ("cache", {"evicted": 30}, "evictions_per_s", 2.0),
        ("cache", {"fills": 40, "duplicate_fills": 10}, "duplicate_fill_fraction", 0.25),
        ("profile_db", {"ready_replicas": 2}, "ready_replicas", 2),
        ("profile_db", {"pending_replicas": 3}, "pending_replicas", 3),
        ("profile_db", {"completions": 40, "stale_reads": 10}, "stale_read_fraction", 0.25),
        ("vector_db", {"query_hits": 4, "age_ns": 10 * 10**9}, "mean_age_s", 2.5),
        ("deferred_asks", {"queue_length": 137}, "queue_length", 137),
        ("deferred_asks", {"busy_ns": 10**9, "server_ns": 4 * 10**9}, "utilisation", 0.25),
        ("deferred_asks", {"enriched": 30}, "enriched_per_s", 2.0),
        ("deferred_asks", {"arrivals": 40, "lost": 10}, "lost_fraction", 0.25),
        ("gateway", {"shed": 10, "completions": 30}, "shed_fraction", 0.25),
        ("gateway", {"shed": 10, "completions": 30}, "error_fraction", 0.25),
    ],
)
def test_what_the_controls_do_can_be_read(name: str, counts: dict[str, int], field: str, value: float) -> None:
    assert decoded_of(name, **counts)[f"{name}.{field}"] == pytest.approx(value, rel=1e-5)


def test_what_a_calls_controls_do_can_be_read() -> None:
    telemetry = empty_telemetry(SYSTEM)
    llm, vector = (SYSTEM.call_names.index(name) for name in ("engine_llm", "engine_vector"))
    for field, count in {"requests": 40, "deferred": 10, "attempts": 60, "retries": 15, "retries_refused": 5}.items():
        telemetry.calls[field][llm] = count
    telemetry.calls["attempts"][vector] = 40
    telemetry.services["query_hits"][SYSTEM.service_names.index("vector_db")] = 10
    decoded = TABLE.decode(TABLE.encode(telemetry, 6.0, DO_NOTHING))
    assert decoded["engine_llm.deferred_fraction"] == pytest.approx(0.25)
    assert decoded["engine_llm.retries_refused_fraction"] == pytest.approx(0.25)
    assert decoded["vector_db.query_hit_fraction"] == pytest.approx(0.25)
    assert "pipeline_llm.deferred_fraction" not in decoded
    assert "auth.shed_fraction" not in decoded


@pytest.mark.parametrize(
    ("announced", "starts_in_s", "expected_rps"),
    [((math.inf, 0.0), 1800.0, 0.0), ((450.0, 20.0), 450.0, 20.0), ((0.0, 20.0), 0.0, 20.0), ((0, 1e9), 0.0, 301.5)],
)
def test_what_is_announced_comes_back(announced: tuple[float, float], starts_in_s: float, expected_rps: float) -> None:
    decoded = TABLE.decode(TABLE.encode(empty_telemetry(SYSTEM), 6.0, DO_NOTHING, announced))
    assert decoded["announced.starts_in_s"] == pytest.approx(starts_in_s, abs=1e-3)
    assert decoded["announced.expected_rps"] == pytest.approx(expected_rps, rel=1e-5)
    assert TABLE.names.index("announced.expected_rps") + 1 == TABLE.names.index("time_of_day.sin")


def test_nothing_announced_is_the_default() -> None:
    telemetry = empty_telemetry(SYSTEM)
    nothing = TABLE.encode(telemetry, 6.0, DO_NOTHING, NOTHING_ANNOUNCED)
    np.testing.assert_array_equal(TABLE.encode(telemetry, 6.0, DO_NOTHING), nothing)


@given(
    counts=st.lists(st.lists(st.integers(0, 3), min_size=6, max_size=6), min_size=1, max_size=4),
    fraction=st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0]),
)
def test_percentiles_of_many_histograms_are_those_of_each(counts: list[list[int]], fraction: float) -> None:
    histograms = np.zeros((len(counts), NUM_BUCKETS), np.int32)
    histograms[:, [0, 1, 300, 301, NUM_BUCKETS - 2, NUM_BUCKETS - 1]] = counts
    readings = Readings(SYSTEM, [Percentile("sojourn", (row,), fraction) for row in range(len(counts))])
    telemetry = empty_telemetry(SYSTEM)
    telemetry.sojourn[: len(counts)] = histograms
    assert readings.evaluate(telemetry).tolist() == [percentile_s(histogram, fraction) for histogram in histograms]


def test_names_are_unique_and_no_name_gives_the_plot_away() -> None:
    assert len(set(TABLE.names)) == TABLE.size
    for forbidden in ("scenario", "incident", "mark", "future", "slowdown", "quota_factor"):
        assert not [name for name in TABLE.names if forbidden in name]


def test_another_system_has_another_table() -> None:
    data = SYSTEM.model_dump(mode="json", exclude_unset=True)
    data["services"]["search"] = {**data["services"]["content"], "cores_per_replica": 2}
    names = set(ObservationTable(load_system(data)).names) - set(TABLE.names)
    assert names == {f"search.{name.split('.')[1]}" for name in TABLE.names if name.startswith("engine.")}
