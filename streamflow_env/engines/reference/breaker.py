"""A circuit breaker with the semantics of resilience4j: a count-based window, slow calls, half-open permits."""

from __future__ import annotations

from collections import deque

from streamflow_env.engines.draws.distributions import to_ns
from streamflow_env.engines.telemetry import CLOSED, HALF_OPEN, OPEN
from streamflow_env.system import Breaker as BreakerConfig


class Breaker:
    """The breaker of one call, or of all clients. It is CLOSED at first."""

    def __init__(self, config: BreakerConfig) -> None:
        self.state = CLOSED
        self._config = config
        self._threshold = config.threshold_fraction
        self._slow_ns = int(to_ns(config.slow_call_s))
        self._open_ns = int(to_ns(config.open_s))
        self._window: deque[tuple[bool, bool]] = deque()  # (failed, slow) of the last results
        self._opened_at_ns = 0
        self._permits = 0

    @property
    def is_off(self) -> bool:
        """Whether the breaker permits every call and records none."""
        return self._threshold is None or self._threshold >= 1

    def set_threshold(self, threshold_fraction: float | None) -> None:
        """Set the threshold of the failure rate and of the slow-call rate; None or 1: off, which closes the breaker."""
        self._threshold = threshold_fraction
        if self.is_off:
            self._enter(CLOSED)

    def permits(self, now_ns: int) -> bool:
        """Whether a call may be made now. In HALF_OPEN a call takes one of the permits."""
        if self.is_off or self.state == CLOSED:
            return True
        if self.state == OPEN:
            if now_ns <= self._opened_at_ns + self._open_ns:
                return False
            self._enter(HALF_OPEN)
            self._permits = self._config.half_open_calls
        self._permits -= 1
        return self._permits >= 0

    def record(self, failed: bool, took_ns: int, now_ns: int) -> bool:
        """Record the result of a call. True if this opened the breaker."""
        if self.is_off or self.state == OPEN:
            return False
        self._window.append((failed, took_ns > self._slow_ns))
        size = self._config.window_size if self.state == CLOSED else self._config.half_open_calls
        if len(self._window) > size:
            self._window.popleft()
        if len(self._window) < min(self._config.minimum_calls, size):
            return False
        opens = self._is_above_threshold()
        if opens:
            self._enter(OPEN)
            self._opened_at_ns = now_ns
        elif self.state == HALF_OPEN:
            self._enter(CLOSED)
        return opens

    def _is_above_threshold(self) -> bool:
        assert self._threshold is not None
        num_calls = len(self._window)
        num_failed = sum(failed for failed, _ in self._window)
        num_slow = sum(slow for _, slow in self._window)
        return num_failed / num_calls >= self._threshold or num_slow / num_calls >= self._threshold

    def _enter(self, state: int) -> None:
        self.state = state
        self._window.clear()
