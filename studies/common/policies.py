"""A policy that several studies need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class ConstantPolicy:
    """Always the same action, shape (num_controls,), in [-1, 1]."""

    def __init__(self, action: Sequence[float]) -> None:
        self._action = np.array(action, dtype=np.float32)

    def predict(
        self,
        observation: NDArray[np.float32],
        state: Any = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[Any], Any]:
        """The action, and no state."""
        return self._action, None
