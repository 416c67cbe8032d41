"""The circuit breaker of the reference engine, to be used alone: one call at a time, with times in seconds."""

from __future__ import annotations

from typing import Final

from streamflow_env.engines.draws.distributions import to_ns
from streamflow_env.engines.reference.breaker import Breaker as ReferenceBreaker
from streamflow_env.system import Breaker

STATES: Final = ("CLOSED", "OPEN", "HALF_OPEN")


class CircuitBreaker:
    """A circuit breaker with resilience4j's semantics: count-based window, slow calls, half-open permits.

    Ask `permits` before each call, and `record` the result of each call that was permitted. It has no clock and starts
    no thread: the caller gives the time, in seconds from any origin, and it must not decrease. The differences from
    resilience4j are in docs/guide/controllers.md.

    >>> breaker = CircuitBreaker(Breaker(threshold_fraction=0.5, minimum_calls=2, open_s=10.0, half_open_calls=1))
    >>> breaker.record(failed=True, took_s=0.2, time_s=1.0), breaker.record(failed=True, took_s=0.2, time_s=2.0)
    (False, True)
    >>> breaker.state, breaker.permits(12.0), breaker.permits(12.1), breaker.state
    ('OPEN', False, True, 'HALF_OPEN')
    >>> breaker.record(failed=False, took_s=0.2, time_s=12.3), breaker.state
    (False, 'CLOSED')
    """

    def __init__(self, config: Breaker) -> None:
        self._breaker = ReferenceBreaker(config)

    @property
    def state(self) -> str:
        """CLOSED, OPEN or HALF_OPEN. OPEN becomes HALF_OPEN at the first `permits` after `open_s`, not before."""
        return STATES[self._breaker.state]

    def permits(self, time_s: float) -> bool:
        """Whether a call may be made at `time_s`. In HALF_OPEN, each True uses one of `half_open_calls` permits."""
        return self._breaker.permits(to_ns(time_s))

    def record(self, *, failed: bool, took_s: float, time_s: float) -> bool:
        """Record a call that ended at `time_s` after `took_s`. Returns whether this opened the breaker."""
        return self._breaker.record(failed, to_ns(took_s), to_ns(time_s))

    def set_threshold(self, threshold_fraction: float | None) -> None:
        """Set the threshold of both rates. With 1 or None the breaker is off: it is closed and its window is empty."""
        self._breaker.set_threshold(threshold_fraction)
