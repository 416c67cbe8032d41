"""Many episodes under fixed settings, or a baseline by name, in parallel processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from streamflow_agents.evaluation.episodes import RETURN, TERM, run_episode
from streamflow_agents.parallel import Workers
from streamflow_agents.policies.loading import load_policy
from streamflow_agents.policies.protocol import Policy
from streamflow_env.environment.env import StreamFlowEnv
from studies.common.policies import ConstantPolicy

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
    """The figures of a trial, by name."""

    part: str
    setting: str
    scenario: str
    seed: int
    figures: dict[str, float]


class TrialRunner:
    """Runs trials in processes that stay open between calls, and keep their environments."""

    def __init__(self, workers: Workers, progress: bool = False) -> None:
        self._workers = workers
        self._progress = progress

    def run(self, trials: Sequence[Trial], title: str = "") -> list[Outcome]:
        """The outcomes, in the order of `trials`; `title` names the progress bar."""
        return self._workers.run(run_trial, trials, title, progress=self._progress)


_ENVS: Final[dict[str, StreamFlowEnv]] = {}
"""The environments of this process, each made once."""


def run_trial(trial: Trial) -> Outcome:
    """Run one episode in this process."""
    if trial.scenario not in _ENVS:
        _ENVS[trial.scenario] = StreamFlowEnv(trial.scenario)
    env = _ENVS[trial.scenario]
    policy: Policy = load_policy(trial.policy, env) if isinstance(trial.policy, str) else ConstantPolicy(trial.policy)
    peaks: dict[str, float] = {}

    def watch(env: StreamFlowEnv, info: dict[str, Any]) -> None:
        for name in (name for name in info["controls"] if name.endswith("_replicas")):
            value = info["controls"][name]
            peaks[PEAK + name] = max(value, peaks.get(PEAK + name, value))

    figures = run_episode(policy, env, trial.seed, watch if isinstance(trial.policy, str) else None)
    kept = {name: value for name, value in figures.items() if name in FIGURES or name.startswith(TERM)}
    return Outcome(trial.part, trial.setting, trial.scenario, trial.seed, {**kept, **peaks})
