"""Single services and small networks of which theory knows the steady state: what each must show, on both engines.

By default a service takes 1 s on average. Every run begins empty, at the start of the warm-up. The warm-up is at least
ten times the relaxation time of an M/M/c, 1/(μ·(√c - √(λ/μ))²) (Cohen, The Single Server Queue, 1982).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streamflow_agents.parallel import run_all
from studies.validation import theory
from studies.validation.checks import Check
from studies.validation.small_systems import NS_PER_S, Log, SmallSystem

UNBOUNDED = 10_000_000
MOST_SEEDS = 1_000_000
EXPONENTIAL = "{mean_s: 1.0, distribution: exponential}"
BURST, QUOTA_PER_MINUTE = 20, 600
TOKEN = round(60 * NS_PER_S)
"""Units of an endpoint's token: a quota of q a minute refills q a nanosecond."""
ADMITTED_RPS = 10
ADMITTED = round(NS_PER_S)
"""Units of a token of the admission, whose limit of r a second refills r a nanosecond and holds r tokens."""
MMC = {
    (2, 0.8): (60, 500.0, 0.03, 0.05),
    (10, 0.8): (120, 100.0, 0.03, 0.05),
    (50, 0.9): (28, 100.0, 0.05, 0.05),
    (100, 0.95): (14, 200.0, 0.05, 0.08),
}
"""By servers and utilisation: intervals measured, their length in s, and the precision of mean and quantiles."""
MMC_QUANTILES = (0.9, 0.99)
WAITS = "share that waits"


@dataclass(frozen=True)
class Figure:
    """A figure that is read from a log, and what it must be; see `Check`."""

    measure: str
    unit: str
    source: str
    read: Callable[[Log], float]
    expected: float | None = None
    precision: float = 0.03
    low: float = -np.inf
    high: float = np.inf


@dataclass(frozen=True)
class Queue:
    """A small system and its figures."""

    system: SmallSystem
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class QueueRun:
    """One run."""

    section: str
    seed: int
    engine: str


def theory_checks(
    seeds: Sequence[int] = range(100),
    reference: bool = True,
    jobs: int = 1,
    sections: Sequence[str] | None = None,
) -> list[Check]:
    """Every queue (or those of `sections`) on every seed; with `reference` the first on the reference engine too."""
    queues = {name: queue for name, queue in all_queues().items() if sections is None or name in sections}
    runs = [QueueRun(name, seeds[0], "reference") for name in queues if reference]
    runs += [QueueRun(name, seed, "compiled") for name in queues for seed in seeds]
    figures = dict(zip(runs, run_all(run, runs, jobs, progress=False), strict=True))
    checks: list[Check] = []
    for name, queue in queues.items():
        seen = [figures[QueueRun(name, seed, "compiled")] for seed in seeds]
        repeated = figures.get(QueueRun(name, seeds[0], "reference"))
        for index, figure in enumerate(queue.figures):
            checks.append(
                Check(
                    name, figure.measure, figure.unit, tuple(values[index] for values in seen), figure.source,
                    figure.expected, figure.precision, figure.low, figure.high,
                    None if repeated is None else repeated[index],
                )
            )  # fmt: skip
    return checks


def run(queue_run: QueueRun) -> tuple[float, ...]:
    """Simulate and read one run. No two queues share the numbers of a seed, so that their checks are independent."""
    queue = all_queues()[queue_run.section]
    own_seed = queue_run.seed + MOST_SEEDS * list(all_queues()).index(queue_run.section)
    log = queue.system.run(queue_run.engine, own_seed)
    return tuple(figure.read(log) for figure in queue.figures)


@functools.cache
def all_queues() -> Mapping[str, Queue]:
    """By section of the validation's page."""
    return dict((*_waiting(), *_losing(), *_general(), *_networks(), *_priorities(), *_buckets()))


def pool(
    name: str = "server", servers: int = 1, queue_limit: int = UNBOUNDED, time: str = EXPONENTIAL, more: str = ""
) -> str:
    """YAML of a pool of so many workers."""
    return (
        f"{name}: {{kind: worker_pool, replicas: 1, workers_per_replica: {servers}, queue_limit: {queue_limit},"
        f" service_time: {time}{more}}}\n"
    )


def single_pool(
    rate_rps: float, num_intervals: int, interval_s: float, service: str, premium: float = 0.0
) -> SmallSystem:
    """A system of one pool, `server`, which requests call at this rate."""
    plans = {"visitor": (rate_rps, "[{call: server}]")}
    return SmallSystem(service, plans, num_intervals * interval_s, interval_s, premium_fraction=premium)


def _wait(expected_s: float, source: str, precision: float = 0.03) -> Figure:
    return Figure("mean wait", "s", source, lambda log: log.mean_wait_s("server"), expected_s, precision)


