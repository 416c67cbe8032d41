"""Evaluation: policies × scenarios × episode seeds, each policy on the very same episodes, in parallel processes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np

from streamflow_agents.evaluation.cascades import in_cascade_fraction, time_to_recover_s
from streamflow_agents.evaluation.statistics import mean
from streamflow_agents.parallel import Workers
from streamflow_agents.policies.loading import load_policy
from streamflow_agents.policies.protocol import Policy
from streamflow_env.engines.telemetry import Telemetry
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.environment.metrics import accumulate, interval_metrics
from streamflow_env.episode import Mark
from streamflow_env.errors import ConfigError
from streamflow_env.system import Cache

RETURN: Final = "return"
TERM: Final = "reward."
"""Before a reward term's name: its sum over the episode."""


@dataclass(frozen=True)
class Setting:
    """What all episodes of an evaluation share: arguments of `StreamFlowEnv` but for the scenario."""

    engine: str = "compiled"
    system: str = "streamflow"
    reward: str = "default"
    trace: str | None = None


@dataclass(frozen=True)
class Recording:
    """An episode interval by interval: `times_s`, the ends of the intervals, and by name what was measured in each."""

    times_s: list[float] = field(default_factory=list)
    series: dict[str, list[float]] = field(default_factory=dict)
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class EpisodeResult:
    """The result of one policy in one episode: `figures` are `return`, the metrics and the reward terms, by name."""

    policy: str
    scenario: str
    seed: int
    figures: Mapping[str, float]
    recording: Recording | None = None


@dataclass(frozen=True)
class EpisodeJob:
    """One episode to run; `policy` is the label and `source` the name or path to load it by."""

    policy: str
    source: str
    scenario: str
    seed: int
    record: bool = False


def evaluate(
    policies: Mapping[str, str],
    scenarios: Sequence[str],
    seeds: Sequence[int],
    setting: Setting = Setting(),
    *,
    jobs: int = 1,
    record_first: bool = False,
    progress: bool = False,
    trust: bool = False,
) -> list[EpisodeResult]:
    """Run every policy (label -> name or path) on every seed of every scenario; results in that order.

    Args:
        jobs: processes that share the work; the results do not depend on it.
        record_first: keep the first seed's episodes interval by interval, for pictures.
        trust: load zips of Stable-Baselines3 too, which runs code that they hold; see `load_policy`.

    Raises:
        ConfigError: as `load_policy` and `StreamFlowEnv` do, before the first episode is run.
    """
    work = [
        EpisodeJob(label, source, scenario, seed, record_first and seed == seeds[0])
        for scenario in dict.fromkeys(scenarios)
        for label, source in policies.items()
        for seed in dict.fromkeys(seeds)
    ]
    if not work:
        raise ConfigError("nothing to evaluate: needs at least one policy, one scenario and one seed")
    runner = EpisodeRunner(setting, trust)
    for job in work:
        runner.prepare(job.source, job.scenario)
    here = jobs == 1
    with Workers(jobs) if here else Workers(jobs, _open_runner, setting, trust) as workers:
        return workers.run(runner.run if here else _run_in_worker, work, progress=progress)


def evaluate_policy(policy: Policy, env: StreamFlowEnv, seeds: Sequence[int]) -> dict[str, float]:
    """Mean figures of `policy` over the episodes `seeds` of `env`, in this process."""
    episodes = [run_episode(policy, env, seed) for seed in seeds]
    return {name: float(mean(np.array([episode[name] for episode in episodes]))) for name in episodes[0]}


