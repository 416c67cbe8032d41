"""The task of the fake cells, quick to train on and to judge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamflow_agents.policies.protocol import SinglePolicy
from streamflow_agents.training.run import TrainingArguments
from streamflow_agents.training.task import Task
from tests.agents.training.fake_cells import DO_NOTHING, FakeCell, FakeCells


class Constant(SinglePolicy):
    """A baseline that keeps all defaults."""

    def act(self, observation: NDArray[np.float32], memory: Any) -> tuple[NDArray[np.float32], None]:
        return np.array(DO_NOTHING, dtype=np.float32), None


def judge(policy: Any) -> dict[str, float]:
    returns = []
    for seed in (1_000_000, 1_000_001):
        cell = FakeCell()
        observation, _ = cell.reset(seed=seed)
        total, state, start, truncated = 0.0, None, True, False
        while not truncated:
            action, state = policy.predict(observation, state, np.array([start]), deterministic=True)
            observation, reward, _, truncated, _ = cell.step(action)
            start = False
            total += reward
        returns.append(total)
    return {"return": float(np.mean(returns)), "sla_fraction": 0.5}


TASK = Task(
    make_cells=FakeCells,
    start_action=DO_NOTHING,
    judge=judge,
    reference_policies={"do_nothing": Constant()},
    seed_limit=1_000_000,
    description={"scenario": {"name": "fake"}, "system": {"name": "fake"}},
)


def fake_arguments(
    out: Path, algorithm: str = "ppo", total_steps: int = 512, evaluate_every: int = 256
) -> TrainingArguments:
    """Arguments of a short run on `TASK`."""
    return TrainingArguments(
        algorithm=algorithm,
        total_steps=total_steps,
        num_cells=4,
        evaluate_every=evaluate_every,
        out=str(out),
        progress=False,
        scenario="fake",
    )
