"""Parameters: everything that a control can set, each declared once, in `PARAMETERS`.

A parameter belongs to a service of one kind or to a call, its owner. What is known of parameters is read off this
table: which controls a system may have, which of them hold whole numbers, what the documentation says of them, which
controls the random systems of the studies have, and how the engines set them.

An engine sets a parameter by writing the field that has the parameter's name: the reference engine in the owner's
configuration, the compiled engine in the owner's record (a time in ns in the field `…_ns`, if the record has that).
Where more must happen, the engine's module `controls` names a setter for the parameter under `SPECIAL`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from streamflow_env.system.schema import LARGEST, LONGEST_S

if TYPE_CHECKING:
    from streamflow_env.system.schema import Frozen
    from streamflow_env.system.system import System

CALL: Final = "call"
"""The `kind` of parameters that belong to a call."""
AT_ONCE: Final = "at once"
REPLICAS_FOLLOW: Final = "more: after {startup_delay_s:g} s; fewer: after {removal_hold_s:g} s, and drained"
REPLICA_PRICE: Final = "{price_per_replica_hour:g} a replica and hour, from the start-up on (`replicas`)"

Obstacle = Callable[["System", str], str | None]
"""Why the parameter of that owner cannot be set by a control, in words; None if it can."""


def _none(system: System, of: str) -> str | None:
    return None


def _not_the_entry(system: System, of: str) -> str | None:
    entry = system.users.entry
    return None if of == entry else f"must be users.entry, {entry!r}"


def _no_breaker(system: System, of: str) -> str | None:
    return None if system.calls[of].breaker is not None else "this call has no breaker"


def _queries_database(system: System, of: str) -> str | None:
    kind = system.services[system.calls[of].to].kind
    return "a database call takes no timeout" if kind == "database" else None


def _no_fallback(system: System, of: str) -> str | None:
    return None if system.calls[of].fallback_quality is not None else "this call has no fallback_quality"


def _never_retries(system: System, of: str) -> str | None:
    return None if system.calls[of].max_attempts > 1 else "this call has max_attempts 1, it never retries"


def _no_deferred_queue(system: System, of: str) -> str | None:
    return None if system.calls[of].deferred is not None else "this call has no `deferred` queue"


def _not_cacheable(system: System, of: str) -> str | None:
    is_cached = any(policy.cacheable and policy.to == of for policy in system.calls.values())
    return None if is_cached else "no call to it is cacheable"


@dataclass(frozen=True)
class Parameter:
    """What a control can set.

    Attributes:
        name: as system files and engines call it.
        kind: of the services that have it, or CALL.
        unit: of its values.
        cost: what it costs, in words: a price, or in backquotes the reward terms through which it is paid. `cost` and
            `takes_effect` may quote fields of the owner's configuration in braces.
        least, most: the range that no control may exceed.
        whole: whether its values are whole numbers.
        can_be_off: whether a control may switch it off at its high end. In configurations it is off if null.
        takes_effect: when, from the start of the control interval in which a value is put in force.
        field: where the owner's configuration has its default value, if not in the field called `name`.
        obstacle: what may stand against a control of it.
    """

    name: str
    kind: str
    unit: str
    cost: str
    least: float = 0
    most: float = LARGEST
    whole: bool = False
    can_be_off: bool = False
    takes_effect: str = AT_ONCE
    field: str = ""
    obstacle: Obstacle = _none

    @property
    def is_of_call(self) -> bool:
        """Whether it belongs to a call, else to a service."""
        return self.kind == CALL

    def default(self, owner: Frozen) -> float | None:
        """The value in the owner's configuration; None is off."""
        value = attrgetter(self.field or self.name)(owner)
        return None if value is None else float(value)

    def takes_effect_in(self, owner: Frozen) -> str:
        """`takes_effect`, with the owner's figures."""
        return self.takes_effect.format(**_fields(owner))

    def cost_in(self, owner: Frozen) -> str:
        """`cost`, with the owner's figures."""
        return self.cost.format(**_fields(owner))


