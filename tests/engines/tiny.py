"""Tiny systems and episodes whose logs can be worked out by hand: constant durations, and requests at chosen times.

First attempts are a Poisson stream. A `schedule` names the milliseconds in which requests are to be sent, and how many
in each; the seed is searched under which the stream does that. Hand-made logs then start from `sent` times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines import make_engine
from streamflow_env.engines.draws.arrivals import Arrivals
from streamflow_env.engines.telemetry import OUTCOMES, Telemetry
from streamflow_env.episode import Change, Episode
from streamflow_env.system import System, load_system

MS = 1_000_000
"""One millisecond, in ns."""
NETWORK_MS = 5
ENTRY_MS = 10
ENTERED = (NETWORK_MS + ENTRY_MS) * MS
"""From sending to the first step of the plan, where the entry pool has a free worker."""

USERS = {
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


def tiny_system(
    services: Mapping[str, Any],
    plan: Sequence[Any],
    *,
    calls: Mapping[str, Any] | None = None,
    users: Mapping[str, Any] | None = None,
    controls: Sequence[Any] = (),
    interval_s: float = 10.0,
) -> System:
    """A system of one interactive class; it enters at `front`, service 0, which has 10 workers unless given."""
    unused = {
        "name": "front_queue",
        "of": "front",
        "parameter": "queue_limit",
        "unit": "requests",
        "low": 1,
        "high": 99,
    }
    return load_system(
        {
            "name": "tiny",
            "control_interval_s": interval_s,
            "warmup_s": 0.0,
            "sla": {"target_s": 0.1, "worst_s": 1.0},
            "users": {**USERS, **(users or {})},
            "services": {"front": pool(ENTRY_MS, workers=10, serves_departed=False), **services},
            "calls": calls or {},
            "classes": {"only": {"kind": "interactive", "normal_rate_rps": 0.0, "plan": list(plan)}},
            "controls": [{"meaning": "-", **control} for control in (*controls, unused)],
        }
    )


def schedule(system: System, requests: Mapping[int, int], changes: Sequence[Change] = ()) -> tuple[Episode, list[int]]:
    """An episode in which `requests[ms]` first attempts are sent within that millisecond; and when they are (ns)."""
    rates = np.zeros((1, max(requests) + 2))
    for millisecond, number in requests.items():
        rates[0, millisecond] = number * 1000.0
    wanted = [millisecond for millisecond in sorted(requests) for _ in range(requests[millisecond])]
    for seed in range(100_000):
        stream = Arrivals(seed, rates, MS, system.interactive, system.users)
        sent = [int(ns) for ns in stream.until((max(requests) + 2) * MS)["sent_ns"]]
        if [ns // MS for ns in sent] == wanted:
            return Episode("tiny", seed, 60.0, 0.0, MS, rates, tuple(changes)), sent
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
        """A measurement of the only class, by control interval."""
        return [int(t.classes[key].sum()) for t in self.telemetry]


def run(engine: str, system: System, episode: Episode, controls: Sequence[Mapping[str, float]] = ({},)) -> Run:
    """Run `episode` with the engine called `engine`, for one interval per set of `controls` (others as found)."""
    simulated = make_engine(engine, system, log=True)
    simulated.reset(episode)
    settings: list[NDArray[np.float64]] = [system.control_table.with_values(**values) for values in controls]
    return Run(system, [simulated.step(values) for values in settings])
