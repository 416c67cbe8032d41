"""Who comes when: first attempts, as a function of the seed and the traffic alone, never of what the system does.

First attempts are a Poisson process whose rate is constant within each bin of the traffic: unit-rate exponential gaps
are laid end to end and mapped through the cumulated rate. Attempt n has its class, and for an interactive class its
user, by draws of its own. A user returns by second: a request that is a return takes the user of a uniformly picked
interactive first attempt of the second that lies a gap of exp(return_gap) earlier (or, within the running second, of
the second before); where that second was empty or lies beyond the look-back, popularity decides.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines.compiling import kernel, long_kernel
from streamflow_env.engines.draws.distributions import NANOSECONDS, exponential, popular_key
from streamflow_env.engines.draws.hashing import (
    ARRIVALS,
    CLASS,
    INTERARRIVAL,
    NEED,
    POPULARITY,
    PREMIUM,
    REQUESTS,
    RETURN_GAP,
    RETURN_PICK,
    RETURNS,
    USERS,
    stream_key,
    uniform,
)

ARRIVAL: Final = np.dtype(
    [("sent_ns", "i8"), ("request", "i8"), ("user", "i4"), ("class_", "i2"), ("premium", "i2")], align=True
)
"""A first attempt. `user` is -1 and `premium` 0 for a background class."""

SECOND_NS: Final = 1_000_000_000


class Arrivals:
    """The stream of first attempts of one episode, handed out interval by interval.

    Args:
        seed: the episode's seed.
        rates_rps: shape (num_classes, num_bins), the rate of first attempts of each class in each bin.
        bin_ns: length of a bin; after the last bin its rate goes on.
        interactive: shape (num_classes,), whether the class has users.
        users: the population, see `streamflow_env.system.Users`.
        history: users of interactive first attempts before time 0: (users, shape (n,); seconds, shape (n,), the
            whole second before 0, ascending, in which each came: -1 is the last).
    """

    def __init__(
        self,
        seed: int,
        rates_rps: NDArray[np.float64],
        bin_ns: int,
        interactive: tuple[bool, ...],
        users: Any,
        history: tuple[NDArray[np.int32], NDArray[np.signedinteger[Any]]] | None = None,
    ) -> None:
        self._seed = seed
        self._rates = np.ascontiguousarray(rates_rps, dtype=np.float64)
        self._totals = self._rates.sum(axis=0)
        self._bin_ns = bin_ns
        self._interactive = np.array(interactive, dtype=np.bool_)
        self._population = np.array(
            [
                users.num_users,
                users.popularity_exponent,
                users.return_fraction,
                users.return_gap_s,
                users.lookback_s,
                users.premium_fraction,
            ]
        )
        peak = max(1.0, float(self._rates[self._interactive].sum(axis=0).max(initial=0.0)))
        spread = users.lookback_s * peak
        self._ring = np.zeros(_power_of_two(spread + 8.0 * spread**0.5 + 64), dtype=np.int32)
        self._seconds = np.zeros(_power_of_two(users.lookback_s + 4), dtype=np.int64)
        # next request, interactive arrivals so far, the second last opened; then clock: exponential time, bin edge
        self._counters = np.zeros(3, dtype=np.int64)
        self._clock = np.zeros(2, dtype=np.float64)
        self._buffer = np.zeros(1024, dtype=ARRIVAL)
        self._counters[2] = -users.lookback_s - 2
        if history is not None:
            _recall(self._ring, self._seconds, self._counters, *history)
        _open_seconds(self._seconds, self._counters, 0)

    def until(self, end_ns: int) -> NDArray[Any]:
        """The first attempts sent before `end_ns` and not yet handed out, in order; a view, reused by the next call."""
        filled = 0
        while True:
            count = fill_arrivals(
                self._seed, self._rates, self._totals, self._bin_ns, self._interactive, self._population,
                self._ring, self._seconds, self._counters, self._clock, self._buffer, filled, end_ns,
            )  # fmt: skip
            if count >= 0:
                return self._buffer[:count]
            filled = self._buffer.size
            self.make_room()

    def make_room(self) -> None:
        """Double the room for what is handed out at once, keeping what is there."""
        self._buffer = np.concatenate([self._buffer, np.zeros_like(self._buffer)])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The whole state by name, for who calls `fill_arrivals` itself."""
        return {
            "rates": self._rates, "totals": self._totals, "interactive": self._interactive,
            "population": self._population, "ring": self._ring, "seconds": self._seconds,
            "counters": self._counters, "clock": self._clock, "buffer": self._buffer,
        }  # fmt: skip

    @property
    def bin_ns(self) -> int:
        """Length of a bin of the traffic."""
        return self._bin_ns


