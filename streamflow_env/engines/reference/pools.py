"""Worker pools: replicas of workers behind a bounded FIFO queue, with a CPU of their own."""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING

import simpy

from streamflow_env.engines.draws.distributions import to_ns
from streamflow_env.engines.draws.hashing import FAULT as FAULT_DRAW
from streamflow_env.engines.draws.hashing import SERVICE_TIME
from streamflow_env.engines.reference.service import Service, Visit
from streamflow_env.engines.reference.simulation import READY, DurationDraw, Level, Simulation, StepError, Waiting
from streamflow_env.engines.telemetry import DEPARTED, FAILED, FAULT, OK, QUEUE_FULL
from streamflow_env.system import WorkerPool as PoolConfig
from streamflow_env.system.controls import Parameter

if TYPE_CHECKING:
    from streamflow_env.engines.reference.attempt import Attempt

NO_LIMIT = sys.maxsize


class Servers:
    """A number of servers (workers, cores or connections) behind one FIFO queue."""

    def __init__(self, sim: Simulation, number: int) -> None:
        self._sim = sim
        self.number = Level(sim, number)
        self.busy = Level(sim)
        self.queue: deque[Visit] = deque()
        self.queue_length = Level(sim)

    def take(self, visit: Visit, queue_limit: int = NO_LIMIT) -> bool:
        """Give `visit` a server, or a place in the queue, where it waits for its `grant`. False: the queue is full."""
        if self.busy.value < self.number.value:
            self.busy.add(1)
        elif len(self.queue) < queue_limit:
            self.queue.append(visit)
            self.queue_length.add(1)
            visit.grant = self._sim.event()
        else:
            return False
        return True

    def give_back(self) -> None:
        """A server is free again."""
        self.busy.add(-1)
        self.admit()

    def admit(self) -> None:
        """Give free servers to those who wait."""
        while self.queue and self.busy.value < self.number.value:
            visit = self.queue.popleft()
            self.queue_length.add(-1)
            self.busy.add(1)
            visit.started_ns = self._sim._now
            assert visit.grant is not None
            visit.grant.succeed()

    def withdraw(self, visit: Visit) -> None:
        """`visit` leaves the queue without having been served."""
        self.queue.remove(visit)
        self.queue_length.add(-1)


