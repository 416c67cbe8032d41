"""Every rule can fail: telemetry that was tampered with is found out, and the rule is named."""

from __future__ import annotations

import copy
import functools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from streamflow_env.engines import make_engine
from streamflow_env.engines.telemetry import NUM_BUCKETS, OPEN, Telemetry, bucket
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.episode import Episode
from streamflow_env.system import System
from studies.accounting.invariants import LONGEST_NS, RULES, SHORTEST_NS
from studies.accounting.watch import Watch, environment_errors
from tests.studies.accounting.small import small_system

MANY = 10**6
EVER = 10**16
Change = tuple[str, str, str, int]
"""Record, row, field, and what is added to it."""
TAMPERED: dict[str, list[Change]] = {
    "service: only what its kind can count": [("services", "mail", "lookups", 1)],
    "service: a queue within its limit": [("services", "desk", "queue_length", MANY)],
    "service: busy within servers, unless draining": [("services", "desk", "busy", MANY)],
    "service: in flight is busy and waiting": [("services", "brain", "in_flight", 1)],
    "service: replicas as asked for": [("services", "desk", "ready_replicas", 1)],
    "service: draining replicas": [("services", "desk", "draining_replicas", 1)],
    "service: busy_ns within server_ns, unless draining": [("services", "desk", "busy_ns", EVER)],
    "service: server_ns between the servers at start and end": [("services", "desk", "server_ns", 1)],
    "service: core_ns between the cores at start and end": [("services", "desk", "core_ns", 1)],
    "service: queue_ns within the limit": [("services", "desk", "queue_ns", EVER)],
    "service: cpu_busy_ns within core_ns, unless draining": [("services", "desk", "cpu_busy_ns", EVER)],
    "service: who waits for a core holds a worker": [("services", "desk", "cpu_queue_length", MANY)],
    "service: replica_ns is the replicas asked for, and those draining": [("services", "book", "replica_ns", 1)],
    "service: memory_ns is the memory in force": [("services", "store", "memory_ns", 1)],
    "service: a sojourn for each completion": [("services", "desk", "completions", 1)],
    "service: sojourn_ns is of the sojourns in the histogram": [("services", "desk", "sojourn_ns", EVER)],
    "service: arrivals are what calls and deferred asks send": [("services", "index", "arrivals", 1)],
    "service: refusals and timeouts are those of its calls": [("services", "index", "timeouts", 1)],
    "llm: tokens within the bucket": [("services", "brain", "tokens_milli", MANY)],
    "llm: no more accepted than tokens came": [("services", "brain", "arrivals", MANY)],
    "entry: no more admitted than the rate limit": [("classes", "ask", "attempts", MANY)],
    "entry: arrivals are users' attempts": [("services", "door", "arrivals", 1)],
    "entry: in flight are users' attempts": [("services", "door", "in_flight", 1)],
    "entry: completions are users' answers": [("services", "door", "completions", 1)],
    "cache: entries within memory": [("services", "store", "entries", MANY)],
    "cache: new entries were written": [("services", "store", "entries", MANY)],
    "cache: evicted were there or written": [("services", "store", "evicted", MANY)],
    "cache: hits within lookups": [("services", "store", "hits", MANY)],
    "cache: completions are lookups and fills": [("services", "store", "lookups", 1)],
    "cache: duplicate fills are fills": [("services", "store", "duplicate_fills", MANY)],
    "cache: no answer older than its time to live": [("services", "store", "age_ns", EVER)],
    "cache: quality within the whole": [("services", "store", "hit_quality_milli", MANY)],
    "cache: no more excess age than age": [("services", "store", "excess_age_ns", EVER)],
    "cache: the sweep's backlog within the users": [("services", "store", "sweep_backlog", MANY)],
    "vector index: query hits have come": [("services", "index", "query_hits", MANY)],
    "database: stale reads have come": [("services", "book", "stale_reads", MANY)],
    "deferred queue: enriched are completed": [("services", "later", "enriched", MANY)],
    "call: a breaker state that there is": [("calls", "think", "breaker_state", 3)],
    "call: a breaker that is off is closed": [("calls", "read", "opened", 1)],
    "call: fallbacks cover who is not asked": [("calls", "think", "not_asked", MANY)],
    "call: retries are attempts": [("calls", "think", "retries", MANY)],
    "call: deferred are fallbacks or exhausted": [("calls", "think", "deferred", MANY)],
    "call: no more answered than requested": [("calls", "think", "successes", MANY)],
    "call: no more ends than attempts": [("calls", "read", "queue_full", MANY)],
    "call: no more retries than the budget": [("calls", "think", "retries", MANY)],
    "class: intents are answered, given up or going on": [("classes", "ask", "intents", 1)],
    "class: intents answered are answers": [("classes", "ask", "intents_answered", 1)],
    "class: quality of at most 1": [("classes", "ask", "quality_milli", EVER)],
    "class: lateness of at most the worst": [("classes", "ask", "lateness_ns", EVER)],
    "class: no response later than the deadline": [("classes", "ask", "response_ns", EVER)],
    "class: response_ns is of the response times in the histogram": [("classes", "tidy", "response_ns", -EVER)],
    "class: hits and misses are answers": [("classes", "ask", "personalised", MANY)],
    "class: nothing of users in the background": [("classes", "tidy", "thinking", 1)],
    "users: no more retries than each may make": [("classes", "ask", "thinking", MANY)],
    "users: no more retries than their budget": [("classes", "ask", "attempts", MANY)],
    "all: deadlines have a service": [("services", "desk", "deadlines", 1)],
    "all: failures happened at a service": [("classes", "ask", "failed_fault", MANY)],
    "arrivals": [("services", "desk", "arrivals", 1)],
    "attempts": [("classes", "ask", "attempts", 1)],
    "response histogram": [("classes", "ask", "late", 1)],
    "services.busy is negative": [("services", "desk", "busy", -MANY)],
}

