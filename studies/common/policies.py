"""A policy that several studies need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamflow_agents.policies.protocol import SinglePolicy


class ConstantPolicy(SinglePolicy):
    """Always the same action, shape (num_controls,), in [-1, 1]."""

    def __init__(self, action: Sequence[float]) -> None:
        self._action = np.array(action, dtype=np.float32)

    def act(self, observation: NDArray[np.float32], memory: Any) -> tuple[NDArray[Any], Any]:
        """The action, once for each cell where the observation is of several, and no memory."""
        return np.broadcast_to(self._action, (*observation.shape[:-1], len(self._action))), None
