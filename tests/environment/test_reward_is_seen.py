"""Every term of the reward can be read from the observation: a linear function of its fields gives it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.environment.observations import reward_fields
from streamflow_env.environment.rewards import REWARD_TERMS
from streamflow_env.system import load_system

SCENARIOS = ("normal", "peak-hour", "llm-rate-limit", "invalidation-storm", "retry-storm", "compound", "campaign")
HELD_STEPS = 20
"""The action is drawn anew after so many steps."""
FIELDS = reward_fields(load_system("streamflow"))


@pytest.fixture(scope="module")
def seen() -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]], NDArray[Any]]:
    """(fields, terms, movement of the settings) of the steps of one episode of every scenario, each of shape (n,)."""
    before, after, costs = [], [], []
    for scenario in SCENARIOS:
        env = StreamFlowEnv(scenario)
        rng = np.random.default_rng(7)
        observation, _ = env.reset(options={"episode_seed": 11})
        truncated, step = False, 0
        while not truncated:
            if step % HELD_STEPS == 0:
                drawn = rng.uniform(-1.0, 1.0, env.action_space.shape)
                action = (0.7 * env.default_action + 0.3 * drawn).astype(np.float32)
            before.append(observation)
            observation, _, _, truncated, info = env.step(action)
            after.append(observation)
            costs.append(info["costs"])
            step += 1
    settings = -len(env.control_table)
    movement = np.abs(np.array(after)[:, settings:] - np.array(before)[:, settings:]).sum(axis=1)
    terms = dict(zip(REWARD_TERMS, np.array(costs).T, strict=True))
    return env.observation_table.decode(np.array(after)), terms, movement


@pytest.mark.parametrize("term", REWARD_TERMS)
def test_a_term_can_be_read_from_its_fields(
    seen: tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]], NDArray[Any]], term: str
) -> None:
    fields, terms, movement = seen
    columns = [movement] if term == "churn" else [fields[name] for name in FIELDS[term]]
    cost = terms[term]
    assert cost.std() > 1e-4, "the term does not vary here"
    matrix = np.column_stack([*columns, np.ones(len(cost))])
    left = cost - matrix @ np.linalg.lstsq(matrix, cost, rcond=None)[0]
    assert 1.0 - left.var() / cost.var() >= 0.9


def test_the_fields_are_of_the_observation() -> None:
    names = StreamFlowEnv("normal").observation_table.names
    assert list(FIELDS) == list(REWARD_TERMS)
    assert all(found and set(found) <= set(names) for found in FIELDS.values())