OTHER_WAYS: list[tuple[str, list[Change]]] = [
    ("service: only what its kind can count", [("services", "desk", "lookups", 1)]),
    ("service: only what its kind can count", [("services", "book", "shed", 1)]),
    ("service: only what its kind can count", [("services", "store", "rate_limited", 1)]),
    ("service: only what its kind can count", [("services", "index", "tokens_milli", 1)]),
    ("service: only what its kind can count", [("services", "brain", "server_ns", 1)]),
    ("service: only what its kind can count", [("services", "later", "sojourn_ns", 1)]),
    ("service: a queue within its limit", [("services", "mail", "queue_length", MANY)]),
    ("service: a queue within its limit", [("services", "store", "queue_length", 1)]),
    ("service: busy within servers, unless draining", [("services", "mail", "busy", MANY)]),
    ("service: in flight is busy and waiting", [("services", "brain", "in_flight", -1)]),
    ("service: in flight is busy and waiting", [("services", "mail", "in_flight", 3)]),
    ("service: busy_ns within server_ns, unless draining", [("services", "index", "busy_ns", EVER)]),
    ("service: server_ns between the servers at start and end", [("services", "desk", "server_ns", -1)]),
    ("service: server_ns between the servers at start and end", [("services", "mail", "server_ns", -1)]),
    ("service: core_ns between the cores at start and end", [("services", "desk", "core_ns", -1)]),
    ("service: replica_ns is the replicas asked for, and those draining", [("services", "desk", "replica_ns", -1)]),
    ("service: memory_ns is the memory in force", [("services", "store", "memory_ns", -1)]),
    ("service: arrivals are what calls and deferred asks send", [("services", "brain", "arrivals", -1)]),
    ("service: arrivals are what calls and deferred asks send", [("services", "later", "completions", 1)]),
    ("service: arrivals are what calls and deferred asks send", [("calls", "read", "attempts", 1)]),
    ("service: refusals and timeouts are those of its calls", [("services", "brain", "rate_limited", 1)]),
    ("service: refusals and timeouts are those of its calls", [("services", "brain", "breaker_open", 1)]),
    ("service: refusals and timeouts are those of its calls", [("services", "book", "queue_full", 1)]),
    ("llm: no more accepted than tokens came", [("services", "brain", "tokens_milli", MANY)]),
    ("cache: hits within lookups", [("services", "store", "item_hits", MANY)]),
    ("cache: hits within lookups", [("services", "store", "stale_hits", MANY)]),
    ("cache: completions are lookups and fills", [("services", "store", "fills", 1)]),
    ("cache: no answer older than its time to live", [("services", "index", "age_ns", EVER)]),
    ("call: a breaker that is off is closed", [("calls", "read", "breaker_state", OPEN)]),
    ("call: a breaker that is off is closed", [("calls", "find", "breaker_open", 1)]),
    ("call: fallbacks cover who is not asked", [("calls", "think", "not_asked", MANY),
                                                ("calls", "think", "fallbacks", MANY)]),
    ("call: no more answered than requested", [("calls", "think", "exhausted", MANY)]),
    ("call: no more ends than attempts", [("calls", "think", "rate_limited", MANY)]),
    ("class: hits and misses are answers", [("classes", "ask", "hit_answers", MANY)]),
    ("class: hits and misses are answers", [("classes", "ask", "miss_response_ns", EVER)]),
    ("class: response_ns is of the response times in the histogram", [("classes", "ask", "response_ns", EVER)]),
    ("class: nothing of users in the background", [("classes", "tidy", "attempts", 1)]),
    ("all: failures happened at a service", [("classes", "ask", "failed_shed", MANY)]),
    ("all: failures happened at a service", [("classes", "ask", "failed_queue_full", MANY)]),
    ("calls.retries is negative", [("calls", "think", "retries", -MANY)]),
    ("classes.late is negative", [("classes", "ask", "late", -MANY)]),
]  # fmt: skip
"""More of what a rule must find: its other rows and clauses, and what is too small where it knows the exact figure."""


