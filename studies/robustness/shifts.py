"""The shifts: how the conditions of an episode are made to differ from those of tuning and training."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from streamflow_agents.policies.protocol import Policy, SinglePolicy
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.episode import Episode
from streamflow_env.errors import ConfigError
from streamflow_env.scenarios import Scenario, Timeline, load_scenario
from streamflow_env.system import System, load_system
from streamflow_env.system.schema import Count, Frozen, NonNegative, Positive, Text
from studies.common.study import load_plan

KNOWN: Final = ("control.", "time_of_day.", "announced.")
"""Fields of these groups are known and not measured: they have no delay and no noise."""


class TelemetryShift(Frozen):
    """Readings are late by so many control intervals, and have relative noise of this standard deviation."""

    delay_intervals: Count
    noise: NonNegative


class Shift(Frozen):
    """How conditions differ from those of training; what is not named stays.

    Attributes:
        meaning: one sentence for the report.
        scenarios: used instead of the plan's.
        load: a factor of all users' first attempts.
        incidents: added to every scenario.
        stronger: new values of an incident's keys, by its kind, or by kind and service (`slowdown auth`).
        trace, trace_options: recorded traffic, as the arguments of `Timeline.with_trace`.
        distribution: the family of all service times that are lognormal.
        think_time_distribution: how users wait before they retry.
        telemetry: delay and noise of what policies observe.
        instead: by policy, another one that is evaluated here instead.
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
    """The shifts by name. Each has so many `episodes`, of different seeds, divided evenly among its scenarios."""

    policies: tuple[Text, ...] = Field(min_length=1)
    scenarios: tuple[Text, ...] = Field(min_length=1)
    episodes: Count
    shifts: dict[Text, Shift] = Field(min_length=1)


@cache
def load_shifts() -> ShiftPlan:
    """The study's plan. Raises ConfigError where it is wrong."""
    return load_plan(ShiftPlan, "robustness")


class ScaledLoad(Scenario):
    """A scenario whose users send `factor` times as many first attempts; the calendar does not know it."""

    scenario: Scenario
    factor: Positive

    @property
    def longest_s(self) -> float:
        return self.scenario.longest_s

    def check(self, system: System) -> None:
        self.scenario.check(system)

    def episode(self, system: System, seed: int) -> Episode:
        episode = self.scenario.episode(system, seed)
        factors = [self.factor if c.kind == "interactive" else 1.0 for c in system.classes.values()]
        return dataclasses.replace(episode, rates_rps=episode.rates_rps * np.array(factors)[:, np.newaxis])


class NoisyDelayedPolicy(SinglePolicy):
    """A policy whose measurements are late and noisy; the noise is a function of seed and step."""

    def __init__(self, base: Policy, env: StreamFlowEnv, shift: TelemetryShift, seed: int) -> None:
        self._base = base
        self._shift = shift
        self._seed = seed
        space = env.observation_space
        self._low, self._high = space.low, space.high  # type: ignore[attr-defined]
        names = [field.name for field in env.observation_table.fields]
        self._measured = np.array([not name.startswith(KNOWN) for name in names])

    def act(self, observation: NDArray[np.float32], memory: Any) -> tuple[NDArray[Any], Any]:
        """The base policy's action of the late and noisy observation.

        The memory is (the last observations, the step, the base policy's state).
        """
        seen, step, own = memory or ((), 0, None)
        seen = (*seen, observation)[-1 - self._shift.delay_intervals :]
        noise = np.random.default_rng([self._seed, step]).standard_normal(observation.shape)
        measured = np.clip(seen[0] * (1.0 + self._shift.noise * noise), self._low, self._high)
        noisy = np.where(self._measured, measured, observation).astype(np.float32)
        action, own = self._base.predict(noisy, own, deterministic=True)
        return action, (seen, step + 1, own)


def shifted(shift: Shift, scenario: str) -> StreamFlowEnv:
    """The environment of a scenario under a shift. Raises ConfigError: a mixture, or a wrong trace or incident."""
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
    changed: Scenario = load_scenario(data)
    if shift.load != 1.0:
        changed = ScaledLoad(name=timeline.name, scenario=changed, factor=shift.load)
    return StreamFlowEnv(changed, system=_system(shift))


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
    """Give every lognormal duration in `content` the distribution `family`."""
    if isinstance(content, dict):
        if content.get("distribution") == "lognormal":
            content["distribution"] = family
        for value in content.values():
            _set_distribution(value, family)
    elif isinstance(content, list | tuple):
        for value in content:
            _set_distribution(value, family)
