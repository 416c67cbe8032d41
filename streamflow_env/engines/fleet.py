"""Many cells of one system, stepped together and measured in common arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines.telemetry import (
    CALL,
    CALL_FIELDS,
    CLASS,
    CLASS_FIELDS,
    HEADER,
    NUM_BUCKETS,
    SERVICE,
    SERVICE_FIELDS,
    Telemetry,
)
from streamflow_env.episode import Episode
from streamflow_env.system import System

BLOCKS_PER_THREAD = 4
"""A thread gets its share of the cells in so many parts, each when it is free: cells differ in cost. Assumed."""


class Stepped(Protocol):
    """What a fleet needs of its cells' engines: `streamflow_env.engines.Engine`."""

    def reset(self, episode: Episode) -> Telemetry: ...

    def step(self, controls: NDArray[np.float64]) -> Telemetry: ...


@dataclass(frozen=True)
class FleetTelemetry:
    """The last control interval of every cell: as `Telemetry`, with the cells as leading axis.

    The arrays belong to the fleet: the next step or reset of a cell writes over its row.

    Attributes:
        start_ns, end_ns: shape (num_cells,).
        counts: shape (num_cells, num_counts), each row as `Telemetry.counts`.
        histograms: shape (num_cells, num_services + 2 · num_classes, NUM_BUCKETS), int32: sojourn, then response times.
        controls: shape (num_cells, num_controls), the natural values in force.
    """

    num_services: int
    num_classes: int
    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    counts: NDArray[np.int64]
    histograms: NDArray[np.int32]
    controls: NDArray[np.float64]

    @classmethod
    def blank(cls, system: System, num_cells: int) -> FleetTelemetry:
        """Arrays of zeros for so many cells."""
        num_services, num_classes = len(system.services), len(system.classes)
        num_counts = HEADER + num_services * len(SERVICE_FIELDS) + 2 * num_classes * len(CLASS_FIELDS)
        num_counts += len(system.calls) * len(CALL_FIELDS)
        return cls(
            num_services,
            num_classes,
            np.zeros(num_cells, dtype=np.int64),
            np.zeros(num_cells, dtype=np.int64),
            np.zeros((num_cells, num_counts), dtype=np.int64),
            np.zeros((num_cells, num_services + 2 * num_classes, NUM_BUCKETS), dtype=np.int32),
            np.zeros((num_cells, len(system.controls)), dtype=np.float64),
        )

    @property
    def interval_s(self) -> NDArray[np.float64]:
        """Length of each cell's interval, shape (num_cells,)."""
        return np.asarray((self.end_ns - self.start_ns) * 1e-9, dtype=np.float64)

    @property
    def sojourn(self) -> NDArray[np.int32]:
        """Shape (num_cells, num_services, NUM_BUCKETS)."""
        return self.histograms[:, : self.num_services]

    @property
    def response(self) -> NDArray[np.int32]:
        """Shape (num_cells, num_classes, 2, NUM_BUCKETS)."""
        histograms = self.histograms[:, self.num_services :]
        return histograms.reshape(len(histograms), self.num_classes, 2, NUM_BUCKETS)

    def put(self, cell: int, telemetry: Telemetry) -> None:
        """Write `telemetry` over the cell's row."""
        self.start_ns[cell], self.end_ns[cell] = telemetry.start_ns, telemetry.end_ns
        self.counts[cell] = telemetry.counts
        self.histograms[cell, : self.num_services] = telemetry.sojourn
        self.histograms[cell, self.num_services :] = telemetry.response.reshape(-1, NUM_BUCKETS)
        self.controls[cell] = telemetry.controls

    def of(self, cell: int) -> Telemetry:
        """A copy of one cell's row."""
        after_services = HEADER + self.num_services * len(SERVICE_FIELDS)
        after_classes = after_services + 2 * self.num_classes * len(CLASS_FIELDS)
        counts = self.counts[cell].copy()
        return Telemetry(
            int(self.start_ns[cell]),
            int(self.end_ns[cell]),
            counts[HEADER:after_services].view(SERVICE),
            counts[after_services:after_classes].view(CLASS).reshape(-1, 2),
            counts[after_classes:].view(CALL),
            self.histograms[cell, : self.num_services].copy(),
            self.histograms[cell, self.num_services :].reshape(-1, 2, NUM_BUCKETS).copy(),
            self.controls[cell].copy(),
        )


@dataclass
class _Threads:
    """Shares cells among threads: a thread that is free gets the next few. A single thread is the caller's."""

    number: int
    pool: ThreadPoolExecutor | None = field(default=None, repr=False)

    def share(self, work: Callable[[NDArray[np.intp]], None], cells: NDArray[np.intp]) -> None:
        """Do `work` with all `cells`."""
        if self.number == 1 or len(cells) < 2:
            work(cells)
            return
        if self.pool is None:
            self.pool = ThreadPoolExecutor(self.number, thread_name_prefix="cells")
        num_blocks = min(len(cells), BLOCKS_PER_THREAD * self.number)
        blocks = iter(np.array_split(cells, num_blocks))
        for future in [self.pool.submit(_work_through, work, blocks) for _ in range(self.number)]:
            future.result()

    def close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown()
            self.pool = None

    def __getstate__(self) -> dict[str, Any]:
        return {"number": self.number, "pool": None}


def _work_through(work: Callable[[NDArray[np.intp]], None], blocks: Iterator[NDArray[np.intp]]) -> None:
    for block in blocks:
        work(block)


class Fleet:
    """Cells of one system, each with an engine of its own; what they measure is in `telemetry`.

    Cells are named by number. The results do not depend on the number of threads.
    """

    def __init__(self, system: System, engines: Sequence[Stepped], num_threads: int = 1) -> None:
        self.telemetry = FleetTelemetry.blank(system, len(engines))
        self._engines = list(engines)
        self._threads = _Threads(min(num_threads, len(engines)))

    def __len__(self) -> int:
        return len(self._engines)

    def reset(self, cells: NDArray[np.intp], episodes: Sequence[Episode]) -> None:
        """Start an episode in each of `cells` and simulate its warm-up."""
        begun = dict(zip(cells.tolist(), episodes, strict=True))

        def work(some: NDArray[np.intp]) -> None:
            for cell in some.tolist():
                self._reset_cell(cell, begun[cell])

        self._threads.share(work, cells)

    def step(self, cells: NDArray[np.intp], controls: NDArray[np.float64]) -> None:
        """Simulate one control interval of each of `cells`; `controls` has a row for every cell of the fleet."""
        self._threads.share(lambda some: self._step_cells(some, controls), cells)

    def close(self) -> None:
        """Stop the threads."""
        self._threads.close()

    def _reset_cell(self, cell: int, episode: Episode) -> None:
        self.telemetry.put(cell, self._engines[cell].reset(episode))

    def _step_cells(self, cells: NDArray[np.intp], controls: NDArray[np.float64]) -> None:
        for cell in cells.tolist():
            self.telemetry.put(cell, self._engines[cell].step(controls[cell]))
