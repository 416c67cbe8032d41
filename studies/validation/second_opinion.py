"""The second opinion: the same open network in Ciw and here. Do the distributions of its waiting times agree?

Two of three nodes have two servers; one of these has lognormal service. In Ciw customers go on at random; here each way
through the network is a class. Waiting times of successive customers depend on each other, but the test of Kolmogorov
and Smirnov needs independent ones. So only one visit in about `SPACING_S` is kept at each node, which is more than
three times the relaxation time of the slowest node.

Ciw: Palmer, Knight, Harper and Hawa 2019, Journal of Simulation 13(1).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from streamflow_agents.parallel import run_all
from streamflow_env.errors import ConfigError
from studies.common.plots import new_figure
from studies.validation.checks import Check
from studies.validation.queues import EXPONENTIAL, pool
from studies.validation.small_systems import NS_PER_S, SmallSystem

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Samples = Mapping[str, NDArray[np.float64]]
"""By quantity, independent observations in s."""

LOWEST_P: Final = 0.001
"""A lower p-value is a disagreement. It was set before the first run, for four comparisons."""
SPACING_S: Final = 60.0
WARMUP_S: Final = 1000.0
CIW: Final = "ciw"
RATE_RPS: Final = 1.2
NODES: Final = ("a", "b", "c")
SERVERS: Final = (2, 1, 2)
FROM_A_TO_B, FROM_B_TO_C = 0.5, 0.5
MEAN_C_S, CV_C = 1.3, 0.7
WAYS: Final = {
    "a, b": (FROM_A_TO_B * (1.0 - FROM_B_TO_C), "[{call: a}, {call: b}]"),
    "a, b, c": (FROM_A_TO_B * FROM_B_TO_C, "[{call: a}, {call: b}, {call: c}]"),
    "a, c": (1.0 - FROM_A_TO_B, "[{call: a}, {call: c}]"),
}
"""By class, its share and its plan."""
RESPONSE: Final = "response"
WHAT: Final = {**{node: f"wait at node {node}" for node in NODES}, RESPONSE: "response time"}
OURS, THEIRS = "#0072b2", "#d55e00"


@dataclass(frozen=True)
class NetworkRun:
    """One run, in Ciw or on one of our engines."""

    engine: str
    seed: int
    measured_s: float


def second_opinion(
    seeds: Sequence[int],
    theirs: Sequence[int],
    reference: bool,
    jobs: int,
    measured_s: float,
) -> tuple[list[Check], Figure]:
    """The checks, one for every quantity, and the picture of both distributions of each.

    `measured_s` is simulated here under each of `seeds`, and in Ciw under each of `theirs`. With `reference` that
    engine repeats the first seed, and its observations must leave the p-values what they are. Raises ConfigError where
    Ciw is missing.
    """
    runs = [NetworkRun("reference", seeds[0], measured_s)] if reference else []
    runs += [NetworkRun(CIW, seed, measured_s) for seed in theirs]
    runs += [NetworkRun("compiled", seed, measured_s) for seed in seeds]
    found = dict(zip(runs, run_all(samples_of, runs, jobs, progress=False), strict=True))
    compiled = [found[NetworkRun("compiled", seed, measured_s)] for seed in seeds]
    in_ciw, ours = pooled([found[NetworkRun(CIW, seed, measured_s)] for seed in theirs]), pooled(compiled)
    p_values = compare(ours, in_ciw)
    repeated = compare(pooled([found[runs[0]], *compiled[1:]]), in_ciw) if reference else {}
    checks = [
        Check(
            what, f"p-value of {len(ours[name]):,} observations here and {len(in_ciw[name]):,} in Ciw", "",
            (p_values[name],), "Kolmogorov–Smirnov", low=LOWEST_P, high=1.0, reference=repeated.get(name),
        )
        for name, what in WHAT.items()
    ]  # fmt: skip
    return checks, draw(ours, in_ciw, p_values)


def samples_of(run: NetworkRun) -> Samples:
    """One run's independent observations."""
    if run.engine == CIW:
        return samples_of_ciw(run.measured_s, run.seed)
    return samples([run.seed], run.measured_s, engine=run.engine)


def pooled(parts: Sequence[Samples]) -> Samples:
    """All runs' observations together."""
    return {name: np.concatenate([part[name] for part in parts]) for name in WHAT}


def network(measured_s: float, service_time_of_b: str = EXPONENTIAL) -> SmallSystem:
    """The network as a system of this project."""
    services = (
        pool("a", SERVERS[0]),
        pool("b", SERVERS[1], time=service_time_of_b),
        pool("c", SERVERS[2], time=f"{{mean_s: {MEAN_C_S}, cv: {CV_C}}}"),
    )
    return SmallSystem(
        "".join(services), {way: (share * RATE_RPS, plan) for way, (share, plan) in WAYS.items()}, measured_s
    )


