"""The tandem in simulators that one would use otherwise, each written as its manual has it: SimPy, Ciw, a bare heap."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import simpy

from streamflow_env.errors import ConfigError


@dataclass(frozen=True)
class Tandem:
    """Servers one after the other: arrivals a second, mean service, and how long a request waits at a server."""

    rate_rps: float
    num_servers: int
    mean_s: float
    patience_s: float


@dataclass
class Tally:
    """What was simulated: requests that came, those that ended, those of them that gave up, their summed time in s."""

    num_requests: int = 0
    num_ended: int = 0
    num_gave_up: int = 0
    response_s: float = 0.0

    @property
    def mean_response_s(self) -> float:
        """From arrival to the end, answered or not."""
        return self.response_s / max(1, self.num_ended)

    @property
    def gave_up_fraction(self) -> float:
        return self.num_gave_up / max(1, self.num_ended)

    def end(self, gave_up: bool, response_s: float) -> None:
        self.num_ended += 1
        self.num_gave_up += gave_up
        self.response_s += response_s


def run_simpy(tandem: Tandem, until_s: float, seed: int) -> Tally:
    """SimPy: a process a request, a Resource a server, `request | timeout` as in its bank example with reneging."""
    sim, rng, tally = simpy.Environment(), random.Random(seed), Tally()
    servers = [simpy.Resource(sim, capacity=1) for _ in range(tandem.num_servers)]

    def request() -> Generator[simpy.Event, Any, None]:
        came_s = sim.now
        for server in servers:
            with server.request() as turn:
                came = yield turn | sim.timeout(tandem.patience_s)
                if turn not in came:
                    tally.end(True, sim.now - came_s)
                    return
                yield sim.timeout(rng.expovariate(1.0 / tandem.mean_s))
        tally.end(False, sim.now - came_s)

    def source() -> Generator[simpy.Event, Any, None]:
        while True:
            yield sim.timeout(rng.expovariate(tandem.rate_rps))
            tally.num_requests += 1
            sim.process(request())

    sim.process(source())
    sim.run(until=until_s)
    return tally


def run_ciw(tandem: Tandem, until_s: float, seed: int) -> Tally:
    """Ciw: a network of nodes with reneging. Raises ConfigError where Ciw is not installed."""
    try:
        import ciw
    except ImportError as error:
        raise ConfigError("ciw is not installed: pip install -e '.[dev]'") from error
    n = tandem.num_servers
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(tandem.rate_rps)] + [None] * (n - 1),
        service_distributions=[ciw.dists.Exponential(1.0 / tandem.mean_s)] * n,
        number_of_servers=[1] * n,
        routing=[[1.0 if to == of + 1 else 0.0 for to in range(n)] for of in range(n)],
        reneging_time_distributions=[ciw.dists.Deterministic(tandem.patience_s)] * n,
    )
    ciw.seed(seed)
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_time(until_s)
    tally = Tally(num_requests=simulation.nodes[0].number_of_individuals)
    for individual in simulation.nodes[-1].all_individuals:
        first, last = individual.data_records[0], individual.data_records[-1]
        tally.end(last.record_type == "renege", last.exit_date - first.arrival_date)
    return tally


def run_heap(tandem: Tandem, until_s: float, seed: int) -> Tally:
    """A heap of (time, request, server) and nothing else: as little as Python can do.

    Patience takes no event: all have the same and come in turn, so that whoever has waited too long is found when the
    server is free again.
    """
    rng, tally = random.Random(seed), Tally()
    service, gap = 1.0 / tandem.mean_s, tandem.rate_rps
    queues: list[deque[tuple[float, int]]] = [deque() for _ in range(tandem.num_servers)]
    is_busy = [False] * tandem.num_servers
    came_s: list[float] = []
    heap = [(rng.expovariate(gap), 0, -1)]
    while heap[0][0] < until_s:
        now, request, server = heapq.heappop(heap)
        if server < 0:
            came_s.append(now)
            heapq.heappush(heap, (now + rng.expovariate(gap), request + 1, -1))
        else:
            is_busy[server] = False
            queue = queues[server]
            while queue:
                joined_s, waiting = queue.popleft()
                if now - joined_s <= tandem.patience_s:
                    is_busy[server] = True
                    heapq.heappush(heap, (now + rng.expovariate(service), waiting, server))
                    break
                tally.end(True, joined_s + tandem.patience_s - came_s[waiting])
        server += 1
        if server == tandem.num_servers:
            tally.end(False, now - came_s[request])
        elif is_busy[server]:
            queues[server].append((now, request))
        else:
            is_busy[server] = True
            heapq.heappush(heap, (now + rng.expovariate(service), request, server))
    tally.num_requests = len(came_s)
    return tally
