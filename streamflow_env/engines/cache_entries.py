"""Entries of a cache in bounded memory: an array of them, an index that finds one by its key, and eviction.

Used by the warm start and by the compiled engine. Entry number p of a cache is at `entries[entries_at + p]`; p is its
position. `index` is an open-addressing hash table of positions (FREE where there is none), of 2^bits places from
`index_at` on.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from streamflow_env.engines.compiling import kernel
from streamflow_env.engines.draws.hashing import uniform

ENTRY: Final = np.dtype(
    [("written_ns", "i8"), ("expires_ns", "i8"), ("used_ns", "i8"), ("key", "i4"), ("quality_milli", "i4")]
)
"""An entry. A key below the number of users is of a user, all others are of items. An entry that was invalidated has
INVALID as `expires_ns`."""
INVALID: Final = -(2**62)
FREE: Final = -1


def index_bits(num_entries: int) -> int:
    """The binary logarithm of the size of an index for so many entries: it is at most half full."""
    return max(4, (2 * num_entries - 1).bit_length())


@kernel
def home_of(key: int, bits: int) -> int:
    """The place in the index where a search for `key` begins: multiplicative hashing, Knuth vol. 3, 6.4."""
    return ((int(key) * 2654435761) & 0xFFFFFFFF) >> (32 - bits)


@kernel
def find(entries: Any, entries_at: int, index: Any, index_at: int, bits: int, key: int) -> int:
    """The position of the entry of `key`, or FREE."""
    mask = (1 << bits) - 1
    place = home_of(key, bits)
    while True:
        position = index[index_at + place]
        if position == FREE or entries[entries_at + position].key == key:
            return position
        place = (place + 1) & mask


@kernel
def insert(index: Any, index_at: int, bits: int, key: int, position: int) -> None:
    """Add to the index that the entry of `key` is at `position`. It must not have one yet."""
    mask = (1 << bits) - 1
    place = home_of(key, bits)
    while index[index_at + place] != FREE:
        place = (place + 1) & mask
    index[index_at + place] = position


@kernel
def remove(entries: Any, entries_at: int, index: Any, index_at: int, bits: int, key: int) -> None:
    """Remove `key` from the index and close the gap (Knuth vol. 3, 6.4, algorithm R)."""
    mask = (1 << bits) - 1
    place = home_of(key, bits)
    while entries[entries_at + index[index_at + place]].key != key:
        place = (place + 1) & mask
    gap = place
    while True:
        place = (place + 1) & mask
        position = index[index_at + place]
        if position == FREE:
            break
        home = home_of(entries[entries_at + position].key, bits)
        if ((place - home) & mask) >= ((place - gap) & mask):
            index[index_at + gap] = position
            gap = place
    index[index_at + gap] = FREE


@kernel
def victim(entries: Any, entries_at: int, used: int, samples: int, key: Any, first: int, stride: int, now: int) -> int:
    """The position of the entry that gives way: of the sampled ones the first expired, else the least recently used.

    Sample j is drawn by number `first` + j · `stride` of `key`; `used` is the number of entries.
    """
    chosen = -1
    for j in range(samples):
        position = int(uniform(key, first + j * stride) * used)
        if entries[entries_at + position].expires_ns <= now:
            return position
        if chosen < 0 or entries[entries_at + position].used_ns < entries[entries_at + chosen].used_ns:
            chosen = position
    return chosen


@kernel
def fill_index(entries: Any, entries_at: int, index: Any, index_at: int, bits: int, used: int) -> None:
    """Fill an empty index with the first `used` entries."""
    for position in range(used):
        insert(index, index_at, bits, entries[entries_at + position].key, position)
