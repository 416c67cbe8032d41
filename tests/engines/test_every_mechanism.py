"""A small system in which everything that the contract knows happens often: equal in both engines, and in balance."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import yaml

from streamflow_env.engines import ENGINE_NAMES, make_engine
from streamflow_env.engines.telemetry import CALL_FIELDS, CLASS_FIELDS, SERVICE_FIELDS, Telemetry
from streamflow_env.episode import Change, Episode
from streamflow_env.system import System, load_system
from streamflow_env.system.parameters import PARAMETERS

HARBOUR = """
name: harbour
control_interval_s: 2.0
warmup_s: 3.0
sla: {target_s: 0.2, worst_s: 1.0}
users:
  {num_users: 60, popularity_exponent: 0.8, num_items: 40, item_exponent: 1.0, return_fraction: 0.4, return_gap_s: 5.0,
   lookback_s: 10, premium_fraction: 0.3, entry: gate, network_s: 0.003, deadline_s: 0.9, retry_fraction: 0.9,
   max_retries: 3, think_time_s: 0.2}
services:
  later: {kind: deferred_queue, to: oracle, queue_limit: 3, workers: 2, poll_s: 0.15}
  much_later: {kind: deferred_queue, to: oracle, queue_limit: 6, workers: 1, poll_s: 0.4}
  gate:
    {kind: worker_pool, replicas: 2, workers_per_replica: 4, queue_limit: 20, serves_abandoned: false,
     service_time: {mean_s: 0.004, cv: 1.0}, startup_delay_s: 1.5, removal_hold_s: 2.0, waiting_limit_s: 0.4,
     rate_limit_rps: 60, admission_reserve_fraction: 0.3}
  shed:
    {kind: worker_pool, replicas: 1, workers_per_replica: 3, cores_per_replica: 1, cpu_pressure: 1.0,
     cpu_pressure_queue: 5, queue_limit: 8, service_time: {mean_s: 0.004, cv: 1.0}, startup_delay_s: 0.0,
     removal_hold_s: 0.0, fault_fraction: 0.02}
  crane:
    {kind: worker_pool, replicas: 2, workers_per_replica: 2, queue_limit: 8, service_time: {mean_s: 0.02, cv: 1.0},
     serves_abandoned: false}
  desk:
    {kind: cache, lookup_time: {mean_s: 0.001, cv: 0.5}, ttl_s: 3.0, ttl_jitter_fraction: 0.5, keys_per_item: 4,
     fresh_s: 1.0, memory_entries: 25, eviction_samples: 3}
  attic: {kind: cache, lookup_time: {mean_s: 0.002, cv: 0.5}, ttl_s: 2.0, memory_entries: 12, eviction_samples: 1}
  ledger:
    {kind: database, connections: 1, queue_limit: 5, service_time: {mean_s: 0.03, cv: 1.0}, read_replicas: 1,
     startup_delay_s: 1.0, removal_hold_s: 3.0, replication_lag_s: 0.5, write_gap_s: 2.0}
  map:
    {kind: vector_index, base_latency_s: 0.02, saturated_latency_s: 0.4, knee_in_flight: 4.0, cv: 0.5, query_ttl_s: 1.0,
     query_entries: 7, cached_latency_s: 0.002}
  oracle:
    {kind: llm_endpoint, quota_per_minute: 700, burst: 5, floor_latency_s: 0.02, tail: {mean_s: 0.05, cv: 1.0},
     rejection_time_s: 0.01, retry_after_s: 0.02, background_share_fraction: 0.3}
  mail: {kind: consumer, queue_limit: 6, batch_size: 4, batch_time: {mean_s: 0.1, cv: 0.5}}