@functools.cache
def honest() -> tuple[System, Episode, list[Telemetry]]:
    """Eight busy intervals."""
    system = small_system()
    rates = np.array([[60.0], [3.0]])
    episode = Episode("small", 3, 16.0, 0.0, 10**9, rates)
    engine = make_engine("compiled", system)
    settings = [[1, 1.0], [4, 0.5], [4, 0.5], [1, 0.5], [2, 0.5], [2, 0.5], [2, 0.5], [2, 0.5]]
    return system, episode, [engine.reset(episode), *(engine.step(np.array(s, dtype=float)) for s in settings)]


def errors_of_last(last: Telemetry) -> list[str]:
    """What a watch of the honest intervals says of another last one."""
    system, episode, telemetries = honest()
    watch = Watch(system, episode, telemetries[0])
    assert [line for telemetry in telemetries[1:-1] for line in watch.errors(telemetry)] == []
    return watch.errors(last)


def tampered(changes: list[Change]) -> Telemetry:
    system, _, telemetries = honest()
    last = copy.deepcopy(telemetries[-1])
    rows = {"services": system.service_names, "classes": system.class_names, "calls": system.call_names}
    for record, name, field, more in changes:
        place = rows[record].index(name)
        values = getattr(last, record)[field]
        values[(place, 0) if record == "classes" else place] += more
    return last


def test_what_is_true_breaks_no_rule_and_is_not_idle() -> None:
    assert errors_of_last(honest()[2][-1]) == []
    counted = {name for t in honest()[2] for part in (t.services, t.calls, t.classes) for name in part.dtype.names or ()
               if part[name].any()}  # fmt: skip
    assert {"shed", "queue_full", "faults", "timeouts", "fallbacks", "deferred", "evicted", "lost", "late",
            "failed_deadline", "query_hits", "stale_reads"} <= counted  # fmt: skip


def test_every_rule_is_tampered_with() -> None:
    assert set(RULES) <= set(TAMPERED)


@pytest.mark.parametrize("rule", TAMPERED)
def test_a_rule_that_is_broken_is_named(rule: str) -> None:
    assert any(line.startswith(rule) for line in errors_of_last(tampered(TAMPERED[rule])))


