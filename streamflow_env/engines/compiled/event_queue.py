"""The event queue: a binary heap of timed events, and a ring of deadlines; and the requests that are awake now.

An event is (time, order, slot): `order` packs kind, request, attempt and step, so that comparing two integers after
the times compares them as docs/model.md orders simultaneous events. `slot` is what the kind of event is about.
"""

from __future__ import annotations

from typing import Any, Final

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
def schedule(w: Any, heap: Any, time: int, order: int, slot: int) -> None:
    """Put an event on the agenda; the caller has made sure that there is room."""
    w.heap_size += 1
    _rise(heap, w.heap_size - 1, time, order, slot)


@inlined
def _rise(heap: Any, i: int, time: int, order: int, slot: int) -> None:
    """Put an event into the hole at `i`, or above it as far as it is earlier than what is there."""
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
def drop_first(w: Any, heap: Any) -> None:
    """Take the first event off the agenda."""
    w.heap_size -= 1
    n = w.heap_size
    i, child = 0, 1
    while child < n:  # the hole sinks to a leaf: the last event, which fills it, nearly always belongs there
        right = child + 1
        if heap[right, 0] < heap[child, 0] or (heap[right, 0] == heap[child, 0] and heap[right, 1] < heap[child, 1]):
            child = right
        for column in range(3):
            heap[i, column] = heap[child, column]
        i = child
        child = 2 * i + 1
    _rise(heap, i, heap[n, 0], heap[n, 1], heap[n, 2])


@inlined
def set_deadline(w: Any, deadlines: Any, time: int, order: int, slot: int) -> None:
    """Put a user's deadline on the agenda: on a ring, for each is set as long before as the others.

    So they come in order, but for simultaneous ones, which are put in theirs. Most are of users who are gone by then,
    and in the heap they would be most of it. The caller has made sure that there is room.
    """
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
    """Take the first deadline off the ring."""
    w.deadline_head += 1
    w.num_deadlines -= 1


@inlined
def wait(w: Any, heap: Any, r: Any, slot: int, delay_ns: int, number: int, phase: int) -> bool:
    """Let a request wait; True if the wait is over at once, for there is nothing to wait for."""
    r.phase = phase
    if delay_ns <= 0:
        return True
    schedule(w, heap, w.now + delay_ns, order_of(STEP_EVENT, r.request, r.attempt, number), slot)
    return False


@inlined
def wake(w: Any, requests: Any, slot: int) -> None:
    """Let a request go on when its turn comes, at this instant."""
    requests[slot].queue = NOWHERE
    requests[slot].next = -1
    if w.wake_tail >= 0:
        requests[w.wake_tail].next = slot
    else:
        w.wake_head = slot
    w.wake_tail = slot


@inlined
def next_awake(w: Any, requests: Any) -> int:
    """The request whose turn it is, or -1."""
    slot = w.wake_head
    if slot >= 0:
        w.wake_head = requests[slot].next
        if w.wake_head < 0:
            w.wake_tail = -1
    return slot
