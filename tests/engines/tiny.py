"""Tiny systems and episodes whose logs can be worked out by hand: constant durations, and requests at chosen times.

First attempts are a Poisson stream. A `schedule` names the milliseconds in which requests are to be sent, and how many
in each; the seed is searched under which the stream does that, and under which they come from the users, are about the
items and draw the numbers that are wanted. `spread` asks for a number of requests far enough from each other, which
more seeds give. Hand-made logs then start from `sent` times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines import make_engine
from streamflow_env.engines.draws.arrivals import Arrivals
from streamflow_env.engines.draws.distributions import popular_key
from streamflow_env.engines.draws.hashing import ITEM, LLM_BENEFIT, REQUESTS, USERS, draw_index, stream_key, uniform
from streamflow_env.engines.telemetry import OUTCOMES, PREMIUM, STANDARD, Telemetry
from streamflow_env.episode import Change, Episode
from streamflow_env.system import System, load_system

MS = 1_000_000
"""One millisecond, in ns."""
NETWORK_MS = 5
ENTRY_MS = 10
ENTERED = (NETWORK_MS + ENTRY_MS) * MS
"""From sending to the first step of the plan, where the entry pool has a free worker."""

USER_DEFAULTS = {
    "num_users": 1,
    "popularity_exponent": 0.0,
    "return_fraction": 0.0,
    "return_gap_s": 1.0,
    "lookback_s": 1,
    "premium_fraction": 0.0,
    "entry": "front",
    "network_s": NETWORK_MS / 1000,
    "deadline_s": 60.0,
    "retry_fraction": 1.0,
    "max_retries": 0,
    "think_time_s": 0.0,
}


def constant(milliseconds: float) -> dict[str, Any]:
    """A constant duration."""
    return {"mean_s": milliseconds / 1000, "cv": 0.0}


def pool(milliseconds: float, *, workers: int = 1, queue_limit: int = 10, **more: Any) -> dict[str, Any]:
    """A worker pool of one replica."""
    return {
        "kind": "worker_pool",
        "replicas": 1,
        "workers_per_replica": workers,
        "queue_limit": queue_limit,
        "service_time": constant(milliseconds),
        **more,
    }


def llm(latency_ms: float, **more: Any) -> dict[str, Any]:
    """An LLM endpoint of constant latency, with tokens enough."""
    return {
        "kind": "llm_endpoint",
        "quota_per_minute": 60000,
        "burst": 1000,
        "floor_latency_s": latency_ms / 1000,
        "tail": constant(0),
        "rejection_time_s": 0.0,
        **more,
    }


def cache(**more: Any) -> dict[str, Any]:
    """A cache whose lookups and fills take 10 ms."""
    return {"kind": "cache", "lookup_time": constant(10), "ttl_s": 100.0, **more}


def control(name: str, of: str, parameter: str, low: float, high: float, *, off: bool = False) -> dict[str, Any]:
    """A control called `name`; with `off` it is off at its high end."""
    return {
        "name": name, "of": of, "parameter": parameter, "low": low, "high": high, "off_at_high": off,
    }  # fmt: skip


def tiny_system(
    services: Mapping[str, Any],
    plan: Sequence[Any],
    *,
    calls: Mapping[str, Any] | None = None,
    users: Mapping[str, Any] | None = None,
    controls: Sequence[Any] = (),
    interval_s: float = 10.0,
    background: Sequence[Any] = (),
) -> System:
    """A system of one interactive class; it enters at `front`, service 0, which has 10 workers unless given.

    `background` is the plan of a second, background class.
    """
    unused = {
        "name": "front_queue",
        "of": "front",
        "parameter": "queue_limit",
        "low": 0,
        "high": 99,
    }
    classes = {"only": {"kind": "interactive", "normal_rate_rps": 0.0, "plan": list(plan)}}
    if background:
        classes["background"] = {"kind": "background", "normal_rate_rps": 0.0, "plan": list(background)}
    return load_system(
        {
            "name": "tiny",
            "control_interval_s": interval_s,
            "warmup_s": 0.0,
            "sla": {"target_s": 0.1, "worst_s": 1.0},
            "users": {**USER_DEFAULTS, **(users or {})},
            "services": {"front": pool(ENTRY_MS, workers=10, serves_abandoned=False), **services},
            "calls": calls or {},
            "classes": classes,
            "controls": [{"meaning": "-", **control} for control in (*controls, unused)],
        }
    )


def draw(seed: int, source: int, index: int, number: int) -> float:
    """Number `number` of item `index` of a source of draws."""
    return float(uniform(np.uint64(stream_key(seed, source, index)), number))


@dataclass(frozen=True)
class Drawn:
    """What a seed gives: the first attempts, in order, and the numbers that their requests draw."""

    system: System
    seed: int
    sent: Sequence[int]
    users: Sequence[int]
    premium: Sequence[bool]

    def u(self, request: int, purpose: int, step: int, round_: int = 0) -> float:
        """Number (purpose, step, round) of a request's first attempt."""
        return draw(self.seed, REQUESTS, request, draw_index(purpose, 0, step, round_))

    def llm_benefit(self, request: int) -> float:
        """How badly precomputed preferences fit the user of a request."""
        return draw(self.seed, USERS, self.users[request], LLM_BENEFIT)

    def item(self, request: int) -> int:
        """The item that a request is about."""
        users = self.system.users
        return int(popular_key(self.u(request, ITEM, 0), users.num_items, users.item_exponent))


Wanted = Callable[[Drawn], bool]


def always(drawn: Drawn) -> bool:
    """Nothing in particular is wanted of a seed."""
    return True


def users_are(pattern: str) -> Wanted:
    """The requests come from these users, named by letters: "aba" is two requests of one and one of another between."""
    return lambda drawn: _pattern(drawn.users) == _pattern(pattern)


