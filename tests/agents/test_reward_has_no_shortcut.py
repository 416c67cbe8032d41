"""What misses the SLA costs most, and no shortcut beats the rules: whoever wins the reward keeps the service alive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray

from streamflow_agents.policies.loading import load_policy
from streamflow_agents.seeds import VALIDATION
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.environment.rewards import REWARD_GROUPS, REWARD_TERMS

SCENARIOS: Final = (
    "normal", "peak-hour", "llm-rate-limit", "invalidation-storm", "retry-storm", "compound", "campaign"
)  # fmt: skip
RULES: Final = "tuned_expert"
EPISODE: Final = VALIDATION.first
GROUPS: Final = {group: [list(REWARD_TERMS).index(term) for term in terms] for group, terms in REWARD_GROUPS.items()}


def fleet_at(end: float) -> Callable[[StreamFlowEnv], dict[int, float]]:
    """Every replica count at one end of its range."""
    return lambda env: {
        index: end
        for index, control in enumerate(env.system.controls)
        if control.parameter in ("replicas", "read_replicas")
    }


def at(**values: float) -> Callable[[StreamFlowEnv], dict[int, float]]:
    """Some controls at natural values."""

    def axes(env: StreamFlowEnv) -> dict[int, float]:
        action = env.control_table.action(env.control_table.with_values(**values))
        return {
            env.control_table.names.index(name): float(action[env.control_table.names.index(name)]) for name in values
        }

    return axes


SHORTCUTS: Final = {
    "never ask": at(llm_ask=0.0, llm_defer=0.0),
    "always ask": at(llm_ask=1.0, llm_fallback=0.0),
    "an endless TTL": at(cache_ttl=7200.0),
    "endless TTLs": at(cache_ttl=7200.0, query_cache_ttl=1200.0),
    "no invalidation": at(invalidation_rate=20.0),
    "the smallest fleet": fleet_at(-1.0),
    "the largest fleet": fleet_at(1.0),
}
"""What the rules are made to do, whatever they would have done."""


def costs_of(name: str, scenario: str, held: Callable[[StreamFlowEnv], dict[int, float]] | None = None) -> NDArray[Any]:
    """The costs of an episode by term, shape (num_terms,), of a policy some of whose controls may be held."""
    env = StreamFlowEnv(scenario)
    policy = load_policy(name, env)
    axes = held(env) if held else {}
    observation, info = env.reset(options={"episode_seed": EPISODE})
    state, start, truncated = None, True, False
    costs = np.zeros_like(info["costs"])
    while not truncated:
        action, state = policy.predict(observation, state=state, episode_start=np.array([start]), deterministic=True)
        action = np.array(action)
        action[list(axes)] = list(axes.values())
        observation, _, _, truncated, info = env.step(action)
        costs += info["costs"]
        start = False
    return costs


@pytest.fixture(scope="module")
def rules() -> dict[str, NDArray[Any]]:
    """By scenario, the costs of the tuned expert."""
    return {scenario: costs_of(RULES, scenario) for scenario in SCENARIOS}


def largest_group(costs: NDArray[Any]) -> str:
    return max(GROUPS, key=lambda group: float(costs[GROUPS[group]].sum()))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_sla_weighs_most(rules: dict[str, NDArray[Any]], scenario: str) -> None:
    assert largest_group(rules[scenario]) == "sla"
    assert largest_group(costs_of("do_nothing", scenario)) == "sla"


@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_no_shortcut_beats_the_rules(rules: dict[str, NDArray[Any]], shortcut: str) -> None:
    """It loses on average by more than 1 of return, and it gains nothing that counts in any scenario."""
    held = SHORTCUTS[shortcut]
    loss = [float((costs_of(RULES, scenario, held) - rules[scenario]).sum()) for scenario in SCENARIOS]
    assert np.mean(loss) > 1.0
    assert min(loss) > -0.5
