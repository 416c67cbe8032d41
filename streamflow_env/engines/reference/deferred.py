"""Deferred queues: jobs that ask the LLM later, when its endpoint has a token for them. Nobody waits for them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import simpy

from streamflow_env.engines.draws.distributions import to_ns
from streamflow_env.engines.draws.hashing import DEFERRED, stream_key, uniform
from streamflow_env.engines.reference.llm import LlmEndpoint
from streamflow_env.engines.reference.protocols import EntryStore
from streamflow_env.engines.reference.service import Service
from streamflow_env.engines.reference.simulation import ENRICH, POLL, Level, Simulation
from streamflow_env.system import DeferredQueue as DeferredConfig


@dataclass(frozen=True, slots=True)
class Job:
    """A cache entry, named by key and time of writing, and the quality that it gets when the LLM has answered."""

    cache: EntryStore
    key: int
    written_ns: int
    quality_milli: int


class DeferredQueue(Service):
    """A queue of jobs for the LLM endpoint `llm`. It is empty at first."""

    def __init__(self, sim: Simulation, index: int, config: DeferredConfig, llm: LlmEndpoint) -> None:
        super().__init__(sim, index)
        self.config: DeferredConfig = config
        self._llm = llm
        self._poll_ns = int(to_ns(config.poll_s))
        self._key = np.uint64(stream_key(sim.seed, DEFERRED, index))
        self._queue: deque[Job] = deque()
        self._queue_length = Level(sim)
        self._busy = Level(sim)
        self._workers = Level(sim, config.workers)
        self._num_asked = 0
        self._is_poll_set = False

    def enqueue(self, cache: EntryStore, key: int, written_ns: int, quality_milli: int) -> None:
        """Add a job, unless the queue is full: then it is lost."""
        self.counts["arrivals"] += 1
        if len(self._queue) >= self.config.queue_limit:
            self.counts["lost"] += 1
            return
        self._queue.append(Job(cache, key, written_ns, quality_milli))
        self._queue_length.add(1)
        if not self._is_poll_set:
            self._set_poll()

    def _set_poll(self) -> None:
        self._is_poll_set = True
        self.sim.wake(self._poll_ns, POLL, self.index).callbacks.append(self._poll)

    def _poll(self, _: simpy.Event) -> None:
        """Ask the LLM for the first jobs, while there are workers and tokens. Jobs without a useful entry leave."""
        self._is_poll_set = False
        while self._queue:
            job = self._queue[0]
            if not job.cache.is_useful(job.key, job.written_ns):
                self._leave_queue()
                self.counts["abandoned"] += 1
            elif self._busy.value < self.config.workers and self._llm.takes_token_in_background():
                self._leave_queue()
                self._ask(job)
            else:
                break
        if self._queue:
            self._set_poll()

    def _leave_queue(self) -> None:
        self._queue.popleft()
        self._queue_length.add(-1)

    def _ask(self, job: Job) -> None:
        number, self._num_asked = self._num_asked, self._num_asked + 1
        self._busy.add(1)
        asked_ns = self.sim.now
        latency_ns = self._llm.begin_in_background(uniform(self._key, number))
        answer = self.sim.wake(latency_ns, ENRICH, number, step=self.index)
        answer.callbacks.append(lambda _: self._enrich(job, asked_ns))

    def _enrich(self, job: Job, asked_ns: int) -> None:
        self._llm.end_in_background(asked_ns)
        self._busy.add(-1)
        self.counts["completions"] += 1
        self.counts["enriched"] += job.cache.enrich(job.key, job.written_ns, job.quality_milli)

    def measure(self) -> dict[str, int]:
        counts = super().measure()
        counts["busy_ns"] = self._busy.collect()
        counts["server_ns"] = self._workers.collect()
        counts["queue_ns"] = self._queue_length.collect()
        counts["busy"] = self._busy.value
        counts["queue_length"] = len(self._queue)
        counts["in_flight"] = self._busy.value + len(self._queue)
        return counts
