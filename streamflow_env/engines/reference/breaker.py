"""A circuit breaker with resilience4j's semantics: a count-based window, slow calls, half-open probes."""

from __future__ import annotations

from collections import deque

from streamflow_env.engines.draws.distributions import to_ns
from streamflow_env.engines.telemetry import CLOSED, HALF_OPEN, OPEN
from streamflow_env.system import Breaker as BreakerConfig


class Breaker:
    """The breaker of one call, CLOSED at first."""

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
        """Whether everything is permitted and nothing recorded."""
        return self._threshold is None or self._threshold >= 1

    def set_threshold(self, threshold_fraction: float | None) -> None:
        """Set the failure-rate and slow-call-rate threshold; off closes the breaker."""
        self._threshold = threshold_fraction
        if self.is_off:
            self._enter(CLOSED)

    def permits(self, now_ns: int) -> bool:
        """Whether a call may be made now; a permit that is given is used."""
        if self.is_off or self.state == CLOSED:
            return True
        if self.state == OPEN:
            if now_ns < self._opened_at_ns + self._open_ns:
                return False
            self._enter(HALF_OPEN)
            self._permits = self._config.half_open_calls
        self._permits -= 1
        return self._permits >= 0

    def record(self, failed: bool, took_ns: int, now_ns: int) -> bool:
        """Learn the result of a call; whether it opened the breaker."""
        if self.is_off or self.state == OPEN:
            return False
        self._window.append((failed, took_ns > self._slow_ns))
        if self.state == CLOSED:
            if len(self._window) > self._config.window_size:
                self._window.popleft()
            enough = min(self._config.minimum_calls, self._config.window_size)
            opens = len(self._window) >= enough and self._is_above_threshold()
        else:
            opens = False
            if len(self._window) == self._config.half_open_calls:
                opens = self._is_above_threshold()
                if not opens:
                    self._enter(CLOSED)
        if opens:
            self._enter(OPEN)
            self._opened_at_ns = now_ns
        return opens

    def _is_above_threshold(self) -> bool:
        assert self._threshold is not None
        needed = self._threshold * len(self._window)
        num_failed = sum(failed for failed, _ in self._window)
        num_slow = sum(slow for _, slow in self._window)
        return num_failed >= needed or num_slow >= needed

    def _enter(self, state: int) -> None:
        self.state = state
        self._window.clear()
