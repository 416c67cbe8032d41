"""Consumers: a bounded queue of events, served in batches. A full queue loses events."""

from __future__ import annotations

from typing import Any

from streamflow_env.engines.compiled.event_queue import BATCH_EVENT, order_of, schedule
from streamflow_env.engines.compiled.records import CONSUMER
from streamflow_env.engines.compiled.service import set_duration, touch
from streamflow_env.engines.compiled.state import State
from streamflow_env.engines.compiling import inlined, kernel
from streamflow_env.engines.draws.distributions import duration_ns
from streamflow_env.engines.draws.hashing import BATCHES, stream_key, uniform
from streamflow_env.system import Consumer


def lay_out_consumer(record: Any, consumer: Consumer) -> None:
    """Write `consumer`, idle, to its record."""
    record["kind"] = CONSUMER
    record["servers"] = 1
    record["queue_limit"] = consumer.queue_limit
    record["batch_size"] = consumer.batch_size
    set_duration(record, consumer.batch_time)


@inlined
def emit(state: State, index: int) -> None:
    """Hand an event to a consumer. A full queue loses it."""
    w = state.world[0]
    s = state.services[index]
    s.arrivals += 1
    if s.queue_length >= s.queue_limit:
        s.lost += 1
        return
    touch(w.now, s)
    s.queue_length += 1
    s.in_flight += 1
    if s.busy == 0:
        _begin_batch(state, s, index)


@kernel
def batch_done(state: State, index: int) -> None:
    """A consumer has finished its batch: it begins the next one, if events wait."""
    w = state.world[0]
    s = state.services[index]
    touch(w.now, s)
    s.completions += s.batch_length
    s.in_flight -= s.batch_length
    s.busy = 0
    if s.queue_length > 0:
        _begin_batch(state, s, index)


@kernel
def _begin_batch(state: State, s: Any, index: int) -> None:
    w = state.world[0]
    s.batch_length = min(s.batch_size, s.queue_length)
    s.queue_length -= s.batch_length
    s.busy = 1
    u = uniform(stream_key(w.seed, BATCHES, index), s.batch_number)
    s.batch_number += 1
    delay = duration_ns(u, s.family, s.a, s.b, s.slowdown)
    schedule(state, w.now + delay, order_of(BATCH_EVENT, index, 0, 0), index)
