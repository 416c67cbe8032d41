"""Deferred asks: cached answers without the LLM, enriched when its quota leaves a token.

A queue is a ring of jobs in `memory`; a job under way is in a cell of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from streamflow_env.engines.cache_entries import FREE, find
from streamflow_env.engines.compiled.event_queue import ENRICH_EVENT, POLL_EVENT, order_of, schedule
from streamflow_env.engines.compiled.llm import latency_ns
from streamflow_env.engines.compiled.records import CELL, DEFERRED_QUEUE, JOB
from streamflow_env.engines.compiled.service import complete, touch
from streamflow_env.engines.compiled.state import Memory
from streamflow_env.engines.compiled.tokens import take_token
from streamflow_env.engines.compiling import kernel
from streamflow_env.engines.draws.distributions import to_ns
from streamflow_env.engines.draws.hashing import DEFERRED, stream_key, uniform
from streamflow_env.system import DeferredQueue, System


def lay_out_deferred(record: Any, queue: DeferredQueue, system: System, memory: Memory) -> None:
    record["kind"] = DEFERRED_QUEUE
    record["to"] = system.service_names.index(queue.to)
    record["servers"] = queue.workers
    record["queue_limit"] = queue.queue_limit
    record["poll_ns"] = to_ns(queue.poll_s)
    record["ring_at"] = memory.take(np.zeros(queue.queue_limit * JOB, dtype=np.int64))
    record["cells_at"] = memory.take(np.zeros(queue.workers * CELL, dtype=np.int64))


@kernel
def enqueue(
    w: Any, services: Any, heap: Any, memory: Any, queue: int, cache: int, key: int, potential_milli: int
) -> None:
    """Ask later about the entry that was written just now."""
    s = services[queue]
    s.arrivals += 1
    if s.queue_length >= s.queue_limit:
        s.lost += 1
        return
    touch(w.now, s)
    at = s.ring_at + (s.ring_head + s.queue_length) % s.queue_limit * JOB
    memory[at] = cache
    memory[at + 1] = key
    memory[at + 2] = w.now
    memory[at + 3] = potential_milli
    s.queue_length += 1
    s.in_flight += 1
    _poll_later(w, s, heap, queue)


@kernel
def _poll_later(w: Any, s: Any, heap: Any, queue: int) -> None:
    if s.is_polling == 0:
        s.is_polling = 1
        schedule(w, heap, w.now + s.poll_ns, order_of(POLL_EVENT, queue, 0, 0), queue)


@kernel
def _slot_of(services: Any, entries: Any, index: Any, memory: Any, job: int) -> int:
    """Where in `entries` the job's entry is, or FREE if it has been written anew or has no slot."""
    cache = services[memory[job]]
    slot = find(entries, cache.entries_at, index, cache.index_at, cache.index_bits, memory[job + 1])
    if slot == FREE or entries[cache.entries_at + slot].written_ns != memory[job + 2]:
        return FREE
    return int(cache.entries_at + slot)


@kernel
def poll(w: Any, services: Any, heap: Any, entries: Any, index: Any, memory: Any, hists: Any, queue: int) -> None:
    """Ask about as many as workers and tokens allow."""
    s = services[queue]
    s.is_polling = 0
    touch(w.now, s)
    while s.queue_length > 0:
        job = s.ring_at + s.ring_head * JOB
        slot = _slot_of(services, entries, index, memory, job)
        is_gone = slot == FREE or entries[slot].expires_ns <= w.now
        if not is_gone:
            if s.busy >= s.servers or not take_token(w.now, services[s.to], False, False):
                break
            _ask(w, services, heap, memory, queue, job)
        s.ring_head = (s.ring_head + 1) % s.queue_limit
        s.queue_length -= 1
        if is_gone:
            s.in_flight -= 1
            s.abandoned += 1
    if s.queue_length > 0:
        _poll_later(w, s, heap, queue)


@kernel
def _ask(w: Any, services: Any, heap: Any, memory: Any, queue: int, job: int) -> None:
    s = services[queue]
    llm = services[s.to]
    cell = 0
    while memory[s.cells_at + cell * CELL] == 1:
        cell += 1
    at = s.cells_at + cell * CELL
    memory[at] = 1
    for column in range(JOB):
        memory[at + 1 + column] = memory[job + column]
    memory[at + 1 + JOB] = w.now
    s.busy += 1
    touch(w.now, llm)
    llm.arrivals += 1
    llm.busy += 1
    llm.in_flight += 1
    latency = latency_ns(llm, memory, uniform(stream_key(w.seed, DEFERRED, queue), s.job_number))
    schedule(w, heap, w.now + latency, order_of(ENRICH_EVENT, s.job_number, 0, queue), queue * 65536 + cell)
    s.job_number += 1


@kernel
def enrich(w: Any, services: Any, entries: Any, index: Any, memory: Any, hists: Any, about: int) -> None:
    """The LLM has answered: the entry gets its full quality, if it is still the same."""
    s = services[about // 65536]
    at = s.cells_at + about % 65536 * CELL
    llm = services[s.to]
    touch(w.now, llm)
    llm.busy -= 1
    llm.in_flight -= 1
    complete(llm, hists, s.to, w.now - memory[at + 1 + JOB])
    touch(w.now, s)
    s.busy -= 1
    s.in_flight -= 1
    s.completions += 1
    memory[at] = 0
    slot = _slot_of(services, entries, index, memory, at + 1)
    if slot != FREE:
        entries[slot].quality_milli = memory[at + 4]
        s.enriched += 1