calls:
  find:
    {to: map, max_attempts: 2, timeout_s: 0.1, cacheable: true, fallback_quality: 0.6, fallback_spread: 0.9,
     ask_fraction: 0.9, fallback_fraction: 0.4, retry_budget_fraction: 0.1,
     breaker: {threshold_fraction: 0.5, window_size: 10, minimum_calls: 5, slow_call_s: 0.2, open_s: 0.5,
     half_open_calls: 2}}
  search: {to: map, cacheable: false, exhausted_quality: 0.5}
  think:
    {to: oracle, max_attempts: 3, backoff_base_s: 0.02, timeout_s: 0.2, fallback_quality: 0.7, fallback_spread: 1.0,
     exhausted_quality: 0.4, fallback_fraction: 0.3, ask_fraction: 0.8, deferred: later, defer_fraction: 0.7,
     retry_budget_fraction: 0.2}
  ponder:
    {to: oracle, max_attempts: 4, exhausted_quality: 0.55, deferred: much_later, defer_fraction: 0.5,
     retry_budget_fraction: 0.1}
  book: {to: ledger, max_attempts: 2, backoff_base_s: 0.01, exhausted_quality: 0.9, retry_budget_fraction: 0.0}
  tally: {to: oracle, max_attempts: 9, backoff_base_s: 0.001, retry_budget_fraction: 0.1}
classes:
  order:
    kind: interactive
    normal_rate_rps: 25.0
    plan:
      - lookup: desk
        on_miss:
          - call: shed
            holding:
              - query: find
              - {query: think}
              - compute: {mean_s: 0.005, cv: 0.5}
              - {call: crane, holding: [{query: book}]}
          - fill: desk
          - query: ponder
          - {fill: attic}
          - {lookup: attic, key: item, on_miss: [{query: search}, {fill: attic, key: item}]}
      - emit: mail
  glance:
    kind: interactive
    normal_rate_rps: 20.0
    plan:
      - {lookup: desk, key: item, on_miss: [{call: crane}, {fill: desk, key: item}]}
      - {lookup: attic, on_miss: [{query: ponder}, {fill: attic}]}
      - fill: desk
  stocktaking:
    kind: background
    normal_rate_rps: 3.0
    plan: [{query: tally}, {query: find}, {invalidate: desk}]
