"""Request records: the slots that hold them, and what is drawn for each request."""

from __future__ import annotations

from typing import Any

from streamflow_env.engines.compiling import inlined, kernel
from streamflow_env.engines.draws.distributions import popular_key
from streamflow_env.engines.draws.hashing import ITEM, draw_index, uniform


@inlined
def new_slot(w: Any, requests: Any) -> int:
    """A free request slot; the caller has made sure that there is one."""
    slot = w.free_head
    w.free_head = requests[slot].next
    w.num_free -= 1
    return slot


@inlined
def free_slot(w: Any, requests: Any, slot: int) -> None:
    """Give a request slot back."""
    requests[slot].request = -1
    requests[slot].next = w.free_head
    w.free_head = slot
    w.num_free += 1


@kernel
def empty_slots(requests: Any, first: int) -> None:
    """Chain the slots from `first` on into a free list."""
    for slot in range(first, requests.size):
        requests[slot].request = -1
        requests[slot].next = slot + 1 if slot + 1 < requests.size else -1


@inlined
def draw(r: Any, purpose: int, step: int, round_: int) -> float:
    """A uniform number of this attempt."""
    return uniform(r.key, draw_index(purpose, r.attempt, step, round_))


@inlined
def item_of(w: Any, r: Any) -> int:
    """The item that a request is about."""
    if r.item < 0:
        r.item = popular_key(uniform(r.key, draw_index(ITEM, 0, 0, 0)), w.num_items, w.item_exponent)
    return int(r.item)


@inlined
def is_waiting_for(r: Any, request: int, attempt: int) -> bool:
    """Whether the slot still belongs to this attempt and its user still waits."""
    return r.request == request and r.attempt == attempt and r.ended == 0
