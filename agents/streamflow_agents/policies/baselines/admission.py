"""Admission that finds its own limit: slow increase, fast decrease, by how long requests queue.

After WeChat's DAGOR (Zhou et al., "Overload Control for Scaling WeChat Microservices", SoCC 2018): a service whose
requests queue too long is overloaded, and the share that is let in is cut by a factor; else it grows slowly. The mean
wait is estimated by Little's law: queue length over arrival rate.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from streamflow_agents.policies.baselines.parts import Part, Settings, check_readings
from streamflow_env.environment.observations import ObservationTable
from streamflow_env.errors import ConfigError
from streamflow_env.system import System
from streamflow_env.system.schema import Fraction, Frozen, Positive, Text


class AdmissionSettings(Frozen):
    """`watched` pools must queue no longer than `target_s`; factors are per control interval."""

    control: Text
    watched: tuple[Text, ...] = Field(min_length=1)
    target_s: Positive
    decrease: Fraction
    increase: Positive
    lowest_rps: Positive


class Admission(Part[float]):
    """Sets one rate limit, in requests a second; it remembers the limit in force."""

    def __init__(self, system: System, table: ObservationTable, config: AdmissionSettings) -> None:
        names = {control.name: control for control in system.controls if control.parameter == "rate_limit_rps"}
        if config.control not in names:
            raise ConfigError(
                f"control {config.control!r}: must be a rate limit: {', '.join(names) or 'the system has none'}"
            )
        self._config = config
        self._control = names[config.control]
        gate = f"{self._control.of}.arrival_rate_rps"
        self._gate = gate
        for pool in config.watched:
            check_readings(table, [gate, f"{pool}.queue_length", f"{pool}.arrival_rate_rps"], "admission")

    def adjust(self, settings: Settings, readings: Mapping[str, float], memory: float | None) -> float:
        limit = self._control.high if memory is None else memory
        if self._longest_wait_s(readings) > self._config.target_s:
            let_in = min(limit, readings[self._gate])
            limit = max(self._config.lowest_rps, let_in * (1.0 - self._config.decrease))
        else:
            limit = min(self._control.high, limit * (1.0 + self._config.increase))
        settings[self._config.control] = min(limit, settings[self._config.control])
        return limit

    def _longest_wait_s(self, readings: Mapping[str, float]) -> float:
        return max(
            readings[f"{pool}.queue_length"] / max(readings[f"{pool}.arrival_rate_rps"], 1.0)
            for pool in self._config.watched
        )
