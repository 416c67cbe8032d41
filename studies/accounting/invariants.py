"""The rules that hold exactly at every control step, for any system, load and controls.

Each rule is a line of `RULES`: its name, and which rows (services, calls, or classes and priorities) break it.

These may look wrong and are not: a queue whose limit was lowered is longer than the new limit, but does not grow; the
workers of removed replicas stay busy until they are done (draining), so busy may exceed servers, and CPU work may
exceed cores; a bucket of tokens in two parts holds at least one token in either, so a burst of 1 can hold 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines.telemetry import (
    CLOSED,
    FIRST_EXPONENT,
    HALF_OPEN,
    NUM_BUCKETS,
    OPEN,
    PER_OCTAVE,
    SERVICE,
)
from studies.accounting.settings import TOKEN, Ints
from studies.accounting.view import Flags, View

COMMON: Final = "arrivals completions busy_ns queue_ns in_flight busy"
OF_KIND: Final = {
    "worker_pool": "queue_full shed abandoned faults failed deadlines server_ns cpu_busy_ns core_ns replica_ns"
    " sojourn_ns queue_length ready_replicas pending_replicas draining_replicas cpu_queue_length",
    "database": "queue_full breaker_open deadlines server_ns replica_ns sojourn_ns stale_reads queue_length"
    " ready_replicas pending_replicas draining_replicas",
    "vector_index": "breaker_open orphaned timeouts deadlines sojourn_ns query_hits age_ns",
    "llm_endpoint": "rate_limited breaker_open orphaned timeouts deadlines sojourn_ns tokens_milli",
    "cache": "deadlines sojourn_ns memory_ns lookups hits hit_quality_milli stale_hits item_lookups item_hits age_ns"
    " excess_age_ns fills duplicate_fills evicted invalidated sweep_backlog entries",
    "consumer": "lost server_ns queue_length",
    "deferred_queue": "abandoned lost enriched server_ns queue_length",
}
"""The fields that a service of each kind fills, beside the common ones; all others are 0."""

FOREIGN: Final = {
    kind: np.array([name not in f"{COMMON} {own}".split() for name in SERVICE.names or ()])
    for kind, own in OF_KIND.items()
}

_EDGES: Final = np.array(
    [(PER_OCTAVE + k % PER_OCTAVE) << (FIRST_EXPONENT - 5 + k // PER_OCTAVE) for k in range(NUM_BUCKETS + 1)]
)
SHORTEST_NS: Final = np.where(np.arange(NUM_BUCKETS) == 0, 0, _EDGES[:-1])
LONGEST_NS: Final = _EDGES[1:] - 1
"""Of each bucket of a histogram; shape (num_buckets,). The last one holds what is longer, too."""


Rule = Callable[[View], Any]


def _draining(busy: Ints, servers: Ints, workers: Ints) -> Any:
    return -(-np.maximum(0, busy - servers) // np.maximum(1, workers))


def _foreign(v: View) -> Flags:
    matrix = np.ascontiguousarray(v.s).view(np.int64).reshape(len(v.s), -1)
    kinds = [s.kind for s in v.facts.system.services.values()]
    return np.asarray(((matrix != 0) & np.array([FOREIGN[kind] for kind in kinds])).any(axis=1))


def _in_flight(v: View) -> Flags:
    here = v.s["in_flight"] - v.s["queue_length"]
    most = np.where(v.of("consumer"), v.s["busy"] * v.facts.batch_size, v.s["busy"])
    return (here < v.s["busy"]) | ((here > most) & ~v.of("vector_index"))


def _sent(v: View) -> Flags:
    """What a called service sees come is what its calls send, and what deferred queues ask."""
    expected = v.by_service("attempts", "breaker_open")
    for row, service in enumerate(v.facts.system.services.values()):
        if service.kind == "deferred_queue":
            asked = v.s["completions"][row] + v.s["busy"][row] - v.before["busy"][row]
            expected[v.facts.system.service_names.index(service.to)] += asked
    return (v.s["arrivals"] != expected) & v.of("database", "vector_index", "llm_endpoint")


def _refused(v: View) -> Flags:
    wrong = np.zeros(len(v.s), dtype=bool)
    for field in ("rate_limited", "timeouts", "breaker_open"):
        wrong |= v.s[field] != v.by_service(field)
    return wrong | ((v.s["queue_full"] != v.by_service("queue_full")) & v.of("database"))


def _accepted(v: View) -> Flags:
    """Tokens before (rounded down) and tokens that came must pay for the requests accepted and the tokens left."""
    accepted = v.s["arrivals"] - v.s["breaker_open"] - v.s["rate_limited"]
    had = (v.before["tokens_milli"] + 1) * (TOKEN // 1000) + v.dt * v.quota
    return (accepted * TOKEN + v.s["tokens_milli"] * (TOKEN // 1000) > had) & v.of("llm_endpoint")


def _admitted(v: View) -> bool:
    limit = v.settings.rate_limit
    if limit == 0:
        return False
    admitted = v.users("attempts") - int(v.s["shed"][v.facts.entry])
    return admitted * 10**9 > v.admission_bound + v.dt * limit


def _cpu(v: View) -> Flags:
    drains = v.cpu_bound > v.ready_at_start * v.facts.cores_each
    most = np.maximum(v.cpu_bound, v.s["ready_replicas"] * v.facts.cores_each) * v.dt
    return v.s["cpu_busy_ns"] > np.where(drains, most, v.s["core_ns"])


def _busy_ns(v: View) -> Flags:
    most = np.maximum(v.servers_now, v.before["busy"]) * v.dt
    drains = v.before["busy"] > v.servers_before
    here = (v.before["in_flight"] + v.s["arrivals"]) * v.dt
    over = v.has_servers & (v.s["busy_ns"] > np.where(drains, most, v.s["server_ns"]))
    return over | (v.s["busy_ns"] > here)


def _replica_ns(v: View) -> Flags:
    drains = _draining(v.before["busy"], v.servers_before, v.facts.workers) * v.facts.has_replicas
    low = v.settings.replicas * v.dt
    return (v.s["replica_ns"] < low) | (v.s["replica_ns"] > low + drains * v.dt)


def _not_of_histogram(total_ns: Any, histogram: NDArray[np.int32]) -> Flags:
    """Whether a sum of durations cannot be of those that a histogram has counted."""
    counts = histogram.astype(np.int64)
    too_long = (total_ns > counts @ LONGEST_NS) & (counts[..., -1] == 0)
    return (total_ns < counts @ SHORTEST_NS) | too_long


def _users_retry(v: View, allowed_milli: Callable[[int], float]) -> bool:
    """Whether more retries were sent, or are being thought over, than so many intents allow.

    Those that the users' breaker refused are counted nowhere, so this may find too few, never too many.
    """
    if v.class_totals is None:
        return False
    of_users = v.class_totals[v.facts.interactive]
    intents = int(of_users["intents"].sum())
    retries = int(of_users["attempts"].sum()) - intents + v.users("thinking")
    return 1000 * retries > allowed_milli(intents)


def _is_off(v: View) -> Flags:
    quiet = (v.calls["breaker_state"] == CLOSED) & (v.calls["opened"] == 0) & (v.calls["breaker_open"] == 0)
    return (v.settings.threshold >= 1.0) & ~quiet


def _total(v: View, came: str, *went: str) -> Any:
    return False if v.totals is None else sum(v.totals[name] for name in went) > v.totals[came]


def _background(v: View) -> Flags:
    never = ("late", "failed_deadline", "thinking", "lateness_ns", "hit_answers", "miss_answers")
    wrong = np.logical_or.reduce([v.classes[n] != 0 for n in never]) | (v.classes["attempts"] != v.classes["intents"])
    wrong[:, 1] |= (v.classes["attempts"] != 0)[:, 1]
    return wrong & ~v.facts.interactive[:, None]


def _called_once(v: View, field: str, users: int) -> bool:
    """Whether a figure of the entry differs from the users', where no plan comes back to it."""
    return not v.facts.entry_is_called and int(v.s[field][v.facts.entry]) != users


