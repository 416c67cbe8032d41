"""Calls from one service to another: breaker, attempts with backoff, retry budget, timeout, fallback.

The attempts of a call are numbered k = 0, 1, … They are not the attempts of a user: those are in `attempt`.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol

import simpy

from streamflow_env.engines.draws.distributions import to_ns
from streamflow_env.engines.draws.hashing import ATTEMPT_CPU, BACKOFF
from streamflow_env.engines.reference.breaker import Breaker
from streamflow_env.engines.reference.llm_benefit import fallback_milli, falls_back_at_once, is_asked, is_deferred
from streamflow_env.engines.reference.pools import WorkerPool
from streamflow_env.engines.reference.protocols import JobQueue, Request
from streamflow_env.engines.reference.service import Visit
from streamflow_env.engines.reference.simulation import DurationDraw, Simulation, StepError, Waiting
from streamflow_env.engines.telemetry import BREAKER_OPEN, CALL_FIELDS, CLOSED, FAILED, OK, RATE_LIMITED
from streamflow_env.system import CallPolicy

Serving = Generator[simpy.Event, None, int]
"""The process of one attempt of a call at an endpoint. Its return value is the outcome."""
RETRY = 1000
"""One retry, in the units of a retry budget's level: thousandths."""
FULL_BUDGET = 100 * RETRY


class Endpoint(Protocol):
    """What a call queries: a database, a vector index or an LLM endpoint."""

    counts: dict[str, int]

    @property
    def retry_after_ns(self) -> int:
        """How long a caller waits at least after a 429 (ns)."""

    def serve(self, visit: Visit, call: Call) -> Serving:
        """Serve one attempt of `call`, sent now; returns its outcome when the caller knows it."""

    def log_visit(self, visit: Visit, outcome: int) -> None:
        """Log that `visit` ends now with `outcome`."""


class RetryBudget:
    """A budget of retries: each request adds `fraction` of a retry, each retry takes 1. None: no limit.

    It starts full. It holds at most `full` thousandths of a retry.
    """

    def __init__(self, fraction: float | None, full: int = FULL_BUDGET) -> None:
        self._fraction = fraction
        self._full = full
        self._level = full

    def set_fraction(self, fraction: float | None) -> None:
        """Set the fraction. A budget that was off starts full; one that was on keeps its level."""
        if self._fraction is None:
            self._level = self._full
        self._fraction = fraction

    def pay_in(self) -> None:
        """Count a request."""
        if self._fraction is not None:
            self._level = min(self._full, self._level + int(1000 * self._fraction))

    def grants(self) -> bool:
        """Whether the budget allows a retry. If so, the retry is taken out."""
        if self._fraction is None:
            return True
        if self._level < RETRY:
            return False
        self._level -= RETRY
        return True