def items_are(pattern: str) -> Wanted:
    """The requests are about these items, named by letters."""
    return lambda drawn: _pattern([drawn.item(request) for request in range(len(pattern))]) == _pattern(pattern)


def benefits_are(*bounds: tuple[float, float]) -> Wanted:
    """The needs of the requests' users lie within these bounds."""
    return lambda drawn: all(low <= drawn.llm_benefit(request) < high for request, (low, high) in enumerate(bounds))


def _pattern(names: Sequence[Any]) -> list[int]:
    return [list(names).index(name) for name in names]


def schedule(
    system: System,
    requests: Mapping[int, int],
    changes: Sequence[Change] = (),
    *,
    background: Mapping[int, int] | None = None,
    where: Wanted = always,
) -> tuple[Episode, list[int]]:
    """An episode in which `requests[ms]` first attempts are sent within that millisecond; and when they are (ns).

    `background` says the same of the background class, in other milliseconds.
    """
    by_class = (requests, background or {})[: len(system.classes)]
    rates = np.zeros((len(by_class), max(max(r, default=0) for r in by_class) + 2))
    for class_, of_class in enumerate(by_class):
        for millisecond, number in of_class.items():
            rates[class_, millisecond] = number * 1000.0
    both = {ms: number for of_class in by_class for ms, number in of_class.items()}
    wanted = [ms for ms in sorted(both) for _ in range(both[ms])]
    return _search(system, rates, MS, changes, lambda drawn: [ns // MS for ns in drawn.sent] == wanted and where(drawn))


def spread(
    system: System, number: int, apart_ms: int, changes: Sequence[Change] = (), *, where: Wanted = always
) -> tuple[Episode, list[int]]:
    """An episode of `number` requests, each at least `apart_ms` after the one before; and when they are sent (ns)."""
    bin_ns = 10 * number * apart_ms * MS
    rates = np.array([[number / (bin_ns * 1e-9), 0.0]])

    def fits(drawn: Drawn) -> bool:
        return len(drawn.sent) == number and bool(np.diff(drawn.sent).min() >= apart_ms * MS) and where(drawn)

    return _search(system, rates, bin_ns, changes, fits)


def _search(
    system: System, rates: NDArray[np.float64], bin_ns: int, changes: Sequence[Change], fits: Wanted
) -> tuple[Episode, list[int]]:
    for seed in range(100_000):
        stream = Arrivals(seed, rates, bin_ns, system.interactive, system.users)
        came = stream.until(rates.shape[1] * bin_ns)
        sent = came["sent_ns"].tolist()
        if fits(Drawn(system, seed, sent, came["user"].tolist(), came["premium"].astype(bool).tolist())):
            return Episode("tiny", seed, 60.0, 0.0, bin_ns, rates, tuple(changes)), sent
    raise AssertionError("no seed gives these requests")


@dataclass(frozen=True)
class Run:
    """What an engine made of an episode: telemetry by control interval, and the whole log in words."""

    system: System
    telemetry: list[Telemetry]

    @property
    def visits(self) -> list[tuple[Any, ...]]:
        """(request, attempt, step, round, service, arrived, started, left, outcome) of every visit; times in ns."""
        names = self.system.service_names
        rows = [row for t in self.telemetry for row in t.visits.tolist()]
        return [(*row[:4], names[row[4]], *row[5:8], OUTCOMES[row[8]]) for row in rows]

    @property
    def answers(self) -> list[tuple[Any, ...]]:
        """(request, attempt, sent, ended, outcome, quality) of every answer; times in ns."""
        rows = [row for t in self.telemetry for row in t.answers.tolist()]
        return [(*row[:2], *row[5:7], OUTCOMES[row[7]], row[8]) for row in rows]

    def service(self, name: str, key: str) -> list[int]:
        """A measurement of a service, by control interval."""
        return [int(t.services[key][self.system.service_names.index(name)]) for t in self.telemetry]

    def call(self, name: str, key: str) -> list[int]:
        """A measurement of a call, by control interval."""
        return [int(t.calls[key][self.system.call_names.index(name)]) for t in self.telemetry]

    def users(self, key: str) -> list[int]:
        """A measurement of the interactive class, by control interval."""
        return [int(t.classes[key][0].sum()) for t in self.telemetry]

    def by_priority(self, key: str) -> list[tuple[int, int]]:
        """A measurement of the interactive class, (standard, premium) by control interval."""
        return [(int(t.classes[key][0, STANDARD]), int(t.classes[key][0, PREMIUM])) for t in self.telemetry]

    def background(self, key: str) -> list[int]:
        """A measurement of the background class, by control interval."""
        return [int(t.classes[key][1].sum()) for t in self.telemetry]

    def of(self, service: str) -> list[tuple[Any, ...]]:
        """(request, step, round, arrived, started, left, outcome) of every visit of a service; times in ns."""
        return [(row[0], row[2], row[3], *row[5:]) for row in self.visits if row[4] == service]


def run(engine: str, system: System, episode: Episode, controls: Sequence[Mapping[str, float]] = ({},)) -> Run:
    """Run `episode` with the engine called `engine`, for one interval per set of `controls` (the others by default)."""
    simulated = make_engine(engine, system, log=True)
    simulated.reset(episode)
    settings: list[NDArray[np.float64]] = [system.control_table.with_values(**values) for values in controls]
    return Run(system, [simulated.step(values) for values in settings])


def front(request: int, sent: int, left: int, outcome: str = "ok", attempt: int = 0) -> tuple[object, ...]:
    """The visit to `front` of an attempt that found a worker there at once."""
    arrived = sent + NETWORK_MS * MS
    return (request, attempt, 0, 0, "front", arrived, arrived, left, outcome)
