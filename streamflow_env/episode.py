"""What happens to a system from outside in one episode: the same for every engine and policy."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from streamflow_env.system import System

BIN_S: Final = 5.0
"""Length of a bin of traffic, within which the rates are constant."""
PriceOf = Literal["replicas", "memory", "llm"]
"""What has a price: replicas, the caches' memory, and LLM requests."""
PRICE_FACTORS: Final[tuple[PriceOf, ...]] = get_args(PriceOf)
"""What the numbers of `Episode.price_factors` belong to, in order."""
USUAL_PRICES: Final = (1.0, 1.0, 1.0)
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
    """A part of the episode that plots shade, in seconds from t = 0. Policies do not see it."""

    label: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Announcement:
    """A campaign in the operators' calendar: from `known_from_s` on they know its time and its planned load.

    It lasts from the first message, `start_s`, to the last open, `end_s`, in seconds from t = 0. `expected_rps` is the
    planned mean rate of first attempts while recipients open the app.
    """

    known_from_s: float
    start_s: float
    end_s: float
    expected_rps: float


@dataclass(frozen=True)
class Episode:
    """One episode of a system.

    Attributes:
        rates_rps: shape (num_classes, num_bins), first attempts of each class; bin 0 begins with the warm-up.
        changes: in order of time.
        start_hour: hour of the day at t = 0, in [0, 24).
        announcements: in order of their start.
        system: what is simulated, where this cell differs; None is the system that the episode was made for.
        price_factors: of the prices of `PRICE_FACTORS`, in that order.
        delay_intervals: by so many control intervals what is observed is late.
        noise_fraction: the standard deviation of the relative error of what is observed.
    """

    scenario: str
    seed: int
    horizon_s: float
    start_hour: float
    bin_ns: int
    rates_rps: NDArray[np.float64]
    changes: tuple[Change, ...] = ()
    marks: tuple[Mark, ...] = field(default=())
    announcements: tuple[Announcement, ...] = ()
    system: System | None = None
    price_factors: tuple[float, float, float] = USUAL_PRICES
    delay_intervals: int = 0
    noise_fraction: float = 0.0

    def announced(self, time_s: float) -> tuple[float, float]:
        """The earliest campaign that is known and not over at `time_s`: seconds to its start (0 while it runs), rate in
        1/s.

        (infinity, 0) where there is none.
        """
        known = (a for a in self.announcements if a.known_from_s <= time_s < a.end_s)
        if (first := next(known, None)) is None:
            return math.inf, 0.0
        return max(0.0, first.start_s - time_s), first.expected_rps
