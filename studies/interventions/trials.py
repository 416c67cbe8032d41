"""Many episodes under fixed settings, or a baseline by name, in parallel processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from streamflow_agents.evaluation.episodes import RETURN, TERM, run_episode
from streamflow_agents.policies.loading import load_policy
from streamflow_agents.policies.protocol import Policy
from streamflow_env.environment.env import StreamFlowEnv

Action = tuple[float, ...]
FIGURES: Final = (
    RETURN, "sla_fraction", "error_fraction", "cost_per_hour", "replicas_cost_per_hour", "quality", "stale_fraction",
    "p95_s", "llm_use_fraction", "backlog",
)  # fmt: skip
"""What is kept of an episode, beside the reward's terms."""
PEAK: Final = "peak."
"""Before a control's name: the most that a baseline set it to in the episode."""


@dataclass(frozen=True)
class Trial:
    """One episode to run: `policy` is an action that is held, shape (num_controls,), or a baseline's name."""

    part: str
    setting: str
    scenario: str
    seed: int
    policy: Action | str


@dataclass(frozen=True)
class Outcome:
    """What came of a trial: figures by name."""

    part: str
    setting: str
    scenario: str
    seed: int
    figures: dict[str, float]


class Fixed:
    """The policy that holds one action."""

    def __init__(self, action: Action) -> None:
        self._action = np.array(action, dtype=np.float32)

    def predict(
        self,
        observation: NDArray[np.float32],
        state: Any = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[Any], Any]:
        return self._action, None


class Runner:
    """Runs trials in `jobs` processes that stay open between calls; the outcomes do not depend on `jobs`."""

    def __init__(self, jobs: int, progress: bool = False) -> None:
        self._progress = progress
        self._pool: ProcessPoolExecutor | None = None
        if jobs > 1:
            self._pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def run(self, trials: Sequence[Trial], title: str = "") -> list[Outcome]:
        """The outcomes, in the order of `trials`."""
        results: dict[int, Outcome] = {}
        with tqdm(total=len(trials), desc=title, unit=" ep", disable=not self._progress, dynamic_ncols=True) as bar:
            for index, outcome in self._each(trials):
                results[index] = outcome
                bar.update()
        return [results[index] for index in range(len(trials))]

    def _each(self, trials: Sequence[Trial]) -> Iterable[tuple[int, Outcome]]:
        if self._pool is None:
            yield from ((index, run_trial(trial)) for index, trial in enumerate(trials))
            return
        futures: dict[Future[Outcome], int] = {self._pool.submit(run_trial, t): i for i, t in enumerate(trials)}
        for future in as_completed(futures):
            yield futures[future], future.result()


_ENVS: Final[dict[str, StreamFlowEnv]] = {}
"""The environments of this process, each made once."""


def run_trial(trial: Trial) -> Outcome:
    """Run one episode in this process."""
    if trial.scenario not in _ENVS:
        _ENVS[trial.scenario] = StreamFlowEnv(trial.scenario)
    env = _ENVS[trial.scenario]
    policy: Policy = load_policy(trial.policy, env) if isinstance(trial.policy, str) else Fixed(trial.policy)
    peaks: dict[str, float] = {}

    def watch(env: StreamFlowEnv, info: dict[str, Any]) -> None:
        for name in (name for name in info["controls"] if name.endswith("_replicas")):
            value = info["controls"][name]
            peaks[PEAK + name] = max(value, peaks.get(PEAK + name, value))

    figures = run_episode(policy, env, trial.seed, watch if isinstance(trial.policy, str) else None)
    kept = {name: value for name, value in figures.items() if name in FIGURES or name.startswith(TERM)}
    return Outcome(trial.part, trial.setting, trial.scenario, trial.seed, {**kept, **peaks})
