"""The memory of a cache: it holds a limited number of entries, and a new key evicts another one when it is full."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

FIELDS = ["key", "written_ns", "expires_ns", "used_ns", "quality_milli"]


@dataclass(slots=True)
class Entry:
    """An entry of a cache, last used at `used_ns`. Its quality is in thousandths."""

    key: int
    written_ns: int
    expires_ns: int
    used_ns: int
    quality_milli: int


class Memory:
    """Memory for at most `limit` entries. It starts with a copy of `entries` (dtype ENTRY, shape (num_entries,)).

    Entries have a position in the list `entries`. Eviction draws `num_samples` positions and compares their entries.
    """

    def __init__(self, limit: int, num_samples: int, entries: NDArray[Any]) -> None:
        self._limit = limit
        self._num_samples = num_samples
        self._num_evictions = 0
        self.entries = [Entry(*fields) for fields in entries[FIELDS].tolist()]
        self._position_of = {entry.key: position for position, entry in enumerate(self.entries)}

    def find(self, key: int) -> Entry | None:
        """The entry of `key`, valid or not; None if there is none."""
        position = self._position_of.get(key)
        return None if position is None else self.entries[position]

    def put(self, entry: Entry, now_ns: int, draw: Callable[[int], float]) -> bool:
        """Write `entry`. True if this evicted the valid entry of another key. `draw(j)` is the draw of sample j."""
        position = self._position_of.get(entry.key)
        if position is not None:
            self.entries[position] = entry
            return False
        if len(self.entries) < self._limit:
            self._position_of[entry.key] = len(self.entries)
            self.entries.append(entry)
            return False
        position = self._victim(now_ns, draw)
        victim = self.entries[position]
        del self._position_of[victim.key]
        self._position_of[entry.key] = position
        self.entries[position] = entry
        return victim.expires_ns > now_ns

    def _victim(self, now_ns: int, draw: Callable[[int], float]) -> int:
        """The sampled position whose entry is evicted: the first expired one, else the least recently used one."""
        sampled = [int(draw(j) * len(self.entries)) for j in range(self._num_samples)]
        expired = (position for position in sampled if self.entries[position].expires_ns <= now_ns)
        return next(expired, min(sampled, key=lambda position: self.entries[position].used_ns))

    def resize(self, limit: int, now_ns: int, draw: Callable[[int], float]) -> int:
        """Set the limit. While there are more entries, one is evicted; the number of valid ones among them.

        `draw(n)` is draw n of the memory's own: those of eviction number i begin at i · `num_samples`.
        """
        self._limit = limit
        num_valid = 0
        while len(self.entries) > limit:
            first = self._num_evictions * self._num_samples
            self._num_evictions += 1
            position = self._victim(now_ns, lambda j, first=first: draw(first + j))  # type: ignore[misc]
            num_valid += self.entries[position].expires_ns > now_ns
            self._take_out(position)
        return num_valid

    def _take_out(self, position: int) -> None:
        """Take the entry at `position` out. The last entry takes its place."""
        del self._position_of[self.entries[position].key]
        last = self.entries.pop()
        if position < len(self.entries):
            self.entries[position] = last
            self._position_of[last.key] = position
