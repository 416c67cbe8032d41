"""Servers behind a queue (workers, cores or connections), and replicas, which bring servers."""

from __future__ import annotations

import sys
from collections import deque
from dataclasses import dataclass

import simpy

from streamflow_env.engines.draws.distributions import to_ns
from streamflow_env.engines.reference.service import Visit
from streamflow_env.engines.reference.simulation import READY, Level, Simulation

NO_LIMIT = sys.maxsize


class Servers:
    """`number` servers (workers, cores or connections) behind one queue: FIFO, or premium users first."""

    def __init__(self, sim: Simulation, number: int, premium_first: bool = False) -> None:
        self._sim = sim
        self._premium_first = premium_first
        self.number = Level(sim, number)
        self.busy = Level(sim)
        self.queue: deque[Visit] = deque()
        self.queue_length = Level(sim)

    def take(self, visit: Visit, queue_limit: int = NO_LIMIT) -> bool:
        """Give `visit` a server, or a place in the queue and a `grant` to wait for. False: the queue is full."""
        if self.busy.value < self.number.value:
            self.busy.add(1)
        elif len(self.queue) < queue_limit:
            self.queue.insert(self._place_of(visit), visit)
            self.queue_length.add(1)
            visit.grant = self._sim.event()
        else:
            return False
        return True

    def _place_of(self, visit: Visit) -> int:
        """The position of `visit` in the queue: how many are before it."""
        if self._premium_first and visit.attempt.premium:
            return sum(1 for waiting in self.queue if waiting.attempt.premium)
        return len(self.queue)

    def give_back(self) -> None:
        """A server is free again."""
        self.busy.add(-1)
        self.admit()

    def admit(self) -> None:
        """Give free servers to the first visits in the queue."""
        while self.queue and self.busy.value < self.number.value:
            visit = self.queue.popleft()
            self.queue_length.add(-1)
            self.busy.add(1)
            visit.started_ns = self._sim._now
            assert visit.grant is not None
            visit.grant.succeed()

    def withdraw(self, visit: Visit) -> None:
        """`visit` leaves the queue without a server."""
        self.queue.remove(visit)
        self.queue_length.add(-1)

    def measure(self, counts: dict[str, int]) -> None:
        """Write the integrals and gauges of workers or connections into `counts`."""
        counts["busy_ns"] = self.busy.collect()
        counts["server_ns"] = self.number.collect()
        counts["queue_ns"] = self.queue_length.collect()
        counts["busy"] = self.busy.value
        counts["queue_length"] = len(self.queue)
        counts["in_flight"] = self.busy.value + len(self.queue)


@dataclass(frozen=True, slots=True)
class PerReplica:
    """Each replica adds `number` servers to `servers`."""

    servers: Servers
    number: int


@dataclass(frozen=True, slots=True)
class Delays:
    """How long a replica takes to start (ns), and for how many further intervals a larger setting is kept."""

    startup_ns: int
    hold_intervals: int

    @classmethod
    def of(cls, startup_delay_s: float, removal_hold_s: float, interval_ns: int) -> Delays:
        return cls(int(to_ns(startup_delay_s)), -(-int(to_ns(removal_hold_s)) // interval_ns))


class Replicas:
    """The replicas of a service, at first `number` ready ones. Each brings servers to all `parts`.

    A removed replica finishes the work of its servers of the first part (it drains).
    """

    def __init__(self, sim: Simulation, index: int, number: int, delays: Delays, *parts: PerReplica) -> None:
        self._sim = sim
        self._index = index
        self.ready = number
        self._startup_ns = delays.startup_ns
        self._parts = parts
        self._drained = parts[0]
        self._starting: deque[int] = deque()  # numbers of pending replicas, oldest first
        self._paid = Level(sim, number)
        self._settings = deque([number] * (delays.hold_intervals + 1), maxlen=delays.hold_intervals + 1)

    def give_back(self) -> None:
        """A server of the first part is free again. It may have been one of a removed replica."""
        servers = self._drained.servers
        drains = servers.busy.value > servers.number.value
        servers.give_back()
        if drains:
            self._count_paid()

    def scale(self, desired: int) -> None:
        """Set the desired number: start replicas, or cancel pending ones and then remove ready ones."""
        self._settings.append(desired)
        missing = max(self._settings) - self.ready - self.pending
        if missing > 0:
            self._start(missing)
        elif missing < 0:
            self._add_ready(-self._cancel_pending(-missing))
        self._count_paid()

    def _start(self, number: int) -> None:
        self._starting.append(number)
        self._sim.wake(self._startup_ns, READY, self._index).callbacks.append(self._become_ready)

    def _cancel_pending(self, number: int) -> int:
        """Cancel up to `number` pending replicas, newest first; how many more must be removed."""
        for i in reversed(range(len(self._starting))):
            cancelled = min(number, self._starting[i])
            self._starting[i] -= cancelled
            number -= cancelled
        return number

    def _become_ready(self, _: simpy.Event) -> None:
        self._add_ready(self._starting.popleft())
        self._count_paid()
        for part in self._parts:
            part.servers.admit()

    def _add_ready(self, number: int) -> None:
        self.ready += number
        for part in self._parts:
            part.servers.number.add(number * part.number)

    @property
    def pending(self) -> int:
        """The number of replicas that are starting."""
        return sum(self._starting)

    @property
    def draining(self) -> int:
        """The number of removed replicas whose servers are still busy."""
        servers = self._drained.servers
        excess = max(0, servers.busy.value - servers.number.value)
        return -(-excess // self._drained.number)

    def _count_paid(self) -> None:
        self._paid.add(self.ready + self.pending + self.draining - self._paid.value)

    def measure(self, counts: dict[str, int]) -> None:
        """Write their integral and gauges into `counts`."""
        counts["replica_ns"] = self._paid.collect()
        counts["ready_replicas"] = self.ready
        counts["pending_replicas"] = self.pending
        counts["draining_replicas"] = self.draining