def _waiting() -> Iterator[tuple[str, Queue]]:
    sojourn_s, p99_s = theory.mm1_mean_sojourn_s(0.8, 1.0), theory.mm1_sojourn_quantile_s(0.8, 1.0, 0.99)
    figures = (
        _wait(sojourn_s - 1.0, "ρ/(μ-λ)"),
        Figure("mean sojourn", "s", "1/(μ-λ)", lambda log: log.mean_sojourn_s("server"), sojourn_s),
        Figure("p99 of the sojourn", "s", "W·ln 100", lambda log: log.sojourn_quantile_s("server", 0.99), p99_s, 0.05),
        Figure("mean number", "", "ρ/(1-ρ)", lambda log: log.mean_number("server"), 4.0),
    )
    yield "M/M/1, ρ = 0.8", Queue(single_pool(0.8, 60, 1000.0, pool()), figures)
    for (servers, utilisation), (num_intervals, interval_s, *precisions) in MMC.items():
        load = servers * utilisation
        waiting = theory.erlang_c(servers, load)
        quantiles = (
            Figure(
                quantile_name(fraction), "s", "Erlang C",
                functools.partial(Log.wait_quantile_s, service="server", fraction=fraction),
                theory.mmc_wait_quantile_s(load, 1.0, servers, fraction), precisions[1],
            )
            for fraction in MMC_QUANTILES
        )  # fmt: skip
        yield (
            mmc_name(servers, utilisation),
            Queue(
                single_pool(load, num_intervals, interval_s, pool(servers=servers)),
                (
                    Figure(WAITS, "", "Erlang C", lambda log: log.waiting_fraction("server"), waiting),
                    _wait(theory.mmc_mean_wait_s(load, 1.0, servers), "Erlang C", precisions[0]),
                    *quantiles,
                ),
            ),
        )


def mmc_name(servers: int, utilisation: float) -> str:
    """The section of an M/M/c."""
    return f"M/M/{servers}, ρ = {utilisation}"


def quantile_name(fraction: float) -> str:
    """The measure of a quantile of the wait."""
    return f"p{round(100 * fraction)} of the wait"


def _losing() -> Iterator[tuple[str, Queue]]:
    for servers, load, num_intervals in ((10, 8.0, 20), (50, 45.0, 9), (100, 100.0, 9)):
        lost = Figure(
            "share refused", "", "Erlang B", lambda log: log.blocking_fraction("server"), theory.erlang_b(servers, load)
        )
        system = single_pool(load, num_intervals, 100.0, pool(servers=servers, queue_limit=0))
        yield f"M/M/{servers}/{servers}, load {load:g}", Queue(system, (lost,))
    for servers, capacity, load, num_intervals in ((1, 10, 1.2, 10), (4, 20, 4.0, 20)):
        refused = theory.mmck_blocking(servers, capacity, load)
        number = theory.mmck_mean_number(servers, capacity, load)
        figures = (
            Figure("share refused", "", "birth-death", lambda log: log.blocking_fraction("server"), refused),
            Figure("mean number", "", "birth-death", lambda log: log.mean_number("server"), number),
        )
        service = pool(servers=servers, queue_limit=capacity - servers)
        yield (
            f"M/M/{servers}/{capacity}, load {load:g}",
            Queue(single_pool(load, num_intervals, 500.0, service), figures),
        )


def _general() -> Iterator[tuple[str, Queue]]:
    for name, cv, time, num_intervals, precision in (
        ("M/D/1, ρ = 0.7", 0.0, "{mean_s: 1.0, distribution: constant}", 10, 0.03),
        ("M/G/1, ρ = 0.7, lognormal of CV 0.5", 0.5, "{mean_s: 1.0, cv: 0.5}", 12, 0.03),
        ("M/G/1, ρ = 0.7, lognormal of CV 2", 2.0, "{mean_s: 1.0, cv: 2.0}", 90, 0.05),
    ):
        wait = _wait(theory.mg1_mean_wait_s(0.7, 1.0, cv), "Pollaczek–Khinchine", precision)
        yield name, Queue(single_pool(0.7, num_intervals, 1000.0, pool(time=time)), (wait,))


