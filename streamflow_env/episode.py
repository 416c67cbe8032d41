"""What happens to a system from outside in one episode: the same for every engine and policy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

BIN_S: Final = 5.0
"""Within a bin of traffic the rates are constant; a third of a control interval."""
ChangeKind = Literal["slowdown_factor", "quota_factor", "retry_after_s", "invalidate_fraction"]
"""What an incident changes of a service: its slowness (1 is healthy), an LLM's quota (1 is full) and retry-after,
or it invalidates a share of a cache's keys in bulk."""


@dataclass(frozen=True)
class Change:
    """From `at_ns` on, `kind` of `service` is `value`. Times on the engine's clock, whose 0 is the start of warm-up."""

    at_ns: int
    service: str
    kind: ChangeKind
    value: float


@dataclass(frozen=True)
class Mark:
    """A stretch of the episode to be shaded in pictures, in seconds from t = 0. Never seen by a policy."""

    label: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Episode:
    """One episode of a system.

    Attributes:
        rates_rps: shape (num_classes, num_bins), first attempts of each class; bin 0 begins with the warm-up.
        changes: in order of time.
        start_hour: hour of the day at t = 0, in [0, 24).
    """

    scenario: str
    seed: int
    horizon_s: float
    start_hour: float
    bin_ns: int
    rates_rps: NDArray[np.float64]
    changes: tuple[Change, ...] = ()
    marks: tuple[Mark, ...] = field(default=())
