"""A fleet sized ahead: for the load expected when a replica ordered now will serve, with room for random variation.

Offered load a (workers in use, in Erlang) is taken to grow as first attempts do: along the daily curve, along the trend
of the last minutes, and by the announced campaign. Square-root staffing then asks for a + β √a workers (Erlang 1924;
Halfin and Whitt 1981): the spread of a Poisson load is the square root of its mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from streamflow_agents.policies.baselines.desk import REMEMBERED_S, Cells, Desk, Rows, rows
from streamflow_agents.policies.baselines.parts import Part
from streamflow_env.environment.observations.decoder import HOUR, HOURS_A_DAY
from streamflow_env.environment.sequential_sum import sequential_sum
from streamflow_env.system import WorkerPool
from streamflow_env.system.schema import Count, Flag, Frozen, Integer, NonNegative, Number, Seconds

NAME = "predictive"
_MOVABLE = ("beta", "lead_s", "trend_s", "hold_s", "min_replicas")


class PredictiveSettings(Frozen):
    """`curve`: (hour, level) of the usual day, linear in between and cyclic; a level is relative.

    `cpu`: size pools for their CPU cores in use too, not for their workers alone.
    """

    beta: NonNegative
    lead_s: Annotated[Seconds, Field(le=86_400)]
    trend_s: Annotated[Seconds, Field(le=86_400)]
    hold_s: Annotated[Seconds, Field(le=86_400)]
    curve: tuple[tuple[Number | Integer, Number | Integer], ...] = Field(min_length=1)
    min_replicas: Count = 1
    cpu: Flag = False


class PredictiveMemory(NamedTuple):
    """Of the last intervals, oldest first: first attempts a second, shape (slots, cells), and what was used of each
    resource, shape (slots, resources, cells). Only the newest `intervals` of the slots are filled."""

    intervals: Cells
    rates: Rows
    loads: Rows


class Predictive(Part[PredictiveMemory]):
    """Sets each pool to the replicas that square-root staffing asks for `lead_s` ahead."""

    def __init__(self, desk: Desk, config: PredictiveSettings) -> None:
        system = desk.system
        self._interval_s = system.control_interval_s
        self._slots = max(2, round(max(config.trend_s, config.hold_s, REMEMBERED_S) / self._interval_s))
        self._since = np.arange(self._slots)[::-1, None]
        self._numbers = rows(desk.number(f"{NAME}/{name}", getattr(config, name)) for name in _MOVABLE)
        self._curve = _Curve(config.curve)
        resources: list[tuple[str, str, int]] = []
        controls, firsts = [], []
        for control in system.controls:
            pool = system.services.get(control.of)
            if control.parameter == "replicas" and isinstance(pool, WorkerPool):
                controls.append(control.name)
                firsts.append(len(resources))
                resources.append((control.of, "utilisation", pool.workers_per_replica))
                if config.cpu and pool.cores_per_replica:
                    resources.append((control.of, "cpu_utilisation", pool.cores_per_replica))
        self._controls, self._firsts = rows(map(desk.control, controls)), firsts
        self._shares = rows(desk.reading(f"{pool}.{share}") for pool, share, _ in resources)
        self._ready = rows(desk.reading(f"{pool}.ready_replicas") for pool, _, _ in resources)
        self._each = np.array([[each] for _, _, each in resources], dtype=np.float64)
        interactive = [name for name, kind in system.classes.items() if kind.kind == "interactive"]
        self._attempts = rows(
            desk.reading(f"{name}.{priority}.attempt_rate_rps")
            for name in interactive
            for priority in ("standard", "premium")
        )
        self._retries = desk.reading("users.retry_fraction")
        self._hour = desk.reading(HOUR)
        self._announced = rows(map(desk.reading, ("announced.starts_in_s", "announced.expected_rps")))

    def begin(self, num_cells: int) -> PredictiveMemory:
        rates, loads = np.zeros((self._slots, num_cells)), np.zeros((self._slots, len(self._each), num_cells))
        return PredictiveMemory(np.zeros(num_cells), rates, loads)

    def adjust(self, settings: Rows, readings: Rows, numbers: Rows, memory: PredictiveMemory) -> PredictiveMemory:
        beta, lead_s, trend_s, hold_s, min_replicas = numbers[self._numbers]
        rate = sequential_sum(readings[self._attempts]) * (1.0 - readings[self._retries])
        in_use = readings[self._shares] * readings[self._ready] * self._each
        intervals = np.minimum(memory.intervals + 1.0, self._slots)
        rates = np.concatenate((memory.rates[1:], rate[None]))
        loads = np.concatenate((memory.loads[1:], in_use[None]))
        counted = np.minimum(intervals, np.maximum(2.0, np.rint(trend_s / self._interval_s)))
        growth = self._expected(rates, counted, lead_s, readings) / np.maximum(rate, 1e-9)
        held = self._since < np.maximum(1.0, np.rint(hold_s / self._interval_s))
        load = np.where(held[:, None], loads, 0.0).max(axis=0) * growth
        needed = np.ceil((load + beta * np.sqrt(load)) / self._each)
        settings[self._controls] = np.maximum(min_replicas, np.maximum.reduceat(needed, self._firsts))
        return PredictiveMemory(intervals, rates, loads)

    def _expected(self, rates: Rows, counted: Cells, lead_s: Cells, readings: Rows) -> Cells:
        """First attempts a second, `lead_s` ahead, by the newest `counted` of the rates."""
        rate, hour = rates[-1], readings[self._hour]
        along_the_day = rate * self._curve.level(hour + lead_s / 3600.0) / self._curve.level(hour)
        half = counted // 2.0
        is_early = (self._since >= counted - half) & (self._since < counted)
        early, late = (total(rates, chosen) / np.maximum(half, 1.0) for chosen in (is_early, self._since < half))
        slope = (late - early) / (self._interval_s * (counted - half))
        trend = np.where(half > 0, late + slope * lead_s, rate)
        starts_in_s, expected_rps = readings[self._announced]
        announced = np.where((starts_in_s > 0.0) & (starts_in_s <= lead_s), expected_rps, 0.0)
        return np.asarray(np.maximum(along_the_day, trend) + announced)


def total(rates: Rows, chosen: NDArray[np.bool_]) -> Cells:
    """The sum of the chosen rates of each cell, added oldest first, so that it is the same bits in every batch."""
    return np.asarray(np.add.accumulate(np.where(chosen, rates, 0.0))[-1])


class _Curve:
    """The usual day: level by hour."""

    def __init__(self, points: Sequence[tuple[float, float]]) -> None:
        self._start, self._level = np.array(points, dtype=np.float64).T[..., None]
        self._rise = np.roll(self._level, -1) - self._level
        span = (np.roll(self._start, -1) - self._start) % HOURS_A_DAY
        self._span = np.where(span > 0, span, HOURS_A_DAY)

    def level(self, hour: Cells) -> Cells:
        since = (hour % HOURS_A_DAY - self._start) % HOURS_A_DAY
        is_here = since < self._span
        here = np.argmax(is_here, axis=0)
        level = (self._level + self._rise * since / self._span)[here, np.arange(len(here))]
        return np.asarray(np.where(is_here.any(axis=0), level, self._level[0]))
