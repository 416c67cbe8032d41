"""The circuit breaker, as resilience4j's count-based one. The window of results is a ring in `memory`."""

from __future__ import annotations

from typing import Any

from streamflow_env.engines.compiled.state import Memory
from streamflow_env.engines.compiling import inlined, kernel
from streamflow_env.engines.draws.distributions import to_ns
from streamflow_env.engines.telemetry import CLOSED, HALF_OPEN, OPEN
from streamflow_env.system import Breaker


def lay_out_breaker(record: Any, breaker: Breaker | None, memory: Memory) -> None:
    """Write `breaker`, closed, to the record of a call or of the clients. Without one the record stays off."""
    if breaker is None:
        return
    threshold = 1.0 if breaker.threshold_fraction is None else breaker.threshold_fraction
    record["threshold"] = threshold
    record["breaker_on"] = threshold < 1.0
    record["window_size"] = breaker.window_size
    record["minimum_calls"] = breaker.minimum_calls
    record["slow_ns"] = to_ns(breaker.slow_call_s)
    record["open_ns"] = to_ns(breaker.open_s)
    record["half_open_calls"] = breaker.half_open_calls
    record["window_at"] = memory.take([0] * max(breaker.window_size, breaker.half_open_calls))


@inlined
def permits(c: Any, now: int) -> bool:
    """Whether a call may be made now. In HALF_OPEN it uses one of the permits."""
    if c.breaker_on == 0 or c.breaker_state == CLOSED:
        return True
    if c.breaker_state == OPEN:
        if now <= c.opened_at_ns + c.open_ns:
            return False
        _change_state(c, HALF_OPEN)
        c.permits = c.half_open_calls
    if c.permits == 0:
        return False
    c.permits -= 1
    return True


@kernel
def record(c: Any, memory: Any, now: int, failed: bool, duration_ns: int) -> None:
    """Add the result of a call to the window, and change the state if its rates demand it."""
    if c.breaker_on == 0 or c.breaker_state == OPEN:
        return
    half_open = c.breaker_state == HALF_OPEN
    size = c.half_open_calls if half_open else c.window_size
    at = c.window_at + c.window_next
    if c.window_count == size:
        c.failures -= memory[at] & 1
        c.slow -= memory[at] >> 1
    else:
        c.window_count += 1
    slow = duration_ns > c.slow_ns
    memory[at] = (1 if failed else 0) | (2 if slow else 0)
    c.failures += 1 if failed else 0
    c.slow += 1 if slow else 0
    c.window_next = (c.window_next + 1) % size
    if c.window_count < min(c.minimum_calls, size):
        return
    if c.failures / c.window_count >= c.threshold or c.slow / c.window_count >= c.threshold:
        _change_state(c, OPEN)
        c.opened += 1
        c.opened_at_ns = now
    elif half_open:
        _change_state(c, CLOSED)


@kernel
def set_threshold(c: Any, threshold: float) -> None:
    """Set the threshold of both rates. At 1 the breaker is off: closed, with an empty window."""
    c.threshold = threshold
    c.breaker_on = 1 if threshold < 1.0 else 0
    if c.breaker_on == 0:
        _change_state(c, CLOSED)


@kernel
def _change_state(c: Any, state: int) -> None:
    c.breaker_state = state
    c.window_count = 0
    c.window_next = 0
    c.failures = 0
    c.slow = 0
