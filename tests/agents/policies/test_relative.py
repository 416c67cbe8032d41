"""Rules of a runbook whose numbers are relative to readings, and that let go."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamflow_agents.evaluation.episodes import run_episode
from streamflow_agents.policies.baselines import make_baseline
from streamflow_agents.policies.baselines.desk import Desk
from streamflow_agents.policies.baselines.expert import ExpertSettings
from streamflow_agents.policies.baselines.runbook import Rule, Runbook
from streamflow_agents.seeds import VALIDATION
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.environment.observations import ObservationTable
from streamflow_env.errors import ConfigError
from streamflow_env.paths import config_path
from streamflow_env.system import load_system
from streamflow_env.system.schema import load
from tests.agents.policies.part_alone import PartAlone

SYSTEM = load_system()
TABLE = ObservationTable(SYSTEM)
CALM = dict.fromkeys(TABLE.names, 0.0)
SIGN = {"llm.rate_limited_fraction": 0.5}
INTERVAL_S = SYSTEM.control_interval_s


def rule(**changes: Any) -> Rule:
    sign = {"reading": "llm.rate_limited_fraction", "above": 0.1}
    return load(Rule, {"name": "short", "signs": [sign], "hold_s": 0.0, **changes})


def held(rule: Rule, control: str, *readings: dict[str, float]) -> list[float]:
    part = PartAlone(SYSTEM, TABLE, lambda desk: Runbook(desk, (rule,)))
    return [part.settings({**CALM, **each})[control] for each in readings]


def test_times_a_reading_now_and_more() -> None:
    more = rule(at_least={"auth_replicas": {"times": 1.5, "of": "auth.ready_replicas", "plus": 1}})
    assert held(more, "auth_replicas", *({**SIGN, "auth.ready_replicas": n} for n in (8.0, 2.0))) == [13.0, 5.0]


def test_what_is_served_is_what_arrives_less_what_fails() -> None:
    limit = {"times": 1.2, "of": "gateway.arrival_rate_rps", "less": "gateway.error_fraction"}
    seen = {**SIGN, "gateway.arrival_rate_rps": 100.0, "gateway.error_fraction": 0.4}
    assert held(rule(at_most={"gateway_rate_limit": limit}), "gateway_rate_limit", seen) == pytest.approx([72.0])


def test_a_share_is_one_reading_per_another_and_nothing_divides_by_zero() -> None:
    ask = rule(at_most={"llm_ask": {"times": 0.02, "of": "llm.accepted_per_min", "per": "engine.arrival_rate_rps"}})
    readings = [{**SIGN, "llm.accepted_per_min": 300.0, "engine.arrival_rate_rps": rps} for rps in (20.0, 0.0)]
    assert held(ask, "llm_ask", *readings) == pytest.approx([0.3, 1.0])


def test_the_usual_is_a_plain_mean_at_first_and_stands_still_while_the_rule_holds() -> None:
    usual = rule(at_least={"auth_replicas": {"times": 2.0, "usual": "auth.ready_replicas"}})
    before = [{"auth.ready_replicas": n} for n in (12.0, 4.0, 5.0)]
    incident = [{**SIGN, "auth.ready_replicas": 20.0}] * 40
    found = held(usual, "auth_replicas", *before, *incident)
    np.testing.assert_allclose(found, [5.0] * 3 + [14.0] * 40)
    after = held(usual, "auth_replicas", *before, *[{"auth.ready_replicas": 20.0}] * 40, incident[0])
    assert after[-1] > 30.0


def test_the_usual_of_an_episode_that_begins_with_the_sign_is_what_is_seen() -> None:
    usual = rule(at_least={"auth_replicas": {"times": 2.0, "usual": "auth.ready_replicas"}})
    assert held(usual, "auth_replicas", {**SIGN, "auth.ready_replicas": 6.0}) == [12.0]


def test_a_bound_may_be_relative() -> None:
    slower = rule(
        signs=[{"reading": "auth.p95_s", "above": {"times": 1.2, "usual": "auth.p95_s"}}], set={"llm_ask": 0.2}
    )
    readings = [{"auth.p95_s": value} for value in (0.1, 0.1, 0.11, 0.13, 0.13)]
    assert held(slower, "llm_ask", *readings) == [1.0, 1.0, 1.0, 0.2, 0.2]


def test_a_rule_lets_go_for_a_while_and_begins_again_if_its_sign_is_still_there() -> None:
    tries = rule(set={"llm_ask": 0.2}, longest_s=3 * INTERVAL_S, pause_s=2 * INTERVAL_S)
    expected = [0.2] * 3 + [1.0] * 2 + [0.2] * 3 + [1.0] * 2
    assert held(tries, "llm_ask", *[SIGN] * 10) == expected


def test_what_was_seen_in_a_pause_does_not_count() -> None:
    tries = rule(set={"llm_ask": 0.2}, hold_s=10 * INTERVAL_S, longest_s=2 * INTERVAL_S, pause_s=2 * INTERVAL_S)
    assert held(tries, "llm_ask", *[SIGN] * 4, *[{}] * 3) == [0.2] * 2 + [1.0] * 5


def test_a_rule_that_ends_by_itself_is_as_fresh_as_before() -> None:
    tries = rule(set={"llm_ask": 0.2}, longest_s=3 * INTERVAL_S, pause_s=2 * INTERVAL_S)
    assert held(tries, "llm_ask", *[SIGN] * 2, {}, *[SIGN] * 4) == [0.2] * 2 + [1.0] + [0.2] * 3 + [1.0]


@pytest.mark.parametrize(
    ("changes", "culprit"),
    [
        ({"set": {"llm_ask": {"times": 1.0}}}, "give one of of, usual"),
        ({"set": {"llm_ask": {"times": 1.0, "of": "llm.tokens", "usual": "llm.tokens"}}}, "give one of of, usual"),
        ({"set": {"llm_ask": {"times": 1.0, "of": "nosuch.reading"}}}, "rule 'short'.*nosuch.reading"),
        ({"set": {"llm_ask": {"times": 1.0, "of": "llm.tokens", "per": "nosuch.reading"}}}, "nosuch.reading"),
        ({"set": {"llm_aks": {"times": 1.0, "of": "llm.tokens"}}}, "llm_aks"),
        ({"longest_s": 300.0}, "longest_s and pause_s"),
        ({"pause_s": 300.0}, "longest_s and pause_s"),
    ],
)
def test_a_wrong_rule_is_an_error(changes: dict[str, Any], culprit: str) -> None:
    with pytest.raises(ConfigError, match=culprit):
        Runbook(Desk(SYSTEM, TABLE), (rule(**changes),))


LEVEL = 4.5
"""Of the normal load: 137 requests a second. The expert's rules were written, and tuned, for up to half of that but in
the busiest minutes."""
LAST = 40
"""Control steps that are looked at: ten minutes, which begin seven minutes after the incident has ended."""


def last_minutes(name: str, incident: dict[str, Any]) -> float:
    """What the policy's last ten minutes return."""
    scenario = {
        "name": "busy",
        "horizon_s": 1200,
        "traffic": {"kind": "ramps", "start_hour": 20.5, "level": LEVEL, "ramps": []},
        "incidents": [incident],
    }
    env, rewards = StreamFlowEnv(scenario), []
    policy = make_baseline(name, env.system, env.observation_table)
    run_episode(policy, env, VALIDATION.first, lambda _, info: rewards.append(sum(info["reward_terms"].values())))
    return float(sum(rewards[-LAST:]))


