"""The parts that policies are made of: each changes some of the settings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from streamflow_agents.policies.baselines.desk import Rows

Memory = TypeVar("Memory")


class Part(ABC, Generic[Memory]):
    """A part of a policy. It holds no state: it returns what it must remember, and receives it at the next step.

    A memory is None, an array whose last axis is the cells, or a named tuple of memories.
    """

    @abstractmethod
    def begin(self, num_cells: int) -> Memory:
        """The memory at the start of an episode, of so many cells."""

    @abstractmethod
    def adjust(self, settings: Rows, readings: Rows, numbers: Rows, memory: Memory) -> Memory:
        """Change `settings` in place, and return what to remember.

        `readings` and `numbers` have the rows that the desk gave out; `settings` has a row for each control. All are in
        natural units, with the cells as columns.
        """
