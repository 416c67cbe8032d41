"""The task of operating StreamFlow: its judge against episodes run one by one, and a training run from end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from streamflow_agents.evaluation.episodes import evaluate_policy
from streamflow_agents.policies.baselines import BASELINE_NAMES, make_baseline
from streamflow_agents.policies.loading import load_policy
from streamflow_agents.seeds import TRAINING, VALIDATION
from streamflow_agents.training.algorithms import load_settings
from streamflow_agents.training.run import TrainingArguments, run_training, train
from streamflow_agents.training.task import Task, streamflow_task, validation_seeds
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.errors import ConfigError
from tests.agents.training.kept import newest

SCENARIO = {
    "name": "short",
    "horizon_s": 150,
    "traffic": {"kind": "ramps", "start_hour": [9, 17], "level": [0.9, 1.4]},
}


@pytest.fixture
def scenario(tmp_path: Path) -> str:
    path = tmp_path / "short.yaml"
    path.write_text(yaml.safe_dump(SCENARIO))
    return str(path)


def make_task(scenario: str, said: list[str]) -> Task:
    return streamflow_task(scenario, "streamflow", "compiled", num_episodes=3, num_threads=2, log=said.append)


def tags(folder: Path) -> set[str]:
    log = EventAccumulator(str(folder))
    log.Reload()
    return set(log.Tags()["scalars"])


def test_judge_agrees_with_the_evaluation(scenario: str) -> None:
    task, env = make_task(scenario, []), StreamFlowEnv(scenario)
    for name in BASELINE_NAMES:
        policy = make_baseline(name, env.system, env.observation_table)
        expected = evaluate_policy(policy, env, VALIDATION.seeds(3))
        judged = task.judge(policy)
        assert judged["return"] == pytest.approx(expected["return"], rel=1e-5)
        assert judged["sla_fraction"] == pytest.approx(expected["sla_fraction"], abs=0.02)


def test_seeds_of_training_validation_and_evaluation_are_apart(scenario: str) -> None:
    assert make_task(scenario, []).seed_limit == TRAINING.end


def test_each_member_of_a_mixture_is_validated_equally_often() -> None:
    env = StreamFlowEnv("mixed")
    seeds = validation_seeds(env, 14)
    names = [env.scenario.episode(env.system, seed).scenario for seed in seeds]
    assert len(set(seeds)) == 14
    assert {names.count(name) for name in names} == {2}
    assert all(seed in VALIDATION for seed in seeds)


def test_training_on_the_simulator_from_end_to_end(scenario: str, tmp_path: Path) -> None:
    arguments = TrainingArguments(
        scenario=scenario, total_steps=96, num_cells=4, evaluate_every=48, out=str(tmp_path / "runs"), progress=False
    )
    settings = load_settings("ppo").model_copy(update={"num_steps": 12, "batch_size": 24})
    folder = train(arguments, make_task(scenario, []), settings)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["system"]["name"] == "streamflow"
    assert config["scenario"]["horizon_s"] == 150
    env = StreamFlowEnv(scenario)
    observation, _ = env.reset(seed=0)
    action, _ = load_policy(str(folder), env).predict(observation, deterministic=True)
    np.testing.assert_allclose(action, env.default_action, atol=0.3)
    replicas = {f"replicas.{name}" for name, _ in env.system.pools()}
    shares = {"llm_use_fraction", "hit_fraction", "cost_per_hour"}
    evaluated = {f"eval/{name}" for name in replicas | shares}
    assert {f"metrics/{name}" for name in replicas | shares} | evaluated <= tags(folder)
    assert evaluated <= tags(folder / "baseline-playbook_hpa")
    Path(scenario).unlink()  # a run goes on with the scenario as it was, whatever has become of the file
    assert run_training({"resume": str(folder), "total_steps": 144}) == folder
    assert newest(folder).steps == 144


def test_a_wrong_scenario_is_named() -> None:
    with pytest.raises(ConfigError, match="mixd"):
        make_task("mixd", [])
