"""Calls between services, and the call plans that request classes walk.

A plan is a list of steps. `holding` and `on_miss` contain steps: a worker is held during the steps under `holding`.

| step | meaning |
|---|---|
| `call: POOL` (+ `holding: [...]`) | wait for a worker, be served, hold the worker through the nested steps, leave |
| `query: CALL` | call a database, vector index or LLM endpoint under the policy named CALL |
| `compute: {mean_s, cv}` | work on the CPU of the pool whose worker is held |
| `lookup: CACHE` (+ `on_miss: [...]`) | look up the user's key; after a miss, do the nested steps |
| `fill: CACHE` | write the answer to the cache |
| `lookup` or `fill` with `key: item` | the same with the key of the request's item |
| `invalidate: CACHE` | invalidate the entries that a new item affects |
| `emit: CONSUMER` | hand an event to an asynchronous consumer; takes no time |
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from streamflow_env.system.schema import (
    Count,
    Flag,
    Fraction,
    Frozen,
    NonNegative,
    PositiveSeconds,
    Seconds,
    Size,
    Text,
)
from streamflow_env.system.services import Duration

Jitter = Annotated[NonNegative, Field(le=1000)]
Exponent = Annotated[NonNegative, Field(le=10)]


class Breaker(Frozen):
    """A count-based circuit breaker with resilience4j's semantics and names.

    `threshold_fraction` is both the failure-rate and the slow-call-rate threshold; 1 or null is off.
    The defaults are those of resilience4j's CircuitBreakerConfig.
    """

    threshold_fraction: Annotated[Fraction, Field(gt=0)] | None = None
    window_size: Annotated[Count, Field(le=10_000_000)] = 100
    minimum_calls: Count = 100
    slow_call_s: PositiveSeconds = 60.0
    open_s: PositiveSeconds = 60.0
    half_open_calls: Count = 10


class CallPolicy(Frozen):
    """How one service calls another: timeout, attempts with backoff, breaker, fallback.

    Each user has an `llm_benefit`: how much the user benefits from a full answer of the LLM.

    * Backoff: after failed attempt k the call waits `backoff_base_s` · 2^k · U(`backoff_jitter`), or the 429's
      retry-after if that is longer.
    * `ask_fraction`: the share of users who make the call, those with the highest benefit. The others take the
      fallback.
    * `fallback_fraction`: of the users who make the call, this share, those with the lowest benefit, takes the fallback
      as soon as an attempt has failed.
    * A call that the breaker refuses takes the fallback, or else `exhausted_quality`. A call whose attempts are used up
      takes `exhausted_quality`. Where the quality that is needed is null, the request fails.
    * `fallback_spread`: the fallback's loss of quality grows with the user's benefit, from 1 - `fallback_spread` to
      1 + `fallback_spread` times the mean loss, 1 - `fallback_quality`.
    * Retry budget (Finagle's): every request adds `retry_budget_fraction` of a retry, and a retry takes one.
    * `defer_fraction`: of the users with a degraded answer, this share, those with the highest benefit, gets its cache
      entry enriched later, through the queue `deferred`.
    * `cacheable`: the query may be answered from the query cache of a vector index.
    """

    to: Text
    max_attempts: Annotated[Count, Field(le=16)] = 1
    backoff_base_s: Seconds = 0.0
    backoff_jitter: tuple[Jitter, Jitter] = (1.0, 1.0)
    timeout_s: PositiveSeconds | None = None
    ask_fraction: Fraction = 1.0
    fallback_fraction: Fraction = 0.0
    fallback_quality: Fraction | None = None
    fallback_spread: Fraction = 0.0
    exhausted_quality: Fraction | None = None
    attempt_cpu: Duration | None = None
    breaker: Breaker | None = None
    retry_budget_fraction: Fraction | None = None
    deferred: Text | None = None
    defer_fraction: Fraction = 0.0
    cacheable: Flag = False

    @model_validator(mode="after")
    def _check(self) -> CallPolicy:
        low, high = self.backoff_jitter
        if low > high:
            raise ValueError(f"backoff_jitter [{low}, {high}] must be [low, high] with low <= high")
        self._check_spread()
        return self

    def _check_spread(self) -> None:
        if self.fallback_spread == 0:
            return
        if self.fallback_quality is None:
            raise ValueError(f"fallback_spread {self.fallback_spread}: needs a fallback_quality")
        worst_milli = 1000 - (1000 - round(1000 * self.fallback_quality)) * (1 + self.fallback_spread)
        if worst_milli < 0:
            raise ValueError(
                f"fallback_spread {self.fallback_spread}: the worst fallback would be of quality"
                f" {worst_milli / 1000:g}, must be at least 0; fallback_quality is {self.fallback_quality}"
            )


class CallStep(Frozen):
    call: Text
    holding: tuple[Step, ...] = ()


class QueryStep(Frozen):
    query: Text


class ComputeStep(Frozen):
    compute: Duration


class LookupStep(Frozen):
    lookup: Text
    key: Literal["user", "item"] = "user"
    on_miss: tuple[Step, ...] = ()


class FillStep(Frozen):
    fill: Text
    key: Literal["user", "item"] = "user"


class InvalidateStep(Frozen):
    invalidate: Text


class EmitStep(Frozen):
    emit: Text


STEP_KINDS = ("call", "query", "compute", "lookup", "fill", "invalidate", "emit")


def _step_kind(value: Any) -> str | None:
    keys = value if isinstance(value, dict) else type(value).model_fields if isinstance(value, Frozen) else ()
    return next((kind for kind in STEP_KINDS if kind in keys), None)


Step = Annotated[
    Annotated[CallStep, Tag("call")]
    | Annotated[QueryStep, Tag("query")]
    | Annotated[ComputeStep, Tag("compute")]
    | Annotated[LookupStep, Tag("lookup")]
    | Annotated[FillStep, Tag("fill")]
    | Annotated[InvalidateStep, Tag("invalidate")]
    | Annotated[EmitStep, Tag("emit")],
    Discriminator(
        _step_kind,
        custom_error_type="step",
        custom_error_message=f"a step has exactly one of the keys {', '.join(STEP_KINDS)}",
    ),
]
CallStep.model_rebuild()
LookupStep.model_rebuild()


class RequestClass(Frozen):
    """A kind of request: its rate at normal load, and its plan.

    An interactive request has a user (a key, a priority, a deadline, retries) and holds a worker of the entry pool from
    admission to its answer or deadline. A background request has none of these.
    """

    kind: Literal["interactive", "background"]
    normal_rate_rps: Annotated[NonNegative, Field(le=1_000_000)]
    plan: tuple[Step, ...] = Field(min_length=1)


class Users(Frozen):
    """The users: how popular each is, how they return, and how they retry after a failure.

    A share `return_fraction` of interactive requests comes from a user who sent one exp(`return_gap_s`) earlier,
    searched within `lookback_s`. The users of the others are drawn by popularity, p(k) ∝ ∫ x^-`popularity_exponent`.
    The item of a request is drawn in the same way from `num_items`, with `item_exponent`.

    After a failure a share `retry_fraction` of the users tries again, at most `max_retries` times. The think time
    before the next try has the distribution `think_time_distribution`: exp(`think_time_s`), or with full_jitter U(0, 1)
    · min(`think_cap_s`, `think_time_s` · 2^k) after try k (AWS Architecture Blog, "Exponential Backoff And Jitter").
    With `think_time_s` 0 it is 0.

    All users' clients share two protections, which are off by default: a retry budget (Finagle's), to which every first
    attempt adds `retry_budget_fraction` of a retry, up to `retry_budget_cap`; and a circuit `breaker` on their
    attempts.
    """

    num_users: Annotated[Count, Field(le=10**9)]
    popularity_exponent: Exponent
    num_items: Annotated[Count, Field(le=10**9)] = 1
    item_exponent: Exponent = 1.0
    return_fraction: Fraction
    return_gap_s: PositiveSeconds
    lookback_s: Annotated[Size, Field(ge=1, le=3600)]
    premium_fraction: Fraction
    entry: Text
    network_s: Seconds
    deadline_s: PositiveSeconds
    retry_fraction: Fraction
    max_retries: Annotated[Size, Field(le=6)]
    think_time_s: Seconds
    think_time_distribution: Literal["exponential", "full_jitter"] = "exponential"
    think_cap_s: PositiveSeconds | None = None
    retry_budget_fraction: Fraction | None = None
    retry_budget_cap: Annotated[Count, Field(le=10**9)] = 100
    breaker: Breaker | None = None

    @model_validator(mode="after")
    def _check(self) -> Users:
        if self.think_cap_s is not None and self.think_time_distribution != "full_jitter":
            raise ValueError(f"think_cap_s {self.think_cap_s}: needs think_time_distribution full_jitter")
        if self.deadline_s <= self.network_s:
            raise ValueError(f"deadline_s {self.deadline_s} must be above network_s {self.network_s}")
        return self
