"""Asynchronous consumers: a bounded queue of events, served in batches. Events that find it full are lost."""

from __future__ import annotations

import numpy as np
import simpy

from streamflow_env.engines.draws.hashing import BATCHES, stream_key, uniform
from streamflow_env.engines.reference.service import Service
from streamflow_env.engines.reference.simulation import BATCH, DurationDraw, Level, Simulation
from streamflow_env.system import Consumer as ConsumerConfig


class Consumer(Service):
    """A consumer. It is idle at first."""

    def __init__(self, sim: Simulation, index: int, config: ConsumerConfig) -> None:
        super().__init__(sim, index)
        self.config: ConsumerConfig = config
        self._batch_time = DurationDraw.of(config.batch_time)
        self._key = np.uint64(stream_key(sim.seed, BATCHES, index))
        self._queue = Level(sim)
        self._busy = Level(sim)
        self._servers = Level(sim, 1)
        self._num_batches = 0
        self._batch_size = 0  # of the running batch; 0: none runs

    def emit(self) -> None:
        """An event arrives."""
        self.counts["arrivals"] += 1
        if self._queue.value >= self.config.queue_limit:
            self.counts["lost"] += 1
            return
        self._queue.add(1)
        if not self._busy.value:
            self._begin_batch()

    def _begin_batch(self) -> None:
        self._batch_size = min(self.config.batch_size, self._queue.value)
        self._queue.add(-self._batch_size)
        self._busy.add(1)
        duration_ns = self._batch_time.ns(uniform(self._key, self._num_batches), self.slowdown)
        self._num_batches += 1
        self.sim.wake(duration_ns, BATCH, self.index).callbacks.append(self._end_batch)

    def _end_batch(self, _: simpy.Event) -> None:
        self.counts["completions"] += self._batch_size
        self._batch_size = 0
        self._busy.add(-1)
        if self._queue.value:
            self._begin_batch()

    def measure(self) -> dict[str, int]:
        counts = super().measure()
        counts["busy_ns"] = self._busy.collect()
        counts["server_ns"] = self._servers.collect()
        counts["queue_ns"] = self._queue.collect()
        counts["busy"] = self._busy.value
        counts["queue_length"] = self._queue.value
        counts["in_flight"] = self._queue.value + self._batch_size
        return counts
