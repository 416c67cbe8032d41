"""How a visit to a service and an attempt of a user can end: each ends exactly once, in one of these ways."""

from __future__ import annotations

from typing import Final

SERVICE_ENDS: Final = (
    "completions", "queue_full", "shed", "rate_limited", "breaker_open", "abandoned", "faults", "failed", "orphaned",
    "lost",
)  # fmt: skip
FAILURES: Final = {
    "failed_deadline": "that ended at the user's deadline: a 504",
    "failed_queue_full": "that ended at a full queue",
    "failed_fault": "that ended by a service's own fault",
    "failed_dependency": "that ended because a call failed",
    "failed_shed": "that admission control or a waiting limit refused",
}
ATTEMPT_ENDS: Final = ("within_sla", "late", *FAILURES)
