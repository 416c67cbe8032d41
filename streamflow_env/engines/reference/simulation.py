"""Time, order and wake-ups: SimPy's clock in integer nanoseconds, and the model's order of simultaneous events.

Timed events are `Wake`s. A waiting attempt that gets a worker is woken by a plain SimPy event. Plain events have a
higher priority than any `Wake` and are handled first in, first out. This is the model's queue of wake-ups.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

import simpy
from simpy.events import EventPriority

from streamflow_env.engines.draws.distributions import duration_code, duration_ns
from streamflow_env.system import Duration

# The kinds of timed events. At equal times they happen in this order.
CHANGE, READY, ARRIVAL, STEP, RELEASE, DEADLINE, BATCH, PATIENCE, POLL, ENRICH = range(1, 11)

Waits = Iterable[simpy.Event]
"""The events that an attempt waits for, one after the other. Empty if it does not wait."""
Waiting = Generator[simpy.Event, Any, None]
"""A part of an attempt's process: a generator of the events that it waits for."""


class StepError(Exception):
    """A step of a plan failed with `outcome`: QUEUE_FULL, FAULT, FAILED or SHED."""

    def __init__(self, outcome: int) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class Wake(simpy.Event):
    """A timed event."""

    _ok = True
    _value = None


class Simulation(simpy.Environment):
    """SimPy's environment, with time in ns, the seed of the draws and, with `log`, the logs of visits and answers."""

    _now: int

    def __init__(self, seed: int, log: bool) -> None:
        super().__init__(initial_time=0)
        self.seed = seed
        self.log = log
        self.visits: list[tuple[int, ...]] = []
        self.answers: list[tuple[int, ...]] = []

    @property
    def now(self) -> int:
        """Nanoseconds since the start of the warm-up."""
        return self._now

    def wake(self, delay_ns: int, kind: int, request: int, attempt: int = 0, step: int = 0) -> Wake:
        """Schedule the timed event (now + `delay_ns`, kind, request, attempt, step)."""
        event = Wake(self)
        order = ((kind << 40 | request) << 3 | attempt) << 16 | step
        self.schedule(event, EventPriority(order), delay_ns)
        return event


class Level:
    """An integer that changes over time, and its integral over the running control interval."""

    __slots__ = ("_area_ns", "_sim", "_since_ns", "value")

    def __init__(self, sim: Simulation, value: int = 0) -> None:
        self.value = value
        self._sim = sim
        self._since_ns = sim.now
        self._area_ns = 0

    def add(self, change: int) -> None:
        """Add `change` to the value."""
        now = self._sim._now
        self._area_ns += self.value * (now - self._since_ns)
        self._since_ns = now
        self.value += change

    def collect(self) -> int:
        """The integral since the last collection, in value · ns."""
        self.add(0)
        area_ns, self._area_ns = self._area_ns, 0
        return area_ns


class DurationDraw:
    """A distribution of durations. Its parameters are prepared once, for many samples."""

    __slots__ = ("_code",)

    def __init__(self, mean_s: float, cv: float, distribution: str = "lognormal") -> None:
        self._code = duration_code(float(mean_s), float(cv), distribution)

    @classmethod
    def of(cls, duration: Duration) -> DurationDraw:
        return cls(duration.mean_s, duration.cv, duration.distribution)

    def ns(self, u: float, factor: float) -> int:
        """The duration of the draw `u`, times `factor` (ns)."""
        return int(duration_ns(u, *self._code, factor))
