"""A fleet sized ahead: for the load expected when a replica ordered now will serve, with room for random variation.

Offered load a (workers in use, in Erlang) is taken to grow as first attempts do: along the daily curve, along the trend
of the last minutes, and by the announced campaign. Square-root staffing then asks for a + β √a workers (Erlang 1924;
Halfin and Whitt 1981): the spread of a Poisson load is the square root of its mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from streamflow_agents.policies.baselines.parts import Part, Settings
from streamflow_env.system import System, WorkerPool
from streamflow_env.system.schema import Count, Flag, Frozen, NonNegative, Number

HOURS_A_DAY = 24.0


class PredictiveSettings(Frozen):
    """`curve`: (hour, level) of the usual day, linear in between and cyclic; a level is relative.

    `cpu`: size pools for their CPU cores in use too, not for their workers alone.
    """

    beta: NonNegative
    lead_s: NonNegative
    trend_s: NonNegative
    hold_s: NonNegative
    curve: tuple[tuple[Number | int, Number | int], ...] = Field(min_length=1)
    min_replicas: Count = 1
    cpu: Flag = False


@dataclass(frozen=True)
class PredictiveMemory:
    """First attempts a second in the last intervals, and what each pool used of each resource in them; oldest first."""

    rates: tuple[float, ...] = ()
    loads: tuple[tuple[float, ...], ...] = ()


class Predictive(Part[PredictiveMemory]):
    """Sets each pool to the replicas that square-root staffing asks for `lead_s` ahead."""

    def __init__(self, system: System, config: PredictiveSettings) -> None:
        self._config = config
        interval_s = system.control_interval_s
        self._num_rates = max(2, round(config.trend_s / interval_s))
        self._num_loads = max(1, round(config.hold_s / interval_s))
        self._interval_s = interval_s
        self._resources: list[tuple[str, str, str, int]] = []
        self._controls: list[str] = []
        for control in system.controls:
            pool = system.services.get(control.of)
            if control.parameter == "replicas" and isinstance(pool, WorkerPool):
                self._controls.append(control.name)
                self._resources.append((control.of, control.name, "utilisation", pool.workers_per_replica))
                if config.cpu and pool.cores_per_replica:
                    self._resources.append((control.of, control.name, "cpu_utilisation", pool.cores_per_replica))
        self._interactive = [name for name, kind in system.classes.items() if kind.kind == "interactive"]

    def adjust(
        self, settings: Settings, readings: Mapping[str, float], memory: PredictiveMemory | None
    ) -> PredictiveMemory:
        past = memory or PredictiveMemory(loads=((),) * len(self._resources))
        rate = self._first_attempts(readings)
        rates = (*past.rates, rate)[-self._num_rates :]
        growth = self._expected(rates, readings) / max(rate, 1e-9)
        loads = []
        settings.update(dict.fromkeys(self._controls, float(self._config.min_replicas)))
        for (pool, control, share, each), before in zip(self._resources, past.loads, strict=True):
            in_use = readings[f"{pool}.{share}"] * readings[f"{pool}.ready_replicas"] * each
            recent = (*before, in_use)[-self._num_loads :]
            load = max(recent) * growth
            needed = math.ceil((load + self._config.beta * math.sqrt(load)) / each)
            settings[control] = max(settings[control], needed)
            loads.append(recent)
        return PredictiveMemory(rates, tuple(loads))

    def _first_attempts(self, readings: Mapping[str, float]) -> float:
        attempts = sum(
            readings[f"{name}.{priority}.attempt_rate_rps"]
            for name in self._interactive
            for priority in ("standard", "premium")
        )
        return attempts * (1.0 - readings["users.retry_fraction"])

    def _expected(self, rates: Sequence[float], readings: Mapping[str, float]) -> float:
        """First attempts a second, `lead_s` ahead."""
        rate, lead_s = rates[-1], self._config.lead_s
        hour = readings["time_of_day_h"]
        along_the_day = rate * self._level(hour + lead_s / 3600.0) / self._level(hour)
        half = len(rates) // 2
        trend = rate
        if half > 0:
            earlier, later = sum(rates[:half]) / half, sum(rates[-half:]) / half
            slope = (later - earlier) / (self._interval_s * (len(rates) - half))
            trend = later + slope * lead_s
        starts_in_s = readings["announced.starts_in_s"]
        announced = readings["announced.expected_rps"] if 0.0 < starts_in_s <= lead_s else 0.0
        return max(along_the_day, trend) + announced

    def _level(self, hour: float) -> float:
        """The usual day's level at an hour."""
        points = self._config.curve
        hour %= HOURS_A_DAY
        for index, (start, level) in enumerate(points):
            end, after = points[(index + 1) % len(points)]
            span = (end - start) % HOURS_A_DAY or HOURS_A_DAY
            since = (hour - start) % HOURS_A_DAY
            if since < span:
                return float(level + (after - level) * since / span)
        return float(points[0][1])