def _fields(owner: Frozen) -> dict[str, Any]:
    return dict(owner)


_TABLE: Final = (
    Parameter(
        "replicas", "worker_pool", "replicas", REPLICA_PRICE, least=1, whole=True, takes_effect=REPLICAS_FOLLOW,
    ),
    Parameter(
        "queue_limit", "worker_pool", "requests",
        "free; a short queue refuses (`failed`), a long one makes wait (`late`)", whole=True,
    ),
    Parameter(
        "interactive_reserve_fraction", "llm_endpoint", "fraction", "free; ingest waits (`ingest_backlog`)", most=1,
    ),
    Parameter(
        "premium_reserve_fraction", "llm_endpoint", "fraction",
        "free; standard users get more 429s (`late`, `quality`)", most=1,
    ),
    Parameter(
        "invalidation_rate_keys_per_s", "cache", "keys/s", "free; slow: `staleness`, fast: misses (`late`, `failed`)",
        least=1, most=100_000_000, whole=True, can_be_off=True,
    ),
    Parameter(
        "breaker_threshold_fraction", CALL, "fraction", "free; refused calls take the fallback (`quality`)",
        least=0.001, most=1, can_be_off=True, field="breaker.threshold_fraction", obstacle=_no_breaker,
    ),
    Parameter(
        "timeout_s", CALL, "s",
        "free; who is given up has used a token (`llm`) and may take the fallback (`quality`)",
        least=0.001, most=LONGEST_S, can_be_off=True, obstacle=_queries_database,
    ),
    Parameter(
        "ask_fraction", CALL, "fraction",
        "the LLM's price a request (`llm`); who is not asked for takes the fallback (`quality`)",
        most=1, obstacle=_no_fallback,
    ),
    Parameter("fallback_fraction", CALL, "fraction", "free; `quality`", most=1, obstacle=_no_fallback),
    Parameter(
        "read_replicas", "database", "replicas", REPLICA_PRICE, whole=True, takes_effect=REPLICAS_FOLLOW,
    ),
    Parameter(
        "waiting_limit_s", "worker_pool", "s", "free; who is given up is `failed`", least=0.001, most=LONGEST_S,
        can_be_off=True,
    ),
    Parameter(
        "rate_limit_rps", "worker_pool", "1/s", "free; who is shed is `failed`",
        least=1, most=10_000_000, whole=True, can_be_off=True, obstacle=_not_the_entry,
    ),
    Parameter(
        "admission_reserve_fraction", "worker_pool", "fraction",
        "free; standard users are `failed` for premium ones", most=1, obstacle=_not_the_entry,
    ),
    Parameter(
        "background_share_fraction", "llm_endpoint", "fraction", "free; users get more 429s (`late`, `quality`)",
        most=1,
    ),
    Parameter("query_ttl_s", "vector_index", "s", "free; `query_age`", most=LONGEST_S, obstacle=_not_cacheable),
    Parameter(
        "ttl_s", "cache", "s", "free; long: `age`, short: misses (`late`)",
        least=0.001, most=LONGEST_S, takes_effect="at once, for entries written from then on",
    ),
    Parameter(
        "memory_entries", "cache", "entries",
        "{price_per_1000_entries_hour:g} a thousand entries and hour (`memory`)",
        least=1, most=100_000_000, whole=True,
    ),
    Parameter(
        "retry_budget_fraction", CALL, "retries per request",
        "free; few: generic answers (`quality`), many: work and 429s (`late`)",
        most=1, can_be_off=True, obstacle=_never_retries,
    ),
    Parameter(
        "defer_fraction", CALL, "fraction", "the LLM's price a request (`llm`)", most=1, obstacle=_no_deferred_queue,
    ),
)  # fmt: skip

PARAMETERS: Final = {parameter.name: parameter for parameter in _TABLE}
"""Every parameter, by name."""
