"""Request records: the slots that they are in, and what is drawn for a request."""

from __future__ import annotations

from typing import Any

from streamflow_env.engines.compiled.state import State
from streamflow_env.engines.compiling import inlined, kernel
from streamflow_env.engines.draws.distributions import popular_key
from streamflow_env.engines.draws.hashing import ITEM, draw_index, uniform


@inlined
def new_slot(state: State) -> int:
    """Take a free slot. There must be one."""
    w = state.world[0]
    slot = w.free_head
    w.free_head = state.requests[slot].next
    w.num_free -= 1
    return slot


@inlined
def free_slot(state: State, slot: int) -> None:
    """Give a slot back."""
    w = state.world[0]
    state.requests[slot].request = -1
    state.requests[slot].next = w.free_head
    w.free_head = slot
    w.num_free += 1


@kernel
def empty_slots(requests: Any, first: int) -> None:
    """Make a list of free slots out of those from `first` on."""
    for slot in range(first, requests.size):
        requests[slot].request = -1
        requests[slot].next = slot + 1 if slot + 1 < requests.size else -1


@inlined
def draw(r: Any, purpose: int, step: int, round_: int) -> float:
    """A uniform number in (0, 1) that belongs to this attempt, purpose, step and round."""
    return uniform(r.key, draw_index(purpose, r.attempt, step, round_))


@inlined
def item_of(w: Any, r: Any) -> int:
    """The item that a request is about."""
    if r.item < 0:
        r.item = popular_key(uniform(r.key, draw_index(ITEM, 0, 0, 0)), w.num_items, w.item_exponent)
    return int(r.item)


@inlined
def is_waiting_for(r: Any, request: int, attempt: int) -> bool:
    """Whether the slot still has this attempt, and its user still waits."""
    return r.request == request and r.attempt == attempt and r.ended == 0