class WorkerPool(Service):
    """A worker pool. A request enters, works, perhaps holds its worker during calls of its own, and leaves."""

    def __init__(self, sim: Simulation, index: int, config: PoolConfig, interval_ns: int) -> None:
        super().__init__(sim, index)
        self.config = config
        self.queue_limit = config.queue_limit
        self.workers = Servers(sim, config.replicas * config.workers_per_replica)
        self.cores = Servers(sim, config.replicas * config.cores_per_replica)
        self._service_time = DurationDraw.of(config.service_time)
        self._startup_ns = int(to_ns(config.startup_delay_s))
        self.ready = config.replicas
        self._starting: deque[int] = deque()  # replicas pending, by the interval that asked for them, oldest first
        self._paid = Level(sim, config.replicas)
        held = -(-int(to_ns(config.removal_hold_s)) // interval_ns)
        self._settings = deque([config.replicas] * (held + 1), maxlen=held + 1)

    # A request: enter, work, leave

    def enter(self, attempt: Attempt, step: int) -> Visit:
        """Get a worker or wait in the queue for `grant`; a full queue fails the step."""
        self.counts["arrivals"] += 1
        visit = Visit(attempt, step)
        if not self.workers.take(visit, self.queue_limit):
            self.counts["queue_full"] += 1
            self.log_visit(visit, QUEUE_FULL)
            raise StepError(QUEUE_FULL)
        return visit

    def work_ns(self, attempt: Attempt, step: int) -> int:
        """How long the worker itself works."""
        return self._service_time.ns(attempt.u(SERVICE_TIME, step), self.slowdown)

    def finish(self, visit: Visit) -> None:
        """Served: leave, or fail of oneself."""
        fault = self.config.fault_fraction
        if fault > 0 and visit.attempt.u(FAULT_DRAW, visit.step) < fault:
            self.counts["faults"] += 1
            self.log_visit(visit, FAULT)
            self._give_back()
            raise StepError(FAULT)
        self.leave(visit)

    def leave(self, visit: Visit) -> None:
        """Served: the worker is free again."""
        self.complete(visit, OK)
        self._give_back()

    def fail(self, visit: Visit, outcome: int = FAILED) -> None:
        """The worker is given back by a request that failed elsewhere, or whose deadline passed."""
        self.counts["failed"] += 1
        self.log_visit(visit, outcome)
        self._give_back()

    def depart(self, visit: Visit) -> None:
        """The user of a request in the queue has gone, and it leaves."""
        self.workers.withdraw(visit)
        self.counts["departed"] += 1
        visit.started_ns = self.sim.now
        self.log_visit(visit, DEPARTED)

    def _give_back(self) -> None:
        drains = self.workers.busy.value > self.workers.number.value
        self.workers.give_back()
        if drains:
            self._count_paid()

    # CPU

    def compute(self, attempt: Attempt, step: int, round_: int, purpose: int, work: DurationDraw) -> Waiting:
        """Work on a core of this pool; the longer the pool's queue, the longer it takes."""
        visit = Visit(attempt, step, round_)
        self.cores.take(visit)
        if visit.grant is not None:
            yield visit.grant
        queued = len(self.workers.queue)
        pressure = 1.0 + self.config.cpu_pressure * queued / self.config.cpu_pressure_queue
        work_ns = work.ns(attempt.u(purpose, step, round_), self.slowdown * pressure)
        yield from attempt.pause(work_ns, step)
        self.log_visit(visit, OK)
        self.cores.give_back()

    # Replicas

    def put_in_force(self, parameter: Parameter, value: float | None) -> None:
        assert value is not None
        if parameter == "queue_limit":
            self.queue_limit = int(value)
        elif parameter == "replicas":
            self._scale(int(value))
        else:
            super().put_in_force(parameter, value)

    def _scale(self, desired: int) -> None:
        """Start replicas, or cancel pending ones and then remove ready ones, so that there are as many as desired."""
        self._settings.append(desired)
        missing = max(self._settings) - self.ready - self.pending
        if missing > 0:
            self._start(missing)
        elif missing < 0:
            self._add_ready(-self._cancel_pending(-missing))
        self._count_paid()

    def _start(self, number: int) -> None:
        self._starting.append(number)
        self.sim.wake(self._startup_ns, READY, self.index).callbacks.append(self._become_ready)

    def _cancel_pending(self, number: int) -> int:
        """Cancel up to `number` pending replicas, newest first; how many of `number` were not pending."""
        for i in reversed(range(len(self._starting))):
            cancelled = min(number, self._starting[i])
            self._starting[i] -= cancelled
            number -= cancelled
        return number

    def _become_ready(self, _: simpy.Event) -> None:
        self._add_ready(self._starting.popleft())
        self._count_paid()
        self.workers.admit()
        self.cores.admit()

    def _add_ready(self, number: int) -> None:
        self.ready += number
        self.workers.number.add(number * self.config.workers_per_replica)
        self.cores.number.add(number * self.config.cores_per_replica)

    @property
    def pending(self) -> int:
        """Replicas that are starting up."""
        return sum(self._starting)

    @property
    def draining(self) -> int:
        """Replicas that were removed, but whose workers are still busy."""
        excess = max(0, self.workers.busy.value - self.workers.number.value)
        return -(-excess // self.config.workers_per_replica)

    def _count_paid(self) -> None:
        self._paid.add(self.ready + self.pending + self.draining - self._paid.value)

    # Telemetry

    def measure(self) -> dict[str, int]:
        counts = super().measure()
        measure_servers(self.workers, counts)
        counts["cpu_busy_ns"] = self.cores.busy.collect()
        counts["core_ns"] = self.cores.number.collect()
        counts["replica_ns"] = self._paid.collect()
        counts["ready_replicas"] = self.ready
        counts["pending_replicas"] = self.pending
        counts["draining_replicas"] = self.draining
        counts["cpu_queue_length"] = len(self.cores.queue)
        return counts


def measure_servers(servers: Servers, counts: dict[str, int]) -> None:
    """Integrals and gauges of workers or connections."""
    counts["busy_ns"] = servers.busy.collect()
    counts["server_ns"] = servers.number.collect()
    counts["queue_ns"] = servers.queue_length.collect()
    counts["busy"] = servers.busy.value
    counts["queue_length"] = len(servers.queue)
    counts["in_flight"] = servers.busy.value + len(servers.queue)
