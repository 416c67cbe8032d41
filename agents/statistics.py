"""Means over episodes with bootstrap intervals, differences of policies on the same episodes, interquartile means.

The bootstrap over episodes (Efron 1979), its percentile interval expanded for small samples (Hesterberg 2015);
stratified by scenario, and with the interquartile mean, as "Deep Reinforcement Learning at the Edge of the Statistical
Precipice" (Agarwal et al. 2021) recommends. Every function is pure and seeded.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamflow_env.errors import ConfigError

CONFIDENCE: Final = 0.95
NUM_RESAMPLES: Final = 5000
"""Enough for the expanded tails: at 5 episodes they hold 0.1 % of the resamples each."""

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Estimate:
    """A statistic of a sample with its interval [`low`, `high`]; one value alone has none: NaN for both."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of 0."""
        return self.low > 0 or self.high < 0


def mean(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean along the last axis."""
    return np.asarray(np.mean(samples, axis=-1), dtype=np.float64)


def interquartile_mean(samples: ArrayLike) -> NDArray[np.float64]:
    """The mean of the middle half along the last axis; values on the border of it count in part."""
    ordered = np.sort(np.asarray(samples, dtype=np.float64), axis=-1)
    count = ordered.shape[-1]
    borders = np.arange(count + 1) / count
    weights = np.clip(np.minimum(borders[1:], 0.75) - np.maximum(borders[:-1], 0.25), 0.0, None)
    return np.asarray(np.sum(ordered * weights, axis=-1) / weights.sum(), dtype=np.float64)


def estimate(
    samples: ArrayLike,
    statistic: Statistic = mean,
    *,
    confidence: float = CONFIDENCE,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """`statistic` of `samples` with its bootstrap interval over episodes.

    Samples of several scenarios are resampled within each scenario; the estimate is then the mean over scenarios.

    Args:
        samples: shape (num_episodes,), or (num_scenarios, num_episodes).

    Raises:
        ConfigError: no samples, another shape, or a confidence outside (0, 1).
    """
    values = np.atleast_2d(np.asarray(samples, dtype=np.float64))
    if values.ndim != 2 or values.size == 0:
        shape = np.shape(samples)
        raise ConfigError(f"samples have shape {shape}, must be ([num_scenarios,] num_episodes) with at least one")
    if not 0 < confidence < 1:
        raise ConfigError(f"confidence {confidence}: must be between 0 and 1")
    found = float(statistic(values).mean())
    if values.shape[1] == 1:
        return Estimate(found, math.nan, math.nan)
    drawn = np.random.default_rng(seed).integers(values.shape[1], size=(num_resamples, *values.shape))
    resampled = statistic(np.take_along_axis(values[np.newaxis], drawn, axis=-1)).mean(axis=-1)
    tail = expanded_tail(confidence, values.shape[1], _degrees_of_freedom(values))
    low, high = np.quantile(resampled, [tail, 1.0 - tail])
    return Estimate(found, float(low), float(high))


def paired_difference(
    samples: ArrayLike,
    reference: ArrayLike,
    statistic: Statistic = mean,
    *,
    confidence: float = CONFIDENCE,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """`estimate` of `samples - reference`, of the same shape: an element of each is the same episode.

    Pairing takes the demand's own luck out of the interval. Raises ConfigError where the shapes differ.
    """
    mine, theirs = np.asarray(samples, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if mine.shape != theirs.shape:
        raise ConfigError(f"paired samples have shapes {mine.shape} and {theirs.shape}, must be the same")
    return estimate(mine - theirs, statistic, confidence=confidence, num_resamples=num_resamples, seed=seed)


def expanded_tail(confidence: float, num_episodes: int, degrees_of_freedom: int) -> float:
    """What share of the resamples lies beyond each end of the expanded percentile interval.

    The percentile interval of n values is too narrow: by sqrt((n - 1) / n), for resamples vary about the sample's mean,
    and as a normal interval is where Student's is due. Φ(-sqrt(n / (n - 1)) t), with t the quantile that belongs to
    `confidence`, makes up for both: T. C. Hesterberg, "What Teachers Should Know About the Bootstrap", The American
    Statistician 69 (2015), section 5.3. At n = 5 and 95 % it is 0.1 % rather than 2.5 %. The interval of a mean of
    normal values then covers it 91 % of the time at n = 5 (the percentile interval: 84 %) and 94 % at n = 10 (90 %).
    """
    widened = math.sqrt(num_episodes / (num_episodes - 1)) * student_quantile(confidence, degrees_of_freedom)
    return NormalDist().cdf(-widened)


@cache
def student_quantile(confidence: float, degrees_of_freedom: int) -> float:
    """The t that Student's distribution lies within [-t, t] of with probability `confidence`, by bisection."""
    low, high = 0.0, math.pi / 2
    for _ in range(50):
        angle = (low + high) / 2
        low, high = (angle, high) if _within(angle, degrees_of_freedom) < confidence else (low, angle)
    return math.sqrt(degrees_of_freedom) * math.tan(low)


def _within(angle: float, degrees_of_freedom: int) -> float:
    """P(|T| <= sqrt(degrees_of_freedom) tan(angle)): Abramowitz and Stegun 1964, 26.7.3 and 26.7.4."""
    odd = degrees_of_freedom % 2
    term = total = math.cos(angle) ** odd if degrees_of_freedom > 1 else 0.0
    for power in range(2 + odd, degrees_of_freedom - 1, 2):
        term *= (power - 1) / power * math.cos(angle) ** 2
        total += term
    total *= math.sin(angle)
    return 2 / math.pi * (angle + total) if odd else total


def _degrees_of_freedom(values: NDArray[np.float64]) -> int:
    """Of the mean over scenarios, rounded down (Welch 1947, Satterthwaite 1946); n - 1 for a single one."""
    num_scenarios, num_episodes = values.shape
    variances = np.var(values, axis=-1)
    if not variances.any():
        return num_scenarios * (num_episodes - 1)
    shares = variances / variances.sum()
    return math.floor((num_episodes - 1) / float(np.sum(shares**2)) + 1e-9)
