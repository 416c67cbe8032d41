"""The state of one simulated system: a bundle of arrays that the kernels share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class State(NamedTuple):
    """All arrays of one simulated system. A kernel that needs more than one of them takes the whole bundle.

    Numba passes the bundle by value, array by array, and inlined kernels keep only what they use: it costs no time.

    Attributes:
        world: what there is once: clock, counters, constants, the clients' breaker. dtype WORLD, shape (1,).
        services: dtype SERVICE_STATE, shape (num_services,).
        calls: the policies of calls. dtype CALL_STATE, shape (num_calls,).
        classes: by request class, then priority. dtype CLASS_STATE, shape (2 · num_classes,).
        steps: the plans of all classes, one after another. dtype STEP, shape (num_steps,). Never changes.
        requests: one slot a request in flight. dtype REQUEST, shape (num_slots,).
        holds: the workers that a request holds. int64, shape (num_slots, HOLD_COLUMNS).
        heap: timed events. int64, shape (room, 3): time in ns, order, what the event is about.
        deadlines: a ring of users' deadlines, of the same columns. int64, shape (power of two, 3).
        entries: the caches' entries, one cache after another. dtype ENTRY, shape (room of all caches,).
        key_index: hash tables that find an entry by its key. int32, one table a cache.
        memory: breakers' windows, cohorts of replicas, query caches, deferred asks, tables of latencies. int64, 1-D.
        hists: histograms of durations. int32, shape (num_services + 2 · num_classes, NUM_BUCKETS).
        visits, answers: logs of the running interval. dtype VISIT and ANSWER, 1-D.
        changes: what happens from outside in the episode, by time. dtype CHANGE, shape (num_changes,).
    """

    world: NDArray[Any]
    services: NDArray[Any]
    calls: NDArray[Any]
    classes: NDArray[Any]
    steps: NDArray[Any]
    requests: NDArray[Any]
    holds: NDArray[np.int64]
    heap: NDArray[np.int64]
    deadlines: NDArray[np.int64]
    entries: NDArray[Any]
    key_index: NDArray[np.int32]
    memory: NDArray[np.int64]
    hists: NDArray[np.int32]
    visits: NDArray[Any]
    answers: NDArray[Any]
    changes: NDArray[Any]


class Memory:
    """Collects stretches of int64 numbers, which become one array."""

    def __init__(self) -> None:
        self._parts: list[NDArray[np.int64]] = []
        self._size = 0

    def take(self, values: Sequence[int] | NDArray[np.int64]) -> int:
        """Append a stretch that begins as `values`; the position of its first number."""
        self._parts.append(np.asarray(values, dtype=np.int64))
        self._size += len(values)
        return self._size - len(values)

    def array(self) -> NDArray[np.int64]:
        """All stretches, one after another, and one number more, so that the array is never empty."""
        return np.concatenate([*self._parts, np.zeros(1, dtype=np.int64)])
