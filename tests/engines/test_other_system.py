"""Other systems, from YAML text alone: the engines know kinds of service, and neither names, numbers nor sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamflow_env.engines import make_engine
from streamflow_env.engines.compiled import CompiledEngine, controls, loop
from streamflow_env.engines.telemetry import BREAKER_OPEN, CALL_FIELDS, SERVICE_FIELDS, Telemetry
from streamflow_env.episode import Change, Episode
from streamflow_env.system import System, load_system
from studies.accounting.balance import accounting_errors

LIBRARY = """
name: library
control_interval_s: 4.0
warmup_s: 10.0                    # not a whole number of control intervals
sla: {target_s: 0.3, worst_s: 1.5}
users:
  {num_users: 80, popularity_exponent: 1.0, num_items: 30, item_exponent: 0.7, return_fraction: 0.5,
   return_gap_s: 20.0, lookback_s: 60, premium_fraction: 0.4, entry: door, network_s: 0.01, deadline_s: 2.0,
   retry_fraction: 0.8, max_retries: 2, think_time_s: 0.5}
services:
  waiting_list: {kind: deferred_queue, to: brain, queue_limit: 15, workers: 2, poll_s: 0.3}
  shelf:
    {kind: cache, lookup_time: {mean_s: 0.004, cv: 0.3}, ttl_s: 30.0, ttl_jitter_fraction: 0.5, memory_entries: 40,
     eviction_samples: 3, keys_per_item: 6, invalidation_rate_keys_per_s: 30}
  brain:
    {kind: llm_endpoint, quota_per_minute: 240, burst: 6, floor_latency_s: 0.05, tail: {mean_s: 0.1, cv: 0.8},
     rejection_time_s: 0.02, retry_after_s: 0.1, background_share_fraction: 0.3}
  door:
    {kind: worker_pool, replicas: 3, workers_per_replica: 5, queue_limit: 100, serves_abandoned: false,
     service_time: {mean_s: 0.02, distribution: exponential}, startup_delay_s: 6.0, removal_hold_s: 8.0,
     waiting_limit_s: 0.8, admission_reserve_fraction: 0.5, discipline: premium_first}
calls:
  think:
    {to: brain, max_attempts: 3, backoff_base_s: 0.1, backoff_jitter: [0.5, 1.5], fallback_quality: 0.5,
     exhausted_quality: 0.3, retry_budget_fraction: 0.1, deferred: waiting_list, defer_fraction: 0.6,
     breaker: {window_size: 10, minimum_calls: 5, slow_call_s: 0.4, open_s: 1.0, half_open_calls: 3}}
  describe: {to: brain, max_attempts: 2, backoff_base_s: 0.3, exhausted_quality: 0.0}
classes:
  question:
    kind: interactive
    normal_rate_rps: 20.0
    plan:
      - lookup: shelf
        on_miss: [{query: think}, {lookup: shelf, key: item, on_miss: [{fill: shelf, key: item}]}, {fill: shelf}]
  loan:
    kind: interactive
    normal_rate_rps: 3.0
    plan: [{lookup: shelf, key: item, on_miss: [{fill: shelf, key: item}]}]
  cataloguing:
    kind: background
    normal_rate_rps: 1.0
    plan: [{query: describe}, {invalidate: shelf}]
controls:
  - {name: doors, of: door, parameter: replicas, low: 1, high: 6, meaning: -}
  - {name: patience, of: think, parameter: timeout_s, low: 0.1, high: 3.0, off_at_high: true, meaning: -}
  - {name: trip, of: think, parameter: breaker_threshold_fraction, low: 0.1, high: 1.0,
     off_at_high: true, meaning: -}
  - {name: kept, of: brain, parameter: premium_reserve_fraction, low: 0.0, high: 1.0, meaning: -}
  - {name: sweep, of: shelf, parameter: invalidation_rate_keys_per_s, low: 1, high: 100,
     off_at_high: true, meaning: -}
  - {name: at_the_door, of: door, parameter: waiting_limit_s, low: 0.02, high: 2.0, off_at_high: true,
     meaning: -}
  - {name: admitted, of: door, parameter: rate_limit_rps, low: 12, high: 60, off_at_high: true, meaning: -}
  - {name: members, of: door, parameter: admission_reserve_fraction, low: 0.0, high: 1.0, meaning: -}
  - {name: later, of: think, parameter: defer_fraction, low: 0.0, high: 1.0, meaning: -}
  - {name: again, of: think, parameter: retry_budget_fraction, low: 0.0, high: 1.0, off_at_high: true,
     meaning: -}
  - {name: cataloguers, of: brain, parameter: background_share_fraction, low: 0.0, high: 1.0,
     meaning: -}
  - {name: loan_time, of: shelf, parameter: ttl_s, low: 2.0, high: 60.0, scale: log, meaning: -}
  - {name: shelf_space, of: shelf, parameter: memory_entries, low: 10, high: 120, meaning: -}
