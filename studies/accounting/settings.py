"""What a system and the controls in force allow, in arrays by service. The invariants compare the telemetry with it."""

from __future__ import annotations

import math
from collections import deque
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines.draws.distributions import to_ns
from streamflow_env.episode import Episode
from streamflow_env.system import Cache, Database, LlmEndpoint, System, WorkerPool
from streamflow_env.system.plans import CallStep, LookupStep, Step

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

TOKEN: Final = 60 * 10**9
"""Units of one LLM token: a quota of q per minute refills q units a nanosecond (docs/reference/model.md)."""
KINDS: Final = ("worker_pool", "database", "vector_index", "llm_endpoint", "cache", "consumer", "deferred_queue")


class Facts:
    """What a system is, whatever its controls: kinds of service, fixed sizes, who calls whom."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.interval_ns = to_ns(system.control_interval_s)
        services = list(system.services.values())
        self.is_a: dict[str, Bools] = {kind: np.array([s.kind == kind for s in services]) for kind in KINDS}
        self.has_replicas = self.is_a["worker_pool"] | self.is_a["database"]
        self.workers = self._sizes("workers_per_replica") + self._sizes("connections")
        self.primary = self.is_a["database"].astype(np.int64)
        self.cores_each = self._sizes("cores_per_replica")
        self.own_servers = self.is_a["consumer"] + self._sizes("workers")
        self.batch_size = self._sizes("batch_size")
        self.burst_units = self._sizes("burst") * TOKEN
        self.num_users = system.users.num_users
        self.deadline_ns = to_ns(system.users.deadline_s)
        self.max_retries = system.users.max_retries
        self.lateness_ns = to_ns(system.sla.worst_s) - to_ns(system.sla.target_s)
        self.interactive = np.array(system.interactive)
        self.call_to = np.array([system.service_names.index(c.to) for c in system.calls.values()], dtype=np.int64)
        self.entry = system.service_names.index(system.users.entry)
        self.oldest_ns = np.array([self._oldest_ns(name) for name in system.service_names], dtype=np.float64)

    def _sizes(self, field: str) -> Ints:
        return np.array([getattr(s, field, 0) for s in self.system.services.values()], dtype=np.int64)

    def _oldest_ns(self, name: str) -> float:
        """The greatest age that an entry of a cache, or a result of a query cache, can have."""
        highs = [c.high for c in self.system.controls if c.of == name and c.parameter in ("ttl_s", "query_ttl_s")]
        service: Any = self.system.services[name]
        if isinstance(service, Cache):
            return 1e9 * max([service.ttl_s, *highs]) * (1 + service.ttl_jitter_fraction)
        return 1e9 * max([getattr(service, "query_ttl_s", 0.0), *highs])

    def users_budget_milli(self, intents: int) -> float:
        """Most thousandths of a retry that the users' budget can have been paid for so many; infinite without one."""
        users = self.system.users
        if users.retry_budget_fraction is None:
            return math.inf
        return 1000 * users.retry_budget_cap + int(1000 * users.retry_budget_fraction) * intents

    @cached_property
    def entry_is_called(self) -> bool:
        """Whether a plan comes back to the pool at which requests enter."""
        return any(_calls_pool(c.plan, self.system.users.entry) for c in self.system.classes.values())


def _calls_pool(plan: tuple[Step, ...], pool: str) -> bool:
    for step in plan:
        if isinstance(step, CallStep) and (step.call == pool or _calls_pool(step.holding, pool)):
            return True
        if isinstance(step, LookupStep) and _calls_pool(step.on_miss, pool):
            return True
    return False


