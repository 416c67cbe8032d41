"""First attempts: when they come and of which user, as a function of the seed and the traffic alone.

What the system does changes nothing here. First attempts are a Poisson process. Its rate is constant within each bin of
the traffic: unit-rate exponential gaps are laid end to end and mapped through the cumulated rate. Every attempt has its
own draws: of its class and, in an interactive class, of its user.

A user may return. Such a request takes the user of an earlier interactive first attempt: one picked uniformly from the
second that lies a gap of exp(return_gap) before, or from the second before where that is the running one. If there was
no attempt in that second, or if it lies beyond the look-back, the user is drawn by popularity instead.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines.compiling import kernel, long_kernel
from streamflow_env.engines.draws.distributions import NANOSECONDS, exponential, popular_key
from streamflow_env.engines.draws.hashing import (
    ARRIVALS,
    CLASS,
    INTERARRIVAL,
    LLM_BENEFIT,
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

POPULATION: Final = np.dtype(
    [("num_users", "i8")]
    + [
        (name, "f8")
        for name in ("popularity_exponent", "return_fraction", "return_gap_s", "lookback_s", "premium_fraction")
    ]
)
"""What a stream needs of `streamflow_env.system.Users`."""
PROGRESS: Final = np.dtype([("next_request", "i8"), ("num_with_user", "i8"), ("last_second", "i8"), ("time_s", "f8")])
"""How far a stream has come.