"""
WAREHOUSE = """
name: warehouse                   # nested holding, queries without a pool, databases and replicas, no cache, no LLM
control_interval_s: 3.0
warmup_s: 6.0
sla: {target_s: 0.2, worst_s: 1.0}
users:
  {num_users: 50, popularity_exponent: 0.3, num_items: 12, return_fraction: 0.0, return_gap_s: 5.0, lookback_s: 10,
   premium_fraction: 0.1, entry: gate, network_s: 0.0, deadline_s: 1.0, retry_fraction: 0.9, max_retries: 5,
   think_time_s: 0.0}
services:
  map:
    {kind: vector_index, base_latency_s: 0.03, saturated_latency_s: 0.6, knee_in_flight: 3.0, cv: 0.5,
     query_ttl_s: 1.0, query_entries: 5, cached_latency_s: 0.01}
  ledger:
    {kind: database, connections: 2, queue_limit: 4, service_time: {mean_s: 0.03, cv: 1.0}, read_replicas: 1,
     startup_delay_s: 4.0, removal_hold_s: 3.0, replication_lag_s: 0.5, write_gap_s: 3.0}
  archive: {kind: database, connections: 1, queue_limit: 0, service_time: {mean_s: 0.05, distribution: exponential}}
  gate:
    {kind: worker_pool, replicas: 2, workers_per_replica: 8, queue_limit: 20, serves_abandoned: false,
     service_time: {mean_s: 0.0}}
  crane:
    {kind: worker_pool, replicas: 2, workers_per_replica: 3, cores_per_replica: 1, cpu_pressure: 3.0,
     cpu_pressure_queue: 5, queue_limit: 10, service_time: {mean_s: 0.01, cv: 0.5}, startup_delay_s: 0.0,
     removal_hold_s: 0.0, fault_fraction: 0.05}
  clerk:
    {kind: worker_pool, replicas: 1, workers_per_replica: 4, queue_limit: 5, service_time: {mean_s: 0.02, cv: 2.0},
     serves_abandoned: false, startup_delay_s: 7.0, removal_hold_s: 4.0, waiting_limit_s: 0.3,
     discipline: premium_first}
  mail: {kind: consumer, queue_limit: 6, batch_size: 4, batch_time: {mean_s: 0.3, cv: 0.5}}
calls:
  find: {to: map, max_attempts: 2, timeout_s: 0.2, attempt_cpu: {mean_s: 0.004, cv: 1.0}, exhausted_quality: 0.3,
     cacheable: true, retry_budget_fraction: 0.05}
  book: {to: ledger, max_attempts: 2, backoff_base_s: 0.05}
  read: {to: archive, fallback_quality: 0.2, ask_fraction: 0.7, fallback_fraction: 0.5, exhausted_quality: 0.1}
classes:
  order:
    kind: interactive
    normal_rate_rps: 25.0
    plan:
      - call: crane
        holding:
          - compute: {mean_s: 0.01, cv: 0.5}
          - query: find
          - {call: clerk, holding: [{query: book}]}
      - emit: mail
      - query: read
  stocktaking:
    kind: background
    normal_rate_rps: 2.0
    plan: [{call: clerk, holding: [{query: book}, {call: crane}]}, {query: read}, {emit: mail}]
controls:
  - {name: cranes, of: crane, parameter: replicas, low: 1, high: 5, meaning: -}
  - {name: clerks, of: clerk, parameter: replicas, low: 1, high: 5, meaning: -}
  - {name: gate_queue, of: gate, parameter: queue_limit, low: 0, high: 50, meaning: -}
  - {name: patience, of: find, parameter: timeout_s, low: 0.01, high: 1.0, meaning: -}
  - {name: reading, of: read, parameter: ask_fraction, low: 0.0, high: 1.0, meaning: -}
  - {name: copies, of: ledger, parameter: read_replicas, low: 0, high: 3, meaning: -}
  - {name: known, of: map, parameter: query_ttl_s, low: 0.0, high: 2.0, meaning: -}
  - {name: at_the_clerk, of: clerk, parameter: waiting_limit_s, low: 0.01, high: 0.5, meaning: -}
  - {name: again, of: find, parameter: retry_budget_fraction, low: 0.0, high: 1.0, off_at_high: true,
     meaning: -}
"""
GLACIER = """
name: glacier                     # calls take a day or more: one rounding more or less is a difference of whole ns
control_interval_s: 100000.0
warmup_s: 0.0
sla: {target_s: 100000.0, worst_s: 1000000.0}
users:
  {num_users: 9, popularity_exponent: 0.9, return_fraction: 0.3, return_gap_s: 5.0, lookback_s: 10,
   premium_fraction: 0.5, entry: camp, network_s: 1.0, deadline_s: 5000000.0, retry_fraction: 0.0, max_retries: 0,
   think_time_s: 0.0}
