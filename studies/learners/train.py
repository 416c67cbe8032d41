"""Several trained agents, one for each training seed: they are trained, found again, and named by steps and seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from streamflow_agents.evaluation.kept_episodes import RUN_MARK
from streamflow_agents.parallel import run_all
from streamflow_agents.policies.loading import POLICY
from streamflow_env.errors import ConfigError
from streamflow_env.system.yaml_files import parse_yaml

WHOLE: Final = "mixed"
LEFT_OUT: Final = "mixed-without-slow-auth"
"""The scenarios that agents are trained on. Agents of `LEFT_OUT` take part in the shift `a cascade left out`."""
FINISHED: Final = "final_policy.npz"


@dataclass(frozen=True)
class Learner:
    """One training run, kept in a folder of `folder`; None evaluation episodes: as many as training has by default."""

    folder: Path
    algorithm: str
    scenario: str
    seed: int
    total_steps: int
    num_evaluation_episodes: int | None = None


def train_learners(learners: Sequence[Learner], jobs: int, progress: bool = True) -> None:
    """Train those that are not finished, each on one thread; a run that was killed goes on. Raises ConfigError."""
    unfinished = [one for one in learners if _finished(one.folder, one.scenario, one.seed) is None]
    run_all(_train, unfinished, jobs, progress)


def _train(learner: Learner) -> Path:
    from streamflow_agents.training.run import run_training  # torch is loaded only where something is trained

    out = learner.folder / f"{learner.scenario}-{learner.seed}"
    given: dict[str, Any]
    begun = sorted(path.parent for path in out.glob("*/config.yaml") if (path.parent / POLICY).is_file())
    if begun:
        given = {"resume": str(begun[-1])}
    else:
        given = {
            "algorithm": learner.algorithm, "scenario": learner.scenario, "seed": learner.seed, "num_threads": 1,
            "total_steps": learner.total_steps, "out": str(out), "progress": False,
        }  # fmt: skip
        if learner.num_evaluation_episodes is not None:
            given["num_evaluation_episodes"] = learner.num_evaluation_episodes
    return run_training(given)


def _finished(folder: Path, scenario: str, seed: int) -> Path | None:
    done = sorted(path.parent for path in (folder / f"{scenario}-{seed}").glob(f"*/{FINISHED}"))
    return done[-1] if done else None


def find_learners(folder: Path, scenario: str = WHOLE) -> dict[str, str]:
    """The folders of the finished runs on a scenario by label, such as `ppo-200_000#0`: algorithm, steps and seed.

    Empty where there is no `folder`. Raises ConfigError: a run without its configuration.
    """
    found = {}
    for out in sorted(folder.glob(f"{scenario}-[0-9]*"), key=lambda path: int(path.name.rpartition("-")[2])):
        seed = int(out.name.rpartition("-")[2])
        run = _finished(folder, scenario, seed)
        if run is not None:
            found[f"{_called(run)}{RUN_MARK}{seed}"] = str(run)
    return found


def _called(run: Path) -> str:
    try:
        arguments = parse_yaml((run / "config.yaml").read_text(encoding="utf-8"))["arguments"]
        return f"{arguments['algorithm']}-{int(arguments['total_steps']):,}".replace(",", "_")
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{run / 'config.yaml'}: not a run's configuration: {error!r}") from None
