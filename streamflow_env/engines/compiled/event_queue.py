"""The event queue: a binary heap of timed events, a ring of deadlines, and the requests that go on now.

An event is (time in ns, order, what it is about). `order` packs kind, request, attempt and step into one integer, so
that events of the same time come in the order of these four (see the model page). Most events are about a request slot.
"""

from __future__ import annotations

from typing import Any, Final

from streamflow_env.engines.compiled.state import State
from streamflow_env.engines.compiling import inlined

CHANGE_EVENT: Final = 0
READY_EVENT: Final = 1
ARRIVAL_EVENT: Final = 2
STEP_EVENT: Final = 3
RELEASE_EVENT: Final = 4
DEADLINE_EVENT: Final = 5
BATCH_EVENT: Final = 6
PATIENCE_EVENT: Final = 7
POLL_EVENT: Final = 8
ENRICH_EVENT: Final = 9

_KIND_SHIFT: Final = 59
REQUEST_SHIFT: Final = 20
ATTEMPT_SHIFT: Final = 16
REQUEST_MASK: Final = (1 << 39) - 1
ATTEMPT_MASK: Final = 15
STEP_MASK: Final = 65535

NOWHERE: Final = 0
WORKER_QUEUE: Final = 1
CORE_QUEUE: Final = 2


@inlined
def order_of(kind: int, request: int, attempt: int, step: int) -> int:
    """The tie-breaker of an event: kind, then request, attempt, step."""
    return (kind << _KIND_SHIFT) | (request << REQUEST_SHIFT) | (attempt << ATTEMPT_SHIFT) | step


@inlined
def kind_of(order: int) -> int:
    """The kind of event in an order."""
    return order >> _KIND_SHIFT


@inlined
def schedule(state: State, time: int, order: int, slot: int) -> None:
    """Add an event. There must be room for it."""
    w = state.world[0]
    w.heap_size += 1
    _rise(state.heap, w.heap_size - 1, time, order, slot)


@inlined
def _rise(heap: Any, i: int, time: int, order: int, slot: int) -> None:
    """Put an event into the hole at `i`, or higher up while it is earlier than the parent."""
    while i > 0:
        parent = (i - 1) >> 1
        if heap[parent, 0] < time or (heap[parent, 0] == time and heap[parent, 1] <= order):
            break
        for column in range(3):
            heap[i, column] = heap[parent, column]
        i = parent
    heap[i, 0] = time
    heap[i, 1] = order
    heap[i, 2] = slot


@inlined
def drop_first(state: State) -> None:
    """Remove the first event.

    The hole that it leaves sinks to a leaf and the last event fills it, for nearly always it belongs close to a leaf.
    """
    w, heap = state.world[0], state.heap
    w.heap_size -= 1
    n = w.heap_size
    i, child = 0, 1
    while child < n:
        right = child + 1
        if heap[right, 0] < heap[child, 0] or (heap[right, 0] == heap[child, 0] and heap[right, 1] < heap[child, 1]):
            child = right
        for column in range(3):
            heap[i, column] = heap[child, column]
        i = child
        child = 2 * i + 1
    _rise(heap, i, heap[n, 0], heap[n, 1], heap[n, 2])


@inlined
def set_deadline(state: State, time: int, order: int, slot: int) -> None:
    """Add a user's deadline to the ring. There must be room for it.

    All deadlines are equally far ahead when they are set, so they come in order of time; only those of the same time
    must be sorted in. Most users have their answer when their deadline comes: in the heap these would be most events.
    """
    w, deadlines = state.world[0], state.deadlines
    mask = deadlines.shape[0] - 1
    i = w.deadline_head + w.num_deadlines
    w.num_deadlines += 1
    while i > w.deadline_head:
        before = (i - 1) & mask
        if deadlines[before, 0] < time or (deadlines[before, 0] == time and deadlines[before, 1] <= order):
            break
        for column in range(3):
            deadlines[i & mask, column] = deadlines[before, column]
        i -= 1
    deadlines[i & mask, 0] = time
    deadlines[i & mask, 1] = order
    deadlines[i & mask, 2] = slot


@inlined
def drop_deadline(w: Any) -> None:
    """Remove the first deadline."""
    w.deadline_head += 1
    w.num_deadlines -= 1


@inlined
def wait(state: State, r: Any, slot: int, delay_ns: int, number: int, phase: int) -> bool:
    """Let a request wait for `delay_ns`, then go on in `phase`; True if there is nothing to wait for."""
    w = state.world[0]
    r.phase = phase
    if delay_ns <= 0:
        return True
    schedule(state, w.now + delay_ns, order_of(STEP_EVENT, r.request, r.attempt, number), slot)
    return False


@inlined
def wake(state: State, slot: int) -> None:
    """Let a request go on now, after those that were woken before it."""
    w, requests = state.world[0], state.requests
    requests[slot].queue = NOWHERE
    requests[slot].next = -1
    if w.wake_tail >= 0:
        requests[w.wake_tail].next = slot
    else:
        w.wake_head = slot
    w.wake_tail = slot


@inlined
def next_awake(state: State) -> int:
    """The slot of the next request that goes on now, or -1."""
    w = state.world[0]
    slot = w.wake_head
    if slot >= 0:
        w.wake_head = state.requests[slot].next
        if w.wake_head < 0:
            w.wake_tail = -1
    return slot
