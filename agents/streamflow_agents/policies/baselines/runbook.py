"""A runbook: what to set while a sign of an incident is seen, and for how long after it was last seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import Field, model_validator

from streamflow_agents.policies.baselines.parts import Part, Settings, check_readings
from streamflow_env.environment.observations import ObservationTable
from streamflow_env.errors import ConfigError
from streamflow_env.system import System
from streamflow_env.system.schema import Frozen, NonNegative, Number, Positive, Text

USUAL = 0.02
"""The weight of the newest value in the mean that is a reading's usual value: of about 12 minutes. Assumed."""


class Sign(Frozen):
    """A reading above or below a bound, or above so many times its usual value."""

    reading: Text
    above: Number | int | None = None
    below: Number | int | None = None
    above_usual: Positive | None = None

    @model_validator(mode="after")
    def _check(self) -> Sign:
        if sum(bound is not None for bound in (self.above, self.below, self.above_usual)) != 1:
            raise ValueError(f"sign {self.reading!r}: give one of above, below, above_usual")
        return self

    def seen(self, value: float, usual: float) -> bool:
        """Whether the value of the reading shows the sign; `usual` is its usual value."""
        if self.above is not None:
            return value > self.above
        if self.below is not None:
            return value < self.below
        return value > (self.above_usual or 0.0) * usual


class Rule(Frozen):
    """While any of the signs is seen, and `hold_s` longer: set controls, or keep them at least or at most so high."""

    name: Text
    signs: tuple[Sign, ...] = Field(min_length=1)
    hold_s: NonNegative
    set: dict[Text, Number | int] = Field(default_factory=dict)
    at_least: dict[Text, Number | int] = Field(default_factory=dict)
    at_most: dict[Text, Number | int] = Field(default_factory=dict)


@dataclass(frozen=True)
class RunbookMemory:
    """The seconds since a sign was last seen, by rule, and the usual values, by reading."""

    since_s: Mapping[str, float] = field(default_factory=dict)
    usual: Mapping[str, float] = field(default_factory=dict)


class Runbook(Part[RunbookMemory]):
    """The rules in their order: where two set the same control, the later one overrides."""

    def __init__(self, system: System, table: ObservationTable, rules: tuple[Rule, ...]) -> None:
        self._rules = rules
        self._interval_s = system.control_interval_s
        self._readings = sorted({sign.reading for rule in rules for sign in rule.signs if sign.above_usual})
        for rule in rules:
            check_readings(table, [sign.reading for sign in rule.signs], f"rule {rule.name!r}")
            for values in (rule.set, rule.at_least, rule.at_most):
                try:
                    system.control_table.with_values(**values)
                except ConfigError as error:
                    raise ConfigError(f"rule {rule.name!r}: {error}") from None

    def adjust(self, settings: Settings, readings: Mapping[str, float], memory: RunbookMemory | None) -> RunbookMemory:
        past = memory or RunbookMemory()
        usual = {name: past.usual.get(name, readings[name]) for name in self._readings}
        since_s = {}
        for rule in self._rules:
            seen = any(sign.seen(readings[sign.reading], usual.get(sign.reading, 0.0)) for sign in rule.signs)
            since = 0.0 if seen else past.since_s.get(rule.name, float("inf")) + self._interval_s
            since_s[rule.name] = since
            if since <= rule.hold_s:
                settings.update(rule.set)
                settings.update({name: max(settings[name], value) for name, value in rule.at_least.items()})
                settings.update({name: min(settings[name], value) for name, value in rule.at_most.items()})
        learned = {name: mean + USUAL * (readings[name] - mean) for name, mean in usual.items()}
        return RunbookMemory(since_s, learned)
