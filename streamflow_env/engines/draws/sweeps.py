"""In which order a bulk invalidation reaches the keys: a fixed scattering, so that popular keys are spread over it."""

from __future__ import annotations

import math

from streamflow_env.engines.compiling import kernel


def sweep_multiplier(num_keys: int) -> int:
    """The largest number up to 0.618 · num_keys that shares no divisor with it."""
    multiplier = max(1, int(0.618 * num_keys))
    while math.gcd(multiplier, num_keys) != 1:
        multiplier -= 1
    return multiplier


@kernel
def sweep_position(key: int, multiplier: int, num_keys: int) -> int:
    """When a sweep comes to `key`: a permutation of range(num_keys)."""
    return (key * multiplier) % num_keys
