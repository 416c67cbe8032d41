"""Small systems from YAML text for the validation. Requests are Poisson at constant rates; every visit is logged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines import make_engine
from streamflow_env.engines.telemetry import OK, Telemetry
from streamflow_env.episode import Episode
from streamflow_env.system import System, load_system
from streamflow_env.system.yaml_files import parse_yaml

NS_PER_S: Final = 1e9
BIN_NS: Final = 1_000_000_000_000
"""Length of the traffic's one bin; its rate holds after it, too."""
CELL: Final = """
name: validation
control_interval_s: {interval_s}
warmup_s: {warmup_s}
sla: {{target_s: 1.0, worst_s: 10.0}}
users:                            # each request is a new user's, who waits for ever (in services of about 1 s)
  {{num_users: 1000000000, popularity_exponent: 0.0, return_fraction: 0.0, return_gap_s: 1.0, lookback_s: 1,
   premium_fraction: {premium_fraction}, entry: front, network_s: 0.0, deadline_s: 2000.0, retry_fraction: 0.0,
   max_retries: 0, think_time_s: 0.0}}
controls:
  - {{name: front_queue, of: front, parameter: queue_limit, low: 0, high: 1, meaning: never moved}}
"""
FRONT: Final = """
front:                            # lets everybody in at once
  {kind: worker_pool, replicas: 1, workers_per_replica: 1000000, queue_limit: 0, serves_abandoned: false,
   service_time: {mean_s: 0.0}}
"""


@dataclass(frozen=True)
class SmallSystem:
    """A small system, its requests, and how long it is measured; times in s, rates in 1/s.

    Attributes:
        services, calls: YAML of them. The entry, `front`, is added to them and takes no time.
        plans: by class, the rate of its requests and the YAML of its plan.
        measured_s: length of what is measured, a whole number of intervals.
        interval_s: how often the log is collected, because no control changes; the warm-up is one interval.
        premium_fraction: share of the users, who are all different.
    """

    services: str
    plans: Mapping[str, tuple[float, str]]
    measured_s: float
    interval_s: float = 1000.0
    calls: str = "{}"
    premium_fraction: float = 0.0
    has_warmup: bool = True

    @cached_property
    def system(self) -> System:
        warmup_s = self.interval_s if self.has_warmup else 0.0
        head = CELL.format(interval_s=self.interval_s, warmup_s=warmup_s, premium_fraction=self.premium_fraction)
        classes = {
            name: {"kind": "interactive", "normal_rate_rps": rate_rps, "plan": parse_yaml(plan)}
            for name, (rate_rps, plan) in self.plans.items()
        }
        services = {**parse_yaml(FRONT), **parse_yaml(self.services)}
        return load_system(
            {**parse_yaml(head), "services": services, "calls": parse_yaml(self.calls), "classes": classes}
        )

    def run(self, engine: str, seed: int) -> Log:
        """The log of `seed` after the warm-up, on the engine of this name."""
        rates_rps = np.array([[rate_rps] for rate_rps, _ in self.plans.values()])
        simulation = make_engine(engine, self.system, log=True)
        simulation.reset(Episode("validation", seed, self.measured_s, 0.0, BIN_NS, rates_rps))
        default = self.system.control_table.default
        return Log(self.system, [simulation.step(default) for _ in range(round(self.measured_s / self.interval_s))])


@dataclass(frozen=True)
class Log:
    """Everything that happened after the warm-up. Times of visits and answers in ns, figures in s."""

    system: System
    telemetry: Sequence[Telemetry]

    @cached_property
    def answers(self) -> NDArray[Any]:
        """Shape (num_attempts_ended,), dtype ANSWER."""
        return np.concatenate([t.answers for t in self.telemetry])

    def visits(self, service: str, outcome: int = OK) -> NDArray[Any]:
        """Shape (n,), dtype VISIT: the visits to `service` that ended so."""
        index = self.system.service_names.index(service)
        return np.concatenate(
            [t.visits[(t.visits["service"] == index) & (t.visits["outcome"] == outcome)] for t in self.telemetry]
        )

    def waits_ns(self, service: str) -> NDArray[np.int64]:
        visits = self.visits(service)
        return np.asarray(visits["started_ns"] - visits["arrived_ns"], dtype=np.int64)

    def sojourns_ns(self, service: str) -> NDArray[np.int64]:
        visits = self.visits(service)
        return np.asarray(visits["left_ns"] - visits["arrived_ns"], dtype=np.int64)

    def mean_wait_s(self, service: str) -> float:
        return mean_s(self.waits_ns(service))

    def waiting_fraction(self, service: str) -> float:
        """Share of those served who had to wait."""
        return float(np.mean(self.waits_ns(service) > 0))

    def mean_sojourn_s(self, service: str) -> float:
        return mean_s(self.sojourns_ns(service))

    def sojourn_quantile_s(self, service: str, fraction: float) -> float:
        return quantile_s(self.sojourns_ns(service), fraction)

    def wait_quantile_s(self, service: str, fraction: float) -> float:
        return quantile_s(self.waits_ns(service), fraction)

    def mean_response_s(self, class_: str) -> float:
        answers = self.answers[self.answers["class_"] == self.system.class_names.index(class_)]
        return mean_s(answers["ended_ns"] - answers["sent_ns"])

    def mean_wait_of_priority_s(self, service: str, premium: int) -> float:
        """Of those who were answered as they left `service`: it is the last step of every plan."""
        answers = np.sort(self.answers[["request", "premium"]])
        visits = self.visits(service)
        of_visit = answers["premium"][np.searchsorted(answers["request"], visits["request"])]
        return mean_s((visits["started_ns"] - visits["arrived_ns"])[of_visit == premium])

    def count(self, service: str, field: str) -> int:
        """The sum of a service's counter or integral."""
        index = self.system.service_names.index(service)
        return sum(int(t.services[field][index]) for t in self.telemetry)

    def blocking_fraction(self, service: str) -> float:
        """Share of those who came that found the queue full."""
        return self.count(service, "queue_full") / self.count(service, "arrivals")

    def mean_number(self, service: str) -> float:
        """Time average of how many are there, in the queue or in service."""
        elapsed_ns = self.telemetry[-1].end_ns - self.telemetry[0].start_ns
        return (self.count(service, "queue_ns") + self.count(service, "busy_ns")) / elapsed_ns


def mean_s(durations_ns: NDArray[np.int64]) -> float:
    """The mean of durations in ns, in s; their sum is exact."""
    return int(durations_ns.sum()) / len(durations_ns) / NS_PER_S


def quantile_s(durations_ns: NDArray[np.int64], fraction: float) -> float:
    """The duration of rank ⌈q · n⌉, in s."""
    rank = int(np.ceil(fraction * len(durations_ns)))
    return float(np.partition(durations_ns, rank - 1)[rank - 1] / NS_PER_S)
