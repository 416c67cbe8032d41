"""Admission that finds its own limit: slow increase, fast decrease, by how long requests queue.

After WeChat's DAGOR (Zhou et al., "Overload Control for Scaling WeChat Microservices", SoCC 2018): a service whose
requests queue too long is overloaded, and the share that is let in is cut by a factor; else it grows slowly. The mean
wait is estimated by Little's law: queue length over arrival rate.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from streamflow_agents.policies.baselines.desk import Cells, Desk, Rows, rows
from streamflow_agents.policies.baselines.parts import Part
from streamflow_env.errors import ConfigError
from streamflow_env.system.schema import Fraction, Frozen, Positive, PositiveSeconds, Text

NAME = "admission"
_MOVABLE = ("target_s", "decrease", "increase", "lowest_rps")


class AdmissionSettings(Frozen):
    """`watched` pools must queue no longer than `target_s`; factors are per control interval."""

    control: Text
    watched: tuple[Text, ...] = Field(min_length=1)
    target_s: PositiveSeconds
    decrease: Fraction
    increase: Positive
    lowest_rps: Positive


class Admission(Part[Cells]):
    """Sets one rate limit, in requests a second; it remembers the limit in force."""

    def __init__(self, desk: Desk, config: AdmissionSettings) -> None:
        names = {control.name: control for control in desk.system.controls if control.parameter == "rate_limit_rps"}
        if config.control not in names:
            raise ConfigError(
                f"control {config.control!r}: must be a rate limit: {', '.join(names) or 'the system has none'}"
            )
        control = names[config.control]
        self._high = control.high
        self._control = desk.control(control.name)
        self._gate = desk.reading(f"{control.of}.arrival_rate_rps", NAME)
        self._queues = rows(desk.reading(f"{pool}.queue_length", NAME) for pool in config.watched)
        self._arrivals = rows(desk.reading(f"{pool}.arrival_rate_rps", NAME) for pool in config.watched)
        self._numbers = rows(desk.number(f"{NAME}/{name}", getattr(config, name)) for name in _MOVABLE)

    def begin(self, num_cells: int) -> Cells:
        return np.full(num_cells, self._high)

    def adjust(self, settings: Rows, readings: Rows, numbers: Rows, memory: Cells) -> Cells:
        target_s, decrease, increase, lowest_rps = numbers[self._numbers]
        waits_s = readings[self._queues] / np.maximum(readings[self._arrivals], 1.0)
        let_in = np.minimum(memory, readings[self._gate])
        cut = np.maximum(lowest_rps, let_in * (1.0 - decrease))
        grown = np.minimum(self._high, memory * (1.0 + increase))
        limit: Cells = np.where(waits_s.max(axis=0) > target_s, cut, grown)
        settings[self._control] = np.minimum(limit, settings[self._control])
        return limit
