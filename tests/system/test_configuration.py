"""Bad configuration: one clear ConfigError that names file, key, value and what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streamflow_env.errors import ConfigError
from streamflow_env.system import System, load_system
from tests.system.broken import GONE, SHIPPED, changed, control, error_of


def test_the_shipped_system_is_whole() -> None:
    system = load_system()
    assert (len(system.services), len(system.calls), len(system.controls)) == (13, 5, 27)
    assert len(system.class_names) == len(system.interactive) == 4
    assert [name for name, _ in system.databases()] == ["profile_db"]
    assert {name for name, _ in system.pools()} >= {"gateway", "auth", "engine"}
    assert load_system(system) is system
    assert load_system(SHIPPED) == system


WRONG: dict[str, tuple[list[tuple[str, Any]], list[str]]] = {
    "unknown key": ([("sla.target_ms", 200)], ["sla.target_ms", "unknown key"]),
    "unknown key of a service": ([("services.auth.worker", 1)], ["services.auth", "worker", "unknown key"]),
    "unknown key of a step": ([("classes.title.plan.0.hold", [])], ["classes.title.plan.0", "hold", "unknown key"]),
    "missing key": ([("users.deadline_s", GONE)], ["users.deadline_s", "required key is missing"]),
    "text for a number": ([("users.deadline_s", "five")], ["users.deadline_s", "'five'", "number"]),
    "number in quotes": ([("services.auth.replicas", "2")], ["services.auth", "replicas", "'2'", "integer"]),
    "fraction for an integer": ([("services.auth.replicas", 2.5)], ["services.auth", "replicas", "2.5", "integer"]),
    "boolean for an integer": ([("services.auth.replicas", True)], ["services.auth", "replicas", "True", "integer"]),
    "number for a flag": ([("services.auth.serves_abandoned", 1)], ["serves_abandoned", "= 1", "boolean"]),
    "number for a name": ([("name", 3)], ["name = 3", "string"]),
    "nothing for a number": ([("sla.target_s", None)], ["sla.target_s", "None", "number"]),
    "infinity": ([("users.deadline_s", float("inf"))], ["users.deadline_s", "inf", "finite"]),
    "not a number": ([("users.think_time_s", float("nan"))], ["users.think_time_s", "nan", "finite"]),
    "below the range": ([("services.auth.replicas", 0)], ["auth", "replicas = 0", "greater than or equal to 1"]),
    "above the range": ([("users.retry_fraction", 1.5)], ["users.retry_fraction = 1.5", "less than or equal to 1"]),
    "zero where positive": ([("control_interval_s", 0.0)], ["control_interval_s = 0.0", "greater than 0"]),
    "too many retries": ([("users.max_retries", 7)], ["users.max_retries = 7", "less than or equal to 6"]),
    "too many attempts": ([("calls.engine_llm.max_attempts", 17)], ["calls.engine_llm.max_attempts = 17", "16"]),
    "threshold of zero": (
        [("calls.engine_llm.breaker.threshold_fraction", 0.0)],
        ["calls.engine_llm.breaker.threshold_fraction = 0.0", "greater than 0"],
    ),
    "unknown kind": ([("services.auth.kind", "pool")], ["services.auth", "pool", "worker_pool", "consumer"]),
    "unknown family": (
        [("services.auth.service_time.distribution", "gamma")],
        ["service_time.distribution", "gamma", "lognormal", "exponential", "constant"],
    ),
    "unknown kind of class": ([("classes.title.kind", "batch")], ["classes.title.kind", "batch", "interactive"]),
    "unknown parameter": (
        [(f"controls.{control('llm_ask')}.parameter", "latency_s")],
        ["controls", "parameter", "latency_s", "ask_fraction"],
    ),
    "empty plan": ([("classes.title.plan", [])], ["classes.title.plan", "at least 1"]),
    "no controls": ([("controls", [])], ["controls", "at least 1"]),
    "no step at all": ([("classes.title.plan.0", {"wait": 3})], ["classes.title.plan.0", "call", "query", "emit"]),
    "worst below target": ([("sla.worst_s", 0.1)], ["sla", "worst_s 0.1", "above target_s 0.2"]),
    "unknown entry": ([("users.entry", "door")], ["users.entry", "'door'", "worker_pool"]),
    "entry of another kind": ([("users.entry", "cache")], ["users.entry", "'cache'", "worker_pool"]),
    "entry that serves abandoned users": ([("services.gateway.serves_abandoned", True)], ["gateway", "false"]),
    "call to nowhere": ([("calls.engine_llm.to", "gpt")], ["calls.engine_llm.to", "'gpt'", "llm"]),
    "call to a pool": ([("calls.engine_llm.to", "auth")], ["calls.engine_llm.to", "'auth'", "llm_endpoint"]),
    "timeout of a database": ([("calls.profile_query.timeout_s", 1.0)], ["profile_query.timeout_s", "database"]),
    "ask without a fallback": (
        [("calls.pipeline_llm.ask_fraction", 0.5)],
        ["calls.pipeline_llm", "ask_fraction", "fallback_quality"],
    ),
    "spread without a fallback": (
        [("calls.pipeline_llm.fallback_spread", 0.5)],
        ["calls.pipeline_llm", "fallback_spread 0.5", "fallback_quality"],
    ),
    "fallback below nothing": (
        [("calls.engine_llm.fallback_quality", 0.4)],
        ["calls.engine_llm", "fallback_spread 1.0", "quality -0.2", "at least 0", "0.4"],
    ),
    "spread above one": (
        [("calls.engine_llm.fallback_spread", 1.1)],
        ["calls.engine_llm.fallback_spread = 1.1", "less than or equal to 1"],
    ),
    "step to an unknown pool": ([("classes.title.plan.0.call", "door")], ["title.plan[0].call", "'door'", "auth"]),
    "step to an unknown call": (
        [("classes.ingest.plan.0.holding.0.query", "ask")],
        ["classes.ingest.plan[0].holding[0].query", "'ask'", "pipeline_llm"],
    ),
    "lookup of no cache": ([("classes.feed.plan.1.lookup", "auth")], ["feed.plan[1].lookup", "'auth'", "cache"]),
    "fill of no cache": (
        [("classes.feed.plan.1.on_miss.1.holding.3.fill", "llm")],
        ["classes.feed.plan[1]", "fill", "'llm'", "cache"],
    ),
    "invalidation of no cache": ([("classes.ingest.plan.2.invalidate", "x")], ["plan[2].invalidate", "'x'", "cache"]),
    "event to no consumer": ([("classes.title.plan.2.emit", "auth")], ["title.plan[2].emit", "'auth'", "analytics"]),
    "lookup without a user": (
        [("classes.ingest.plan.0", {"lookup": "cache"})],
        ["classes.ingest.plan[0]", "interactive class"],
    ),
    "compute without a pool": (
        [("classes.title.plan.0", {"compute": {"mean_s": 0.1}})],
        ["classes.title.plan[0].compute", "holding", "cores_per_replica"],
    ),
    "compute in a pool without cores": (
        [("services.engine.cores_per_replica", 0)],
        ["classes.feed.plan[1]", "engine_llm", "cores_per_replica"],
    ),
    "nested too deep": (
        [("classes.title.plan.0", {"call": "auth", "holding": [{"call": "content", "holding": [{"call": "engine",
            "holding": [{"call": "user_profile", "holding": [{"call": "auth"}]}]}]}]})],
        ["classes.title.plan", "5 deep", "at most 4"],
    ),
    "control given twice": (
        [(f"controls.{control('llm_ask')}.name", "llm_fallback")],
        ["controls", "'llm_fallback'", "twice"],
    ),
    "control of an unknown call": (
        [(f"controls.{control('llm_ask')}.of", "engine")],
        ["llm_ask", "'engine'", "must be a call", "engine_llm"],
    ),
    "control of a wrong kind of service": (
        [(f"controls.{control('invalidation_rate')}.of", "llm")],
        ["invalidation_rate", "'llm'", "cache"],
    ),
    "breaker missing": (
        [("calls.engine_llm.breaker", GONE)],
        ["llm_breaker_threshold", "'engine_llm'", "no breaker"],
    ),
    "control without a fallback": (
        [(f"controls.{control('llm_ask')}.of", "pipeline_llm")],
        ["llm_ask", "'pipeline_llm'", "no fallback_quality"],
    ),
    "timeout control of a database": (
        [(f"controls.{control('llm_timeout')}.of", "profile_query")],
        ["llm_timeout", "'profile_query'", "database"],
    ),
    "range upside down": ([(f"controls.{control('llm_ask')}.low", 2.0)], ["controls", "low 2.0", "below high 1.0"]),
    "log scale from zero": ([(f"controls.{control('auth_replicas')}.low", 0)], ["controls", "low 0", "log scale"]),
    "log scale from all but zero": (
        [(f"controls.{control('llm_ask')}.low", 1e-320), (f"controls.{control('llm_ask')}.scale", "log")],
        ["controls", "low = 1e-320", "must be 0, or at least 1e-10"],
    ),
    "two controls of one thing": (
        [(f"controls.{control('gateway_replicas')}.of", "auth")],
        ["replicas of 'auth'", "two controls", "must be set by one"],
    ),
    "fewer than one replica": (
        [(f"controls.{control('auth_replicas')}.low", -5), (f"controls.{control('auth_replicas')}.scale", "linear")],
        ["controls", "low -5", "replicas", "must be in [1, "],
    ),
    "timeout below zero": (
        [(f"controls.{control('llm_timeout')}.low", -1.0), (f"controls.{control('llm_timeout')}.scale", "linear")],
        ["controls", "low -1.0", "timeout_s", "must be in [0.001, "],
    ),
    "share above one": ([(f"controls.{control('llm_ask')}.high", 7.0)], ["high 7.0", "ask_fraction", "in [0, 1]"]),
    "half a replica": ([(f"controls.{control('auth_replicas')}.high", 9.5)], ["high 9.5", "replicas", "whole numbers"]),
    "off where nothing can be off": (
        [(f"controls.{control('auth_replicas')}.off_at_high", True)],
        ["controls", "off_at_high", "replicas cannot be off"],
    ),
    "invalidation of half a key": (
        [("services.cache.invalidation_rate_keys_per_s", 20.5)],
        ["services.cache", "invalidation_rate_keys_per_s = 20.5", "integer"],
    ),
    "more keys than draws": ([("services.cache.keys_per_item", 1025)], ["keys_per_item = 1025", "1024"]),
    "gone before they came": ([("users.deadline_s", 0.01)], ["users", "deadline_s 0.01", "above network_s 0.016"]),
    "jitter upside down": (
        [("calls.engine_llm.backoff_jitter", [1.6, 0.4])],
        ["calls.engine_llm", "backoff_jitter [1.6, 0.4]", "low <= high"],
    ),
    "saturated faster than idle": (
        [("services.vector_db.saturated_latency_s", 0.1)],
        ["services.vector_db", "saturated_latency_s 0.1", "at least base_latency_s 0.15"],
    ),
    "no users": (
        [("classes.feed", GONE), ("classes.title", GONE)],
        ["classes", "at least one", "interactive"],
    ),
    "default out of the range": (
        [(f"controls.{control('auth_replicas')}.low", 6)],
        ["auth_replicas", "default is 5.0", "[6.0, 20.0]"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(name: str, tmp_path: Path) -> None:
    changes, parts = WRONG[name]
    message = error_of(changed(*changes), tmp_path)
    assert [part for part in parts if part not in message] == [], message
    assert len(message.splitlines()) == 1, "one mistake, one line"


def test_every_mistake_is_named(tmp_path: Path) -> None:
    message = error_of(changed(("users.deadline_s", -1.0), ("services.auth.colour", "red"), ("name", GONE)), tmp_path)
    assert len(message.splitlines()) == 3
    assert "users.deadline_s = -1.0: must be greater than 0" in message


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("name: a\nname: b\n", ["'name'", "given twice", "line 2"]),
        ("users: {deadline_s: 1.0, deadline_s: 2.0}\n", ["'deadline_s'", "given twice"]),
        ("name: [\n", ["not valid YAML"]),
        ("a list\n", ["(whole file)"]),
        ("", ["(whole file)"]),
    ],
)
def test_files_that_are_no_configuration(text: str, parts: list[str], tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_system(path)
    assert [part for part in [str(path), *parts] if part not in str(caught.value)] == [], str(caught.value)


def test_a_missing_file_and_an_unreadable_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'nowhere'.*streamflow"):
        load_system("nowhere")
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    with pytest.raises(ConfigError, match=r"latin\.yaml: cannot be read"):
        load_system(tmp_path / "latin.yaml")
    with pytest.raises(ConfigError, match="system 3: must be a name, or the path of a file"):
        load_system(3)  # type: ignore[arg-type]


def test_a_call_may_bear_the_name_of_a_service() -> None:
    system = load_system(changed(("calls.auth", {"to": "profile_db"})))
    assert system.control_table.default[control("auth_replicas")] == SHIPPED["services"]["auth"]["replicas"]


def test_nothing_can_be_changed_afterwards() -> None:
    system = load_system()
    with pytest.raises(ValueError, match="frozen"):
        system.warmup_s = 0.0  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        system.control_table.default[0] = 1.0


def test_a_shipped_file_says_everything_once() -> None:
    """What a file repeats can drift: no control of the shipped system sets the same thing as another."""
    targets = [(c.of, c.parameter) for c in System.model_validate(SHIPPED).controls]
    assert len(set(targets)) == len(targets)
