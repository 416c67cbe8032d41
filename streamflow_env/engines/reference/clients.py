"""The clients of all users: their settings, the think time before a retry, the shared retry budget and breaker."""

from __future__ import annotations

import math

from streamflow_env.engines.draws.distributions import exponential, to_ns
from streamflow_env.engines.draws.hashing import RETRY as RETRY_DRAW
from streamflow_env.engines.draws.hashing import THINK
from streamflow_env.engines.reference.breaker import Breaker
from streamflow_env.engines.reference.calls import RETRY, RetryBudget
from streamflow_env.engines.reference.pools import WorkerPool
from streamflow_env.engines.reference.protocols import Request
from streamflow_env.system import Sla, Users


class Clients:
    """What the clients of all users have in common: items, deadline, SLA (ns), and the pool that requests enter.

    All clients share one retry budget and one breaker, if the system has them.
    """

    def __init__(self, users: Users, sla: Sla, entry: WorkerPool) -> None:
        self.entry = entry
        self.num_items = users.num_items
        self.item_exponent = float(users.item_exponent)
        self.network_ns = int(to_ns(users.network_s))
        self.deadline_ns = int(to_ns(users.deadline_s))
        self.target_ns = int(to_ns(sla.target_s))
        self.worst_ns = int(to_ns(sla.worst_s))
        self.retry_fraction = users.retry_fraction
        self.max_retries = users.max_retries
        self.retry_budget = RetryBudget(users.retry_budget_fraction, users.retry_budget_cap * RETRY)
        self._think_time_s = float(users.think_time_s)
        self._think_cap_s = math.inf if users.think_cap_s is None else float(users.think_cap_s)
        self._has_full_jitter = users.think_time_distribution == "full_jitter"
        self._breaker = None if users.breaker is None else Breaker(users.breaker)

    def retries(self, attempt: Request) -> bool:
        """Whether the user of this attempt, which has failed, tries again. A retry is taken out of the budget."""
        return (
            attempt.is_interactive
            and attempt.number < self.max_retries
            and attempt.u(RETRY_DRAW) < self.retry_fraction
            and self.retry_budget.grants()
        )

    def think_ns(self, attempt: Request) -> int:
        """How long the user waits between the end of this attempt and the next one (ns)."""
        u = attempt.u(THINK)
        if self._has_full_jitter:
            return int(to_ns(u * min(self._think_cap_s, self._think_time_s * 2**attempt.number)))
        return int(to_ns(exponential(u, self._think_time_s)))

    def may_send(self, now_ns: int) -> bool:
        """Whether the breaker permits an attempt now."""
        return self._breaker is None or self._breaker.permits(now_ns)

    def record(self, failed: bool, took_ns: int, now_ns: int) -> None:
        """Tell the breaker how an attempt ended."""
        if self._breaker is not None:
            self._breaker.record(failed, took_ns, now_ns)
