"""What a policy is: the one method that baselines, trained models and the evaluation share."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Policy(Protocol):
    """What is evaluated: Stable-Baselines3's `predict`. `state` is None at first and then what `predict` returned."""

    def predict(
        self,
        observation: NDArray[np.float32],
        state: Any = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[Any], Any]: ...
