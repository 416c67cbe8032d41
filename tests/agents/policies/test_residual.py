"""A residual on a baseline: at 0 it is the baseline, bit for bit; what it moves, what it sees, what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from streamflow_agents.policies.baselines import make_baseline
from streamflow_agents.policies.residual import Residual, ResidualPolicy, ResidualSettings, make_residual
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.errors import ConfigError
from streamflow_env.system.schema import load

BETA, TARGET = "predictive/beta", "hpa/targets/utilisation"
SETTINGS: dict[str, Any] = {
    "base": "tuned_expert",
    "controls": {"llm_ask": 1.0, "cache_ttl": 0.5},
    "numbers": {BETA: 0.7, TARGET: 0.5},
    "fields": ["llm.p95_s", "users.retry_fraction"],
    "memory_half_lives_s": [15.0, 600.0],
}
FIRST = np.zeros(1, dtype=bool)


@pytest.fixture(scope="module")
def env() -> StreamFlowEnv:
    return StreamFlowEnv("mixed")


def residual(env: StreamFlowEnv, **changes: Any) -> Residual:
    settings = load(ResidualSettings, {**SETTINGS, **changes})
    return make_residual(settings, env.system, env.observation_table)


class Fixed:
    """A network whose residuals are always the same; it keeps what it has seen."""

    def __init__(self, *residuals: float) -> None:
        self.residuals = residuals
        self.seen: list[NDArray[Any]] = []

    def predict(
        self, observation: NDArray[Any], state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[NDArray[Any], Any]:
        self.seen.append(observation)
        return np.tile(np.array(self.residuals, dtype=np.float32), (len(observation), 1)), None


def observations(env: StreamFlowEnv, num_steps: int, num_cells: int) -> NDArray[np.float32]:
    """Shape (num_steps, num_cells, size): readings of an episode, in each cell a little louder."""
    seen = [env.reset(seed=3)[0]]
    while len(seen) < num_steps:
        seen.append(env.step(env.default_action)[0])
    return np.stack([np.array(seen) * np.float32(1.0 + 0.1 * cell) for cell in range(num_cells)], axis=1)


@pytest.mark.parametrize("num_cells", [1, 5])
def test_a_residual_of_zero_is_the_base_bit_for_bit(env: StreamFlowEnv, num_cells: int) -> None:
    base = make_baseline("tuned_expert", env.system, env.observation_table)
    policy = ResidualPolicy(residual(env), Fixed(0.0, -0.0, 0.0, -0.0))
    state: Any = None
    own_state: Any = None
    for step, seen in enumerate(observations(env, 12, num_cells)):
        starts = np.full(num_cells, step in (0, 7))
        actions, state = policy.predict(seen, state, starts)
        expected, own_state = base.predict(seen, own_state, starts)
        assert actions.tobytes() == expected.tobytes()


def test_one_observation_has_one_action(env: StreamFlowEnv) -> None:
    policy, (seen,) = ResidualPolicy(residual(env), Fixed(0.2, 0.0, 0.3, 0.0)), observations(env, 1, 1)
    alone, _ = policy.predict(seen[0])
    batch, _ = policy.predict(seen)
    assert alone.shape == (len(env.system.control_table),)
    np.testing.assert_array_equal(alone, batch[0])


def test_it_moves_controls_by_their_scale_and_numbers_by_a_factor(env: StreamFlowEnv) -> None:
    base = make_baseline("tuned_expert", env.system, env.observation_table)
    (seen,) = observations(env, 1, 2)
    numbers = {BETA: base.numbers[BETA] * np.exp(0.7 * 0.5), TARGET: base.numbers[TARGET] * np.exp(-0.5 * 0.5)}
    expected, _ = base.predict(seen, numbers=numbers)
    names = env.system.control_table.names
    expected[:, names.index("llm_ask")] += 0.1
    expected[:, names.index("cache_ttl")] = np.minimum(expected[:, names.index("cache_ttl")] + 0.5, 1.0)
    actions, _ = ResidualPolicy(residual(env), Fixed(0.1, 3.0, 0.5, -0.5)).predict(seen)
    np.testing.assert_allclose(actions, expected, atol=1e-6)


def test_it_sees_fields_the_bases_action_and_averages(env: StreamFlowEnv) -> None:
    network, moving = Fixed(0.0, 0.0, 0.0, 0.0), residual(env)
    policy, seen, state = ResidualPolicy(moving, network), observations(env, 3, 2), None
    for step in range(3):
        actions, state = policy.predict(seen[step], state, np.array([step == 0, step in (0, 2)]))
    rows = [env.observation_table.names.index(name) for name in SETTINGS["fields"]]
    controls = [env.system.control_table.names.index(name) for name in SETTINGS["controls"]]
    given = network.seen[-1]
    assert given.shape == (2, moving.size) == (2, 2 + 2 + 2 * 2)
    np.testing.assert_array_equal(given[:, :2], seen[2][:, rows])
    np.testing.assert_array_equal(given[:, 2:4], actions[:, controls])
    first, second, third = seen[:, 0, rows]
    np.testing.assert_allclose(given[0, 4:6], 0.25 * first + 0.25 * second + 0.5 * third, rtol=1e-5)
    np.testing.assert_array_equal(given[1, 4:], np.tile(seen[2, 1, rows], 2))


def test_without_fields_it_sees_all(env: StreamFlowEnv) -> None:
    assert residual(env, fields=None, memory_half_lives_s=[]).size == env.observation_table.size + 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base": "tuned_expart"}, r"residual\.base 'tuned_expart'"),
        ({"controls": {"llm_aks": 1.0}}, r"residual\.controls\.llm_aks"),
        ({"controls": {"llm_ask": -1.0}}, r"controls\.llm_ask = -1\.0"),
        ({"numbers": {"predictive/bta": 1.0}}, r"residual\.numbers\.predictive/bta: .*predictive/beta"),
        (
            {"numbers": {"rules/the LLM refuses/set/llm_defer": 1.0}},
            r"residual\.numbers\.rules/the LLM refuses/set/llm_defer: is 0 in tuned_expert; must be above 0",
        ),
        ({"fields": ["llm.p59_s"]}, r"residual\.fields\.llm\.p59_s"),
        ({"controls": {}, "numbers": {}}, r"residual\.controls: .*nothing is moved"),
        ({"memory_half_lives_s": [0.0]}, r"memory_half_lives_s\.0 = 0\.0"),
    ],
)
def test_a_wrong_setting_is_named(env: StreamFlowEnv, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        residual(env, **changes)