@pytest.mark.parametrize(("rule", "changes"), OTHER_WAYS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_rule_that_is_broken_in_another_way_is_named(rule: str, changes: list[Change]) -> None:
    assert any(line.startswith(rule) for line in errors_of_last(tampered(changes)))


@pytest.mark.parametrize("change", [("desk", -(10**9)), ("desk", EVER), ("mail", 1)])
def test_sojourns_shorter_or_longer_than_counted_or_not_counted_at_all_are_named(change: tuple[str, int]) -> None:
    service, more_ns = change
    found = errors_of_last(tampered([("services", service, "sojourn_ns", more_ns)]))
    assert f"service: sojourn_ns is of the sojourns in the histogram: {service}" in found


def test_the_edges_of_the_histogram_are_those_of_its_buckets() -> None:
    every = list(range(NUM_BUCKETS))
    assert [bucket(int(shortest)) for shortest in SHORTEST_NS] == every
    assert [bucket(int(longest)) for longest in LONGEST_NS] == every
    assert (SHORTEST_NS[1:] == LONGEST_NS[:-1] + 1).all()


def test_the_row_is_named_too() -> None:
    assert "service: memory_ns is the memory in force: store" in errors_of_last(
        tampered([("services", "store", "memory_ns", 1)])
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 5.0])
def test_controls_out_of_their_ranges_are_named(value: float) -> None:
    last = honest()[2][-1]
    with np.errstate(invalid="ignore"):
        controls = np.array([2.0, value if np.isfinite(value) and value > 1 else value - 1.0])
    assert any(
        line.startswith("controls: in their ranges") for line in errors_of_last(replace(last, controls=controls))
    )


@pytest.mark.parametrize("change", [{"start_ns": 1}, {"end_ns": 10**12}])
def test_a_gap_in_time_is_named(change: dict[str, Any]) -> None:
    last = honest()[2][-1]
    assert any(line.startswith("time: one interval") for line in errors_of_last(replace(last, **change)))


def step_of_environment() -> tuple[StreamFlowEnv, dict[str, Any]]:
    env = StreamFlowEnv(system=small_system(), scenario={"name": "minute", "horizon_s": 60, "traffic": {
        "kind": "ramps", "start_hour": 1.0, "level": 1.0}})  # fmt: skip
    env.reset(seed=0)
    observation, reward, _, _, info = env.step(env.default_action)
    step: dict[str, Any] = {"observation": observation, "space": env.observation_space, "reward": reward, "info": info}
    assert environment_errors(**step) == []
    return env, step


@pytest.mark.parametrize("value", [np.nan, np.inf, 1.5, -0.5])
def test_an_observation_out_of_its_space_is_named(value: float) -> None:
    _, step = step_of_environment()
    step["observation"][3] = value
    found = environment_errors(**step)
    assert "observation: in its space" in found
    assert ("observation: finite" in found) == (not np.isfinite(value))


def test_an_observation_of_another_type_is_named() -> None:
    _, step = step_of_environment()
    assert environment_errors(**step | {"observation": step["observation"][:-1]}) == ["observation: in its space"]


def test_a_reward_that_is_not_the_sum_of_terms_is_named() -> None:
    _, step = step_of_environment()
    assert environment_errors(**step | {"reward": step["reward"] + 1.0}) == ["reward: the sum of its terms"]
    assert "reward: finite" in environment_errors(**step | {"reward": np.nan})


@pytest.mark.parametrize("value", [np.nan, -np.inf, 0.1])
def test_a_term_of_the_wrong_sign_is_named(value: float) -> None:
    _, step = step_of_environment()
    step["info"]["reward_terms"]["llm"] = value
    assert any(line.startswith("reward: term llm") for line in environment_errors(**step))


@pytest.mark.parametrize("key", ["costs", "cost"])
def test_a_cost_that_is_not_minus_its_terms_is_named(key: str) -> None:
    _, step = step_of_environment()
    step["info"][key] = step["info"][key] + 1.0
    assert environment_errors(**step) == ["info: costs are minus the terms, and cost is the SLA's"]


@pytest.mark.parametrize("part", ["metrics", "controls"])
def test_a_figure_that_is_not_finite_is_named(part: str) -> None:
    _, step = step_of_environment()
    name = next(iter(step["info"][part]))
    step["info"][part][name] = np.nan
    assert environment_errors(**step) == [f"info: {part}.{name} finite: nan"]