def _power_of_two(least: float) -> int:
    return 1 << max(4, int(np.ceil(np.log2(max(least, 1.0)))))


@kernel
def is_premium(seed: int, user: int, fraction: float) -> bool:
    """Whether a user is a premium user: a property of the user, the same in every request of an episode."""
    return uniform(stream_key(seed, USERS, user), PREMIUM) < fraction


@kernel
def llm_benefit_of(seed: int, user: int, request: int) -> float:
    """How badly precomputed preferences fit a user, in (0, 1): the same in every request of an episode.

    A background request has no user (-1) and a need of its own, the same in all its calls.
    """
    key = stream_key(seed, USERS, user) if user >= 0 else stream_key(seed, REQUESTS, request)
    return uniform(key, NEED)


@kernel
def _open_seconds(seconds: Any, counters: Any, second: int) -> None:
    mask = seconds.size - 1
    first = max(counters[2] + 1, second - mask)
    for s in range(first, second + 1):
        seconds[s & mask] = counters[1]
    counters[2] = max(counters[2], second)


@kernel
def _recall(ring: Any, seconds: Any, counters: Any, users: Any, came: Any) -> None:
    for i in range(users.size):
        _open_seconds(seconds, counters, came[i])
        ring[counters[1] & (ring.size - 1)] = users[i]
        counters[1] += 1


@long_kernel
def fill_arrivals(
    seed: int, rates: Any, totals: Any, bin_ns: int, interactive: Any, population: Any,
    ring: Any, seconds: Any, counters: Any, clock: Any, buffer: Any, filled: int, end_ns: int,
) -> int:  # fmt: skip
    """Write the first attempts before `end_ns` to `buffer`, behind the `filled` first; their number, or -1 if full."""
    count = filled
    while True:
        key = stream_key(seed, ARRIVALS, counters[0])
        sent_ns, time, carry = _next_time(key, totals, bin_ns, clock[0], clock[1], end_ns)
        if sent_ns >= end_ns:
            return count
        if count == buffer.size:
            return -1
        clock[0], clock[1] = time, carry
        arrival = buffer[count]
        arrival.sent_ns = sent_ns
        arrival.request = counters[0]
        class_ = _class_of(key, rates, totals, bin_ns, sent_ns)
        arrival.class_ = class_
        arrival.user = -1
        arrival.premium = 0
        if interactive[class_]:
            user = _user_of(key, population, ring, seconds, counters, sent_ns)
            arrival.user = user
            arrival.premium = 1 if is_premium(seed, user, population[5]) else 0
            ring[counters[1] & (ring.size - 1)] = user
            counters[1] += 1
        counters[0] += 1
        count += 1


@kernel
def _next_time(key: Any, totals: Any, bin_ns: int, time: float, carry: float, end_ns: int) -> Any:
    """(ns of the next attempt or at least `end_ns`, seconds, 0): walk the bins until the exponential gap is used up."""
    gap = exponential(uniform(key, INTERARRIVAL), 1.0)
    bin_s = bin_ns / NANOSECONDS
    end_s = end_ns / NANOSECONDS
    b = int(time / bin_s)
    while True:
        rate = totals[min(b, totals.size - 1)]
        edge = (b + 1) * bin_s
        room = rate * (edge - time)
        if gap < room:
            time += gap / rate
            return int(time * NANOSECONDS), time, 0.0
        if edge >= end_s + bin_s:
            return end_ns, time, carry
        gap -= room
        time = edge
        b += 1


@kernel
def _class_of(key: Any, rates: Any, totals: Any, bin_ns: int, sent_ns: int) -> int:
    b = min(sent_ns // bin_ns, totals.size - 1)
    level = uniform(key, CLASS) * totals[b]
    for c in range(rates.shape[0] - 1):
        level -= rates[c, b]
        if level < 0.0:
            return c
    last = rates.shape[0] - 1
    while rates[last, b] == 0.0 and last > 0:
        last -= 1
    return last


@kernel
def _user_of(key: Any, population: Any, ring: Any, seconds: Any, counters: Any, sent_ns: int) -> int:
    now = sent_ns // SECOND_NS
    _open_seconds(seconds, counters, now)
    if uniform(key, RETURNS) < population[2]:
        gap_s = exponential(uniform(key, RETURN_GAP), population[3])
        if gap_s < population[4]:
            second = min((sent_ns - int(gap_s * NANOSECONDS)) // SECOND_NS, now - 1)
            mask = seconds.size - 1
            first, last = seconds[second & mask], seconds[(second + 1) & mask]
            if last > first:
                pick = first + int(uniform(key, RETURN_PICK) * (last - first))
                return int(ring[pick & (ring.size - 1)])
    return popular_key(uniform(key, POPULARITY), int(population[0]), population[1])
