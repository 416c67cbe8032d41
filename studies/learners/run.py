"""Train agents under several seeds, on all incidents and with one left out; evaluate them as the baselines are."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streamflow_agents.arguments import argument
from streamflow_agents.evaluation.episodes import evaluate
from streamflow_agents.evaluation.kept_episodes import write_results
from streamflow_agents.seeds import evaluation_seeds
from streamflow_env.errors import ConfigError
from streamflow_env.system.schema import Count, Frozen, Size, Text
from studies.baselines.run import load_baselines_plan
from studies.common.study import QUICK, ROOT, StudyArguments, load_plan, outputs
from studies.learners.train import LEFT_OUT, WHOLE, Learner, find_learners, train_learners

FILE: Final = "learners.csv.gz"


class LearnersPlan(Frozen):
    """What is trained; `plan.yaml` says what the numbers are."""

    algorithm: Text
    seeds: Count
    left_out_seeds: Size
    total_steps: Count


@dataclass(frozen=True)
class Arguments(StudyArguments):
    """Train agents under several seeds, and evaluate them on the baselines' episodes."""

    algorithm: str = argument("", "a name of configs/training (by default the plan's)")
    total_steps: int = argument(0, "control steps of each training (0: the plan's)")
    folder: str = argument("runs/learners", "where the runs are kept")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.total_steps < 0:
            raise ConfigError(f"total_steps {self.total_steps}: must be at least 0")


def run(arguments: Arguments) -> int:
    """Train what is not trained yet, evaluate, and keep. A quick run trains one agent for a few steps, anew."""
    plan, folder = load_plan(LearnersPlan, "learners"), ROOT / arguments.folder
    if arguments.quick:
        plan, folder = plan.model_copy(update={"seeds": 1, "left_out_seeds": 0, "total_steps": 6_000}), quick_folder()
    algorithm, total_steps = arguments.algorithm or plan.algorithm, arguments.total_steps or plan.total_steps
    kinds = [(WHOLE, seed) for seed in range(plan.seeds)] + [(LEFT_OUT, seed) for seed in range(plan.left_out_seeds)]
    evaluations = 1 if arguments.quick else None
    learners = [Learner(folder, algorithm, *kind, total_steps, evaluations) for kind in kinds]
    train_learners(learners, arguments.jobs, arguments.progress)
    episodes, out = load_baselines_plan(arguments.quick), outputs("learners", arguments.quick).data / FILE
    seeds = evaluation_seeds(episodes.episodes)
    results = evaluate(
        find_learners(folder), episodes.scenarios, seeds, jobs=arguments.jobs, progress=arguments.progress
    )
    write_results(out, results)
    print(out)
    return 0


def quick_folder() -> Path:
    """An empty folder for the runs of a quick run."""
    folder = QUICK / "learners" / "runs"
    shutil.rmtree(folder, ignore_errors=True)
    return folder