def _outside(values: Ints, low: Any, high: Any) -> Flags:
    return np.asarray((values < low) | (values > high))


RULES: Final[dict[str, Rule]] = {
    "service: only what its kind can count": _foreign,
    "service: a queue within its limit": lambda v: (
        v.s["queue_length"] > np.maximum(v.settings.queue_limit, v.before["queue_length"])
    ),
    "service: busy within servers, unless draining": lambda v: (
        v.has_servers & (v.s["busy"] > np.maximum(v.servers_now, v.before["busy"]))
    ),
    "service: in flight is busy and waiting": _in_flight,
    "service: replicas as asked for": lambda v: (
        (v.s["ready_replicas"] + v.s["pending_replicas"] != v.settings.replicas) & v.facts.has_replicas
    ),
    "service: draining replicas": lambda v: (
        v.s["draining_replicas"] != _draining(v.s["busy"], v.servers_now, v.facts.workers) * v.facts.has_replicas
    ),
    "service: busy_ns within server_ns, unless draining": _busy_ns,
    "service: server_ns between the servers at start and end": lambda v: _outside(
        v.s["server_ns"], v.servers_before * v.dt, v.servers_now * v.dt
    ),
    "service: core_ns between the cores at start and end": lambda v: _outside(
        v.s["core_ns"],
        v.ready_at_start * v.facts.cores_each * v.dt,
        v.s["ready_replicas"] * v.facts.cores_each * v.dt,
    ),
    "service: queue_ns within the limit": lambda v: (
        v.s["queue_ns"]
        > v.dt
        * np.minimum(
            np.maximum(v.settings.queue_limit, v.before["queue_length"]), v.before["queue_length"] + v.s["arrivals"]
        )
    ),
    "service: cpu_busy_ns within core_ns, unless draining": _cpu,
    "service: who waits for a core holds a worker": lambda v: v.s["cpu_queue_length"] > v.s["busy"],
    "service: replica_ns is the replicas asked for, and those draining": _replica_ns,
    "service: memory_ns is the memory in force": lambda v: v.s["memory_ns"] != v.settings.memory * v.dt,
    "service: a sojourn for each completion": lambda v: (
        v.now.sojourn.sum(axis=1) != np.where(v.of("consumer", "deferred_queue"), 0, v.s["completions"])
    ),
    "service: sojourn_ns is of the sojourns in the histogram": lambda v: _not_of_histogram(
        v.s["sojourn_ns"], v.now.sojourn
    ),
    "service: arrivals are what calls and deferred asks send": _sent,
    "service: refusals and timeouts are those of its calls": _refused,
    "llm: tokens within the bucket": lambda v: (
        v.s["tokens_milli"] > (v.settings.kept_units + v.settings.rest_units) * 1000 // TOKEN
    ),
    "llm: no more accepted than tokens came": _accepted,
    "entry: no more admitted than the rate limit": _admitted,
    "entry: arrivals are users' attempts": lambda v: _called_once(v, "arrivals", v.users("attempts")),
    "entry: in flight are users' attempts": lambda v: _called_once(v, "in_flight", v.users("in_flight")),
    "entry: completions are users' answers": lambda v: _called_once(
        v, "completions", v.users("within_sla") + v.users("late")
    ),
    "cache: entries within memory": lambda v: v.s["entries"] > v.settings.memory,
    "cache: new entries were written": lambda v: v.s["entries"] - v.before["entries"] > v.s["fills"],
    "cache: evicted were there or written": lambda v: v.s["evicted"] > v.before["entries"] + v.s["fills"],
    "cache: hits within lookups": lambda v: (
        (v.s["hits"] > v.s["lookups"]) | (v.s["item_hits"] > v.s["item_lookups"]) | (v.s["stale_hits"] > v.s["hits"])
    ),
    "cache: completions are lookups and fills": lambda v: (
        (v.s["completions"] != v.s["lookups"] + v.s["item_lookups"] + v.s["fills"]) & v.of("cache")
    ),
    "cache: duplicate fills are fills": lambda v: v.s["duplicate_fills"] > v.s["fills"],
    "cache: no answer older than its time to live": lambda v: (
        v.s["age_ns"] > (v.s["hits"] + v.s["item_hits"] + v.s["query_hits"]) * v.facts.oldest_ns
    ),
    "cache: quality within the whole": lambda v: v.s["hit_quality_milli"] > 1000 * v.s["hits"],
    "cache: no more excess age than age": lambda v: v.s["excess_age_ns"] > v.s["age_ns"],
    "cache: the sweep's backlog within the users": lambda v: v.s["sweep_backlog"] > v.facts.num_users,
    "vector index: query hits have come": lambda v: v.s["query_hits"] > v.s["arrivals"],
    "database: stale reads have come": lambda v: v.s["stale_reads"] > v.before["in_flight"] + v.s["arrivals"],
    "deferred queue: enriched are completed": lambda v: v.s["enriched"] > v.s["completions"],
    "call: a breaker state that there is": lambda v: ~np.isin(v.calls["breaker_state"], (CLOSED, OPEN, HALF_OPEN)),
    "call: a breaker that is off is closed": _is_off,
    "call: fallbacks cover who is not asked": lambda v: (
        (v.calls["not_asked"] > v.calls["fallbacks"]) | (v.calls["not_asked"] > v.calls["requests"])
    ),
    "call: retries are attempts": lambda v: v.calls["retries"] > v.calls["attempts"],
    "call: deferred are fallbacks or exhausted": lambda v: (
        v.calls["deferred"] > v.calls["fallbacks"] + v.calls["exhausted"]
    ),
    "call: no more answered than requested": lambda v: _total(v, "requests", "successes", "fallbacks", "exhausted"),
    "call: no more ends than attempts": lambda v: _total(
        v, "attempts", "successes", "rate_limited", "timeouts", "queue_full"
    ),
    "call: no more retries than the budget": lambda v: (
        v.totals is not None and v.totals["retries"] * 1000 > v.budget_paid
    ),
    "class: intents are answered, given up or going on": lambda v: (
        v.classes["intents"] - v.classes["intents_answered"] - v.classes["intents_failed"]
        != v.classes["in_flight"] + v.classes["thinking"] - v.classes_before["in_flight"] - v.classes_before["thinking"]
    ),
    "class: intents answered are answers": lambda v: v.classes["intents_answered"] != v.answers,
    "class: quality of at most 1": lambda v: v.classes["quality_milli"] > 1000 * v.answers,
    "class: lateness of at most the worst": lambda v: (
        v.classes["lateness_ns"] > v.classes["late"] * v.facts.lateness_ns
    ),
    "class: no response later than the deadline": lambda v: (
        (v.classes["response_ns"] > v.ended * v.facts.deadline_ns) & v.facts.interactive[:, None]
    ),
    "class: response_ns is of the response times in the histogram": lambda v: _not_of_histogram(
        v.classes["response_ns"], v.now.response
    ),
    "class: hits and misses are answers": lambda v: (
        (v.classes["hit_answers"] + v.classes["miss_answers"] > v.answers)
        | (v.classes["personalised"] > v.classes["miss_answers"])
        | (v.classes["hit_response_ns"] + v.classes["miss_response_ns"] > v.classes["response_ns"])
    ),
    "class: nothing of users in the background": _background,
    "users: no more retries than each may make": lambda v: _users_retry(
        v, lambda intents: 1000 * v.facts.max_retries * intents
    ),
    "users: no more retries than their budget": lambda v: _users_retry(v, v.facts.users_budget_milli),
    "all: deadlines have a service": lambda v: v.s["deadlines"].sum() != v.classes["failed_deadline"].sum(),
    "all: failures happened at a service": lambda v: any(
        v.classes[f"failed_{cause}"].sum() > v.s[field][v.of("worker_pool")].sum()
        for cause, field in (("queue_full", "queue_full"), ("shed", "shed"), ("fault", "faults"))
    ),
}
"""What breaks each rule: a row of booleans, or one boolean."""
