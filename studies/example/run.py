"""Train one PPO from scratch with the defaults of `scripts/train.py`, and evaluate it on held-out episodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pydantic import Field

from streamflow_agents.commands import evaluate
from streamflow_env.system.schema import Frozen, Size, Text
from studies.common.evaluation import evaluate_into, in_root
from studies.common.study import StudyArguments, load_plan, outputs

COMMAND: Final = "make study NAME=example"
QUICK: Final[dict[str, Any]] = {"total_steps": 6_000, "num_evaluation_episodes": 1, "out": "results/quick/example/runs"}
QUICK_SCENARIOS: Final = "normal,retry-storm"


class ExamplePlan(Frozen):
    """The baselines beside the agent, and the seed of its training."""

    policies: tuple[Text, ...] = Field(min_length=1)
    seed: Size


@dataclass(frozen=True)
class Arguments(StudyArguments):
    """Train one PPO from scratch, and evaluate it with the baselines."""


def run(arguments: Arguments) -> int:
    """Train and evaluate. A quick run trains for a few steps, and evaluates one episode of two scenarios."""
    from streamflow_agents.training.run import run_training  # torch is loaded only where something is trained

    plan, out = load_plan(ExamplePlan, "example"), outputs("example", arguments.quick)
    quick = arguments.quick
    with in_root():
        agent = run_training({"seed": plan.seed, "progress": arguments.progress, **(QUICK if quick else {})})
    evaluation = evaluate.Arguments(
        policies=",".join([*plan.policies, f"agent={agent}"]),
        scenarios=QUICK_SCENARIOS if quick else "",
        num_seeds=1 if quick else 5,
        jobs=arguments.jobs,
        progress=arguments.progress,
    )
    evaluate_into(out, evaluation, COMMAND, arguments.quick)
    print(out.pictures)
    return 0
