"""When a service is in a cascade, and when it has recovered: one definition for all policies.

An interval is *in cascade* where a tenth of the users' attempts that end in it end in an error. A cascade begins with
such an interval. The service has *recovered* at the beginning of the first two minutes without one. A cascade that has
not ended with the episode counts to the end of the episode.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

ERRORS: Final = 0.10
CALM_S: Final = 120.0


def in_cascade_fraction(error_fractions: Sequence[float]) -> float:
    """The share of an episode's intervals that are in cascade."""
    return float(np.mean(np.asarray(error_fractions) >= ERRORS)) if len(error_fractions) else 0.0


def time_to_recover_s(error_fractions: Sequence[float], interval_s: float) -> float:
    """How long the longest cascade of an episode lasted, 0 where there was none."""
    calm_intervals = math.ceil(CALM_S / interval_s)
    longest = start = calm = 0
    in_cascade = False
    for index, errors in enumerate(error_fractions):
        if errors >= ERRORS:
            start, in_cascade = (start if in_cascade else index), True
            calm = 0
        elif in_cascade:
            calm += 1
            if calm == calm_intervals:
                longest, in_cascade = max(longest, index + 1 - calm - start), False
    if in_cascade:
        longest = max(longest, len(error_fractions) - start)
    return longest * interval_s
