"""Part 2: a tandem of eight servers with limited patience, in five simulators: both engines here, SimPy, Ciw, a heap.

First come first served, exponential service. A request that has waited `PATIENCE_S` at a server leaves for good.
Arrivals are Poisson. All five simulate the same seconds; only the random numbers differ.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np

from streamflow_env.engines import make_engine
from streamflow_env.episode import Episode
from studies.benchmark.peers import Tally, Tandem, run_ciw, run_heap, run_simpy
from studies.benchmark.results import Measurement, Sample, Target, ratio
from studies.benchmark.timing import in_turn, seconds_of
from studies.validation.small_systems import BIN_NS, NS_PER_S, SmallSystem

RATE_RPS: Final = 100.0
NUM_SERVERS: Final = 8
MEAN_S: Final = 0.006
PATIENCE_S: Final = 0.05
TANDEM: Final = Tandem(RATE_RPS, NUM_SERVERS, MEAN_S, PATIENCE_S)
MEASURED_S: Final = {"compiled": 5000.0, "reference": 60.0, "SimPy": 150.0, "Ciw": 20.0, "heapq loop": 1000.0}
"""Simulated seconds of a round: about a second each of the machine's."""
NAMES: Final = {"compiled": "compiled engine", "reference": "reference engine"}


def measure(quick: bool) -> tuple[list[Measurement], list[Target], list[str]]:
    """Requests a second that each of the five simulates, and how many times as many the compiled engine does."""
    num_rounds, share = (2, 0.1) if quick else (5, 1.0)
    tallies: dict[str, Tally] = {}

    def rate(name: str, number: int) -> float:
        elapsed_s = seconds_of(lambda: tallies.update({name: simulate(name, MEASURED_S[name] * share, number)}))
        return tallies[name].num_requests / elapsed_s

    simulate("compiled", 1.0, 0)  # compiles it
    works = {name: partial(_next_seed, partial(rate, name), []) for name in MEASURED_S}
    rates = in_turn(works, num_rounds, "requests/s")
    measurements = [
        Measurement(
            NAMES.get(name, name),
            {
                "simulated": sample,
                "compiled / this": ratio(rates["compiled"], sample),
                "mean response": Sample("ms", (1000.0 * tallies[name].mean_response_s,)),
                "gave up": Sample("%", (100.0 * tallies[name].gave_up_fraction,)),
            },
        )
        for name, sample in rates.items()
    ]
    note = "Mean response and share of those who gave up are of the last round, and show that all simulate the same."
    return measurements, [], [note]


def _next_seed(rate: Callable[[int], float], done: list[int]) -> float:
    done.append(len(done))
    return rate(done[-1])


def simulate(name: str, measured_s: float, seed: int) -> Tally:
    """The tandem, for so many seconds from empty servers, in the simulator of this name."""
    peers = {"SimPy": run_simpy, "Ciw": run_ciw, "heapq loop": run_heap}
    if name in peers:
        return peers[name](TANDEM, measured_s, seed)
    return _run_engine(name, measured_s, seed)


def our_tandem(interval_s: float) -> SmallSystem:
    """The tandem as a system of this project."""
    servers = [f"server{number}" for number in range(NUM_SERVERS)]
    services = "".join(
        f"{server}: {{kind: worker_pool, replicas: 1, workers_per_replica: 1, queue_limit: 1000000,"
        f" waiting_limit_s: {PATIENCE_S}, service_time: {{mean_s: {MEAN_S}, distribution: exponential}}}}\n"
        for server in servers
    )
    plan = "[" + ", ".join(f"{{call: {server}}}" for server in servers) + "]"
    return SmallSystem(services, {"all": (RATE_RPS, plan)}, interval_s, interval_s, has_warmup=False)


def _run_engine(name: str, measured_s: float, seed: int) -> Tally:
    system = our_tandem(measured_s).system
    engine = make_engine(name, system)
    engine.reset(Episode("tandem", seed, measured_s, 0.0, BIN_NS, np.array([[RATE_RPS]])))
    classes = engine.step(system.control_table.default).classes
    attempts, shed = int(classes["attempts"].sum()), int(classes["failed_shed"].sum())
    ended = attempts - int(classes["in_flight"].sum())
    return Tally(attempts, ended, shed, int(classes["response_ns"].sum()) / NS_PER_S)
