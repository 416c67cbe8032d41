"""Which episodes train and which evaluate: disjoint ranges of episode seeds."""

from __future__ import annotations

from typing import Final

from streamflow_env.errors import ConfigError

FIRST_EVALUATION_SEED: Final = 1_000_000
"""Training draws its episode seeds below this number; evaluation counts up from it."""


def evaluation_seeds(num_seeds: int) -> tuple[int, ...]:
    """The first `num_seeds` held-out episode seeds. Raises ConfigError where there would be none."""
    if num_seeds < 1:
        raise ConfigError(f"number of seeds {num_seeds}: must be at least 1")
    return tuple(range(FIRST_EVALUATION_SEED, FIRST_EVALUATION_SEED + num_seeds))
