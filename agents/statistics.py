"""Means over episodes with bootstrap intervals, differences of policies on the same episodes, interquartile means.

The percentile bootstrap over episodes (Efron 1979), and the interquartile mean as "Deep Reinforcement Learning at the
Edge of the Statistical Precipice" (Agarwal et al. 2021) recommends it. Every function is pure and seeded.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamflow_env.errors import ConfigError

CONFIDENCE: Final = 0.95
NUM_RESAMPLES: Final = 2000

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Estimate:
    """A statistic of a sample with its interval [`low`, `high`]; one value alone has none, and NaN for both."""

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
    """`statistic` of `samples`, shape (num_episodes,), with its percentile bootstrap interval over episodes.

    Raises:
        ConfigError: no samples, not one axis, or a confidence outside (0, 1).
    """
    values = np.asarray(samples, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ConfigError(f"samples have shape {values.shape}, must be (num_episodes,) with at least one")
    if not 0 < confidence < 1:
        raise ConfigError(f"confidence {confidence}: must be between 0 and 1")
    if values.size == 1:
        return Estimate(float(statistic(values)), math.nan, math.nan)
    drawn = np.random.default_rng(seed).integers(values.size, size=(num_resamples, values.size))
    tail = (1.0 - confidence) / 2
    low, high = np.quantile(statistic(values[drawn]), [tail, 1.0 - tail])
    return Estimate(float(statistic(values)), float(low), float(high))


def paired_difference(
    samples: ArrayLike,
    reference: ArrayLike,
    statistic: Statistic = mean,
    *,
    confidence: float = CONFIDENCE,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """`statistic` of `samples - reference`, both shape (num_episodes,): element i of each is the same episode.

    Pairing takes the demand's own luck out of the interval. Raises ConfigError where the shapes differ.
    """
    mine, theirs = np.asarray(samples, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if mine.shape != theirs.shape:
        raise ConfigError(f"paired samples have shapes {mine.shape} and {theirs.shape}, must be the same")
    return estimate(mine - theirs, statistic, confidence=confidence, num_resamples=num_resamples, seed=seed)
