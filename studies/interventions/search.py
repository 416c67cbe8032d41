"""Part 2: the best setting that never changes, one search a scenario, all of them a generation at a time.

An evolution strategy made for few trials and many controls that hardly act on one another. A generation deals the
controls out at random among its children; each child moves its own share of them from the parent, and no other child's.
What the improving children moved is put together in the first child of the next generation; the best setting so far is
the parent. All settings of a scenario meet the same episodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from streamflow_env.system.controls import ControlTable
from studies.interventions.plan import SearchPlan
from studies.interventions.trials import Action, Trial, TrialRunner

SEARCH = "search"
TO_THE_END = 0.15
"""Share of the moves that go to an end of the axis: where the best is there, small steps are long in coming."""
RETRIES = 8


class Search:
    """One scenario's: `ask` for settings, `tell` their returns. `best` is the best action told, `score` its return."""

    def __init__(self, starts: Sequence[Action], table: ControlTable, plan: SearchPlan, stream: int) -> None:
        self.best: Action = starts[0]
        self.score = -np.inf
        self.history: list[float] = []
        self.num_told = 0
        self._table = table
        self._plan = plan
        self._random = np.random.default_rng([plan.seed, stream])
        self._asked: list[Action] = list(starts)

    def ask(self) -> list[Action]:
        """The settings of this generation: first the starts, later what `tell` has prepared."""
        return list(self._asked)

    def tell(self, returns: Sequence[float]) -> None:
        """The returns of the settings asked; prepares the next generation."""
        parent, threshold = np.array(self.best), self.score
        improved = [action for action, value in zip(self._asked, returns, strict=True) if value > threshold]
        winner = int(np.argmax(returns))
        if returns[winner] > self.score:
            self.best, self.score = self._asked[winner], float(returns[winner])
        joint = parent + sum((np.array(action) - parent for action in improved), np.zeros_like(parent))
        together = _action(joint) if self.history and len(improved) > 1 else None
        self.history.append(self.score)
        self.num_told += len(returns)
        self._asked = ([together] if together is not None else []) + self._children()

    def _children(self) -> list[Action]:
        progress = min(1.0, (len(self.history) - 1) / max(1, self._plan.generations - 1))
        step = self._plan.first_step * (self._plan.last_step / self._plan.first_step) ** progress
        dealt = self._random.permutation(len(self._table))
        return [self._child(share, step) for share in np.array_split(dealt, self._plan.children)]

    def _child(self, share: NDArray[np.int64], step: float) -> Action:
        """The best with the controls `share` moved, so far that something changes in natural units."""
        parent = np.array(self.best)
        child = parent.copy()
        for _ in range(RETRIES):
            child[share] = parent[share] + step * self._random.standard_normal(len(share))
            ends = self._random.random(len(share)) < TO_THE_END
            child[share] = np.where(ends, self._random.choice([-1.0, 1.0], len(share)), child[share])
            if (self._table.natural(child) != self._table.natural(parent)).any():
                break
        return _action(child)


def search_statics(
    runner: TrialRunner, starts: Mapping[str, Sequence[Action]], table: ControlTable, plan: SearchPlan
) -> dict[str, Search]:
    """By scenario, the finished search that began at `starts`."""
    searches = {scenario: Search(first, table, plan, stream) for stream, (scenario, first) in enumerate(starts.items())}
    for generation in range(plan.generations):
        asked = {scenario: search.ask() for scenario, search in searches.items()}
        trials = [
            Trial(SEARCH, str(index), scenario, seed, action)
            for scenario, actions in asked.items()
            for index, action in enumerate(actions)
            for seed in plan.seeds
        ]
        outcomes = runner.run(trials, f"search {generation + 1}/{plan.generations}")
        for scenario, search in searches.items():
            returns = [o.figures["return"] for o in outcomes if o.scenario == scenario]
            search.tell(np.reshape(returns, (-1, len(plan.seeds))).mean(axis=1).tolist())
    return searches


def _action(values: NDArray[np.float64]) -> Action:
    return tuple(np.clip(values, -1.0, 1.0).astype(np.float32).astype(float).tolist())
