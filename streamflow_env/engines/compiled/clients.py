"""The users' clients: how long a user thinks before a retry, and the budget of retries that all clients share."""

from __future__ import annotations

import math
from typing import Any

from streamflow_env.engines.compiled.breaker import lay_out_breaker
from streamflow_env.engines.compiled.records import RETRY
from streamflow_env.engines.compiled.state import Memory
from streamflow_env.engines.compiling import inlined
from streamflow_env.engines.draws.distributions import exponential, to_ns
from streamflow_env.system import Users


def lay_out_clients(world: Any, users: Users, memory: Memory) -> None:
    """Write what the users' clients share to the record of the world."""
    world["full_jitter"] = users.think_time_distribution == "full_jitter"
    world["think_cap_s"] = math.inf if users.think_cap_s is None else users.think_cap_s
    world["budget_on"] = users.retry_budget_fraction is not None
    world["budget"] = users.retry_budget_fraction or 0.0
    world["budget_cap"] = world["budget_units"] = users.retry_budget_cap * RETRY
    lay_out_breaker(world, users.breaker, memory)


@inlined
def think_ns(w: Any, u: float, attempt: int) -> int:
    """How long a user waits before the next attempt, after number `attempt` has failed; `u` is the draw."""
    if w.full_jitter == 1:
        return to_ns(u * min(w.think_cap_s, w.think_time_s * (1 << attempt)))
    return to_ns(exponential(u, w.think_time_s))


@inlined
def pay_in(w: Any) -> None:
    """A user's first attempt adds to the retry budget."""
    if w.budget_on == 1:
        w.budget_units = min(w.budget_cap, w.budget_units + int(RETRY * w.budget))


@inlined
def grants_retry(w: Any) -> bool:
    """Whether the retry budget, if there is one, has a retry left. If so, use it."""
    if w.budget_on == 0:
        return True
    if w.budget_units < RETRY:
        return False
    w.budget_units -= RETRY
    return True