def _networks() -> Iterator[tuple[str, Queue]]:
    nodes = ("a", "b", "c")
    expected_s = theory.jackson_mean_response_s((0, 1, 2), (0.7,) * 3, (1.0,) * 3, (1,) * 3)
    tandem = SmallSystem(
        "".join(pool(name) for name in nodes), {"visitor": (0.7, "[{call: a}, {call: b}, {call: c}]")}, 10_000.0
    )
    through = Figure("mean response", "s", "Σ 1/(μ-λ)", lambda log: log.mean_response_s("visitor"), expected_s)
    yield "three M/M/1 in tandem, ρ = 0.7", Queue(tandem, (through,))
    routes = {"there and back": (0.3, "aba"), "on": (0.5, "ac"), "round about": (0.2, "bcb")}
    servers, service_rates_rps = (2, 1, 3), (1.0, 1.0, 0.4)
    rates_rps = [sum(rate * route.count(node) for rate, route in routes.values()) for node in nodes]
    services = "".join(
        pool(node, number, time=f"{{mean_s: {1 / rate_rps}, distribution: exponential}}")
        for node, number, rate_rps in zip(nodes, servers, service_rates_rps, strict=True)
    )
    plans = {
        name: (rate, "[" + ", ".join(f"{{call: {n}}}" for n in route) + "]") for name, (rate, route) in routes.items()
    }
    figures = tuple(
        Figure(
            f"mean response of {name!r} ({', '.join(route)})", "s", "product form",
            functools.partial(Log.mean_response_s, class_=name),
            theory.jackson_mean_response_s([nodes.index(n) for n in route], rates_rps, service_rates_rps, servers),
        )
        for name, (_, route) in routes.items()
    )  # fmt: skip
    yield "network of M/M/2, M/M/1 and M/M/3", Queue(SmallSystem(services, plans, 12_000.0), figures)


def _priorities() -> Iterator[tuple[str, Queue]]:
    for name, cv, time in (
        ("M/M/1, premium users first", 1.0, EXPONENTIAL),
        ("M/G/1, premium users first, lognormal of CV 0.5", 0.5, "{mean_s: 1.0, cv: 0.5}"),
    ):
        premium_s, standard_s = theory.cobham_mean_waits_s((0.3, 0.5), (1.0, 1.0), (cv, cv))
        of = ((1, "premium", 0.3, premium_s), (0, "standard", 0.5, standard_s))
        figures = tuple(
            Figure(
                f"mean wait of {who} users, λ = {rate_rps}", "s", "Cobham",
                functools.partial(Log.mean_wait_of_priority_s, service="server", premium=premium), expected_s,
            )
            for premium, who, rate_rps, expected_s in of
        )  # fmt: skip
        system = single_pool(0.8, 50, 1000.0, pool(time=time, more=", discipline: premium_first"), premium=0.375)
        yield name, Queue(system, figures)


def _buckets() -> Iterator[tuple[str, Queue]]:
    rate_rps = QUOTA_PER_MINUTE / 60
    endpoint = (
        f"llm: {{kind: llm_endpoint, quota_per_minute: {QUOTA_PER_MINUTE}, burst: {BURST}, floor_latency_s: 0.1,"
        " tail: {mean_s: 0.0}, rejection_time_s: 0.0}\n"
    )
    calls, plans = "{ask: {to: llm, exhausted_quality: 0.0}}", {"visitor": (3 * rate_rps, "[{query: ask}]")}
    yield (
        "token bucket, load 3 r, from full",
        Queue(
            SmallSystem(endpoint, plans, 500.0, 100.0, calls, has_warmup=False),
            (_bound("llm", QUOTA_PER_MINUTE, TOKEN),),
        ),
    )
    rate = Figure(
        "accepted", "1/s", "r", lambda log: len(log.visits("llm")) * NS_PER_S / _elapsed_ns(log), rate_rps, 0.001
    )
    yield "token bucket, load 3 r", Queue(SmallSystem(endpoint, plans, 500.0, 100.0, calls), (rate,))
    limit = f", serves_abandoned: false, rate_limit_rps: {ADMITTED_RPS}"
    entry = pool("front", queue_limit=0, time="{mean_s: 0.0}", more=limit)
    inside = pool(time="{mean_s: 0.0}")
    at_entry = SmallSystem(
        entry + inside, {"visitor": (3.0 * ADMITTED_RPS, "[{call: server}]")}, 500.0, 100.0, has_warmup=False
    )
    yield "admission, load 3 r, from full", Queue(at_entry, (_bound("front", ADMITTED_RPS, ADMITTED, ADMITTED_RPS),))


def _bound(service: str, refill: int, token: int, burst: int = BURST) -> Figure:
    return Figure(
        "most accepted in any window t, less r·t", "tokens", "b",
        functools.partial(_most_accepted, service=service, refill=refill, token=token), low=burst - 0.1, high=burst,
    )  # fmt: skip


def _most_accepted(log: Log, service: str, refill: int, token: int) -> float:
    """The largest number accepted in any window of length t, less r·t, in tokens; the sums are exact.

    In units of which a token has so many, and of which so many are refilled in a nanosecond.
    """
    times_ns = np.sort(log.visits(service)["arrived_ns"])
    above = np.arange(len(times_ns)) * token - refill * (times_ns - times_ns[0])
    worst = int((above - np.minimum.accumulate(above)).max()) + token
    return worst / token


def _elapsed_ns(log: Log) -> int:
    return log.telemetry[-1].end_ns - log.telemetry[0].start_ns
