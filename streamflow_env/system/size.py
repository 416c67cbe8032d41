"""How large a system may be: what it needs must fit into memory, into 64 bits of nanoseconds, and end in time.

Each number of a system has bounds of its own. These are the bounds of what is made of several numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from streamflow_env.system.plans import CallStep, LookupStep, Step
from streamflow_env.system.services import Cache, Consumer, Database, DeferredQueue, VectorIndex, WorkerPool

if TYPE_CHECKING:
    from streamflow_env.system.system import System

MAX_STEPS: Final = 10_000
"""Steps of all plans together. An event names a step in 16 bits."""
MAX_ATTEMPTS: Final = 2_000_000
"""First attempts in one control interval: each needs about half a kilobyte while it is under way."""
MAX_WARMUP_INTERVALS: Final = 10_000
MAX_INTERVALS: Final = 60_000
"""Control intervals that a start-up or a removal takes. An event names one in 16 bits."""
MAX_SUM_S: Final = 9e9
"""What is summed over one control interval: 64 bits hold 9.2e9 s of nanoseconds."""
MAX_REMEMBERED: Final = 200_000_000
"""First attempts in `lookback_s`, of each of which the user is remembered."""
MAX_WALKED: Final = 100_000_000
"""First attempts that are walked through before an episode, to fill the caches."""
MAX_BYTES: Final = 2**31
"""Memory of caches, query caches, queues of deferred asks and breakers."""
_ENTRY_BYTES, _QUERY_BYTES, _JOB_BYTES, _NUMBER_BYTES = 48, 16, 32, 8


def check_size(system: System) -> None:
    """Raises ValueError, naming keys and what is allowed, where the system is too large."""
    interval_s = system.control_interval_s
    _at_most("classes: steps of all plans", sum(_num_steps(c.plan) for c in system.classes.values()), MAX_STEPS)
    _at_most("warmup_s / control_interval_s", system.warmup_s / interval_s, MAX_WARMUP_INTERVALS)
    for name, service in system.services.items():
        if isinstance(service, WorkerPool | Database):
            for key in ("startup_delay_s", "removal_hold_s"):
                what = f"services.{name}.{key} / control_interval_s"
                _at_most(what, getattr(service, key) / interval_s, MAX_INTERVALS)
        if isinstance(service, DeferredQueue):
            _at_most(f"control_interval_s / services.{name}.poll_s", interval_s / service.poll_s, MAX_ATTEMPTS)
    _check_sums(system)
    check_rates(system, *_normal_rates(system))
    history_s = max([system.users.lookback_s, *(2 * s.ttl_s for s in system.services.values() if isinstance(s, Cache))])
    walked = history_s * _normal_rates(system)[1]
    _at_most("classes: normal_rate_rps, in the longest ttl_s or lookback_s", walked, MAX_WALKED)
    needed = _bytes(system)
    if needed:
        _at_most(f"{max(needed, key=needed.__getitem__)} and the like, in bytes", sum(needed.values()), MAX_BYTES)


def check_rates(system: System, attempts_rps: float, interactive_rps: float) -> None:
    """Raises ValueError where more first attempts come than can be simulated.

    `attempts_rps` are those of all classes, `interactive_rps` those of users.
    """
    attempts = attempts_rps * system.control_interval_s
    _at_most("first attempts in one control_interval_s (normal_rate_rps, traffic, incidents)", attempts, MAX_ATTEMPTS)
    _at_most("first attempts in users.lookback_s", interactive_rps * system.users.lookback_s, MAX_REMEMBERED)
    longest_s = max([system.users.deadline_s, *_ages_s(system)])
    _at_most("first attempts in one control_interval_s, times the longest deadline_s or ttl_s",
             attempts * longest_s, MAX_SUM_S)  # fmt: skip


def _at_most(what: str, value: float, most: float) -> None:
    if not value <= most:
        raise ValueError(f"{what}: is {value:.6g}, must be at most {most:,.0f}")


def _check_sums(system: System) -> None:
    """What is in use is counted in nanoseconds: as many things, times the control interval."""
    for name, service in system.services.items():
        for key, count in _counts(system, name, service):
            what = f"services.{name}.{key}, the most that is allowed, times control_interval_s"
            _at_most(what, count * system.control_interval_s, MAX_SUM_S)


def _counts(system: System, name: str, service: object) -> Iterable[tuple[str, float]]:
    highs = {c.parameter: c.high for c in system.controls if c.of == name}
    if isinstance(service, WorkerPool):
        replicas = max(service.replicas, highs.get("replicas", 0))
        yield "replicas", replicas * max(service.workers_per_replica, service.cores_per_replica)
        yield "rate_limit_rps", max(service.rate_limit_rps or 0, highs.get("rate_limit_rps", 0))
    elif isinstance(service, Database):
        yield "read_replicas", (1 + max(service.read_replicas, highs.get("read_replicas", 0))) * service.connections
    elif isinstance(service, Cache):
        yield "memory_entries", max(service.memory_entries, highs.get("memory_entries", 0))
        rate = max(service.invalidation_rate_keys_per_s or 0, highs.get("invalidation_rate_keys_per_s", 0))
        yield "invalidation_rate_keys_per_s", rate
    elif isinstance(service, Consumer | DeferredQueue):
        yield "queue_limit", service.queue_limit


def _ages_s(system: System) -> Iterable[float]:
    """How old what is answered can be, of each service."""
    for name, service in system.services.items():
        highs = {c.parameter: c.high for c in system.controls if c.of == name}
        if isinstance(service, Cache):
            yield max(service.ttl_s, highs.get("ttl_s", 0)) * (1 + service.ttl_jitter_fraction)
        elif isinstance(service, VectorIndex):
            yield max(service.query_ttl_s, highs.get("query_ttl_s", 0))


def _normal_rates(system: System) -> tuple[float, float]:
    rates = [(c.normal_rate_rps, c.kind == "interactive") for c in system.classes.values()]
    return sum(rate for rate, _ in rates), sum(rate for rate, has_users in rates if has_users)


def _bytes(system: System) -> dict[str, float]:
    """The memory that is needed, by the key that asks for it."""
    needed: dict[str, float] = {}
    for name, service in system.services.items():
        if isinstance(service, Cache):
            key = f"services.{name}.memory_entries"
            needed[key] = _ENTRY_BYTES * dict(_counts(system, name, service))["memory_entries"]
        elif isinstance(service, VectorIndex):
            needed[f"services.{name}.query_entries"] = _QUERY_BYTES * service.query_entries
        elif isinstance(service, DeferredQueue):
            needed[f"services.{name}.queue_limit"] = _JOB_BYTES * service.queue_limit
    breakers = {"users": system.users.breaker, **{f"calls.{name}": call.breaker for name, call in system.calls.items()}}
    windows = {f"{of}.breaker.window_size": breaker.window_size for of, breaker in breakers.items() if breaker}
    return needed | {key: _NUMBER_BYTES * size for key, size in windows.items()}


def _num_steps(plan: tuple[Step, ...]) -> int:
    inner = (s.holding if isinstance(s, CallStep) else s.on_miss if isinstance(s, LookupStep) else () for s in plan)
    return len(plan) + sum(map(_num_steps, inner))
