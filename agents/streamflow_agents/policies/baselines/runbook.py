"""A runbook: what to set while a sign of an incident is seen, and for how long after it was last seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from streamflow_agents.policies.baselines.desk import Cells, Desk, Rows, rows
from streamflow_agents.policies.baselines.parts import Part
from streamflow_agents.policies.baselines.relative import USUAL, Relative, RelativeMemory, Relatives
from streamflow_env.errors import ConfigError
from streamflow_env.system.schema import Frozen, Integer, Number, Positive, PositiveSeconds, Seconds, Text

Amount = Number | Integer | Relative
"""A number in natural units, or one that is relative to a reading."""


class Sign(Frozen):
    """A reading above or below a bound, or above so many times its usual value.

    `above_usual` has a mean that starts with the first reading and takes in every one. So the sign of a change that
    stays ends by itself after some minutes. A bound that is a `Relative` has the mean that is told there.
    """

    reading: Text
    above: Amount | None = None
    below: Amount | None = None
    above_usual: Positive | None = None

    @model_validator(mode="after")
    def _check(self) -> Sign:
        if sum(bound is not None for bound in (self.above, self.below, self.above_usual)) != 1:
            raise ValueError(f"sign {self.reading!r}: give one of above, below, above_usual")
        return self

    @property
    def bound(self) -> tuple[str, Amount]:
        """The kind of the bound, and its value."""
        kinds = ("above", "below", "above_usual")
        return next((kind, getattr(self, kind)) for kind in kinds if getattr(self, kind) is not None)


class Rule(Frozen):
    """While any of the signs is seen, and `hold_s` longer: set controls, or keep them at least or at most so high.

    A rule with `longest_s` lets go once it has held for so long without a break, and for `pause_s` its signs are not
    looked at. If what it saw was its own doing, it is over; if not, the rule begins again. A breaker that is half open
    tries in the same way.
    """

    name: Text
    signs: tuple[Sign, ...] = Field(min_length=1)
    hold_s: Seconds
    longest_s: PositiveSeconds | None = None
    pause_s: PositiveSeconds | None = None
    set: dict[Text, Amount] = Field(default_factory=dict)
    at_least: dict[Text, Amount] = Field(default_factory=dict)
    at_most: dict[Text, Amount] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Rule:
        if (self.longest_s is None) != (self.pause_s is None):
            raise ValueError(f"rule {self.name!r}: give longest_s and pause_s, or neither")
        return self


class RunbookMemory(NamedTuple):
    """What a runbook remembers.

    Of each rule the seconds since a sign was last seen; of each sign its reading's usual value (NaN at first); of each
    rule that lets go the seconds for which it has held, and those left of its pause; and of the relative numbers.
    """

    since_s: Rows
    usual: Rows
    held_s: Rows
    pause_s: Rows
    relative: RelativeMemory


def _second(setting: Cells, number: Cells, out: Cells, where: NDArray[np.bool_]) -> None:
    np.copyto(out, number, where=where)


_CHANGES: Final[dict[str, Callable[..., Any]]] = {"set": _second, "at_least": np.maximum, "at_most": np.minimum}
"""change(setting, number, out=…, where=…)"""


class Change(NamedTuple):
    """What a rule does to a control: change(setting, number) is the new setting, with the number of the row."""

    control: int
    change: Callable[..., Any]
    is_relative: bool
    row: int


class Runbook(Part[RunbookMemory]):
    """The rules in their order: where two set the same control, the later one overrides."""

    def __init__(self, desk: Desk, rules: tuple[Rule, ...]) -> None:
        self._desk = desk
        self._relatives = Relatives(desk)
        self._interval_s = desk.system.control_interval_s
        self._holds = rows(desk.number(f"rules/{rule.name}/hold_s", rule.hold_s) for rule in rules)
        self._make_signs(rules)
        self._changes = [self._changes_of(number, rule) for number, rule in enumerate(rules)]
        limited = [(number, rule) for number, rule in enumerate(rules) if rule.longest_s is not None]
        self._limited = rows(number for number, _ in limited)
        self._longest, self._pauses = (
            rows(desk.number(f"rules/{rule.name}/{name}", getattr(rule, name)) for _, rule in limited)
            for name in ("longest_s", "pause_s")
        )
        self._relatives.close()

    def _make_signs(self, rules: tuple[Rule, ...]) -> None:
        desk, signs = self._desk, [(number, rule, sign) for number, rule in enumerate(rules) for sign in rule.signs]
        self._first_signs = np.cumsum([0, *(len(rule.signs) for rule in rules)])[:-1]
        self._readings = rows(desk.reading(sign.reading, f"rule {rule.name!r}") for _, rule, sign in signs)
        self._is_below, self._is_usual = (
            np.array([[sign.bound[0] == kind] for _, _, sign in signs]) for kind in ("below", "above_usual")
        )
        bounds = [
            self._amount(sign.bound[1], f"rules/{rule.name}/signs/{sign.reading}/{sign.bound[0]}", number, rule)
            for number, rule, sign in signs
        ]
        self._plain, self._relative = (
            np.array(
                [(sign, row) for sign, (is_relative, row) in enumerate(bounds) if is_relative == kind], dtype=np.intp
            )
            .reshape(-1, 2)
            .T
            for kind in (False, True)
        )

    def _changes_of(self, number: int, rule: Rule) -> list[Change]:
        desk, table, found = self._desk, self._desk.system.control_table, []
        default = dict(zip(table.names, table.default.tolist(), strict=True))
        for name, amounts in (("set", rule.set), ("at_least", rule.at_least), ("at_most", rule.at_most)):
            plain = {c: default.get(c, 0.0) if isinstance(a, Relative) else a for c, a in amounts.items()}
            try:
                table.with_values(**plain)
            except ConfigError as error:
                raise ConfigError(f"rule {rule.name!r}: {error}") from None
            for control, amount in amounts.items():
                is_relative, row = self._amount(amount, f"rules/{rule.name}/{name}/{control}", number, rule)
                found.append(Change(desk.control(control), _CHANGES[name], is_relative, row))
        return found

    def _amount(self, amount: Amount, path: str, number: int, rule: Rule) -> tuple[bool, int]:
        """Whether the amount of the rule of this number is relative, and its row."""
        if isinstance(amount, Relative):
            return True, self._relatives.add(amount, path, number, f"rule {rule.name!r}")
        return False, self._desk.number(path, amount)

    def begin(self, num_cells: int) -> RunbookMemory:
        never = np.full((len(self._changes), num_cells), np.inf)
        usual = np.full((len(self._readings), num_cells), np.nan)
        none = np.zeros((len(self._limited), num_cells))
        return RunbookMemory(never, usual, none, none, self._relatives.begin(num_cells))

    def adjust(self, settings: Rows, readings: Rows, numbers: Rows, memory: RunbookMemory) -> RunbookMemory:
        if not self._changes:
            return memory
        quantities = self._relatives.quantities(readings)
        relative = self._relatives.values(quantities, numbers, memory.relative)
        values = readings[self._readings]
        usual = np.where(np.isnan(memory.usual), values, memory.usual)
        since_s = np.where(self._seen(values, usual, numbers, relative), 0.0, memory.since_s + self._interval_s)
        since_s[self._limited] = np.where(memory.pause_s > 0.0, np.inf, since_s[self._limited])
        holds = since_s <= numbers[self._holds]
        for rule in np.flatnonzero(holds.any(axis=1)):
            for control, change, is_relative, row in self._changes[rule]:
                number = relative[row] if is_relative else numbers[row]
                change(settings[control], number, out=settings[control], where=holds[rule])
        return RunbookMemory(
            since_s,
            usual + USUAL * (values - usual),
            *self._held_and_pause(holds, numbers, memory),
            self._relatives.remember(quantities, holds, memory.relative),
        )

    def _seen(self, values: Rows, usual: Rows, numbers: Rows, relative: Rows) -> NDArray[np.bool_]:
        """Of which rules a sign is seen, shape (rules, cells)."""
        bounds = np.empty(values.shape)
        bounds[self._plain[0]] = numbers[self._plain[1]]
        bounds[self._relative[0]] = relative[self._relative[1]]
        shown = np.where(self._is_below, values < bounds, values > np.where(self._is_usual, bounds * usual, bounds))
        return np.asarray(np.logical_or.reduceat(shown, self._first_signs))

    def _held_and_pause(self, holds: NDArray[np.bool_], numbers: Rows, memory: RunbookMemory) -> tuple[Rows, Rows]:
        """For how long the rules that let go have held, and what is left of their pauses, in seconds."""
        held_s = np.where(holds[self._limited], memory.held_s + self._interval_s, 0.0)
        lets_go = held_s >= numbers[self._longest]
        left_s = np.maximum(memory.pause_s - self._interval_s, 0.0)
        return np.where(lets_go, 0.0, held_s), np.where(lets_go, numbers[self._pauses], left_s)
