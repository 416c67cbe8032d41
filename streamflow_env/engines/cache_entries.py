"""Entries of a cache in bounded memory: slots by number, an index of the slots by key, and who gives way to whom.

Used by the warm state and by the compiled engine. `index` is an open-addressing hash table of slot numbers (-1: free)
of 2^bits places from `index_at`; `entries` holds slot s at `entries_at` + s.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from streamflow_env.engines.compiling import kernel
from streamflow_env.engines.draws.hashing import EVICTED, draw_index, uniform

ENTRY: Final = np.dtype(
    [("written_ns", "i8"), ("expires_ns", "i8"), ("used_ns", "i8"), ("key", "i4"), ("quality_milli", "i4")]
)
"""A slot in use. Key k below the number of users is a user, above it an item; `expires_ns` = INVALID: no entry."""
INVALID: Final = -(2**62)
FREE: Final = -1


def index_bits(num_slots: int) -> int:
    """Size of an index for so many slots, at most half full, as a power of two."""
    return max(4, (2 * num_slots - 1).bit_length())


@kernel
def home_of(key: int, bits: int) -> int:
    """Where a search for `key` begins: multiplicative (Fibonacci) hashing, Knuth vol. 3, 6.4."""
    return ((int(key) * 2654435761) & 0xFFFFFFFF) >> (32 - bits)


@kernel
def find(entries: Any, entries_at: int, index: Any, index_at: int, bits: int, key: int) -> int:
    """The slot of `key`, or FREE."""
    mask = (1 << bits) - 1
    place = home_of(key, bits)
    while True:
        slot = index[index_at + place]
        if slot == FREE or entries[entries_at + slot].key == key:
            return slot
        place = (place + 1) & mask


@kernel
def insert(index: Any, index_at: int, bits: int, key: int, slot: int) -> None:
    """Remember that `key`, which had no slot, has `slot`."""
    mask = (1 << bits) - 1
    place = home_of(key, bits)
    while index[index_at + place] != FREE:
        place = (place + 1) & mask
    index[index_at + place] = slot


@kernel
def remove(entries: Any, entries_at: int, index: Any, index_at: int, bits: int, key: int) -> None:
    """Forget the slot of `key`, and close the gap (Knuth vol. 3, 6.4, algorithm R)."""
    mask = (1 << bits) - 1
    place = home_of(key, bits)
    while entries[entries_at + index[index_at + place]].key != key:
        place = (place + 1) & mask
    gap = place
    while True:
        place = (place + 1) & mask
        slot = index[index_at + place]
        if slot == FREE:
            break
        home = home_of(entries[entries_at + slot].key, bits)
        if ((place - home) & mask) >= ((place - gap) & mask):
            index[index_at + gap] = slot
            gap = place
    index[index_at + gap] = FREE


@kernel
def victim(entries: Any, entries_at: int, used: int, samples: int, key: Any, attempt: int, step: int, now: int) -> int:
    """The slot that gives way: of those sampled the first that has expired, else the one used longest ago."""
    chosen = -1
    for j in range(samples):
        slot = int(uniform(key, draw_index(EVICTED, attempt, step, j)) * used)
        if entries[entries_at + slot].expires_ns <= now:
            return slot
        if chosen < 0 or entries[entries_at + slot].used_ns < entries[entries_at + chosen].used_ns:
            chosen = slot
    return chosen


@kernel
def fill_index(entries: Any, entries_at: int, index: Any, index_at: int, bits: int, used: int) -> None:
    """Build the index of the slots in use; it must be free."""
    for slot in range(used):
        insert(index, index_at, bits, entries[entries_at + slot].key, slot)
