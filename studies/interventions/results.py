"""What the study measured. It is kept as CSV and JSON, so that the page can be redrawn from it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streamflow_agents.evaluation.episodes import RETURN
from streamflow_agents.evaluation.statistics import Estimate, estimate, paired_difference
from streamflow_env.errors import ConfigError
from streamflow_env.system.schema import load
from streamflow_env.system.yaml_files import dump_yaml
from studies.interventions.plan import Plan
from studies.interventions.trials import Action, Outcome

EPISODES: Final = "episodes.csv"
FOUND: Final = "found.json"
PLAN: Final = "plan.yaml"
_KEYS: Final = ("part", "setting", "scenario", "episode_seed")


@dataclass(frozen=True)
class Found:
    """The search's result: by scenario the best fixed action, and the best mean return after each generation."""

    best: dict[str, Action]
    history: dict[str, list[float]]
    num_trials: int
    duration_s: float = 0.0


class Results:
    """Outcomes, looked up by part, setting and scenario: figures in the order of the episode seeds."""

    def __init__(self, outcomes: Iterable[Outcome]) -> None:
        self._found: dict[tuple[str, str, str], dict[int, dict[str, float]]] = {}
        for o in outcomes:
            self._found.setdefault((o.part, o.setting, o.scenario), {})[o.seed] = o.figures

    def samples(self, part: str, setting: str, scenario: str, figure: str = RETURN) -> NDArray[np.float64]:
        """Shape (num_seeds,). Raises ConfigError where nothing of the kind was run."""
        if (part, setting, scenario) not in self._found:
            raise ConfigError(f"{part}: no episode of setting {setting!r} in scenario {scenario!r}; simulate anew")
        episodes = self._found[part, setting, scenario]
        return np.array([episodes[seed][figure] for seed in sorted(episodes)])

    def mean(self, part: str, setting: str, scenario: str, figure: str = RETURN) -> float:
        return float(self.samples(part, setting, scenario, figure).mean())

    def estimate(self, part: str, setting: str, scenario: str, figure: str = RETURN) -> Estimate:
        """The mean with its interval."""
        return estimate(self.samples(part, setting, scenario, figure))

    def gain(self, part: str, setting: str, base: str, scenario: str, figure: str = RETURN) -> float:
        """Mean over the episodes of setting minus base."""
        mine, theirs = (self.samples(part, name, scenario, figure) for name in (setting, base))
        return float(np.mean(mine - theirs))

    def difference(self, part: str, setting: str, base: str, scenario: str, figure: str = RETURN) -> Estimate:
        """The same with its interval."""
        mine, theirs = (self.samples(part, name, scenario, figure) for name in (setting, base))
        return paired_difference(mine, theirs)


def write_results(folder: Path, outcomes: Sequence[Outcome], found: Found, plan: Plan) -> None:
    """Keep the episodes, the search's result, and the plan of the run."""
    folder.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys(name for outcome in outcomes for name in outcome.figures))
    with (folder / EPISODES).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow((*_KEYS, *names))
        for o in outcomes:
            figures = (f"{o.figures[name]:.7g}" if name in o.figures else "" for name in names)
            writer.writerow((o.part, o.setting, o.scenario, o.seed, *figures))
    content = {
        "best": found.best, "history": found.history, "num_trials": found.num_trials, "duration_s": found.duration_s
    }  # fmt: skip
    (folder / PLAN).write_text(dump_yaml(plan.model_dump(mode="json")), encoding="utf-8")
    (folder / FOUND).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_results(folder: Path) -> tuple[Results, Found, Plan]:
    """What `write_results` kept. Raises ConfigError where there is nothing."""
    try:
        with (folder / EPISODES).open(newline="", encoding="utf-8") as file:
            outcomes = [_outcome(row) for row in csv.DictReader(file)]
        content = json.loads((folder / FOUND).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{folder}: no raw results to draw from ({error.strerror}); run the study first") from None
    best = {scenario: tuple(action) for scenario, action in content.pop("best").items()}
    return Results(outcomes), Found(best, **content), load(Plan, folder / PLAN)


def _outcome(row: dict[str, str]) -> Outcome:
    part, setting, scenario, seed = (row.pop(key) for key in _KEYS)
    return Outcome(part, setting, scenario, int(seed), {name: float(text) for name, text in row.items() if text})
