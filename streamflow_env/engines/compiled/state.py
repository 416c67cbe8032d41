"""Memory of the state, handed out in stretches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Memory:
    """Hands out stretches of one int64 array."""

    def __init__(self) -> None:
        self._parts: list[NDArray[np.int64]] = []
        self._size = 0

    def take(self, values: Sequence[int] | NDArray[np.int64]) -> int:
        self._parts.append(np.asarray(values, dtype=np.int64))
        self._size += len(values)
        return self._size - len(values)

    def array(self) -> NDArray[np.int64]:
        return np.concatenate([*self._parts, np.zeros(1, dtype=np.int64)])