def run_episode(
    policy: Policy, env: StreamFlowEnv, seed: int, watch: Callable[[StreamFlowEnv, dict[str, Any]], None] | None = None
) -> dict[str, float]:
    """Run one episode from its seed to its horizon with the deterministic policy; returns its figures by name.

    The metrics are those of the episode as one long interval. `watch` is called after each step with env and info.
    """
    observation, _ = env.reset(options={"episode_seed": seed})
    state: Any = None
    start, truncated = True, False
    total: Telemetry | None = None
    sums: dict[str, float] = {}
    errors: list[float] = []
    episode_return = 0.0
    while not truncated:
        action, state = policy.predict(observation, state=state, episode_start=np.array([start]), deterministic=True)
        observation, reward, _, truncated, info = env.step(action)
        start = False
        episode_return += reward
        errors.append(info["metrics"]["error_fraction"])
        total = accumulate(total, env.telemetry)
        for name, value in info["reward_terms"].items():
            sums[TERM + name] = sums.get(TERM + name, 0.0) + value
        if watch is not None:
            watch(env, info)
    assert total is not None
    cascades = {
        "in_cascade_fraction": in_cascade_fraction(errors),
        "time_to_recover_s": time_to_recover_s(errors, env.system.control_interval_s),
    }
    return {
        RETURN: episode_return,
        **interval_metrics(total, env.system, env.episode.price_factors),
        **cascades,
        **sums,
    }


def record_episode(policy: Policy, env: StreamFlowEnv, seed: int) -> tuple[dict[str, float], Recording]:
    """As `run_episode`, with the episode interval by interval as well."""
    recording = Recording()

    def watch(env: StreamFlowEnv, info: dict[str, Any]) -> None:
        recording.times_s.append(info["time_s"])
        for name, value in {**info["metrics"], **_rates(env, info["metrics"])}.items():
            recording.series.setdefault(name, []).append(value)

    figures = run_episode(policy, env, seed, watch)
    return figures, Recording(recording.times_s, recording.series, env.episode.marks)


def _rates(env: StreamFlowEnv, metrics: dict[str, float]) -> dict[str, float]:
    """Rates for pictures, where they are clearer than shares; the hit rate is NaN where there were no lookups."""
    good = int(env.telemetry.classes["within_sla"][np.array(env.system.interactive)].sum())
    return {
        "within_sla_rps": good / env.telemetry.interval_s,
        "llm_429_per_min": metrics["llm_requests_per_min"] - metrics["llm_accepted_per_min"],
        "hit_fraction": metrics["hit_fraction"] if _has_lookups(env) else math.nan,
    }


def _has_lookups(env: StreamFlowEnv) -> bool:
    caches = [isinstance(service, Cache) for service in env.system.services.values()]
    services = env.telemetry.services[np.array(caches)]
    return bool((services["lookups"] > 0).any())


class EpisodeRunner:
    """Runs the episodes of one process: it makes each environment and each policy once."""

    def __init__(self, setting: Setting, trust: bool = False) -> None:
        self._setting = setting
        self._trust = trust
        self._envs: dict[str, StreamFlowEnv] = {}
        self._policies: dict[tuple[str, str], Policy] = {}

    def prepare(self, source: str, scenario: str) -> tuple[Policy, StreamFlowEnv]:
        """The policy `source` and the environment of `scenario`. Raises ConfigError as `evaluate` does."""
        if scenario not in self._envs:
            self._envs[scenario] = StreamFlowEnv(scenario, **asdict(self._setting))
        env = self._envs[scenario]
        if (source, scenario) not in self._policies:
            self._policies[source, scenario] = load_policy(source, env, trust=self._trust)
        return self._policies[source, scenario], env

    def run(self, job: EpisodeJob) -> EpisodeResult:
        """Run one episode; record it if the job asks for it."""
        policy, env = self.prepare(job.source, job.scenario)
        if not job.record:
            return EpisodeResult(job.policy, job.scenario, job.seed, run_episode(policy, env, job.seed))
        figures, recording = record_episode(policy, env, job.seed)
        return EpisodeResult(job.policy, job.scenario, job.seed, figures, recording)


_RUNNERS: list[EpisodeRunner] = []
"""The runner of a worker process: one, put there as the process starts."""


def _open_runner(setting: Setting, trust: bool) -> None:
    _RUNNERS.append(EpisodeRunner(setting, trust))


def _run_in_worker(job: EpisodeJob) -> EpisodeResult:
    return _RUNNERS[-1].run(job)
