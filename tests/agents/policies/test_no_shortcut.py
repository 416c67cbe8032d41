"""No shortcut wins: never asking the LLM, and always asking it, lose to the rules on the same episodes."""

from __future__ import annotations

import pytest

from streamflow_agents.evaluation.episodes import evaluate_policy
from streamflow_agents.policies.baselines import StaticBaseline, make_baseline
from streamflow_agents.policies.protocol import Policy
from streamflow_agents.seeds import EVALUATION
from streamflow_env.environment.env import StreamFlowEnv

SCENARIOS = ("normal", "peak-hour", "llm-rate-limit", "retry-storm")
ALWAYS_ASK = {"llm_ask": 1.0, "llm_fallback": 0.0, "llm_timeout": 10.0, "llm_breaker_threshold": 1.0}
NEVER_ASK = {"llm_ask": 0.0, "llm_defer": 0.0}  # a deferred ask is an ask: the playbook makes one for each fallback


@pytest.fixture(scope="module")
def envs() -> list[StreamFlowEnv]:
    return [StreamFlowEnv(scenario) for scenario in SCENARIOS]


def static(env: StreamFlowEnv, settings: dict[str, float]) -> StaticBaseline:
    """The playbook with other settings of the LLM's controls."""
    playbook = make_baseline("playbook", env.system, env.observation_table)
    assert isinstance(playbook, StaticBaseline)
    table = env.control_table
    default = dict(zip(table.names, playbook.settings.tolist(), strict=True))
    return StaticBaseline(env.system, env.observation_table, {**default, **settings})


def total_return(envs: list[StreamFlowEnv], settings: dict[str, float] | None) -> float:
    """Summed over one held-out episode of each scenario; None is the playbook with autoscaled replicas."""
    total = 0.0
    for env in envs:
        policy: Policy = make_baseline("playbook_hpa", env.system, env.observation_table)
        if settings is not None:
            policy = static(env, settings)
        total += evaluate_policy(policy, env, EVALUATION.seeds(1))["return"]
    return total


@pytest.fixture(scope="module")
def rules(envs: list[StreamFlowEnv]) -> dict[str, float]:
    """The returns of the rules that a shortcut must not reach."""
    return {
        "the same replicas, the playbook's LLM settings": total_return(envs, {}),
        "the playbook with autoscaled replicas": total_return(envs, None),
    }


@pytest.mark.parametrize("shortcut", [NEVER_ASK, ALWAYS_ASK], ids=["never ask", "always ask"])
def test_shortcuts_lose_to_the_rules(
    shortcut: dict[str, float], envs: list[StreamFlowEnv], rules: dict[str, float]
) -> None:
    asked = total_return(envs, shortcut)
    for rule, reached in rules.items():
        assert asked < reached, rule
