"""A cache's memory: so many slots, each with the entry of one key; a new key takes a free slot or somebody else's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

FIELDS = ["key", "written_ns", "expires_ns", "used_ns", "quality_milli"]


@dataclass(slots=True)
class Entry:
    """An entry of a cache, used last at `used_ns`."""

    key: int
    written_ns: int
    expires_ns: int
    used_ns: int
    quality_milli: int


class Memory:
    """Room for so many entries, filled at first with a copy of `entries` (dtype ENTRY, shape (used,))."""

    def __init__(self, room: int, num_samples: int, entries: NDArray[Any]) -> None:
        self._room = room
        self._num_samples = num_samples
        self.slots = [Entry(*fields) for fields in entries[FIELDS].tolist()]
        self._slot_of = {entry.key: slot for slot, entry in enumerate(self.slots)}

    def find(self, key: int) -> Entry | None:
        """The entry of `key`, valid or not."""
        slot = self._slot_of.get(key)
        return None if slot is None else self.slots[slot]

    def put(self, entry: Entry, now_ns: int, draw: Callable[[int], float]) -> bool:
        """Write an entry; whether another one that was valid had to give way to it, by one `draw` a sample."""
        slot = self._slot_of.get(entry.key)
        if slot is not None:
            self.slots[slot] = entry
            return False
        if len(self.slots) < self._room:
            self._slot_of[entry.key] = len(self.slots)
            self.slots.append(entry)
            return False
        slot = self._victim(now_ns, draw)
        victim = self.slots[slot]
        del self._slot_of[victim.key]
        self._slot_of[entry.key] = slot
        self.slots[slot] = entry
        return victim.expires_ns > now_ns

    def _victim(self, now_ns: int, draw: Callable[[int], float]) -> int:
        """Of the sampled slots the first whose entry has expired, or else the least recently used."""
        sampled = [int(draw(j) * len(self.slots)) for j in range(self._num_samples)]
        expired = (slot for slot in sampled if self.slots[slot].expires_ns <= now_ns)
        return next(expired, min(sampled, key=lambda slot: self.slots[slot].used_ns))

    def resize(self, room: int, now_ns: int) -> int:
        """Room for so many entries from now on; how many valid ones had to go, from the last slots."""
        self._room = room
        gone = self.slots[room:]
        del self.slots[room:]
        for entry in gone:
            del self._slot_of[entry.key]
        return sum(entry.expires_ns > now_ns for entry in gone)
