"""Shift tests: the same policies where the world is not what they were tuned or trained on.

Fixed in configs/study/shifts.yaml, and never searched or trained on. What is kept has the form of an evaluation's
`episodes.csv`: what is called a scenario there is a shift here, and an episode's number counts its episodes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from streamflow_agents.evaluation.comparison import table
from streamflow_agents.evaluation.episodes import RETURN, run_episode
from streamflow_agents.evaluation.kept_episodes import KEYS, Episodes
from streamflow_agents.parallel import run_all
from streamflow_agents.policies.loading import load_policy
from streamflow_agents.policies.protocol import Policy
from streamflow_agents.seeds import evaluation_seeds
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.episode import Episode
from streamflow_env.errors import ConfigError
from streamflow_env.paths import config_path
from streamflow_env.scenarios import Scenario, Timeline, load_scenario
from streamflow_env.system import System, load_system
from streamflow_env.system.schema import Count, Frozen, NonNegative, Positive, Text, load

KEPT: Final = (RETURN, "sla_fraction", "error_fraction", "cost_per_hour", "quality", "in_cascade_fraction")
MEASURED: Final = ("control.", "time_of_day.", "announced.")
"""Fields of these groups are known, not measured: they come in time and without noise."""


class TelemetryShift(Frozen):
    """Readings come so many control intervals late, and each is off by so much, as a share (standard deviation)."""

    delay_intervals: Count
    noise: NonNegative


class Shift(Frozen):
    """What is other than in training; what is not named stays.

    Attributes:
        scenarios: instead of the plan's.
        load: a factor of all users' first attempts.
        incidents: more of them, in every scenario.
        stronger: by kind of incident, or by kind and service (`slowdown auth`), keys that are set in it.
        trace: a recorded traffic, and options of `Timeline.with_trace`.
        distribution: the family of all lognormal times of service.
        think_time_distribution: how users wait before they retry.
        instead: by policy, the one that stands for it here, as if it had never met what is tested.
    """

    meaning: Text
    scenarios: tuple[Text, ...] = ()
    load: Positive = 1.0
    incidents: tuple[dict[str, Any], ...] = ()
    stronger: dict[Text, dict[str, Any]] = Field(default_factory=dict)
    trace: Text | None = None
    trace_options: dict[str, Any] = Field(default_factory=dict)
    distribution: Text | None = None
    think_time_distribution: Text | None = None
    telemetry: TelemetryShift | None = None
    instead: dict[Text, Text] = Field(default_factory=dict)


class ShiftPlan(Frozen):
    """The shifts by name, and how many episodes each has, no two of one seed; fewer scenarios have more of each."""

    scenarios: tuple[Text, ...] = Field(min_length=1)
    episodes: Count
    shifts: dict[Text, Shift] = Field(min_length=1)


def load_shifts(name: str = "shifts") -> ShiftPlan:
    """The plan of `configs/study/<name>.yaml`, or of the file `name`. Raises ConfigError."""
    return load(ShiftPlan, config_path("study", name))


class ScaledLoad(Scenario):
    """A scenario with all users' first attempts times `factor`; the calendar still says what was planned."""

    scenario: Scenario
    factor: Positive

    def check(self, system: System) -> None:
        self.scenario.check(system)

    def episode(self, system: System, seed: int) -> Episode:
        episode = self.scenario.episode(system, seed)
        factors = [self.factor if c.kind == "interactive" else 1.0 for c in system.classes.values()]
        return dataclasses.replace(episode, rates_rps=episode.rates_rps * np.array(factors)[:, np.newaxis])


class NoisyDelayedPolicy:
    """A policy that sees its measurements late and with noise; the noise is a function of seed and step."""

    def __init__(self, base: Policy, env: StreamFlowEnv, shift: TelemetryShift, seed: int) -> None:
        self._base = base
        self._shift = shift
        self._seed = seed
        space = env.observation_space
        self._low, self._high = space.low, space.high  # type: ignore[attr-defined]
        names = [field.name for field in env.observation_table.fields]
        self._measured = np.array([not name.startswith(MEASURED) for name in names])

    def predict(
        self,
        observation: NDArray[np.float32],
        state: Any = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[Any], Any]:
        """As the base policy does, of what it sees; the state is the last observations, the step and the base's own."""
        seen, step, own = state or ((), 0, None)
        seen = (*seen, observation)[-1 - self._shift.delay_intervals :]
        noise = np.random.default_rng([self._seed, step]).standard_normal(observation.shape)
        measured = np.clip(seen[0] * (1.0 + self._shift.noise * noise), self._low, self._high)
        hazy = np.where(self._measured, measured, observation).astype(np.float32)
        action, own = self._base.predict(hazy, own, episode_start, deterministic)
        return action, (seen, step + 1, own)


@dataclass(frozen=True)
class Task:
    """One policy in one episode of one shift; `number` is the episode's in the shift."""

    plan: str
    label: str
    source: str
    shift: str
    scenario: str
    seed: int
    number: int


