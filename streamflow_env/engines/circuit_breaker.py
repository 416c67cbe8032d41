"""The reference engine's circuit breaker by itself, call by call, in seconds."""

from __future__ import annotations

from typing import Final

from streamflow_env.engines.draws.distributions import to_ns
from streamflow_env.engines.reference.breaker import Breaker as ReferenceBreaker
from streamflow_env.system import Breaker

STATES: Final = ("CLOSED", "OPEN", "HALF_OPEN")


class CircuitBreaker:
    """A circuit breaker with resilience4j's semantics: count-based window, slow calls, half-open permits.

    Ask `permits` before a call, and `record` what came of each call that was permitted. It has no clock and starts no
    thread: time is what you say it is, in seconds from any origin, and must not go back. docs/controllers.md says
    where it differs from resilience4j.

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
        """CLOSED, OPEN or HALF_OPEN. OPEN becomes HALF_OPEN when a call is asked for, not when its time is over."""
        return STATES[self._breaker.state]

    def permits(self, time_s: float) -> bool:
        """Whether a call may be made now. In HALF_OPEN a yes uses one of the permits."""
        return self._breaker.permits(to_ns(time_s))

    def record(self, *, failed: bool, took_s: float, time_s: float) -> bool:
        """Learn that a call failed or not after `took_s`; whether that opened the breaker."""
        return self._breaker.record(failed, to_ns(took_s), to_ns(time_s))

    def set_threshold(self, threshold_fraction: float | None) -> None:
        """Set the threshold of both rates; 1 or None turns the breaker off: closed, with an empty window."""
        self._breaker.set_threshold(threshold_fraction)
