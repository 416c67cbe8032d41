"""Cells that differ: the same numbers from both engines and from the vector environment; prices; late telemetry."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numpy.typing import NDArray

from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.environment.rewards import REWARD_GROUPS
from streamflow_env.environment.vector_env import StreamFlowVectorEnv
from streamflow_env.system import load_system
from studies.accounting.watch import Watch
from studies.equivalence.comparison import compare_engines

SYSTEM = load_system()
SHIPPED = ("varied", "storm")
PRICED = ("cost_per_hour", "replicas_cost_per_hour", "memory_cost_per_hour", "llm_cost_per_hour")
BUSY: dict[str, Any] = {
    "name": "busy",
    "horizon_s": 90,
    "traffic": {"kind": "ramps", "start_hour": [19, 20], "level": [1.0, 3.0]},
    "incidents": [
        {"kind": "slowdown", "service": "auth", "start_s": 15, "factor": 4, "duration_s": 30},
        {"kind": "deployment", "services": ["auth", "engine"], "start_s": 30, "factor": [0.7, 1.4]},
    ],
}


def busy(cell: Any) -> dict[str, Any]:
    return {**BUSY, "cell": cell}


def actions(step: int, num_envs: int) -> NDArray[np.float32]:
    drawn = np.random.default_rng(step).uniform(-1.0, 1.0, (num_envs, len(SYSTEM.control_table)))
    found = SYSTEM.control_table.action(SYSTEM.control_table.default)
    return np.asarray(0.7 * found + 0.3 * drawn, dtype=np.float32)


def play(env: StreamFlowEnv, seed: int = 5) -> tuple[NDArray[np.float32], list[float], list[dict[str, Any]]]:
    """Observations (the first too), rewards and infos of one episode."""
    observation, info = env.reset(options={"episode_seed": seed})
    seen, infos, truncated = [observation], [info], False
    rewards: list[float] = []
    while not truncated:
        observation, reward, _, truncated, info = env.step(actions(len(rewards), 1)[0])
        seen.append(observation)
        rewards.append(reward)
        infos.append(info)
    return np.array(seen), rewards, infos


@pytest.mark.parametrize("cell", SHIPPED)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_engines_agree_and_the_accounts_balance(cell: str, seed: int) -> None:
    env = StreamFlowEnv(busy(cell), system=SYSTEM)
    env.reset(options={"episode_seed": seed})
    assert env.episode.system not in (None, SYSTEM)
    compared = compare_engines(SYSTEM, env.episode, "near", 6)
    assert compared.differences == ()
    assert compared.num_attempts > 1000
    watch = Watch(SYSTEM, env.episode, env.telemetry)
    for step in range(6):
        env.step(actions(step, 1)[0])
        assert watch.errors(env.telemetry) == []


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_the_vector_environment_gives_the_numbers_of_single_ones(mode: AutoresetMode) -> None:
    num = 3
    settings: dict[str, Any] = {"scenario": busy("storm"), "system": SYSTEM}
    ours = StreamFlowVectorEnv(num, **settings, autoreset_mode=mode)
    theirs = SyncVectorEnv([lambda: StreamFlowEnv(**settings)] * num, autoreset_mode=mode)
    found, expected = ours.reset(seed=4), theirs.reset(seed=4)
    np.testing.assert_array_equal(found[0], expected[0])
    for step in range(16):
        found_step, expected_step = ours.step(actions(step, num)), theirs.step(actions(step, num))
        for mine, other in zip(found_step[:4], expected_step[:4], strict=True):
            np.testing.assert_array_equal(mine, other)
        for group in ("metrics", "reward_terms"):
            for name, values in expected_step[4][group].items():
                np.testing.assert_array_equal(found_step[4][group][name], values)
    episodes = ours.episodes
    assert len({episode.delay_intervals for episode in episodes} | {e.price_factors for e in episodes}) > 2


def test_prices_are_in_the_reward_the_metrics_and_the_observation() -> None:
    usual = StreamFlowEnv(BUSY, system=SYSTEM)
    prices = {"replicas": 1.25, "memory": 0.5, "llm": 1.5}
    dear = StreamFlowEnv(busy({"prices": prices}), system=SYSTEM)
    (seen, _, infos), (seen_dear, _, infos_dear) = play(usual), play(dear)
    for before, after in zip(infos, infos_dear, strict=True):
        for name, factor in prices.items():
            metric = f"{name}_cost_per_hour"
            assert after["metrics"][metric] == pytest.approx(factor * before["metrics"][metric])
            assert after["reward_terms"][name] == pytest.approx(factor * before["reward_terms"][name])
        others = set(before["metrics"]) - set(PRICED)
        assert all(after["metrics"][name] == before["metrics"][name] for name in others)
        free = set(before["reward_terms"]) - set(REWARD_GROUPS["price"])
        assert all(after["reward_terms"][name] == before["reward_terms"][name] for name in free)
        total = sum(after["metrics"][f"{name}_cost_per_hour"] for name in prices)
        assert after["metrics"]["cost_per_hour"] == pytest.approx(total)
    different = (seen != seen_dear).any(axis=0)
    differs = np.array(usual.observation_table.names)[different].tolist()
    assert differs == [f"cost.{name}_per_hour" for name in prices]
    ratio = seen_dear[-1] / np.where(seen[-1] == 0, 1, seen[-1])
    bill = usual.observation_table.names.index("cost.replicas_per_hour")
    assert ratio[bill] == pytest.approx(1.25, rel=1e-5)


def test_a_reading_is_late_and_what_an_operator_sets_or_knows_is_not() -> None:
    exact, late = (StreamFlowEnv(busy({"telemetry": {"delay_intervals": d}}), system=SYSTEM) for d in (0, 2))
    (seen, rewards, infos), (seen_late, rewards_late, infos_late) = play(exact), play(late)
    num = exact.observation_table.num_measured
    steps = np.maximum(np.arange(len(seen)) - 2, 0)
    np.testing.assert_array_equal(seen_late[:, :num], seen[steps, :num])
    np.testing.assert_array_equal(seen_late[:, num:], seen[:, num:])
    assert rewards_late == rewards
    assert [info["metrics"] for info in infos_late] == [info["metrics"] for info in infos]


def test_readings_have_errors_of_the_given_size() -> None:
    noise = 0.05
    exact, noisy = (StreamFlowEnv(busy({"telemetry": {"noise_fraction": n}}), system=SYSTEM) for n in (0.0, noise))
    (seen, rewards, _), (seen_noisy, rewards_noisy, _) = play(exact), play(noisy)
    num = exact.observation_table.num_measured
    np.testing.assert_array_equal(seen_noisy[:, num:], seen[:, num:])
    assert rewards_noisy == rewards
    linear = np.array([field.scale == "linear" for field in exact.observation_table.fields[:num]])
    before, after = seen[:, :num][:, linear], seen_noisy[:, :num][:, linear]
    inside = (before > 0) & (before < 0.8)
    errors = after[inside] / before[inside] - 1.0
    assert abs(errors.mean()) < 3 * noise / np.sqrt(inside.sum())
    assert errors.std() == pytest.approx(noise, rel=0.15)
    assert (seen_noisy >= noisy.observation_space.low).all()  # type: ignore[attr-defined]
    assert (seen_noisy <= noisy.observation_space.high).all()  # type: ignore[attr-defined]
    np.testing.assert_array_equal(play(noisy)[0], seen_noisy)