"""
CONTROLS = (
    ("gates", "gate", "replicas", 1, 4),
    ("gate_limit", "gate", "rate_limit_rps", 5, 90),
    ("gate_reserve", "gate", "admission_reserve_fraction", 0, 1),
    ("gate_patience", "gate", "waiting_limit_s", 0.01, 0.5),
    ("crane_patience", "crane", "waiting_limit_s", 0.01, 0.2),
    ("ledger_replicas", "ledger", "read_replicas", 0, 3),
    ("map_ttl", "map", "query_ttl_s", 0, 3),
    ("share", "oracle", "background_share_fraction", 0, 1),
    ("kept", "oracle", "premium_reserve_fraction", 0, 1),
    ("kept_too", "oracle", "interactive_reserve_fraction", 0, 1),
    ("desk_ttl", "desk", "ttl_s", 0.3, 8),
    ("desk_memory", "desk", "memory_entries", 1, 60),
    ("attic_memory", "attic", "memory_entries", 2, 40),
    ("sweep", "desk", "invalidation_rate_keys_per_s", 1, 50),
    ("think_budget", "think", "retry_budget_fraction", 0, 1),
    ("find_budget", "find", "retry_budget_fraction", 0, 1),
    ("think_defer", "think", "defer_fraction", 0, 1),
    ("ponder_defer", "ponder", "defer_fraction", 0, 1),
    ("think_ask", "think", "ask_fraction", 0, 1),
    ("think_patience", "think", "timeout_s", 0.01, 0.3),
)
CHANGES = (
    Change(4_000_000_000, "ledger", "slowdown_factor", 2.0),
    Change(5_000_000_000, "desk", "invalidate_fraction", 0.6),
    Change(6_500_000_000, "oracle", "quota_factor", 0.3),
    Change(7_000_000_000, "oracle", "slowdown_factor", 1.7),
    Change(9_000_000_000, "desk", "invalidate_fraction", 0.9),
    Change(11_000_000_000, "gate", "slowdown_factor", 12.0),
    Change(13_000_000_000, "gate", "slowdown_factor", 1.0),
    Change(14_000_000_000, "crane", "slowdown_factor", 3.0),
    Change(15_000_000_000, "oracle", "quota_factor", 1.0),
)
NUM_INTERVALS = 15
SERVICE_ENDS = (
    "completions", "queue_full", "shed", "rate_limited", "breaker_open", "abandoned", "faults", "failed", "orphaned",
    "lost",
)  # fmt: skip
ATTEMPT_ENDS = (
    "within_sla", "late", "failed_deadline", "failed_queue_full", "failed_fault", "failed_dependency", "failed_shed",
)  # fmt: skip
NEW = {
    "services": "shed memory_ns excess_age_ns hit_quality_milli lookups item_lookups item_hits query_hits"
    " duplicate_fills evicted enriched stale_reads lost abandoned entries replica_ns stale_hits",
    "classes": "failed_shed personalised",
    "calls": "retries_refused deferred exhausted not_asked",
}


def control(name: str, of: str, parameter: str, low: float, high: float) -> dict[str, Any]:
    off_at_high = PARAMETERS[parameter].can_be_off
    limits = {"low": low, "high": high, "off_at_high": off_at_high}
    return {"name": name, "of": of, "parameter": parameter, "meaning": "-", **limits}


@pytest.fixture(scope="module", params=["from a trace", "floor and tail"])
def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> System:
    content = yaml.safe_load(HARBOUR)
    content["controls"] = [control(*row) for row in CONTROLS]
    if request.param == "from a trace":
        trace = tmp_path_factory.mktemp("traces") / "tokens.csv"
        trace.write_text("ContextTokens,GeneratedTokens\n10,3\n400,9\n30,40\n55,1\n7,7\n", encoding="utf-8")
        content["services"]["oracle"]["token_latency"] = {
            "trace": str(trace),
            "seconds_per_input_token": 1.0e-4,
            "seconds_per_output_token": 2.0e-3,
        }
    return load_system(content)


def trajectory(name: str, system: System, seed: int, kind: str) -> list[Telemetry]:
    rates = 1.3 * np.array([[c.normal_rate_rps] for c in system.classes.values()])
    engine = make_engine(name, system, log=True)
    rng = np.random.default_rng(seed)
    table = system.control_table
    telemetry = [engine.reset(Episode("harbour", seed, 60.0, 12.0, 1_000_000_000, rates, CHANGES))]
    for _ in range(NUM_INTERVALS):
        random = rng.choice([-1.0, 1.0, 0.0], len(table)) if kind == "extreme" else rng.uniform(-1.0, 1.0, len(table))
        values = table.default if kind == "default" else table.natural(random)
        telemetry.append(engine.step(values))
    return telemetry


@pytest.mark.parametrize("kind", ["default", "random", "extreme"])
def test_the_engines_are_equal_in_every_mechanism(system: System, kind: str) -> None:
    for seed in range(4):
        compiled, reference = (trajectory(name, system, seed, kind) for name in ENGINE_NAMES)
        for ours, theirs in zip(compiled, reference, strict=True):
            assert ours.differences(theirs) == [], (seed, ours.start_ns)


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_every_account_balances(engine: str, system: System) -> None:
    for seed in range(3):
        telemetry = trajectory(engine, system, seed, "random")
        for before, now in pairwise(telemetry):
            for arrived, ends, records, old in (
                ("arrivals", SERVICE_ENDS, now.services, before.services),
                ("attempts", ATTEMPT_ENDS, now.classes, before.classes),
            ):
                ended = np.sum([records[name] for name in ends], axis=0)
                assert np.array_equal(records[arrived], ended + records["in_flight"] - old["in_flight"])
            for records in (now.services, now.classes, now.calls):
                assert all((records[name] >= 0).all() for name in records.dtype.names or ())


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_everything_happens(engine: str, system: System) -> None:
    runs = [t for seed in range(4) for t in trajectory(engine, system, seed, "random")]
    assert set(NEW["services"].split()) <= SERVICE_FIELDS.keys()
    assert set(NEW["classes"].split()) <= CLASS_FIELDS.keys()
    assert set(NEW["calls"].split()) <= CALL_FIELDS.keys()
    for kind, names in NEW.items():
        total = {name: sum(int(getattr(t, kind)[name].sum()) for t in runs) for name in names.split()}
        assert {name for name, number in total.items() if number == 0} == set()
