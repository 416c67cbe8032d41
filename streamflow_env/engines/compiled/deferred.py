"""Deferred asks: a request has been answered without the LLM, and its cache entry is improved later.

The queue of deferred asks is a ring in `memory`. It is polled: an ask needs a worker, and a token that nobody else
takes. An ask under way is in a cell of its own in `memory`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from streamflow_env.engines.cache_entries import FREE, find
from streamflow_env.engines.compiled.event_queue import ENRICH_EVENT, POLL_EVENT, order_of, schedule
from streamflow_env.engines.compiled.llm import latency_ns
from streamflow_env.engines.compiled.records import CELL, DEFERRED_QUEUE, JOB
from streamflow_env.engines.compiled.service import complete, touch
from streamflow_env.engines.compiled.state import Memory, State
from streamflow_env.engines.compiled.tokens import take_token
from streamflow_env.engines.compiling import kernel
from streamflow_env.engines.draws.distributions import to_ns
from streamflow_env.engines.draws.hashing import DEFERRED, stream_key, uniform
from streamflow_env.system import DeferredQueue, System


def lay_out_deferred(record: Any, queue: DeferredQueue, system: System, memory: Memory) -> None:
    """Write an empty queue of deferred asks to its record."""
    record["kind"] = DEFERRED_QUEUE
    record["to"] = system.service_names.index(queue.to)
    record["servers"] = queue.workers
    record["queue_limit"] = queue.queue_limit
    record["poll_ns"] = to_ns(queue.poll_s)
    record["ring_at"] = memory.take(np.zeros(queue.queue_limit * JOB, dtype=np.int64))
    record["cells_at"] = memory.take(np.zeros(queue.workers * CELL, dtype=np.int64))


@kernel
def enqueue(state: State, queue: int, cache: int, key: int, potential_milli: int) -> None:
    """Queue a deferred ask for the cache entry of `key`, which was written now. A full queue drops it."""
    w, memory = state.world[0], state.memory
    s = state.services[queue]
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
    _poll_later(state, s, queue)


@kernel
def _poll_later(state: State, s: Any, queue: int) -> None:
    w = state.world[0]
    if s.is_polling == 0:
        s.is_polling = 1
        schedule(state, w.now + s.poll_ns, order_of(POLL_EVENT, queue, 0, 0), queue)


@kernel
def _entry_of(state: State, job: int) -> int:
    """The place in `entries` of the job's entry; FREE if it is gone or has been written again since."""
    entries, memory = state.entries, state.memory
    cache = state.services[memory[job]]
    position = find(entries, cache.entries_at, state.key_index, cache.index_at, cache.index_bits, memory[job + 1])
    if position == FREE or entries[cache.entries_at + position].written_ns != memory[job + 2]:
        return FREE
    return int(cache.entries_at + position)


@kernel
def poll(state: State, queue: int) -> None:
    """Ask the LLM for as many entries as there are workers and tokens. Entries that are gone are given up."""
    w = state.world[0]
    s = state.services[queue]
    s.is_polling = 0
    touch(w.now, s)
    while s.queue_length > 0:
        job = s.ring_at + s.ring_head * JOB
        at = _entry_of(state, job)
        is_gone = at == FREE or state.entries[at].expires_ns <= w.now
        if not is_gone:
            if s.busy >= s.servers or not take_token(w.now, state.services[s.to], False, False):
                break
            _ask(state, queue, job)
        s.ring_head = (s.ring_head + 1) % s.queue_limit
        s.queue_length -= 1
        if is_gone:
            s.in_flight -= 1
            s.abandoned += 1
    if s.queue_length > 0:
        _poll_later(state, s, queue)


@kernel
def _ask(state: State, queue: int, job: int) -> None:
    """Move a job into a free cell and ask the LLM."""
    w, memory = state.world[0], state.memory
    s = state.services[queue]
    llm = state.services[s.to]
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
    schedule(state, w.now + latency, order_of(ENRICH_EVENT, s.job_number, 0, queue), queue * 65536 + cell)
    s.job_number += 1


@kernel
def enrich(state: State, about: int) -> None:
    """The LLM has answered a deferred ask: the entry, if it is still the same, gets its full quality."""
    w, memory = state.world[0], state.memory
    s = state.services[about // 65536]
    cell = s.cells_at + about % 65536 * CELL
    llm = state.services[s.to]
    touch(w.now, llm)
    llm.busy -= 1
    llm.in_flight -= 1
    complete(llm, state.hists, s.to, w.now - memory[cell + 1 + JOB])
    touch(w.now, s)
    s.busy -= 1
    s.in_flight -= 1
    s.completions += 1
    memory[cell] = 0
    at = _entry_of(state, cell + 1)
    if at != FREE:
        state.entries[at].quality_milli = memory[cell + 4]
        s.enriched += 1
