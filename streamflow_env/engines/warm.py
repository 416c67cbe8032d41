"""The warm state in which every episode starts: caches as the traffic before it left them, nothing in flight.

Computed once per system and starting load, from first attempts alone: an attempt of a class that looks a cache up
and finds no valid entry writes one, at once. Both engines copy the same arrays.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from streamflow_env.engines.draws.arrivals import SECOND_NS, Arrivals
from streamflow_env.engines.draws.hashing import TTL, USERS, stream_key, uniform
from streamflow_env.system import Cache, CallStep, LookupStep, Step, System

HISTORY_SEED: Final = 0
LOAD_STEP: Final = 0.25
"""The starting load is rounded to this multiple of the normal load, so that few warm states are ever computed."""

ENTRY: Final = np.dtype([("written_ns", "i8"), ("expires_ns", "i8"), ("quality_milli", "i8")])
"""A cache entry; `expires_ns` = INVALID says that there is none."""
INVALID: Final = -(2**62)


@dataclass(frozen=True)
class WarmState:
    """Cache entries by service name, dtype ENTRY, shape (num_users,), and the users of the seconds before time 0."""

    entries: dict[str, NDArray[Any]]
    users: NDArray[np.int32]
    seconds: NDArray[np.int64]


def warm_state(system: System, rates_rps: NDArray[np.float64]) -> WarmState:
    """The warm state of `system` for the load with which an episode begins, `rates_rps` of shape (num_classes,)."""
    normal = np.array([c.normal_rate_rps for c in system.classes.values()])
    interactive = np.array(system.interactive)
    usual = float(normal[interactive].sum())
    level = float(rates_rps[interactive].sum()) / usual if usual > 0 else 1.0
    return _warm_state(_Key(system), max(LOAD_STEP, round(level / LOAD_STEP) * LOAD_STEP))


class _Key:
    """A system by identity, as a cache key that keeps the system alive."""

    def __init__(self, system: System) -> None:
        self.system = system

    def __hash__(self) -> int:
        return id(self.system)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.system is self.system


@functools.lru_cache(maxsize=16)
def _warm_state(key: _Key, level: float) -> WarmState:
    system = key.system
    caches = {name: s for name, s in system.services.items() if isinstance(s, Cache)}
    history_s = int(max([s.ttl_s * (1 + s.ttl_jitter_fraction) for s in caches.values()] + [system.users.lookback_s]))
    rates = level * np.array([[c.normal_rate_rps if c.kind == "interactive" else 0.0] for c in system.classes.values()])
    stream = Arrivals(HISTORY_SEED, rates, SECOND_NS, system.interactive, system.users)
    came = np.concatenate([stream.until((s + 60) * SECOND_NS).copy() for s in range(0, history_s, 60)])
    came = came[came["user"] >= 0]
    sent_ns = came["sent_ns"] - _up(history_s, 60) * SECOND_NS
    entries = {}
    for name, cache in caches.items():
        looks = np.array([_looks_up(c.plan, name) for c in system.classes.values()])
        table = np.zeros(system.users.num_users, dtype=ENTRY)
        table["expires_ns"] = INVALID
        mine = looks[came["class_"]] if len(came) else np.zeros(0, bool)
        jitter = cache.ttl_jitter_fraction
        _remember(table, came["user"][mine], sent_ns[mine], cache.ttl_s, jitter)
        table.flags.writeable = False
        entries[name] = table
    recent = sent_ns >= -system.users.lookback_s * SECOND_NS
    return WarmState(entries, came["user"][recent].astype(np.int32), sent_ns[recent] // SECOND_NS)


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def _looks_up(plan: tuple[Step, ...], cache: str) -> bool:
    return any(
        (isinstance(step, LookupStep) and (step.lookup == cache or _looks_up(step.on_miss, cache)))
        or (isinstance(step, CallStep) and _looks_up(step.holding, cache))
        for step in plan
    )


@njit(cache=True)
def ttl_ns(u: float, ttl_s: float, jitter_fraction: float) -> int:
    """Time to live of one entry: ttl · U(1 - jitter, 1 + jitter)."""
    return int(ttl_s * (1.0 + jitter_fraction * (2.0 * u - 1.0)) * 1e9)


@njit(cache=True)
def _remember(table: Any, users: Any, sent_ns: Any, ttl_s: float, jitter: float) -> None:
    for i in range(users.size):
        entry = table[users[i]]
        if entry.expires_ns <= sent_ns[i]:
            entry.written_ns = sent_ns[i]
            entry.expires_ns = sent_ns[i] + ttl_ns(uniform(stream_key(HISTORY_SEED, USERS, i), TTL), ttl_s, jitter)
            entry.quality_milli = 1000
