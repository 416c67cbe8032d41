"""Time, order and wake-ups: SimPy's clock in integer nanoseconds, with the model's own order of simultaneous events.

Timed events are `Wake`s. A waiting request that is given a worker is woken by a plain SimPy event: those have a
higher priority than any `Wake` and are handled first in, first out, which is exactly the model's queue of wake-ups.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

import simpy
from simpy.events import EventPriority

from streamflow_env.engines.draws.distributions import duration_code, duration_ns
from streamflow_env.system import Duration

# The kinds of timed events, in the order in which they happen at equal times.
CHANGE, READY, ARRIVAL, STEP, RELEASE, DEADLINE, BATCH, PATIENCE, POLL, ENRICH = range(1, 11)

Waits = Iterable[simpy.Event]
"""What a request waits for, one event after the other; empty where it goes on at once."""
Waiting = Generator[simpy.Event, Any, None]
"""A stretch of a request's life, as the events it waits for."""


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
    """SimPy's environment with time in ns, the draws' seed and, where wanted, the logs of visits and answers."""

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
        """The timed event (now + `delay_ns`, kind, request, attempt, step)."""
        event = Wake(self)
        order = ((kind << 40 | request) << 3 | attempt) << 16 | step
        self.schedule(event, EventPriority(order), delay_ns)
        return event


class Level:
    """An integer that changes in time, and its integral over the running control interval."""

    __slots__ = ("_area_ns", "_sim", "_since_ns", "value")

    def __init__(self, sim: Simulation, value: int = 0) -> None:
        self.value = value
        self._sim = sim
        self._since_ns = sim.now
        self._area_ns = 0

    def add(self, change: int) -> None:
        """Change the value from now on."""
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
    """A random duration, ready to be sampled."""

    __slots__ = ("_code",)

    def __init__(self, mean_s: float, cv: float, distribution: str = "lognormal") -> None:
        self._code = duration_code(float(mean_s), float(cv), distribution)

    @classmethod
    def of(cls, duration: Duration) -> DurationDraw:
        return cls(duration.mean_s, duration.cv, duration.distribution)

    def ns(self, u: float, factor: float) -> int:
        """The duration of the draw `u`, times `factor`."""
        return int(duration_ns(u, *self._code, factor))