services:
  camp:
    {kind: worker_pool, replicas: 1, workers_per_replica: 1000, queue_limit: 0, serves_abandoned: false,
     service_time: {mean_s: 90000.0, cv: 0.7}}
  ice: {kind: vector_index, base_latency_s: 70000.0, saturated_latency_s: 900000.0, knee_in_flight: 7.0, cv: 0.25}
  oracle:
    {kind: llm_endpoint, quota_per_minute: 1, burst: 4, floor_latency_s: 80000.0, tail: {mean_s: 90000.0, cv: 1.2},
     rejection_time_s: 30000.0, retry_after_s: 50000.0}
calls:
  drill: {to: ice, max_attempts: 2, backoff_base_s: 70000.0, backoff_jitter: [0.3, 1.9], exhausted_quality: 0.3}
  pray: {to: oracle, max_attempts: 3, backoff_base_s: 70000.0, backoff_jitter: [0.3, 1.9], exhausted_quality: 0.3}
classes:
  expedition: {kind: interactive, normal_rate_rps: 0.0004, plan: [{query: drill}, {query: pray}]}
controls:
  - {name: patience, of: drill, parameter: timeout_s, low: 90000, high: 1000000, off_at_high: true, meaning: -}
  - {name: kept, of: oracle, parameter: premium_reserve_fraction, low: 0.0, high: 1.0, meaning: -}
"""
STADIUM = """
name: stadium                     # what users' clients do: full jitter, a shared retry budget, a shared breaker
control_interval_s: 2.0
warmup_s: 4.0
sla: {target_s: 0.1, worst_s: 1.0}
users:
  {num_users: 70, popularity_exponent: 0.5, return_fraction: 0.3, return_gap_s: 5.0, lookback_s: 10,
   premium_fraction: 0.3, entry: turnstile, network_s: 0.004, deadline_s: 0.4, retry_fraction: 0.9, max_retries: 4,
   think_time_s: 0.3, think_time_distribution: full_jitter, think_cap_s: 0.8, retry_budget_fraction: 0.6,
   retry_budget_cap: 7,
   breaker: {threshold_fraction: 0.5, window_size: 12, minimum_calls: 6, slow_call_s: 0.3, open_s: 0.7,
             half_open_calls: 3}}
services:
  turnstile:
    {kind: worker_pool, replicas: 2, workers_per_replica: 9, queue_limit: 30, serves_abandoned: false,
     service_time: {mean_s: 0.003, cv: 1.0}, waiting_limit_s: 0.3}
  bar: {kind: worker_pool, replicas: 1, workers_per_replica: 1, queue_limit: 15, fault_fraction: 0.05,
        service_time: {mean_s: 0.03, distribution: exponential}}
  board: {kind: vector_index, base_latency_s: 0.02, saturated_latency_s: 0.1, knee_in_flight: 5.0, cv: 0.4,
          latency_per_query_s: 0.013}
calls:
  look: {to: board, max_attempts: 2, timeout_s: 0.2}
classes:
  fan: {kind: interactive, normal_rate_rps: 20.0, plan: [{call: bar}, {query: look}]}
  cleaning: {kind: background, normal_rate_rps: 1.0, plan: [{query: look}]}
controls:
  - {name: bar_queue, of: bar, parameter: queue_limit, low: 0, high: 40, meaning: -}
  - {name: bars, of: bar, parameter: replicas, low: 1, high: 3, meaning: -}
