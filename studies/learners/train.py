"""Several learners, one a training seed, as a comparison needs them: trained, found again, named by steps and seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from streamflow_agents.evaluation.kept_episodes import RUN_MARK
from streamflow_agents.parallel import run_all
from streamflow_agents.policies.loading import BEST_MODEL
from streamflow_env.errors import ConfigError

WHOLE: Final = "mixed"
LEFT_OUT: Final = "mixed-without-slow-auth"
"""What learners are trained on, and what stands-in for the shift test `a cascade left out` are."""
FINISHED: Final = "final_model.zip"


@dataclass(frozen=True)
class Learner:
    """One training run, to be kept in a folder of `folder`."""

    folder: Path
    algorithm: str
    scenario: str
    seed: int
    total_steps: int


def train_learners(learners: Sequence[Learner], jobs: int) -> None:
    """Train those that are not there yet, each on one thread; a run that was killed goes on. Raises ConfigError."""
    run_all(_train, [one for one in learners if _finished(one.folder, one.scenario, one.seed) is None], jobs, True)


def _train(learner: Learner) -> Path:
    from streamflow_agents.training.run import run_training  # torch is loaded only where something is trained

    out = learner.folder / f"{learner.scenario}-{learner.seed}"
    given: dict[str, Any]
    begun = sorted(path.parent for path in out.glob("*/config.yaml") if (path.parent / BEST_MODEL).is_file())
    if begun:
        given = {"resume": str(begun[-1])}
    else:
        given = {
            "algorithm": learner.algorithm, "scenario": learner.scenario, "seed": learner.seed, "num_threads": 1,
            "total_steps": learner.total_steps, "out": str(out), "progress": False,
        }  # fmt: skip
    return run_training(given)


def _finished(folder: Path, scenario: str, seed: int) -> Path | None:
    done = sorted(path.parent for path in (folder / f"{scenario}-{seed}").glob(f"*/{FINISHED}"))
    return done[-1] if done else None


def find_learners(folder: Path, scenario: str = WHOLE) -> dict[str, str]:
    """The finished runs on a scenario by label: `ppo-200_000#0` had 200,000 steps; none where the folder is not there.

    Raises ConfigError for a run without its configuration.
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
        arguments = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))["arguments"]
        return f"{arguments['algorithm']}-{int(arguments['total_steps']):,}".replace(",", "_")
    except (OSError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{run / 'config.yaml'}: not a run's configuration: {error!r}") from None