def samples(
    seeds: Sequence[int], measured_s: float, service_time_of_b: str = EXPONENTIAL, engine: str = "compiled"
) -> Samples:
    """Independent observations of the network, simulated here; after a warm-up of one interval of 1000 s."""
    cell = network(measured_s, service_time_of_b)
    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in WHAT}
    for seed in seeds:
        log = cell.run(engine, seed)
        for node in NODES:
            visits = np.sort(log.visits(node), order="arrived_ns")
            found[node].append(_thin((visits["started_ns"] - visits["arrived_ns"]) / NS_PER_S, measured_s))
        answers = np.sort(log.answers, order="sent_ns")
        found[RESPONSE].append(_thin((answers["ended_ns"] - answers["sent_ns"]) / NS_PER_S, measured_s))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def samples_of_ciw(measured_s: float, seed: int) -> Samples:
    """Independent observations of the network, simulated by Ciw, after a warm-up. Raises ConfigError."""
    records = _simulate_in_ciw(WARMUP_S + measured_s, seed)
    found: dict[str, NDArray[np.float64]] = {}
    for index, node in enumerate(NODES):
        at_node = records[(records["node"] == index + 1) & (records["arrived_s"] >= WARMUP_S)]
        visits = np.sort(at_node, order="arrived_s")
        found[node] = _thin(visits["started_s"] - visits["arrived_s"], measured_s)
    by_customer = np.sort(records, order=["customer", "arrived_s"])
    first = np.flatnonzero(np.diff(by_customer["customer"], prepend=-1))
    last = np.append(first[1:], len(by_customer)) - 1
    arrived_s = by_customer["arrived_s"][first]
    response_s = (by_customer["left_s"][last] - arrived_s)[np.argsort(arrived_s)]
    found[RESPONSE] = _thin(response_s[np.sort(arrived_s) >= WARMUP_S], measured_s)
    return found


def _simulate_in_ciw(until_s: float, seed: int) -> NDArray[Any]:
    """One record a visit of a customer who has left the network."""
    try:
        import ciw
    except ImportError as error:
        raise ConfigError(
            "ciw is not installed: the second opinion needs the development dependencies, pip install -e '.[dev]'"
        ) from error
    variance = math.log1p(CV_C * CV_C)
    service_c = ciw.dists.Lognormal(math.log(MEAN_C_S) - variance / 2.0, math.sqrt(variance))
    described = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(RATE_RPS), None, None],
        service_distributions=[ciw.dists.Exponential(1.0), ciw.dists.Exponential(1.0), service_c],
        number_of_servers=list(SERVERS),
        routing=[[0.0, FROM_A_TO_B, 1.0 - FROM_A_TO_B], [0.0, 0.0, FROM_B_TO_C], [0.0, 0.0, 0.0]],
    )
    ciw.seed(seed)
    simulation = ciw.Simulation(described)
    simulation.simulate_until_max_time(until_s)
    rows = [
        (record.id_number, record.node, record.arrival_date, record.service_start_date, record.exit_date)
        for customer in simulation.nodes[-1].all_individuals
        for record in customer.data_records
    ]
    fields = [("customer", "i8"), ("node", "i8"), ("arrived_s", "f8"), ("started_s", "f8"), ("left_s", "f8")]
    return np.array(rows, dtype=fields)


def _thin(values: NDArray[np.float64], elapsed_s: float) -> NDArray[np.float64]:
    """One of as many successive values as come in `SPACING_S`."""
    return values[:: math.ceil(len(values) * SPACING_S / elapsed_s)]


def compare(ours: Samples, theirs: Samples) -> dict[str, float]:
    """By quantity, the p-value of the two-sample test of Kolmogorov and Smirnov (conservative with the atom at 0)."""
    try:
        from scipy.stats import ks_2samp
    except ImportError as error:
        raise ConfigError("scipy is not installed: pip install -e '.[dev]'") from error
    return {name: float(ks_2samp(ours[name], theirs[name]).pvalue) for name in WHAT}


def draw(ours: Samples, theirs: Samples, p_values: Mapping[str, float]) -> Figure:
    """Both empirical distribution functions of every quantity."""
    figure = new_figure(10.0, 6.5)
    for axis, name in zip(figure.subplots(2, 2).flat, WHAT, strict=True):
        axis.ecdf(theirs[name], color=THEIRS, linewidth=3.0, alpha=0.5, label=f"Ciw, {len(theirs[name]):,}")
        axis.ecdf(ours[name], color=OURS, linewidth=1.0, label=f"streamflow_env, {len(ours[name]):,}")
        axis.set_title(f"{WHAT[name]} (p = {p_values[name]:.2g})", fontsize=11)
        axis.set_xlim(0.0, float(np.quantile(theirs[name], 0.995)))
        axis.set_ylim(0.0, 1.0)
        axis.set_xlabel("s")
        axis.grid(alpha=0.3)
        axis.legend(loc="lower right", fontsize=9)
    figure.suptitle("The same network in Ciw and here: share of independent observations of at most so long")
    return figure
