"""Part 4: what an event costs as the system grows, from the cell's 30 requests a second to the fleet's 36,000.

Each size has a process of its own, so that its memory is its own; they are stepped in turn.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from streamflow_env.system import load_system
from streamflow_env.system.scaling import scaled
from studies.benchmark.loads import NORMAL, THREE_TIMES, run_steps, started_compiled
from studies.benchmark.results import Measurement, Sample, Target, ratio
from studies.benchmark.timing import in_turn

FLEET: Final = 400
"""Cells, whose 50M users are served by one system."""
SIZES: Final = tuple((factor, load) for load in (NORMAL, THREE_TIMES) for factor in (1, 4, 16, 64, FLEET))
QUICK_SIZES: Final = ((1, NORMAL), (4, NORMAL), (1, THREE_TIMES), (4, THREE_TIMES))
REQUESTS: Final = 100_000
"""First attempts of a round, about: whole control intervals of which one, at least, is simulated."""
RATE_RPS: Final = {NORMAL: 30.0, THREE_TIMES: 90.0}
MOST_GROWTH: Final = 2.5
REAL_TIME: Final = 15.0
MOST_MEMORY_GB: Final = 4.0


@dataclass(frozen=True)
class Stretch:
    """What was simulated in one round of a size."""

    num_events: int
    simulated_s: float
    took_s: float


@dataclass
class Size:
    """A process that holds one system under one load."""

    factor: int
    load: str
    connection: Connection
    stretches: list[Stretch]
    setup_s: float = 0.0
    memory_gb: float = 0.0

    @property
    def rate_rps(self) -> float:
        return self.factor * RATE_RPS[self.load]

    @property
    def name(self) -> str:
        return f"{self.rate_rps:,.0f}/s, {self.factor} x the cell, {self.load} load"

    def run(self) -> float:
        """One round; nanoseconds an event."""
        self.connection.send("run")
        stretch: Stretch = self.connection.recv()
        self.stretches.append(stretch)
        return 1e9 * stretch.took_s / stretch.num_events


def measure(quick: bool) -> tuple[list[Measurement], list[Target], list[str]]:
    """Nanoseconds an event, how many times real time, and memory, of each size."""
    with _processes(QUICK_SIZES if quick else SIZES) as sizes:
        costs = in_turn({size.name: size.run for size in sizes}, 2 if quick else 5, "ns")
    smallest, largest = costs[sizes[0].name], costs[sizes[-1].name]
    measurements = [_row(size, costs[size.name], smallest) for size in sizes]
    growth = f"cost of an event, {sizes[0].rate_rps:,.0f} to {sizes[-1].rate_rps:,.0f} requests/s"
    fleet = f"{sizes[-1].rate_rps:,.0f} requests/s in one system"
    targets = [
        Target(growth, MOST_GROWTH, False, ratio(largest, smallest)),
        Target(f"{fleet}: times real time", REAL_TIME, True, measurements[-1].samples["times real time"]),
        Target(f"{fleet}: memory", MOST_MEMORY_GB, False, measurements[-1].samples["memory"]),
    ]
    return measurements, targets, []


def _row(size: Size, cost: Sample, smallest: Sample) -> Measurement:
    times = tuple(stretch.simulated_s / stretch.took_s for stretch in size.stretches)
    return Measurement(
        size.name,
        {
            "cost of an event": cost,
            "of that at 30/s": ratio(cost, smallest),
            "times real time": Sample("x", times),
            "start": Sample("s", (size.setup_s,)),
            "memory": Sample("GB", (size.memory_gb,)),
        },
    )


@contextmanager
def _processes(wanted: tuple[tuple[int, str], ...]) -> Iterator[list[Size]]:
    """A process for each size, which has started; all are ended in the end."""
    context = multiprocessing.get_context("spawn")
    sizes, processes = [], []
    try:
        for factor, load in wanted:
            ours, theirs = context.Pipe()
            process = context.Process(target=serve, args=(theirs, factor, load), daemon=True)
            process.start()
            processes.append(process)
            size = Size(factor, load, ours, [])
            size.setup_s, size.memory_gb = ours.recv()
            sizes.append(size)
        yield sizes
        for size in sizes:
            size.connection.send("memory")
            size.memory_gb = size.connection.recv()
    finally:
        for process in processes:
            process.terminate()
            process.join()


def serve(connection: Connection, factor: int, load: str) -> None:
    """Hold one system, and simulate a stretch of it whenever asked."""
    start = time.perf_counter()
    system = scaled(load_system(), factor)
    engine = started_compiled(system, load, seed=1)
    connection.send((time.perf_counter() - start, _peak_memory_gb()))
    num_steps = max(1, round(REQUESTS / (factor * RATE_RPS[load] * system.control_interval_s)))
    while True:
        if connection.recv() == "memory":
            connection.send(_peak_memory_gb())
            continue
        first, begun = engine.num_events, time.perf_counter()
        run_steps(engine, system, num_steps)
        took_s = time.perf_counter() - begun
        connection.send(Stretch(engine.num_events - first, num_steps * system.control_interval_s, took_s))


def _peak_memory_gb() -> float:
    """The most that the process has held, start included (Linux: `ru_maxrss` would begin with its parent's)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e9
