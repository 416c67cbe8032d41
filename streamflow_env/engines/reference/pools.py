"""Worker pools: replicas with workers behind a bounded queue, and with cores of their own."""

from __future__ import annotations

from streamflow_env.engines.draws.distributions import to_ns
from streamflow_env.engines.draws.hashing import FAULT as FAULT_DRAW
from streamflow_env.engines.draws.hashing import SERVICE_TIME
from streamflow_env.engines.reference.admission import Admission
from streamflow_env.engines.reference.protocols import Request
from streamflow_env.engines.reference.servers import Delays, PerReplica, Replicas, Servers
from streamflow_env.engines.reference.service import Service, Visit
from streamflow_env.engines.reference.simulation import PATIENCE, DurationDraw, Simulation, StepError, Waiting
from streamflow_env.engines.telemetry import ABANDONED, FAILED, FAULT, OK, QUEUE_FULL, SHED
from streamflow_env.system import WorkerPool as PoolConfig


class WorkerPool(Service):
    """A worker pool. An attempt enters, works, may hold its worker during further calls, and leaves."""

    def __init__(self, sim: Simulation, index: int, config: PoolConfig, interval_ns: int) -> None:
        super().__init__(sim, index)
        self.config: PoolConfig = config
        self._admission = Admission(sim, config.rate_limit_rps, config.admission_reserve_fraction)
        self._service_time = DurationDraw.of(config.service_time)
        premium_first = config.discipline == "premium_first"
        self.workers = Servers(sim, config.replicas * config.workers_per_replica, premium_first)
        self.cores = Servers(sim, config.replicas * config.cores_per_replica)
        self._replicas = Replicas(
            sim,
            index,
            config.replicas,
            Delays.of(config.startup_delay_s, config.removal_hold_s, interval_ns),
            PerReplica(self.workers, config.workers_per_replica),
            PerReplica(self.cores, config.cores_per_replica),
        )

    # An attempt: be admitted, enter, work, leave

    def be_admitted(self, attempt: Request, step: int) -> None:
        """Pass the admission control. Raises StepError if the attempt is shed."""
        if not self._admission.admits(attempt.premium):
            self.counts["arrivals"] += 1
            self._shed(Visit(attempt, step))
            raise StepError(SHED)

    def enter(self, attempt: Request, step: int) -> Visit:
        """Get a worker, or a place in the queue and a `grant` to wait for. Raises StepError if the queue is full."""
        self.counts["arrivals"] += 1
        visit = Visit(attempt, step)
        if not self.workers.take(visit, self.config.queue_limit):
            self.counts["queue_full"] += 1
            self.log_visit(visit, QUEUE_FULL)
            raise StepError(QUEUE_FULL)
        if visit.grant is not None and self.config.waiting_limit_s is not None:
            limit_ns = int(to_ns(self.config.waiting_limit_s))
            event = self.sim.wake(limit_ns, PATIENCE, attempt.request, attempt.number, step)
            event.callbacks.append(lambda _: self._give_up(visit))
        return visit

    def _give_up(self, visit: Visit) -> None:
        """The limit of the waiting time has passed. An attempt that is still in the queue is shed; its step fails."""
        assert visit.grant is not None
        if not visit.grant.triggered and visit in self.workers.queue:
            self.workers.withdraw(visit)
            visit.started_ns = self.sim.now
            self._shed(visit)
            visit.grant.fail(StepError(SHED))

    def _shed(self, visit: Visit) -> None:
        self.counts["shed"] += 1
        self.log_visit(visit, SHED)

    def work_ns(self, attempt: Request, step: int) -> int:
        """How long the worker works (ns), calls apart."""
        return self._service_time.ns(attempt.u(SERVICE_TIME, step), self.slowdown)

    def finish(self, visit: Visit) -> None:
        """Served: leave, unless a fault happens. Raises StepError after a fault."""
        fault = self.config.fault_fraction
        if fault > 0 and visit.attempt.u(FAULT_DRAW, visit.step) < fault:
            self.counts["faults"] += 1
            self.log_visit(visit, FAULT)
            self._replicas.give_back()
            raise StepError(FAULT)
        self.leave(visit)

    def leave(self, visit: Visit) -> None:
        """Served: the worker is free again."""
        self.complete(visit, OK)
        self._replicas.give_back()

    def fail(self, visit: Visit, outcome: int = FAILED) -> None:
        """Give the worker back, because the attempt failed elsewhere or its deadline passed."""
        self.counts["failed"] += 1
        self.log_visit(visit, outcome)
        self._replicas.give_back()

    def abandon(self, visit: Visit) -> None:
        """Leave the queue, because the user has gone."""
        self.workers.withdraw(visit)
        self.counts["abandoned"] += 1
        visit.started_ns = self.sim.now
        self.log_visit(visit, ABANDONED)

    # CPU

    def compute(self, attempt: Request, step: int, round_: int, purpose: int, work: DurationDraw) -> Waiting:
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

    # Controls and telemetry

    def set_replicas(self, num_replicas: int) -> None:
        """Ask for so many replicas."""
        self._replicas.scale(num_replicas)

    def set_rate_limit(self, attempts_per_s: int | None) -> None:
        """From now on admit so many attempts a second; None: all."""
        self._admission.set_limit(attempts_per_s)

    def set_admission_reserve(self, fraction: float) -> None:
        """From now on keep this share of a second's admissions for premium users."""
        self._admission.reserve_fraction = fraction

    def measure(self) -> dict[str, int]:
        counts = super().measure()
        self.workers.measure(counts)
        self._replicas.measure(counts)
        counts["cpu_busy_ns"] = self.cores.busy.collect()
        counts["core_ns"] = self.cores.number.collect()
        counts["cpu_queue_length"] = len(self.cores.queue)
        return counts