def tasks(plan: ShiftPlan, name: str, policies: Mapping[str, str], instead: Mapping[str, str]) -> list[Task]:
    """Every policy (label -> name or path) in every episode; `instead` as in a shift, where it names any at all."""
    work = []
    for shift_name, shift in plan.shifts.items():
        scenarios = shift.scenarios or plan.scenarios
        num_seeds, rest = divmod(plan.episodes, len(scenarios))
        if rest:
            raise ConfigError(f"episodes {plan.episodes}: must be a multiple of {len(scenarios)} for {shift_name!r}")
        others = {**shift.instead, **instead} if shift.instead else {}
        seeds = evaluation_seeds(plan.episodes)
        episodes = [(scenarios[number // num_seeds], seed) for number, seed in enumerate(seeds)]
        for label, source in policies.items():
            for number, (scenario, seed) in enumerate(episodes):
                work.append(Task(name, label, others.get(label, source), shift_name, scenario, seed, number))
    return work


def measure(work: Sequence[Task], jobs: int, progress: bool) -> list[dict[str, Any]]:
    """A line a task. Raises ConfigError for a policy or a trace that there is not."""
    return run_all(play, work, jobs, progress)


def play(task: Task) -> dict[str, Any]:
    """One task's line."""
    env = _env(task.plan, task.shift, task.scenario)
    shift = load_shifts(task.plan).shifts[task.shift]
    policy = _policy(task.source, task.plan, task.shift, task.scenario)
    if shift.telemetry is not None:
        policy = NoisyDelayedPolicy(policy, env, shift.telemetry, task.seed)
    figures = run_episode(policy, env, task.seed)
    keys = dict(zip(KEYS, (task.label, task.shift, task.number), strict=True))
    return {**keys, **{name: figures[name] for name in KEPT}}


@lru_cache(maxsize=32)
def _env(plan: str, shift: str, scenario: str) -> StreamFlowEnv:
    return shifted(load_shifts(plan).shifts[shift], scenario)


@lru_cache(maxsize=128)
def _policy(source: str, plan: str, shift: str, scenario: str) -> Policy:
    return load_policy(source, _env(plan, shift, scenario))


def shifted(shift: Shift, scenario: str) -> StreamFlowEnv:
    """The environment of a scenario under a shift. Raises ConfigError for what it cannot be shifted to."""
    timeline = load_scenario(scenario)
    if not isinstance(timeline, Timeline):
        raise ConfigError(f"scenario {scenario}: a mixture cannot be shifted; name its members")
    if shift.trace is not None:
        timeline = timeline.with_trace(shift.trace, **shift.trace_options)
    data = timeline.model_dump(exclude_defaults=True)
    data["incidents"] = [
        *({**incident, **_stronger(shift, incident)} for incident in data.get("incidents", ())),
        *shift.incidents,
    ]
    scenario_here: Scenario = load_scenario(data)
    if shift.load != 1.0:
        scenario_here = ScaledLoad(name=timeline.name, scenario=scenario_here, factor=shift.load)
    return StreamFlowEnv(scenario_here, system=_system(shift))


def _stronger(shift: Shift, incident: Mapping[str, Any]) -> Mapping[str, Any]:
    kind = incident["kind"]
    named: Mapping[str, Any] = shift.stronger.get(f"{kind} {incident.get('service')}", shift.stronger.get(kind, {}))
    return named


def _system(shift: Shift) -> System:
    data = load_system().model_dump()
    if shift.distribution is not None:
        _set_distribution(data, shift.distribution)
    if shift.think_time_distribution is not None:
        data["users"]["think_time_distribution"] = shift.think_time_distribution
    return load_system(data)


def _set_distribution(content: Any, family: str) -> None:
    """Every lognormal duration below `content` is of `family`."""
    if isinstance(content, dict):
        if content.get("distribution") == "lognormal":
            content["distribution"] = family
        for value in content.values():
            _set_distribution(value, family)
    elif isinstance(content, list | tuple):
        for value in content:
            _set_distribution(value, family)


def section(episodes: Episodes, plan: ShiftPlan, reference: str) -> Iterator[str]:
    """A table a shift, in Markdown. Raises ConfigError where the reference was not measured."""
    if reference not in episodes.figures:
        raise ConfigError(f"policy {reference!r}: was not measured; run the shift tests with it")
    yield "## Where the world is another\n"
    yield "Shift tests, fixed beforehand and never searched or trained on (configs/study/shifts.yaml):"
    yield f"{len(episodes.seeds)} held-out episodes each, paired; Δ is against `{reference}` under the same shift.\n"
    for index, name in enumerate(episodes.scenarios):
        shift = plan.shifts.get(name)
        yield f"### {name}\n\n{shift.meaning if shift else ''}\n"
        yield from table(episodes, reference, index)
