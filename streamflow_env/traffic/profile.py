"""Rate curves: the users' load over an episode, as a multiple (the *level*) of the system's normal load.

A traffic is a base curve, times the swings (sinusoids), times the surges. A new kind of base curve is a
class with `kind` and `_base`.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from streamflow_env.episode import Mark
from streamflow_env.ranges import (
    SURGE,
    SWING,
    TRAFFIC,
    FactorRange,
    FractionRange,
    HourRange,
    LevelRange,
    PositiveSecondsRange,
    SecondsRange,
    draw,
    stream,
)
from streamflow_env.system.schema import Fraction, Frozen, NonNegative

Array = NDArray[np.float64]
HOUR_S = 3600.0
DAY_HOURS = 24.0


@dataclass(frozen=True)
class Load:
    """One episode's traffic. `levels` has the shape of the times asked for, in multiples of the normal load."""

    levels: Array
    start_hour: float
    marks: tuple[Mark, ...] = ()


class Swing(Frozen):
    """A sinusoid that multiplies the level by 1 ± `amplitude`; its phase is drawn."""

    amplitude: FractionRange
    period_s: PositiveSecondsRange

    def factors(self, rng: np.random.Generator, times_s: Array) -> Array:
        amplitude, period_s = draw(rng, self.amplitude), draw(rng, self.period_s)
        phase = rng.random()
        return np.asarray(1.0 + amplitude * np.sin(2.0 * np.pi * (times_s / period_s + phase)))


class Surge(Frozen):
    """An unannounced peak: the level rises within `rise_s` to `factor` times, stays for `duration_s`, falls in
    `fall_s`.

    Its height is uncertain: the excess over 1 is (`factor` - 1) · `noise`. It happens with probability `chance`.
    """

    factor: FactorRange
    start_s: SecondsRange
    duration_s: SecondsRange
    rise_s: SecondsRange = (60.0, 60.0)
    fall_s: SecondsRange = (300.0, 300.0)
    noise: LevelRange = (1.0, 1.0)
    chance: Fraction = 1.0

    def factors(self, rng: np.random.Generator, times_s: Array) -> tuple[Array, tuple[Mark, ...]]:
        happens = rng.random() < self.chance
        factor, noise = draw(rng, self.factor), draw(rng, self.noise)
        lengths = [draw(rng, limits) for limits in (self.start_s, self.rise_s, self.duration_s, self.fall_s)]
        if not happens:
            return np.ones_like(times_s), ()
        excess = max((factor - 1.0) * noise, -1.0)
        knots = np.cumsum(lengths)
        factors = 1.0 + excess * np.interp(times_s, knots, [0.0, 1.0, 1.0, 0.0])
        return factors, (Mark(f"surge, {1.0 + excess:.2f}x", float(knots[0]), float(knots[-1])),)


class CurvedTraffic(Frozen):
    """What all kinds of traffic share: a base curve under swings and surges."""

    swings: tuple[Swing, ...] = ()
    surges: tuple[Surge, ...] = ()

    def sample(self, seed: int, times_s: Array, horizon_s: float) -> Load:
        """The traffic of one episode at `times_s`, the middles of bins of `BIN_S`, in seconds from t = 0."""
        levels, start_hour = self._base(stream(seed, TRAFFIC), times_s, horizon_s)
        marks: tuple[Mark, ...] = ()
        for index, swing in enumerate(self.swings):
            levels = levels * swing.factors(stream(seed, SWING, index), times_s)
        for index, surge in enumerate(self.surges):
            factors, surge_marks = surge.factors(stream(seed, SURGE, index), times_s)
            levels, marks = levels * factors, marks + surge_marks
        return Load(levels, start_hour % DAY_HOURS, marks)

    def check(self, horizon_s: float) -> None:
        """Raises ValueError, naming the key, where the traffic does not fit an episode of `horizon_s`."""
        for index, surge in enumerate(self.surges):
            if surge.start_s[1] >= horizon_s:
                raise ValueError(
                    f"traffic.surges.{index}.start_s = {surge.start_s[1]}: must be below horizon_s = {horizon_s}"
                )

    @abstractmethod
    def _base(self, rng: np.random.Generator, times_s: Array, horizon_s: float) -> tuple[Array, float]:
        """(levels without swings and surges, hour of the day at t = 0)."""


class Ramp(Frozen):
    """From `start_s` on, over `duration_s`, the level goes linearly to `level` and stays.

    Ramps do not overlap: where the ranges would let them, a ramp starts when the one before it has ended.
    """

    start_s: SecondsRange
    duration_s: SecondsRange
    level: LevelRange


class RampTraffic(CurvedTraffic):
    """A level, and ramps from there."""

    kind: Literal["ramps"]
    level: LevelRange
    ramps: tuple[Ramp, ...] = ()
    start_hour: HourRange = (12.0, 12.0)

    def _base(self, rng: np.random.Generator, times_s: Array, horizon_s: float) -> tuple[Array, float]:
        start_hour = draw(rng, self.start_hour)
        times, levels = [0.0], [draw(rng, self.level)]
        for ramp in self.ramps:
            start_s, duration_s, level = draw(rng, ramp.start_s), draw(rng, ramp.duration_s), draw(rng, ramp.level)
            start_s = max(start_s, times[-1])
            times += [start_s, start_s + duration_s]
            levels += [levels[-1], level]
        return np.interp(times_s, times, levels), start_hour


class DailyPoint(Frozen):
    """The level at an hour of the day."""

    hour: Annotated[NonNegative, Field(le=24)]
    level: Annotated[NonNegative, Field(le=1000)]


class DailyTraffic(CurvedTraffic):
    """A curve over the day, linear between its points and repeated every 24 hours, times `scale`."""

    kind: Literal["daily"]
    start_hour: HourRange
    points: tuple[DailyPoint, ...] = Field(min_length=1)
    scale: LevelRange = (1.0, 1.0)

    @field_validator("points", mode="before")
    @classmethod
    def _from_pairs(cls, value: Any) -> Any:
        """`[[hour, level], ...]` is the short form."""
        if not isinstance(value, (list, tuple)):
            return value
        is_pair = [isinstance(item, (list, tuple)) and len(item) == 2 for item in value]
        return [{"hour": i[0], "level": i[1]} if pair else i for i, pair in zip(value, is_pair, strict=True)]

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        hours = [point.hour for point in self.points]
        if any(after <= before for before, after in pairwise(hours)):
            raise ValueError(f"points: hours {hours} must be ascending, each given once")
        if hours[-1] - hours[0] == DAY_HOURS and self.points[0].level != self.points[-1].level:
            raise ValueError("points: hours 0 and 24 are the same moment and must have the same level")
        return self

    def _base(self, rng: np.random.Generator, times_s: Array, horizon_s: float) -> tuple[Array, float]:
        start_hour, scale = draw(rng, self.start_hour), draw(rng, self.scale)
        return scale * daily_levels(self.points, start_hour + times_s / HOUR_S), start_hour


def daily_levels(points: tuple[DailyPoint, ...], hours: Array) -> Array:
    """The levels of a daily curve at `hours`, which may lie days apart."""
    return np.interp(hours, [p.hour for p in points], [p.level for p in points], period=DAY_HOURS)
