"""Admission control at the entry: a token bucket of admissions, with a reserve for premium users."""

from __future__ import annotations

from typing import Any

from streamflow_env.engines.compiled.records import ADMISSION
from streamflow_env.engines.compiling import inlined, kernel


@inlined
def _refill(now: int, s: Any) -> None:
    since_ns = min(now - s.admitted_at, ADMISSION)  # after a second it is full, and longer would not fit 64 bits
    s.admission_units = min(s.rate_limit * ADMISSION, s.admission_units + since_ns * s.rate_limit)
    s.admitted_at = now


@inlined
def admits(now: int, s: Any, premium: bool) -> bool:
    """Whether the rate limit admits an attempt. If so, it uses one admission."""
    if s.rate_limit == 0:
        return True
    _refill(now, s)
    reserve = 0.0 if premium else s.admission_reserve_fraction
    if s.admission_units - ADMISSION < int(reserve * (s.rate_limit - 1) * ADMISSION):
        return False
    s.admission_units -= ADMISSION
    return True


@kernel
def set_rate_limit(now: int, s: Any, limit: int) -> None:
    """Set how many attempts are admitted per second; 0 means no limit."""
    if limit > 0 and s.rate_limit == 0:
        s.admission_units = limit * ADMISSION
    elif limit > 0:
        _refill(now, s)
        s.admission_units = min(s.admission_units, limit * ADMISSION)
    s.admitted_at = now
    s.rate_limit = limit
