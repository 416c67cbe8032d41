"""A runbook: what to set while a sign of an incident is seen, and for how long after it was last seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from streamflow_agents.policies.baselines.desk import Cells, Desk, Rows, rows
from streamflow_agents.policies.baselines.parts import Part
from streamflow_env.errors import ConfigError
from streamflow_env.system.schema import Frozen, Integer, Number, Positive, Seconds, Text

USUAL = 0.02
"""The weight of the newest value in the mean that is a reading's usual value: of about 12 minutes. Assumed."""


class Sign(Frozen):
    """A reading above or below a bound, or above so many times its usual value."""

    reading: Text
    above: Number | Integer | None = None
    below: Number | Integer | None = None
    above_usual: Positive | None = None

    @model_validator(mode="after")
    def _check(self) -> Sign:
        if sum(bound is not None for bound in (self.above, self.below, self.above_usual)) != 1:
            raise ValueError(f"sign {self.reading!r}: give one of above, below, above_usual")
        return self

    @property
    def bound(self) -> tuple[str, float]:
        """The kind of the bound, and its value."""
        kinds = ("above", "below", "above_usual")
        return next((kind, getattr(self, kind)) for kind in kinds if getattr(self, kind) is not None)


class Rule(Frozen):
    """While any of the signs is seen, and `hold_s` longer: set controls, or keep them at least or at most so high."""

    name: Text
    signs: tuple[Sign, ...] = Field(min_length=1)
    hold_s: Seconds
    set: dict[Text, Number | Integer] = Field(default_factory=dict)
    at_least: dict[Text, Number | Integer] = Field(default_factory=dict)
    at_most: dict[Text, Number | Integer] = Field(default_factory=dict)


class RunbookMemory(NamedTuple):
    """Of each rule, the seconds since a sign was last seen; of each sign, its reading's usual value (NaN at first)."""

    since_s: Rows
    usual: Rows


def _second(setting: Cells, number: Cells, out: Cells, where: NDArray[np.bool_]) -> None:
    np.copyto(out, number, where=where)


_CHANGES: Final[dict[str, Callable[..., Any]]] = {"set": _second, "at_least": np.maximum, "at_most": np.minimum}
"""change(setting, number, out=…, where=…)"""


class Runbook(Part[RunbookMemory]):
    """The rules in their order: where two set the same control, the later one overrides."""

    def __init__(self, desk: Desk, rules: tuple[Rule, ...]) -> None:
        self._interval_s = desk.system.control_interval_s
        self._holds = rows(desk.number(f"rules/{rule.name}/hold_s", rule.hold_s) for rule in rules)
        signs = [(rule, sign) for rule in rules for sign in rule.signs]
        self._first_signs = np.cumsum([0, *(len(rule.signs) for rule in rules)])[:-1]
        self._readings = rows(desk.reading(sign.reading, f"rule {rule.name!r}") for rule, sign in signs)
        self._bounds = rows(
            desk.number(f"rules/{rule.name}/signs/{sign.reading}/{sign.bound[0]}", sign.bound[1])
            for rule, sign in signs
        )
        self._is_below, self._is_usual = (
            np.array([[sign.bound[0] == kind] for _, sign in signs]) for kind in ("below", "above_usual")
        )
        self._changes = [list(_changes(desk, rule)) for rule in rules]

    def begin(self, num_cells: int) -> RunbookMemory:
        never = np.full((len(self._changes), num_cells), np.inf)
        return RunbookMemory(never, np.full((len(self._readings), num_cells), np.nan))

    def adjust(self, settings: Rows, readings: Rows, numbers: Rows, memory: RunbookMemory) -> RunbookMemory:
        if not self._changes:
            return memory
        values, bounds = readings[self._readings], numbers[self._bounds]
        usual = np.where(np.isnan(memory.usual), values, memory.usual)
        shown = np.where(self._is_below, values < bounds, values > np.where(self._is_usual, bounds * usual, bounds))
        seen = np.logical_or.reduceat(shown, self._first_signs)
        since_s = np.where(seen, 0.0, memory.since_s + self._interval_s)
        holds = since_s <= numbers[self._holds]
        for rule in np.flatnonzero(holds.any(axis=1)):
            for control, change, number in self._changes[rule]:
                change(settings[control], numbers[number], out=settings[control], where=holds[rule])
        return RunbookMemory(since_s, usual + USUAL * (values - usual))


def _changes(desk: Desk, rule: Rule) -> Iterator[tuple[int, Callable[..., Any], int]]:
    """(control, change, number) of what a rule does: change(setting, number) is the new setting."""
    for name, values in (("set", rule.set), ("at_least", rule.at_least), ("at_most", rule.at_most)):
        try:
            desk.system.control_table.with_values(**values)
        except ConfigError as error:
            raise ConfigError(f"rule {rule.name!r}: {error}") from None
        for control, value in values.items():
            yield desk.control(control), _CHANGES[name], desk.number(f"rules/{rule.name}/{name}/{control}", value)