SLOW_AUTH = {"kind": "slowdown", "service": "auth", "start_s": 120, "duration_s": 60, "factor": 5.0}
INCIDENTS = {
    "the LLM refuses": {
        "kind": "llm_degradation", "service": "llm", "start_s": 60, "duration_s": 120, "quota_factor": 0.2,
        "latency_factor": 2.0, "retry_after_s": 0,
    },
    "a drop of content": {
        "kind": "content_drop", "cache": "cache", "items_class": "ingest", "start_s": 60, "num_items": 100,
        "spread_s": 60, "invalidate_fraction": 1.0,
    },
    "the profile DB is slow": {
        "kind": "slowdown", "service": "profile_db", "start_s": 60, "duration_s": 120, "factor": 3.0,
    },
    "auth slows down": SLOW_AUTH,
    "users come again": SLOW_AUTH,
}  # fmt: skip
"""What each of the adaptive expert's rules is for."""


def test_each_rule_of_the_adaptive_expert_has_an_incident_here() -> None:
    settings = load(ExpertSettings, config_path("baselines", "adaptive_expert"))
    assert [rule.name for rule in settings.rules] == list(INCIDENTS)


@pytest.mark.slow
@pytest.mark.parametrize("name", INCIDENTS)
def test_a_rule_lets_go_under_twice_the_load(name: str) -> None:
    """Minutes after the incident the rule costs next to nothing: it does not go on by what it does itself."""
    with_rule, without = (
        last_minutes(policy, INCIDENTS[name]) for policy in ("adaptive_expert", f"adaptive_expert~{name}")
    )
    assert with_rule > without - 0.1 * abs(without)


@pytest.mark.slow
def test_a_fixed_limit_is_a_trap_and_one_that_grows_with_what_is_served_is_none() -> None:
    """The users that `tuned_expert` refuses come again, which is the sign for which it refuses them."""
    rule = "users come again"
    free, caught, adaptive = (
        last_minutes(policy, SLOW_AUTH) for policy in (f"tuned_expert~{rule}", "tuned_expert", "adaptive_expert")
    )
    assert caught < 3.0 * free
    assert adaptive > 1.3 * free