class Call:
    """A call with its policy. If it takes its fallback, the queue `deferred` may ask the LLM later."""

    def __init__(
        self, sim: Simulation, policy: CallPolicy, endpoint: Endpoint, deferred: JobQueue | None = None
    ) -> None:
        self._sim = sim
        self.config = policy
        self._endpoint = endpoint
        self._deferred = deferred
        self.counts = dict.fromkeys(CALL_FIELDS, 0)
        self.cacheable = policy.cacheable
        self._retry_budget = RetryBudget(policy.retry_budget_fraction)
        self._breaker = None if policy.breaker is None else Breaker(policy.breaker)
        self._attempt_cpu = None if policy.attempt_cpu is None else DurationDraw.of(policy.attempt_cpu)

    @property
    def timeout_ns(self) -> int | None:
        """How long the caller waits for one attempt (ns). None: without limit."""
        return None if self.config.timeout_s is None else int(to_ns(self.config.timeout_s))

    def query(self, attempt: Request, step: int, pool: WorkerPool | None) -> Waiting:
        """Make the call, on the CPU of `pool`. Without an answer of the endpoint, the attempt's answer is degraded.

        Raises StepError if the call is exhausted and its policy has no quality for that.
        """
        self.counts["requests"] += 1
        self._retry_budget.pay_in()
        if not is_asked(attempt.llm_benefit, self.config.ask_fraction):
            self.counts["not_asked"] += 1
            self._fall_back(attempt)
            return
        for k in range(self.config.max_attempts):
            if self._breaker is not None and not self._breaker.permits(self._sim.now):
                self._refuse(attempt, step, k)
                return
            if self._attempt_cpu is not None:
                assert pool is not None
                yield from pool.compute(attempt, step, k, ATTEMPT_CPU, self._attempt_cpu)
            outcome = yield from self._send(attempt, step, k)
            if outcome == OK:
                self.counts["successes"] += 1
                return
            if self._gives_up_early(attempt):
                self._fall_back(attempt)
                return
            if not self._may_retry(k):
                break
            yield from attempt.pause(self._backoff_ns(attempt, step, k, outcome), step)
        self._exhaust(attempt)

    def _send(self, attempt: Request, step: int, k: int) -> Serving:
        """Send attempt `k`, wait for its outcome and tell the breaker."""
        self.counts["attempts"] += 1
        if k > 0:
            self.counts["retries"] += 1
        self._endpoint.counts["arrivals"] += 1
        visit = Visit(attempt, step, k)
        outcome = yield from self._endpoint.serve(visit, self)
        if self._breaker is not None:
            now = self._sim.now
            self.counts["opened"] += self._breaker.record(outcome != OK, now - visit.arrived_ns, now)
        return outcome

    def _refuse(self, attempt: Request, step: int, k: int) -> None:
        """The breaker does not permit attempt `k`: it is not sent."""
        self.counts["breaker_open"] += 1
        self._endpoint.counts["arrivals"] += 1
        self._endpoint.counts["breaker_open"] += 1
        self._endpoint.log_visit(Visit(attempt, step, k), BREAKER_OPEN)
        if self.config.fallback_quality is not None:
            self._fall_back(attempt)
        else:
            self._exhaust(attempt)

    def _gives_up_early(self, attempt: Request) -> bool:
        if self.config.fallback_quality is None:
            return False
        return falls_back_at_once(attempt.llm_benefit, self.config.ask_fraction, self.config.fallback_fraction)

    def _may_retry(self, k: int) -> bool:
        """Whether another attempt may follow attempt `k`, which failed."""
        if k + 1 == self.config.max_attempts:
            return False
        granted = self._retry_budget.grants()
        self.counts["retries_refused"] += not granted
        return granted

    def _backoff_ns(self, attempt: Request, step: int, k: int, outcome: int) -> int:
        low, high = self.config.backoff_jitter
        jitter = low + (high - low) * attempt.u(BACKOFF, step, k)
        backoff_ns = int(to_ns(self.config.backoff_base_s * 2**k * jitter))
        return max(backoff_ns, self._endpoint.retry_after_ns) if outcome == RATE_LIMITED else backoff_ns

    def _fall_back(self, attempt: Request) -> None:
        self.counts["fallbacks"] += 1
        assert self.config.fallback_quality is not None
        mean_milli = round(1000 * self.config.fallback_quality)
        self._take(attempt, fallback_milli(mean_milli, self.config.fallback_spread, attempt.llm_benefit))

    def _exhaust(self, attempt: Request) -> None:
        self.counts["exhausted"] += 1
        if self.config.exhausted_quality is None:
            raise StepError(FAILED)
        self._take(attempt, round(1000 * self.config.exhausted_quality))

    def _take(self, attempt: Request, milli: int) -> None:
        """Continue with a degraded answer of `milli` thousandths. A deferred queue may ask the LLM later."""
        if self._may_defer(attempt):
            self.counts["deferred"] += 1
            attempt.deferred_to = self._deferred
            attempt.degrade(milli, with_potential=False)
        else:
            attempt.degrade(milli)

    def _may_defer(self, attempt: Request) -> bool:
        if self._deferred is None or attempt.deferred_to is not None:
            return False
        return is_deferred(attempt.llm_benefit, self.config.ask_fraction, self.config.defer_fraction)

    def set_retry_budget(self, fraction: float | None) -> None:
        """Set which fraction of a retry each request adds to the budget. None: no limit."""
        self._retry_budget.set_fraction(fraction)

    def set_breaker_threshold(self, fraction: float | None) -> None:
        """Set the rate of failures or slow calls at which the breaker opens. None: the breaker is off."""
        assert self._breaker is not None
        self._breaker.set_threshold(fraction)

    def measure(self) -> dict[str, int]:
        """The counters of the interval that ends now. Starts new ones."""
        counts, self.counts = self.counts, dict.fromkeys(CALL_FIELDS, 0)
        counts["breaker_state"] = CLOSED if self._breaker is None else self._breaker.state
        return counts