`num_with_user` interactive first attempts are in the ring. `last_second` is the last whole second that was opened.
`time_s` is when the last attempt was sent: the next gap begins there.
"""

SECOND_NS: Final = 1_000_000_000


class Stream(NamedTuple):
    """All arrays of a stream of first attempts.

    Attributes:
        rates: rates of first attempts in 1/s. float64, shape (num_classes, num_bins).
        totals: their sums over the classes. float64, shape (num_bins,).
        interactive: whether a class has users. bool, shape (num_classes,).
        population: the users. dtype POPULATION, shape (1,).
        progress: dtype PROGRESS, shape (1,).
        ring: users of the last interactive first attempts. int32, shape (power of two,).
        seconds: for each of the last seconds, how many attempts had come before it. int64, shape (power of two,).
        buffer: first attempts that are handed out. dtype ARRIVAL, 1-D.
    """

    rates: NDArray[np.float64]
    totals: NDArray[np.float64]
    interactive: NDArray[np.bool_]
    population: NDArray[Any]
    progress: NDArray[Any]
    ring: NDArray[np.int32]
    seconds: NDArray[np.int64]
    buffer: NDArray[Any]


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
        self._bin_ns = bin_ns
        rates = np.ascontiguousarray(rates_rps, dtype=np.float64)
        has_users = np.array(interactive, dtype=np.bool_)
        population = np.array([tuple(getattr(users, name) for name in POPULATION.names or ())], POPULATION)
        progress = np.zeros(1, PROGRESS)
        progress["last_second"] = -users.lookback_s - 2
        peak_rps = max(1.0, float(rates[has_users].sum(axis=0).max(initial=0.0)))
        kept = users.lookback_s * peak_rps
        self.stream = Stream(
            rates=rates,
            totals=rates.sum(axis=0),
            interactive=has_users,
            population=population,
            progress=progress,
            ring=np.zeros(_power_of_two(kept + 8.0 * kept**0.5 + 64), dtype=np.int32),
            seconds=np.zeros(_power_of_two(users.lookback_s + 4), dtype=np.int64),
            buffer=np.zeros(1024, dtype=ARRIVAL),
        )
        if history is not None:
            _recall(self.stream, *history)
        _open_seconds(self.stream, 0)

    def until(self, end_ns: int) -> NDArray[Any]:
        """The first attempts sent before `end_ns` and not yet handed out, in order.

        They are in the stream's buffer, which the next call writes over.
        """
        filled = 0
        while True:
            count = fill_arrivals(self._seed, self._bin_ns, self.stream, filled, end_ns)
            if count >= 0:
                return self.stream.buffer[:count]
            filled = self.stream.buffer.size
            self.make_room()

    def make_room(self) -> None:
        """Double the room for what is handed out at once, keeping what is there."""
        buffer = self.stream.buffer
        self.stream = self.stream._replace(buffer=np.concatenate([buffer, np.zeros_like(buffer)]))

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
    """How much a user benefits from the LLM, in (0, 1): how badly precomputed preferences fit the user.

    It is a property of the user, the same in every request of an episode. A background request has no user (-1); its
    benefit is its own, the same in all its calls.
    """
    key = stream_key(seed, USERS, user) if user >= 0 else stream_key(seed, REQUESTS, request)
    return uniform(key, LLM_BENEFIT)


@kernel
def _open_seconds(stream: Stream, second: int) -> None:
    """Note for each second up to `second` how many attempts had come before it."""
    progress = stream.progress[0]
    mask = stream.seconds.size - 1
    first = max(progress.last_second + 1, second - mask)
    for s in range(first, second + 1):
        stream.seconds[s & mask] = progress.num_with_user
    progress.last_second = max(progress.last_second, second)


@kernel
def _recall(stream: Stream, users: Any, came: Any) -> None:
    """Put the users who came before time 0 into the ring."""
    progress = stream.progress[0]
    for i in range(users.size):
        _open_seconds(stream, came[i])
        stream.ring[progress.num_with_user & (stream.ring.size - 1)] = users[i]
        progress.num_with_user += 1


@long_kernel
def fill_arrivals(seed: int, bin_ns: int, stream: Stream, filled: int, end_ns: int) -> int:
    """Write the first attempts before `end_ns` to the buffer, behind the `filled` first.

    Returns how many the buffer then has; -1 if it is full before.
    """
    progress, population = stream.progress[0], stream.population[0]
    count = filled
    while True:
        key = stream_key(seed, ARRIVALS, progress.next_request)
        sent_ns, time_s = _next_time(key, stream.totals, bin_ns, progress.time_s, end_ns)
        if sent_ns >= end_ns:
            return count
        if count == stream.buffer.size:
            return -1
        progress.time_s = time_s
        arrival = stream.buffer[count]
        arrival.sent_ns = sent_ns
        arrival.request = progress.next_request
        class_ = _class_of(key, stream.rates, stream.totals, bin_ns, sent_ns)
        arrival.class_ = class_
        arrival.user = -1
        arrival.premium = 0
        if stream.interactive[class_]:
            user = _user_of(key, stream, sent_ns)
            arrival.user = user
            arrival.premium = 1 if is_premium(seed, user, population.premium_fraction) else 0
            stream.ring[progress.num_with_user & (stream.ring.size - 1)] = user
            progress.num_with_user += 1
        progress.next_request += 1
        count += 1


@kernel
def _next_time(key: Any, totals: Any, bin_ns: int, time: float, end_ns: int) -> Any:
    """When the next attempt is sent, in ns and in s; at least `end_ns` if not before it.

    Walks through the bins, from `time` in s on, until the exponential gap is used up.
    """
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
            return int(time * NANOSECONDS), time
        if edge >= end_s + bin_s:
            return end_ns, time
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
def _user_of(key: Any, stream: Stream, sent_ns: int) -> int:
    population = stream.population[0]
    now = sent_ns // SECOND_NS
    _open_seconds(stream, now)
    if uniform(key, RETURNS) < population.return_fraction:
        gap_s = exponential(uniform(key, RETURN_GAP), population.return_gap_s)
        if gap_s < population.lookback_s:
            second = min((sent_ns - int(gap_s * NANOSECONDS)) // SECOND_NS, now - 1)
            mask = stream.seconds.size - 1
            first, last = stream.seconds[second & mask], stream.seconds[(second + 1) & mask]
            if last > first:
                pick = first + int(uniform(key, RETURN_PICK) * (last - first))
                return int(stream.ring[pick & (stream.ring.size - 1)])
    return popular_key(uniform(key, POPULARITY), population.num_users, population.popularity_exponent)
