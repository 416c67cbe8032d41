"""What is tuned: the fixed setting, or the expert; which of its numbers, and how they become a policy."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from streamflow_agents.policies.baselines import StaticBaseline
from streamflow_agents.policies.baselines.baseline import Baseline
from streamflow_agents.policies.baselines.expert import ExpertSettings, make_expert
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.errors import ConfigError
from streamflow_env.paths import config_path
from streamflow_env.system.schema import (
    Count,
    Flag,
    Frozen,
    Integer,
    Number,
    Positive,
    Seed,
    Size,
    Text,
    load,
    parse,
    read_yaml,
)
from studies.common.study import STUDIES, load_plan

STUDY: Final = "tuning"
STATIC: Final = "static"
EXPERT: Final = "expert"
FORMS: Final = (STATIC, EXPERT)
Level = Literal["calm", "varied"]
LEVELS: Final[tuple[Level, ...]] = get_args(Level)
CALM: Final = LEVELS[0]
SETTINGS: Final = "settings/"
"""Before a control's name: the path of its setting."""
Values = dict[str, float]


class Range(Frozen):
    """The range of one number, as an axis of places from 0 to 1; the axis is logarithmic where `log` is set."""

    low: Number | Integer
    high: Number | Integer
    log: Flag = False

    def value(self, unit: float) -> float:
        """The number at the place `unit`."""
        if self.log:
            return float(self.low * (self.high / self.low) ** unit)
        return float(self.low + (self.high - self.low) * unit)

    def unit(self, value: float) -> float:
        """The place of a number, in [0, 1] where it lies within the range."""
        if self.log:
            return float(np.log(value / self.low) / np.log(self.high / self.low))
        return float((value - self.low) / (self.high - self.low))


class TuningPlan(Frozen):
    """What is searched, and for how long; `plan.yaml` says what the numbers are.

    Attributes:
        level: the scenarios' level; the name of what is found has it.
        start: by form, the file in configs/baselines where the search begins. A control that it does not name begins
            at its default.
        skip_seeds: the first generation's episodes are of the seed `TUNING.first + skip_seeds`.
        expert: the numbers that are searched for the expert: the path of a number in its file, and its range. An item
            of a list is named by its `name`, or by its `reading`.
    """

    scenarios: tuple[Text, ...] = Field(min_length=1)
    start: dict[Text, Text]
    level: Level
    skip_seeds: Size
    num_steps: Count
    population: Count
    first_step: Positive
    finalists: Count
    judging_seeds: Count
    seed: Seed
    expert: dict[Text, Range] = Field(min_length=1)

    def result(self, form: str) -> str:
        """The name of the baseline that is found."""
        return f"tuned_{form}" if self.level == CALM else f"tuned_{form}_{self.level}"


def load_tuning_plan(level: str = CALM) -> TuningPlan:
    """The plan of the first search of a level. Raises ConfigError where it is wrong."""
    return load_plan(TuningPlan, STUDY) if level == CALM else _read(level)


def load_second_plan(level: str = CALM) -> TuningPlan:
    """The plan of the second search, which begins where the first one ended. Raises ConfigError where it is wrong."""
    return _read("again" if level == CALM else f"{level}_again", load_tuning_plan(level))


def _read(name: str, first: TuningPlan | None = None) -> TuningPlan:
    """The plan in the file of this name; what it does not say is that of the `first` plan."""
    path = STUDIES / STUDY / f"{name}.yaml"
    return parse(TuningPlan, {**(first.model_dump() if first else {}), **read_yaml(path)}, str(path))