"""
CHANGES = {
    "stadium": (
        Change(12_000_000_000, "bar", "slowdown_factor", 4.0),
        Change(18_000_000_000, "bar", "slowdown_factor", 1.0),
    ),
    "library": (
        Change(11_000_000_000, "shelf", "invalidate_fraction", 0.7),
        Change(15_000_000_000, "brain", "quota_factor", 0.3),
        Change(15_000_000_000, "brain", "retry_after_s", 0.5),
        Change(20_000_000_000, "door", "slowdown_factor", 30.0),
        Change(21_000_000_000, "shelf", "invalidate_fraction", 0.2),
        Change(30_000_000_000, "door", "slowdown_factor", 1.0),
    ),
    "warehouse": (
        Change(9_000_000_000, "map", "slowdown_factor", 3.0),
        Change(15_000_000_000, "mail", "slowdown_factor", 4.0),
        Change(18_000_000_000, "ledger", "slowdown_factor", 2.5),
    ),
    "glacier": (Change(500_000_000_000_000, "ice", "slowdown_factor", 1.3),),
}
HAPPENS = {
    "stadium": "queue_full failed orphaned timeouts deadlines faults",
    "library": "queue_full shed failed orphaned timeouts deadlines rate_limited breaker_open hits stale_hits item_hits"
    " fills duplicate_fills evicted invalidated sweep_backlog deferred abandoned lost enriched retries_refused",
    "warehouse": "queue_full shed abandoned failed orphaned timeouts deadlines faults lost cpu_queue_length query_hits"
    " stale_reads retries_refused",
    "glacier": "orphaned timeouts",
}
TEXTS = {"library": LIBRARY, "warehouse": WAREHOUSE, "glacier": GLACIER, "stadium": STADIUM}
NUM_INTERVALS = 12


@pytest.fixture(scope="module", params=sorted(TEXTS))
def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> System:
    path = tmp_path_factory.mktemp("configs") / f"{request.param}.yaml"
    path.write_text(TEXTS[request.param], encoding="utf-8")
    return load_system(Path(path))


def episode_of(system: System, seed: int, level: float) -> Episode:
    rates = level * np.array([[c.normal_rate_rps] for c in system.classes.values()])
    return Episode("other", seed, 60.0, 12.0, 1_000_000_000, rates, CHANGES[system.name])


def trajectory(name: str, system: System, episode: Episode, actions: list[np.ndarray]) -> list[Telemetry]:
    engine = make_engine(name, system, log=True)
    return [engine.reset(episode), *(engine.step(system.control_table.natural(action)) for action in actions)]


def settings(system: System, kind: str) -> list[np.ndarray]:
    table = system.control_table
    rng = np.random.default_rng(5)
    return {
        "default": [table.action(table.default)] * NUM_INTERVALS,
        "low": [np.full(len(table), -1.0)] * NUM_INTERVALS,
        "high": [np.full(len(table), 1.0)] * NUM_INTERVALS,
        "random": [rng.uniform(-1.0, 1.0, len(table)) for _ in range(NUM_INTERVALS)],
    }[kind]


@pytest.mark.parametrize("level", [1.0, 2.5])
@pytest.mark.parametrize("kind", ["default", "low", "high", "random"])
def test_the_engines_are_equal_on_another_system(system: System, kind: str, level: float) -> None:
    for seed in range(2):
        episode = episode_of(system, seed, level)
        actions = settings(system, kind)

        compiled, reference = (trajectory(name, system, episode, actions) for name in ("compiled", "reference"))

        previous = None
        for ours, theirs in zip(compiled, reference, strict=True):
            assert ours.differences(theirs) == [], (seed, ours.start_ns)
            assert previous is None or accounting_errors(previous, ours) == []
            previous = ours
        assert sum(len(t.visits) for t in compiled) > 200


def test_another_system_is_not_an_idle_one(system: System) -> None:
    """What could differ did happen: every outcome the system can have is there."""
    kinds = ("default", "low", "high", "random")
    runs = [trajectory("compiled", system, episode_of(system, 0, 2.5), settings(system, kind)) for kind in kinds]
    total = {name: sum(int(t.calls[name].sum()) for run in runs for t in run) for name in CALL_FIELDS}
    total |= {name: sum(int(t.services[name].sum()) for run in runs for t in run) for name in SERVICE_FIELDS}
    assert {name for name in HAPPENS[system.name].split() if total[name] == 0} == set()


def test_a_stadium_s_breaker_refuses_and_its_budget_runs_dry(tmp_path: Path) -> None:
    """At 2.5 times its load; a system with as much of the rest, but a budget that never ends, has more attempts."""
    (path := tmp_path / "stadium.yaml").write_text(STADIUM, encoding="utf-8")
    system = load_system(path)
    endless = system.model_copy(update={"users": system.users.model_copy(update={"retry_budget_fraction": None})})
    attempts = {}
    for name, of in (("tight", system), ("endless", endless)):
        run = trajectory("compiled", of, episode_of(of, 0, 2.5), settings(of, "default"))
        assert sum(int((t.answers["outcome"] == BREAKER_OPEN).sum()) for t in run) > 100
        attempts[name] = sum(len(t.answers) for t in run)
    assert attempts["endless"] > 1.1 * attempts["tight"]


def test_nothing_is_compiled_anew_for_another_system(system: System) -> None:
    kernels = {name: f for name, f in (vars(loop) | vars(controls)).items() if hasattr(f, "signatures")}
    assert {"run_interval", "put_in_force"} <= kernels.keys()
    shipped = load_system()
    rates = np.array([[c.normal_rate_rps] for c in shipped.classes.values()])
    CompiledEngine(shipped).reset(Episode("shipped", 0, 60.0, 12.0, 1_000_000_000, rates))
    before = {name: list(f.signatures) for name, f in kernels.items()}

    engine = make_engine("compiled", system, log=True)
    engine.reset(episode_of(system, 0, 1.0))
    engine.step(system.control_table.default)

    assert {name: list(f.signatures) for name, f in kernels.items()} == before
    assert len(kernels["run_interval"].signatures) == 1