class Settings:
    """The settings in force in a system, interval by interval; at first the default configuration.

    Attributes:
        queue_limit: requests that may wait, shape (num_services,); 0 where nobody waits.
        memory: entries that a cache has room for, shape (num_services,).
        replicas: replicas asked for, shape (num_services,): the largest setting within the hold.
        kept_units, rest_units: most of the two parts of an LLM's bucket, shape (num_services,).
        rate_limit: attempts a second that the entry admits; 0 is all.
        threshold: of the calls' breakers, shape (num_calls,); at least 1 is off.
        budget_milli: thousandths of a retry that a request pays in, shape (num_calls,); -1 without a budget.
    """

    def __init__(self, facts: Facts) -> None:
        self._system = system = facts.system
        self._facts = facts
        services = system.services.values()
        self.queue_limit = facts._sizes("queue_limit")
        self.memory = facts._sizes("memory_entries")
        self.replicas = facts._sizes("replicas") + facts._sizes("read_replicas")
        self._asked = [
            deque([count], maxlen=1 + self._held(s)) for count, s in zip(self.replicas, services, strict=True)
        ]
        self._share = [getattr(s, "background_share_fraction", 0.0) for s in services]
        self._set_tokens()
        self.rate_limit = getattr(system.services[system.users.entry], "rate_limit_rps", None) or 0
        calls = list(system.calls.values())
        defaults = [None if c.breaker is None else c.breaker.threshold_fraction for c in calls]
        self.threshold = np.array([1.0 if f is None else f for f in defaults])
        budgets = [c.retry_budget_fraction for c in calls]
        self.budget_milli = np.array([-1 if b is None else int(1000 * b) for b in budgets], dtype=np.int64)

    def _held(self, service: Any) -> int:
        """How many settings before the last still hold replicas."""
        if not isinstance(service, WorkerPool | Database):
            return 0
        return -(-to_ns(service.removal_hold_s) // self._facts.interval_ns)

    def put_in_force(self, values: NDArray[np.float64]) -> None:
        """The controls' natural values, shape (num_controls,), from the start of an interval on."""
        for control, value in zip(self._system.controls, values.tolist(), strict=True):
            off = control.off_at_high and value >= control.high
            match control.parameter:
                case "queue_limit":
                    self.queue_limit[self._service(control.of)] = int(value)
                case "memory_entries":
                    self.memory[self._service(control.of)] = int(value)
                case "replicas" | "read_replicas":
                    asked = self._asked[self._service(control.of)]
                    asked.append(int(value))
                    self.replicas[self._service(control.of)] = max(asked)
                case "background_share_fraction":
                    self._share[self._service(control.of)] = value
                case "rate_limit_rps":
                    self.rate_limit = 0 if off else int(value)
                case "breaker_threshold_fraction":
                    self.threshold[self._call(control.of)] = 1.0 if off else value
                case "retry_budget_fraction":
                    self.budget_milli[self._call(control.of)] = -1 if off else int(1000 * value)
        self._set_tokens()

    def _service(self, name: str) -> int:
        return self._system.service_names.index(name)

    def _call(self, name: str) -> int:
        return self._system.call_names.index(name)

    def _set_tokens(self) -> None:
        """The two parts of every LLM's bucket, as docs/reference/model.md defines them."""
        burst = self._facts.burst_units
        kept = [max(TOKEN, int(f * int(b))) if b and f > 0 else 0 for f, b in zip(self._share, burst, strict=True)]
        self.kept_units = np.array(kept, dtype=np.int64)
        rest = np.where(self.kept_units > 0, np.maximum(TOKEN, burst - self.kept_units), burst)
        self.rest_units = np.where(burst > 0, rest, 0)


class Quotas:
    """The largest quota of every LLM in an interval, in tokens per minute, as incidents leave it."""

    def __init__(self, facts: Facts, episode: Episode) -> None:
        services = facts.system.services
        self._default = [s.quota_per_minute if isinstance(s, LlmEndpoint) else 0 for s in services.values()]
        self._changes: list[list[tuple[int, float]]] = [[(-1, 1.0)] for _ in services]
        for change in episode.changes:
            if change.kind == "quota_factor":
                self._changes[facts.system.service_names.index(change.service)].append((change.at_ns, change.value))

    def largest(self, start_ns: int, end_ns: int) -> Ints:
        """Shape (num_services,)."""
        return np.array(
            [
                int(q * _largest(changes, start_ns, end_ns))
                for q, changes in zip(self._default, self._changes, strict=True)
            ],
            dtype=np.int64,
        )


def _largest(changes: list[tuple[int, float]], start_ns: int, end_ns: int) -> float:
    """The largest value in force in [start, end]."""
    before = [value for at_ns, value in changes if at_ns <= start_ns][-1]
    return max([before, *(value for at_ns, value in changes if start_ns < at_ns <= end_ns)])
