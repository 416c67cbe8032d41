"""Groups of cells on the same luck: their seeds, their advantages, and a training from end to end."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecNormalize
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from streamflow_agents.evaluation.episodes import evaluate_policy
from streamflow_agents.policies.baselines import make_baseline
from streamflow_agents.policies.loading import load_policy
from streamflow_agents.policies.residual import Residual
from streamflow_agents.seeds import VALIDATION
from streamflow_agents.training.algorithms import build_model, load_settings
from streamflow_agents.training.checkpoints import Checkpoint, TrainingProgress
from streamflow_agents.training.paired import compare, difference_figures
from streamflow_agents.training.residual_vec_env import ResidualVecEnv
from streamflow_agents.training.run import TrainingArguments, read_run, resume, run_training, train
from streamflow_agents.training.same_luck import GroupRolloutBuffer, SameLuckPPO
from streamflow_agents.training.task import streamflow_task
from streamflow_agents.training.vec_env import Cut, Members, SeededVecEnv
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.errors import ConfigError
from tests.agents.training import kept
from tests.agents.training.fake_cells import CONTROLS, FakeCells
from tests.agents.training.fake_task import TASK as SHORT_TASK
from tests.agents.training.fake_task import fake_arguments
from tests.agents.training.test_algorithms import TASK, small

HORIZON = 7
DISCOUNT = 0.5
RESIDUAL: dict[str, Any] = {"base": "fake", "controls": {"replicas": 1.0}, "numbers": {"gain": 0.5}}
FIELDS = ("load", "progress", "one", "zero")


class FakeBase:
    """The first control follows the load by a number of its own, `gain`; the others stay."""

    numbers = {"gain": 0.5}  # noqa: RUF012

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = True,
        numbers: Any = None,
    ) -> tuple[NDArray[np.float32], Any]:
        batch = np.atleast_2d(observation)
        actions = np.tile(np.array([0.0, 1.0, -1.0], np.float32), (len(batch), 1))
        actions[:, 0] = batch[:, 0] * (numbers or self.numbers)["gain"]
        return (actions if np.ndim(observation) == 2 else actions[0]), None


RESIDUAL_TASK = replace(TASK, make_residual=lambda settings: Residual(settings, FakeBase(), FIELDS, CONTROLS, 15.0))


def grouped(num_cells: int = 6, group_size: int = 3, **arguments: Any) -> tuple[SeededVecEnv, FakeCells]:
    fakes = FakeCells(num_cells, HORIZON)
    return SeededVecEnv(fakes, seed=1, seed_limit=1_000, group_size=group_size, **arguments), fakes


def played(cells: SeededVecEnv, fakes: FakeCells, num_episodes: int) -> list[list[int | None]]:
    """The seeds of each cell."""
    cells.reset()
    for _ in range((num_episodes - 1) * HORIZON):
        cells.step(np.zeros((cells.num_envs, 3), np.float32))
    return [cell.seeds for cell in fakes.cells]


def test_a_group_shares_its_seeds() -> None:
    seeds = played(*grouped(), 4)
    assert seeds[0] == seeds[1] == seeds[2]
    assert seeds[3] == seeds[4] == seeds[5]
    assert len(set(seeds[0]) | set(seeds[3])) == 8


def test_groups_meet_the_members_in_turn() -> None:
    members = Members(("a", "b", "c"), lambda seed: "abc"[0 if seed < 800 else 1 if seed < 950 else 2])
    seeds = played(*grouped(6, 2, even_members=members), 3)
    met = [[members.of(seed) for seed in seeds[cell] if seed is not None] for cell in (0, 2, 4)]
    assert met == [["a", "a", "a"], ["b", "b", "b"], ["c", "c", "c"]]
    seeds = played(*grouped(4, 2, even_members=members), 3)
    met = [[members.of(seed) for seed in seeds[cell] if seed is not None] for cell in (0, 2)]
    assert met == [["a", "c", "b"], ["b", "a", "c"]]


def test_a_member_that_never_comes_is_named() -> None:
    with pytest.raises(ConfigError, match=r"members\.rare"):
        grouped(even_members=Members(("rare",), lambda seed: "often"))[0].reset()


def test_groups_are_staggered_as_wholes_and_never_cut_for_a_collapse() -> None:
    cut = Cut(below=2.0, patience_steps=1, first_steps=np.array([2, 3, 4, 5, 6, 7]))
    cells, _ = grouped(cut=cut)
    cells.reset()
    ended = [cells.step(np.zeros((6, 3), np.float32))[2].tolist() for _ in range(6)]
    assert [step for step, which in enumerate(ended, start=1) if any(which)] == [2, 5]
    assert ended[1] == [True] * 3 + [False] * 3
    assert ended[4] == [False] * 3 + [True] * 3


def test_cells_must_be_whole_groups() -> None:
    with pytest.raises(ConfigError, match="num_cells 6: must be a multiple of group_size = 4"):
        grouped(6, 4)


def buffer(rewards: Any, starts: Any = None, *, critic: bool = False, group_size: int = 2) -> GroupRolloutBuffer:
    """A full buffer of these rewards, shape (steps, cells); by default one episode."""
    rewards = np.array(rewards, np.float32)
    box = spaces.Box(-1.0, 1.0, (1,), np.float32)
    filled = GroupRolloutBuffer(
        *(len(rewards), box, box), gamma=DISCOUNT, n_envs=rewards.shape[1], group_size=group_size, critic=critic
    )
    filled.rewards[:] = rewards
    filled.episode_starts[0] = 1.0
    if starts is not None:
        filled.episode_starts[:] = starts
    return filled


def advantages(filled: GroupRolloutBuffer) -> NDArray[np.float32]:
    filled.compute_returns_and_advantage(torch.zeros(filled.n_envs), np.ones(filled.n_envs, bool))
    return filled.advantages


def test_advantages_by_hand() -> None:
    found = advantages(buffer([[4, 0, -10, -10], [0, 4, 0, 0], [8, 0, -10, 0]]))
    # to go, discount 0.5, of the first two cells
    to_go = np.array([[6.0, 2.0], [4.0, 4.0], [8.0, 0.0]])
    less_mean = np.array([[2.0, -2.0], [0.0, 0.0], [4.0, -4.0]])
    np.testing.assert_allclose(to_go - to_go.mean(axis=1, keepdims=True), less_mean)
    np.testing.assert_allclose(found[:, :2], less_mean / np.sqrt(40.0 / 6.0), rtol=1e-6)
    # the other group: to go -12.5, -5, -10 and -10, 0, 0; less the mean -1.25, -2.5, -5 and the opposite
    other = np.array([[-1.25, 1.25], [-2.5, 2.5], [-5.0, 5.0]])
    np.testing.assert_allclose(found[:, 2:], other / np.sqrt((other**2).mean()), rtol=1e-6)


def test_advantages_sum_to_zero_over_a_group_and_are_clipped() -> None:
    rewards = np.random.default_rng(0).normal(size=(12, 8))
    found = advantages(buffer(rewards, group_size=4))
    np.testing.assert_allclose(found.reshape(12, 2, 4).sum(axis=2), 0.0, atol=1e-5)
    rewards = np.zeros((100, 2))
    rewards[-1] = 100.0, 0.0
    assert advantages(buffer(rewards)).max() == 4.0
    assert not advantages(buffer(np.ones((5, 2)))).any()


def test_an_episode_ends_within_a_rollout() -> None:
    rewards = [[1, 0], [1, 0], [0, 10], [0, 10]]
    starts = np.array([[1, 1], [0, 0], [1, 1], [0, 0]])
    found = advantages(buffer(rewards, starts))
    first = np.array([[0.75, -0.75], [0.5, -0.5]])
    np.testing.assert_allclose(found[:2], first / np.sqrt((first**2).mean()), rtol=1e-6)
    np.testing.assert_allclose(found[2:], -found[:2], rtol=1e-6)  # ten times more reward weighs the same


def test_the_group_mean_makes_the_gradient_smaller_by_one_over_the_group() -> None:
    """The reward is the action, its noise standard normal. So E[noise · advantage] is 1 without a baseline."""
    noise, luck = np.random.default_rng(0).normal(size=(1, 200_000)), np.random.default_rng(1).normal(size=(1, 50_000))
    filled = buffer(noise + np.repeat(100.0 * luck, 4, axis=1), group_size=4)
    centred = filled.rewards - filled._group_mean(filled.rewards)
    assert np.mean(noise * centred) == pytest.approx(1.0 - 1.0 / 4.0, abs=0.01)


def test_with_a_critic_the_value_is_taken_off_too() -> None:
    filled = buffer([[4, 0], [0, 4], [8, 0]], critic=True)
    filled.gae_lambda = 1.0
    filled.values[:] = 1.0
    found = advantages(filled)
    # rewards less the group's mean: 2, -2, 4 and the opposite; to go 2, 0, 4; less a value of 1
    expected = np.array([[1.0, -3.0], [-1.0, -1.0], [3.0, -5.0]])
    np.testing.assert_allclose(found, np.clip(expected / expected.std(), -4, 4), rtol=1e-6)
    np.testing.assert_allclose(filled.returns, expected + 1.0, rtol=1e-6)


def test_a_rollout_must_be_whole_episodes() -> None:
    filled = buffer(np.zeros((3, 2)))
    with pytest.raises(ConfigError, match="num_steps 3: must be the length of an episode"):
        filled.compute_returns_and_advantage(torch.zeros(2), np.array([True, False]))
    with pytest.raises(ConfigError, match="group_size 2: the cells of a group must begin"):
        advantages(buffer(np.zeros((3, 2)), np.array([[1, 1], [1, 0], [0, 0]])))


def test_a_residual_of_zero_steps_as_the_base() -> None:
    mine, other = (SeededVecEnv(FakeCells(4, HORIZON), seed_limit=1_000) for _ in range(2))
    residual = RESIDUAL_TASK.make_residual(small("same_luck_ppo", residual=RESIDUAL).residual)  # type: ignore[misc,arg-type]
    on_base, base = ResidualVecEnv(mine, residual), FakeBase()
    inputs, observations = on_base.reset(), other.reset()
    for _ in range(2 * HORIZON):
        actions, _ = base.predict(observations)
        np.testing.assert_array_equal(inputs, np.concatenate((observations, actions[:, :1]), axis=1))
        inputs, rewards, ended, infos = on_base.step(np.zeros((4, 2), np.float32))  # type: ignore[assignment]
        observations, expected, _, others = other.step(actions)  # type: ignore[assignment]
        assert rewards.tobytes() == expected.tobytes()
        for cell in np.flatnonzero(ended):
            last = others[cell]["terminal_observation"]
            np.testing.assert_array_equal(infos[cell]["terminal_observation"], [*last, last[0] * 0.5])


def test_it_starts_as_the_base_and_goes_on_after_a_stop(tmp_path: Path) -> None:
    settings = small("same_luck_ppo", residual=RESIDUAL)
    folder = train(fake_arguments(tmp_path, "same_luck_ppo", 256, 128), RESIDUAL_TASK, settings)
    untrained = Checkpoint(folder / "checkpoints" / "000000000000", 0, TrainingProgress())
    first: Any = kept.model(folder, RESIDUAL_TASK, untrained)
    inputs = np.random.default_rng(0).normal(size=(5, 5)).astype(np.float32)
    assert not first.predict(inputs, deterministic=True)[0].any()
    assert not first.policy.predict_values(torch.as_tensor(inputs)).any()
    resume(read_run(folder, 512), RESIDUAL_TASK)
    last: Any = kept.model(folder, RESIDUAL_TASK)
    assert isinstance(last, SameLuckPPO)
    assert last.num_timesteps == 512
    assert isinstance(last.rollout_buffer, GroupRolloutBuffer)
    assert last.rollout_buffer.group_size == 2
    assert last.predict(inputs, deterministic=True)[0].any()
    assert not last.policy.predict_values(torch.as_tensor(inputs)).any()
    log = EventAccumulator(str(folder))
    log.Reload()
    assert {"action_mean/replicas", "action_std/gain", "train/approx_kl"} <= set(log.Tags()["scalars"])


def test_the_noise_is_held_whatever_is_observed() -> None:
    cells = VecNormalize(SeededVecEnv(FakeCells(64), seed_limit=1_000_000), norm_obs=False)
    model: Any = build_model("same_luck_ppo", small("same_luck_ppo", start_std=0.1), cells, (0.0,) * 3, seed=0)
    observations = torch.as_tensor(np.random.default_rng(0).normal(size=(2, 64, 4)).astype(np.float32))
    draws = []
    for _ in range(2):
        model.policy.reset_noise(64)
        with torch.no_grad():
            first, second = (
                model.policy(seen)[0] - model.policy.get_distribution(seen).mode() for seen in observations
            )
        torch.testing.assert_close(first, second, atol=1e-6, rtol=0)
        draws.append(first)
    assert draws[0].std(dim=0).numpy() == pytest.approx(0.1, rel=0.4)
    assert (draws[0] - draws[1]).abs().mean() > 0.05


def test_with_a_critic_it_trains_too(tmp_path: Path) -> None:
    folder = train(fake_arguments(tmp_path, "same_luck_ppo", 256), TASK, small("same_luck_ppo", critic=True))
    model: Any = kept.model(folder, TASK)
    assert model.policy.predict_values(torch.ones(1, 4)).any()


def test_it_learns(tmp_path: Path) -> None:
    settings = small("same_luck_ppo", learning_rate=6e-3, num_epochs=5, start_std=0.2, discount=0.9)
    folder = train(fake_arguments(tmp_path, "same_luck_ppo", 4_000, 1_000), TASK, settings)
    assert TASK.judge(kept.policy(folder))["return"] > (
        TASK.judge(SHORT_TASK.reference_policies["do_nothing"])["return"] + 1.0
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"group_size": 3}, "num_cells 4: must be a multiple of group_size = 3"),
        ({"residual": RESIDUAL | {"controls": {"replica": 1.0}}}, r"residual\.controls\.replica"),
    ],
)
def test_a_wrong_setting_is_named_before_anything_is_made(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        train(fake_arguments(tmp_path, "same_luck_ppo"), RESIDUAL_TASK, small("same_luck_ppo", **changes))
    assert not list(tmp_path.iterdir())


def test_a_task_without_baselines_has_no_residual(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="residual: this task has no baseline"):
        train(fake_arguments(tmp_path, "same_luck_ppo"), TASK, small("same_luck_ppo", residual=RESIDUAL))


def test_the_paired_difference() -> None:
    mine = {"return": -2.0, "episode/a/1": -1.0, "episode/a/2": -2.0, "episode/b/3": -3.0, "episode/b/4": -2.0}
    base = {"return": -2.5, "episode/a/1": -2.0, "episode/a/2": -2.5, "episode/b/3": -2.5, "episode/b/4": -3.0}
    found = compare(mine, base)
    assert found is not None
    assert found.value == pytest.approx(0.5)
    assert found.low < 0.5 < found.high
    figures = difference_figures(mine, base)
    assert figures["paired_difference/a"] == pytest.approx(0.75)
    assert figures["paired_difference/b"] == pytest.approx(0.25)
    assert figures["paired_difference_low"] == found.low
    assert difference_figures(mine, {"return": -2.5}) == {}
    assert set(difference_figures({"episode/a/1": 1.0}, base)) == {"paired_difference", "paired_difference/a"}


def test_training_on_the_simulator_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenario = tmp_path / "short.yaml"
    short = {"name": "short", "horizon_s": 150, "traffic": {"kind": "ramps", "start_hour": [9, 17], "level": [1, 2]}}
    scenario.write_text(yaml.safe_dump(short))
    arguments = TrainingArguments(
        *("same_luck_ppo", str(scenario)), num_cells=4, total_steps=80, evaluate_every=40, out=str(tmp_path / "runs"),
        progress=False, num_evaluation_episodes=2,
    )  # fmt: skip
    shipped = load_settings("same_luck_ppo").residual
    changes = {"num_steps": 10, "batch_size": 20, "residual": shipped}
    settings = small("same_luck_ppo").model_copy(update=changes)
    task = streamflow_task(str(scenario), "streamflow", "compiled", num_episodes=2, num_threads=2, log=lambda _: None)
    folder = train(arguments, task, settings)
    said = capsys.readouterr().err
    assert shipped is not None
    assert f"+0.00 (+0.00 to +0.00) to {shipped.base}\n" in said.replace(" (best so far)", "")
    assert run_training({"resume": str(folder), "total_steps": 120}) == folder
    env = StreamFlowEnv(str(scenario))
    policy, base = load_policy(str(folder), env), make_baseline(shipped.base, env.system, env.observation_table)
    observation, _ = env.reset(seed=0)
    np.testing.assert_allclose(
        policy.predict(observation, deterministic=True)[0], base.predict(observation)[0], atol=0.2
    )
    description = folder / "config.yaml"
    changed = re.sub(r"(?m)^base_sha256: \w+$", f"base_sha256: {'0' * 64}", description.read_text())
    description.write_text(changed)
    for load in (
        lambda: load_policy(str(folder), env),
        lambda: run_training({"resume": str(folder), "total_steps": 160}),
    ):
        with pytest.raises(ConfigError, match=f"moves {shipped.base}, which has changed since it was trained"):
            load()
    judged = task.judge(policy)
    assert judged["return"] == pytest.approx(evaluate_policy(policy, env, VALIDATION.seeds(2))["return"], rel=1e-4)
    log = EventAccumulator(str(folder))
    log.Reload()
    assert {"eval/paired_difference", "eval/paired_difference_low", "eval/paired_difference/short"} <= set(
        log.Tags()["scalars"]
    )
