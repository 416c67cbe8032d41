"""The order in which a bulk invalidation reaches the keys: a fixed permutation that scatters popular keys over it."""

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
    """As which of `num_keys` keys a sweep reaches `key`, from 0."""
    return (key * multiplier) % num_keys
