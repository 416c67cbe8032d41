"""Queueing theory's closed forms. Rates in 1/s, times in s, loads in Erlang, everything in its steady state.

Sources: Kleinrock, Queueing Systems, volume 1 (1975) and 2 (1976); Gross and Harris, Fundamentals of Queueing Theory.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def mm1_mean_sojourn_s(arrival_rate_rps: float, service_rate_rps: float) -> float:
    """M/M/1: W = 1 / (μ - λ). (Kleinrock 1, eq. 3.26)"""
    _check_below_one(arrival_rate_rps / service_rate_rps)
    return 1.0 / (service_rate_rps - arrival_rate_rps)


def mm1_sojourn_quantile_s(arrival_rate_rps: float, service_rate_rps: float, fraction: float) -> float:
    """M/M/1 FIFO: the sojourn time is exponential, so its quantile is -ln(1 - q) · W. (Kleinrock 1, eq. 5.118)"""
    return -math.log1p(-fraction) * mm1_mean_sojourn_s(arrival_rate_rps, service_rate_rps)


def erlang_b(servers: int, offered_load: float) -> float:
    """Share of calls that M/G/c/c loses: B(0) = 1, B(n) = a·B(n-1) / (n + a·B(n-1)). (Erlang 1917)"""
    blocking = 1.0
    for n in range(1, servers + 1):
        blocking = offered_load * blocking / (n + offered_load * blocking)
    return blocking


def erlang_c(servers: int, offered_load: float) -> float:
    """Probability that a request of M/M/c waits: B / (1 - ρ·(1 - B)), ρ = a / c. (Erlang 1917)"""
    utilisation = offered_load / servers
    _check_below_one(utilisation)
    blocking = erlang_b(servers, offered_load)
    return blocking / (1.0 - utilisation * (1.0 - blocking))


def mmc_mean_wait_s(arrival_rate_rps: float, service_rate_rps: float, servers: int) -> float:
    """M/M/c: mean time in the queue, C / (c·μ - λ)."""
    waits = erlang_c(servers, arrival_rate_rps / service_rate_rps)
    return waits / (servers * service_rate_rps - arrival_rate_rps)


def mmc_wait_quantile_s(arrival_rate_rps: float, service_rate_rps: float, servers: int, fraction: float) -> float:
    """M/M/c FIFO: P(wait > t) = C · exp(-(c·μ - λ)·t); 0 where fewer than 1 - q wait. (Gross and Harris)"""
    waits = erlang_c(servers, arrival_rate_rps / service_rate_rps)
    return max(0.0, math.log(waits / (1.0 - fraction))) / (servers * service_rate_rps - arrival_rate_rps)


def mmck_probabilities(servers: int, capacity: int, offered_load: float) -> NDArray[np.float64]:
    """M/M/c/K: P(n in the system), n = 0, 1, … K; p(n) = p(n-1) · a / min(n, c). (Kleinrock 1, section 3.5)"""
    ratios = offered_load / np.minimum(np.arange(1, capacity + 1), servers)
    weights = np.concatenate(([1.0], np.cumprod(ratios)))
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def mmck_blocking(servers: int, capacity: int, offered_load: float) -> float:
    """M/M/c/K: share of requests that find it full: p(K), as Poisson arrivals see time averages."""
    return float(mmck_probabilities(servers, capacity, offered_load)[-1])


def mmck_mean_number(servers: int, capacity: int, offered_load: float) -> float:
    """M/M/c/K: mean number in the system, L = Σ n·p(n)."""
    probabilities = mmck_probabilities(servers, capacity, offered_load)
    return float(np.arange(capacity + 1) @ probabilities)


def mg1_mean_wait_s(arrival_rate_rps: float, mean_s: float, cv: float) -> float:
    """M/G/1: mean time in the queue, ρ/(1-ρ) · (1+CV²)/2 · E[S]. (Pollaczek 1930, Khinchine 1932)"""
    utilisation = arrival_rate_rps * mean_s
    _check_below_one(utilisation)
    return utilisation / (1.0 - utilisation) * (1.0 + cv * cv) / 2.0 * mean_s


def cobham_mean_waits_s(
    arrival_rates_rps: Sequence[float], means_s: Sequence[float], cvs: Sequence[float]
) -> tuple[float, ...]:
    """Nonpreemptive M/G/1, the first class before the others: W_k = W0 / ((1 - σ_(k-1)) · (1 - σ_k)).

    W0 = Σ λ·E[S²]/2 is the work that an arrival finds in service, σ_k the utilisation by classes 1 to k. (Cobham 1954)
    """
    classes = list(zip(arrival_rates_rps, means_s, cvs, strict=True))
    residual_s = sum(rate * (1.0 + cv * cv) * mean_s * mean_s / 2.0 for rate, mean_s, cv in classes)
    up_to = np.concatenate(([0.0], np.cumsum([rate * mean_s for rate, mean_s, _ in classes])))
    _check_below_one(float(up_to[-1]))
    return tuple(float(residual_s / ((1.0 - above) * (1.0 - own))) for above, own in itertools.pairwise(up_to))


def jackson_rates_rps(external_rps: Sequence[float], routing: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Open network: what comes to each node, λ = γ + λ·P; `routing[i][j]` is the share of i's that go on to j."""
    transposed = np.asarray(routing, dtype=np.float64).T
    return tuple(float(rate) for rate in np.linalg.solve(np.eye(len(transposed)) - transposed, external_rps))


def jackson_mean_response_s(
    route: Sequence[int], rates_rps: Sequence[float], service_rates_rps: Sequence[float], servers: Sequence[int]
) -> float:
    """Open network of FIFO M/M/c nodes: mean time along `route`, the sum of each visited node's wait and service.

    By the product form every node is an M/M/c at the rate of all that comes to it; with one route through every node
    once it is a tandem. (Burke 1956; Jackson 1957; with routes by class Kelly 1975)
    """
    return sum(
        mmc_mean_wait_s(rates_rps[node], service_rates_rps[node], servers[node]) + 1.0 / service_rates_rps[node]
        for node in route
    )


def token_bucket_bound(burst: float, rate_rps: float, window_s: float) -> float:
    """The most that a token bucket accepts in any window: b + r·t. (Cruz 1991)"""
    return burst + rate_rps * window_s


def _check_below_one(utilisation: float) -> None:
    if not 0.0 <= utilisation < 1.0:
        raise ValueError(f"utilisation {utilisation}: must be in [0, 1), or there is no steady state")
