"""All users: what they have in common, and what their clients share."""

from __future__ import annotations

import math

from streamflow_env.engines.draws.distributions import exponential, to_ns
from streamflow_env.engines.reference.breaker import Breaker
from streamflow_env.engines.reference.calls import RETRY, RetryBudget
from streamflow_env.engines.reference.pools import WorkerPool
from streamflow_env.system import Sla, Users


class Population:
    """All users: items, deadline, patience, SLA (ns), the pool at which requests enter; and their clients.

    The clients share one retry budget and one breaker, where there are any.
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

    def think_ns(self, u: float, attempt: int) -> int:
        """How long a user waits after `attempt` has failed, where the draw is `u`."""
        if self._has_full_jitter:
            return int(to_ns(u * min(self._think_cap_s, self._think_time_s * 2**attempt)))
        return int(to_ns(exponential(u, self._think_time_s)))

    def may_send(self, now_ns: int) -> bool:
        """Whether the breaker lets an attempt pass."""
        return self._breaker is None or self._breaker.permits(now_ns)

    def learn(self, failed: bool, took_ns: int, now_ns: int) -> None:
        """An attempt that was sent has ended."""
        if self._breaker is not None:
            self._breaker.record(failed, took_ns, now_ns)
