"""What a call queries: an LLM endpoint behind a token bucket, a vector index, a database."""

from __future__ import annotations

from collections.abc import Generator

import simpy

from streamflow_env.engines.draws.distributions import to_ns
from streamflow_env.engines.draws.hashing import CALL_LATENCY
from streamflow_env.engines.reference.calls import Call
from streamflow_env.engines.reference.pools import Servers, measure_servers
from streamflow_env.engines.reference.service import Service, UnlimitedService, Visit
from streamflow_env.engines.reference.simulation import RELEASE, DurationDraw, Simulation
from streamflow_env.engines.telemetry import OK, QUEUE_FULL, RATE_LIMITED, TIMEOUT
from streamflow_env.episode import ChangeKind
from streamflow_env.system import Database as DatabaseConfig
from streamflow_env.system import LlmEndpoint as LlmConfig
from streamflow_env.system import VectorIndex as VectorConfig
from streamflow_env.system.controls import Parameter

Serving = Generator[simpy.Event, None, int]
"""One attempt of a call; its value is the outcome."""

TOKEN = 60_000_000_000
"""One token of an LLM's bucket, in the units of its level: a quota of 1 per minute adds one unit in 1 ns."""


class RemoteService(UnlimitedService):
    """A service that answers after a latency; work for a caller that no longer waits goes on until it is done."""

    retry_after_ns = 0

    def answer(self, visit: Visit, latency_ns: int, call: Call) -> Serving:
        """Answer after `latency_ns`, in flight all the while; the caller waits its timeout at most."""
        self.in_flight.add(1)
        attempt = visit.attempt
        if call.timeout_ns is not None and call.timeout_ns < latency_ns:
            work_ends = self.sim.wake(latency_ns, RELEASE, attempt.request, attempt.number, visit.step)
            work_ends.callbacks.append(self._abandon)
            yield from attempt.pause(call.timeout_ns, visit.step)
            self.counts["timeouts"] += 1
            call.counts["timeouts"] += 1
            self.log_visit(visit, TIMEOUT)
            return TIMEOUT
        yield from attempt.pause(latency_ns, visit.step)
        self.in_flight.add(-1)
        self.complete(visit)
        return OK

    def _abandon(self, _: simpy.Event) -> None:
        self.in_flight.add(-1)
        self.counts["abandoned"] += 1


class LlmEndpoint(RemoteService):
    """A token bucket in front of a heavy-tailed latency."""

    def __init__(self, sim: Simulation, index: int, config: LlmConfig) -> None:
        super().__init__(sim, index)
        self._config = config
        self._tail = DurationDraw.of(config.tail)
        self._interactive_reserve = config.interactive_reserve_fraction
        self._premium_reserve = config.premium_reserve_fraction
        self._quota = config.quota_per_minute
        self._incident_retry_after_s = 0.0
        self._full = config.burst * TOKEN
        self._level = self._full
        self._refilled_at_ns = 0

    def serve(self, visit: Visit, call: Call) -> Serving:
        """An answer, or a 429."""
        if not self._take_token(visit):
            self.counts["rate_limited"] += 1
            call.counts["rate_limited"] += 1
            self.log_visit(visit, RATE_LIMITED)
            yield from visit.attempt.pause(int(to_ns(self._config.rejection_time_s)), visit.step)
            return RATE_LIMITED
        floor_ns = int(to_ns(self._config.floor_latency_s * self.slowdown))
        tail_ns = self._tail.ns(visit.attempt.u(CALL_LATENCY, visit.step, visit.round), self.slowdown)
        return (yield from self.answer(visit, floor_ns + tail_ns, call))

    def _take_token(self, visit: Visit) -> bool:
        self._refill()
        reserve = self._reserve_against(visit)
        kept_back = int(reserve * (self._config.burst - 1) * TOKEN)
        if self._level - TOKEN < kept_back:
            return False
        self._level -= TOKEN
        return True

    def _reserve_against(self, visit: Visit) -> float:
        """The share of the burst that the request may not touch."""
        if not visit.attempt.class_.interactive:
            return max(self._interactive_reserve, self._premium_reserve)
        return 0.0 if visit.attempt.premium else self._premium_reserve

    def _refill(self) -> None:
        now = self.sim.now
        self._level = min(self._full, self._level + (now - self._refilled_at_ns) * self._quota)
        self._refilled_at_ns = now

    @property
    def retry_after_ns(self) -> int:  # type: ignore[override]
        """How long a caller must wait at least after a 429."""
        return int(to_ns(max(self._config.retry_after_s, self._incident_retry_after_s)))

    def change(self, kind: ChangeKind, value: float) -> None:
        if kind == "quota_factor":
            self._refill()
            self._quota = int(self._config.quota_per_minute * value)
        elif kind == "retry_after_s":
            self._incident_retry_after_s = float(value)
        else:
            super().change(kind, value)

    def put_in_force(self, parameter: Parameter, value: float | None) -> None:
        assert value is not None
        if parameter == "interactive_reserve_fraction":
            self._interactive_reserve = value
        elif parameter == "premium_reserve_fraction":
            self._premium_reserve = value
        else:
            super().put_in_force(parameter, value)

    def measure(self) -> dict[str, int]:
        self._refill()
        counts = super().measure()
        counts["tokens_milli"] = self._level * 1000 // TOKEN
        return counts


class VectorIndex(RemoteService):
    """Latency grows with queries in flight."""

    def __init__(self, sim: Simulation, index: int, config: VectorConfig) -> None:
        super().__init__(sim, index)
        self._config = config
        self._variation = DurationDraw(1.0, config.cv)

    def serve(self, visit: Visit, call: Call) -> Serving:
        """An answer, the later the more queries are in flight."""
        config = self._config
        x = (self.in_flight.value + 1) / config.knee_in_flight
        mean_s = config.base_latency_s + (config.saturated_latency_s - config.base_latency_s) * x * x / (1.0 + x * x)
        u = visit.attempt.u(CALL_LATENCY, visit.step, visit.round)
        return (yield from self.answer(visit, self._variation.ns(u, mean_s * self.slowdown), call))


class Database(Service):
    """A pool of connections behind a bounded FIFO queue. Nobody leaves it early."""

    retry_after_ns = 0

    def __init__(self, sim: Simulation, index: int, config: DatabaseConfig) -> None:
        super().__init__(sim, index)
        self._connections = Servers(sim, config.connections)
        self._queue_limit = config.queue_limit
        self._service_time = DurationDraw.of(config.service_time)

    def serve(self, visit: Visit, call: Call) -> Serving:
        """Hold a connection for the time of the query."""
        if not self._connections.take(visit, self._queue_limit):
            self.counts["queue_full"] += 1
            call.counts["queue_full"] += 1
            self.log_visit(visit, QUEUE_FULL)
            return QUEUE_FULL
        if visit.grant is not None:
            yield visit.grant
        u = visit.attempt.u(CALL_LATENCY, visit.step, visit.round)
        yield from visit.attempt.pause(self._service_time.ns(u, self.slowdown), visit.step)
        self.complete(visit)
        self._connections.give_back()
        return OK

    def measure(self) -> dict[str, int]:
        counts = super().measure()
        measure_servers(self._connections, counts)
        return counts