class Form:
    """One of `FORMS`, what is tuned: how numbers become settings, a policy, and a file.

    Attributes:
        ranges: the range of each number, by its path or its control's name.
        start: where the search begins.
    """

    def __init__(self, name: str, plan: TuningPlan) -> None:
        """Raises ConfigError: an unknown form, a wrong path in the plan, or a start outside its range."""
        if name not in FORMS:
            raise ConfigError(f"form {name!r}: must be one of {', '.join(FORMS)}")
        self.name = name
        if name not in plan.start:
            raise ConfigError(f"start.{name}: is missing; must be a name of configs/baselines, or a YAML file")
        self._base: dict[str, Any] = read_yaml(config_path("baselines", plan.start[name]))
        self._env = StreamFlowEnv(plan.scenarios[0])
        if name == EXPERT:
            controls = self._env.system.control_table
            default = dict(zip(controls.names, map(float, controls.default), strict=True))
            self._base["settings"] = {
                **{control: value for control, value in default.items() if f"settings/{control}" in plan.expert},
                **self._base["settings"],
            }
            self.ranges = dict(plan.expert)
            self.start = {path: float(_get(self._base, path)) for path in plan.expert}
        else:
            table = self._env.system.control_table
            start = table.action(table.with_values(**self._base["settings"]))
            self.ranges = dict.fromkeys(table.names, Range(low=-1.0, high=1.0))
            self.start = dict(zip(table.names, map(float, start), strict=True))
        for path, value in self.start.items():
            if not self.ranges[path].low <= value <= self.ranges[path].high:
                raise ConfigError(f"expert.{path}: starts at {value}, outside {self.ranges[path]}")

    def values(self, units: Mapping[str, float]) -> Values:
        """The numbers at the places `units` on their axes."""
        return {path: r.value(units[path]) for path, r in self.ranges.items()}

    def settings(self, values: Mapping[str, float]) -> dict[str, Any]:
        """The content of the baseline's file."""
        if self.name == EXPERT:
            content = copy.deepcopy(self._base)
            for path, value in self.numbers(values).items():
                _put(content, path, value)
            return dict(content)
        return {"settings": {path.removeprefix(SETTINGS): value for path, value in self.numbers(values).items()}}

    def numbers(self, values: Mapping[str, float]) -> Values:
        """The numbers as they are in the file, by their path there."""
        if self.name == EXPERT:
            return {path: float(f"{value:.4g}") for path, value in values.items()}
        table = self._env.system.control_table
        natural = table.natural(np.array([values[name] for name in table.names], dtype=np.float32))
        return {f"{SETTINGS}{name}": float(f"{v:.6g}") for name, v in zip(table.names, natural, strict=True)}

    def policy(self, values: Mapping[str, float]) -> Baseline:
        """The policy with these numbers."""
        content, env = self.settings(values), self._env
        if self.name == EXPERT:
            return make_expert(env.system, env.observation_table, load(ExpertSettings, content))
        return StaticBaseline(env.system, env.observation_table, content["settings"])

    def policies(self, candidates: Sequence[Values]) -> tuple[Baseline, dict[str, NDArray[np.float64]]]:
        """One policy that acts in cell i as that of candidate i, and the numbers that `predict` moves for that."""
        numbers = [self.numbers(values) for values in candidates]
        return self.policy(self.start), {path: np.array([each[path] for each in numbers]) for path in numbers[0]}


def _rule_or_key(content: Any, key: str) -> Any:
    if isinstance(content, list):
        found = [item for item in content if item.get("name", item.get("reading")) == key]
        if len(found) != 1:
            raise ConfigError(f"{key!r}: there must be one item of this name, there are {len(found)}")
        return found[0]
    if not isinstance(content, dict) or key not in content:
        raise ConfigError(f"{key!r}: no such key in the expert's file")
    return content[key]


def _get(content: Any, path: str) -> Any:
    """The value at the path `a/b/c`."""
    for key in path.split("/"):
        content = _rule_or_key(content, key)
    return content


def _put(content: Any, path: str, value: float) -> None:
    *above, last = path.split("/")
    for key in above:
        content = _rule_or_key(content, key)
    _rule_or_key(content, last)
    content[last] = value
