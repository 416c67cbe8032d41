"""Random cases: a system, an episode and actions by one number, checked against every rule at each control step."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from streamflow_env.engines import make_engine
from streamflow_env.engines.telemetry import Telemetry
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.scenarios import Scenario, load_scenario, scenario_names
from streamflow_env.system import System, load_system
from studies.accounting.random_episodes import (
    ACTION_MODES,
    Action,
    ActionMode,
    Course,
    RandomScenario,
    random_actions,
)
from studies.accounting.random_systems import random_system
from studies.accounting.watch import Watch, environment_errors

STEPS_A_CASE: Final = 50
COURSE_OF: Final[dict[int, Course]] = {3: "idle", 6: "dead", 9: "collapse"}
"""By the last digit of their number, random episodes that have one course; all others have any."""
COMPARED_ONE_IN: Final = 50
"""One in so many cases of random systems runs on both engines; a collapse takes the reference engine too long."""
SHIPPED_EVERY: Final = 8
"""One case in so many is of the shipped system, under the shipped scenarios and a random one in turn."""


@dataclass(frozen=True)
class Case:
    """Case number `number` of the seed `seed`; both determine everything else."""

    seed: int
    number: int

    @property
    def system_seed(self) -> int:
        """-1 for the shipped system."""
        return -1 if self.number % SHIPPED_EVERY == 0 else self._draw(0)

    @property
    def episode_seed(self) -> int:
        return self._draw(1)

    @property
    def mode(self) -> ActionMode:
        return ACTION_MODES[self._draw(2) % len(ACTION_MODES)]

    @property
    def scenario(self) -> str:
        if self.system_seed >= 0:
            return "random"
        names = [*scenario_names(), "random"]
        return names[self.number // SHIPPED_EVERY % len(names)]

    @property
    def course(self) -> Course:
        return COURSE_OF.get(self.number % 10, "any")

    @property
    def is_compared(self) -> bool:
        """Whether the campaign runs it on both engines."""
        is_long = self.system_seed < 0 or self.course == "collapse"
        return not is_long and self._draw(3) % COMPARED_ONE_IN == 0

    def system(self) -> System:
        return _shipped() if self.system_seed < 0 else random_system(self.system_seed)

    def make_scenario(self) -> Scenario:
        if self.scenario == "random":
            return RandomScenario(num_intervals=STEPS_A_CASE, course=self.course)
        return load_scenario(self.scenario)

    def _draw(self, purpose: int) -> int:
        return random.Random(f"{self.seed}/{self.number}/{purpose}").getrandbits(31)

    def __str__(self) -> str:
        scenario = f"random ({self.course})" if self.scenario == "random" else self.scenario
        return (
            f"case {self.number} of seed {self.seed}: system seed {self.system_seed}, scenario {scenario}, "
            f"episode seed {self.episode_seed}, actions {self.mode}"
        )


@functools.cache
def _shipped() -> System:
    """The shipped system, once a process, because engines keep its warm states."""
    return load_system()


@dataclass
class Result:
    """The sums of an episode. `counted`: the telemetry's fields that were not always 0; `errors`: the rules violated.

    An episode ends at its first step that violates a rule.
    """

    steps: int = 0
    attempts: int = 0
    answered: int = 0
    given_up: int = 0
    compared: int = 0
    counted: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)


def run_case(case: Case, *, compare: bool = False) -> Result:
    """Run a case through the environment until its end or its first error; with `compare` on both engines too."""
    system = case.system()
    env = StreamFlowEnv(scenario=case.make_scenario(), system=system)
    actions = random_actions(system, case.mode, case.episode_seed)
    result, seen = follow(env, case.episode_seed, itertools.islice(actions, STEPS_A_CASE))
    if compare and not result.errors:
        _compare(result, env, seen)
    return result


def follow(env: StreamFlowEnv, episode_seed: int, actions: Iterable[Action]) -> tuple[Result, list[Telemetry]]:
    """Check an episode against every rule until its actions or its intervals end, or until its first error."""
    result = Result()
    observation, info = env.reset(options={"episode_seed": episode_seed})
    result.errors = environment_errors(observation, env.observation_space, 0.0, info)
    watch = Watch(env.system, env.episode, env.telemetry)
    seen = [env.telemetry]
    for action in () if result.errors else actions:
        observation, reward, _, truncated, info = env.step(action)
        seen.append(env.telemetry)
        _count(result, env.telemetry)
        result.errors += watch.errors(env.telemetry)
        result.errors += environment_errors(observation, env.observation_space, reward, info)
        if result.errors or truncated:
            break
    return result, seen


def _count(result: Result, telemetry: Telemetry) -> None:
    result.steps += 1
    result.attempts += int(telemetry.classes["attempts"].sum())
    result.answered += int(telemetry.classes["intents_answered"].sum())
    result.given_up += int(telemetry.classes["intents_failed"].sum())
    for part in ("services", "classes", "calls"):
        records = getattr(telemetry, part)
        names = np.array(records.dtype.names)
        counts = np.ascontiguousarray(records).view(np.int64).reshape(-1, len(names))
        result.counted.update(f"{part}.{name}" for name in names[counts.any(axis=0)])


def _compare(result: Result, env: StreamFlowEnv, seen: list[Telemetry]) -> None:
    """Repeat what was seen on both engines, with every visit and answer logged."""
    engines = [make_engine(name, env.system, log=True) for name in ("compiled", "reference")]
    for step, telemetry in enumerate(seen):
        compiled, reference = (e.step(telemetry.controls) if step else e.reset(env.episode) for e in engines)
        result.errors = [f"engines differ: {line[:200]}" for line in compiled.differences(reference)]
        without_log = replace(compiled, visits=telemetry.visits, answers=telemetry.answers)
        result.errors += [f"logging changes the telemetry: {line[:200]}" for line in telemetry.differences(without_log)]
        if result.errors:
            result.steps = step
            return
        result.compared += 1
