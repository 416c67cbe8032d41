"""The errors of what is observed: standard normal numbers, by seed, step and field."""

from __future__ import annotations

from typing import Any

from streamflow_env.engines.compiling import kernel
from streamflow_env.engines.draws.distributions import normal_quantile
from streamflow_env.engines.draws.hashing import OBSERVED, stream_key, uniform


@kernel
def draw_errors(seeds: Any, steps: Any, errors: Any) -> None:
    """Fill `errors`, shape (num_cells, num_fields); `seeds` and `steps` of the cells have shape (num_cells,)."""
    for cell in range(errors.shape[0]):
        key = stream_key(seeds[cell], OBSERVED, steps[cell])
        for field in range(errors.shape[1]):
            errors[cell, field] = normal_quantile(uniform(key, field))
