from __future__ import annotations

import numpy as np
import pytest

from streamflow_agents.evaluation.statistics import (
    estimate,
    expanded_tail,
    interquartile_mean,
    mean,
    paired_difference,
    paired_ratio,
    student_quantile,
)
from streamflow_env.errors import ConfigError


def test_the_mean_lies_in_its_interval_which_narrows_with_more_samples() -> None:
    rng = np.random.default_rng(1)
    few, many = estimate(rng.normal(5, 1, 10)), estimate(rng.normal(5, 1, 1000))
    for found in (few, many):
        assert found.low < found.value < found.high
    assert many.high - many.low < few.high - few.low
    assert many.high - many.low == pytest.approx(2 * 1.96 / np.sqrt(1000), rel=0.1)


def test_the_interval_covers_the_truth_as_often_as_it_should() -> None:
    rng = np.random.default_rng(2)
    found = [estimate(rng.exponential(1.0, 40), num_resamples=400, seed=i) for i in range(300)]
    covered = np.mean([e.low <= 1.0 <= e.high for e in found])
    assert 0.88 <= covered <= 0.98


@pytest.mark.parametrize(("num_episodes", "band"), [(5, (0.89, 0.94)), (10, (0.92, 0.97))])
def test_few_samples_are_covered_too(num_episodes: int, band: tuple[float, float]) -> None:
    """91 % and 94 % of the time, not the plain percentile interval's 84 % and 90 %; 1000 samples tell within 2 %."""
    rng = np.random.default_rng(4)
    found = [estimate(rng.normal(3.0, 2.0, num_episodes), num_resamples=2000, seed=i) for i in range(1000)]
    assert band[0] <= np.mean([e.low <= 3.0 <= e.high for e in found]) <= band[1]


def test_scenarios_are_resampled_each_by_itself() -> None:
    """Scenarios that differ by a lot do not widen the interval; the mean is covered as often as it should be."""
    rng = np.random.default_rng(5)
    truths = np.array([[-500.0], [0.0], [80.0]])
    found = [estimate(truths + rng.normal(0.0, [[1], [2], [3]], (3, 5)), num_resamples=1000) for _ in range(300)]
    assert 0.91 <= np.mean([e.low <= -140.0 <= e.high for e in found]) <= 0.99
    assert np.mean([e.high - e.low for e in found]) < 5
    assert estimate([[1.0, 3.0], [10.0, 20.0]]).value == 8.5
    assert np.isnan(estimate([[1.0], [2.0]]).low)


@pytest.mark.parametrize(
    ("degrees", "quantile"), [(1, 12.7062), (2, 4.3027), (4, 2.7764), (9, 2.2622), (30, 2.0423), (1001, 1.9623)]
)
def test_students_quantiles_are_those_of_the_tables(degrees: int, quantile: float) -> None:
    assert student_quantile(0.95, degrees) == pytest.approx(quantile, abs=1e-4)


def test_the_tails_are_expanded() -> None:
    assert expanded_tail(0.95, 5 / 4, 4) == pytest.approx(0.00095, abs=1e-5)
    assert expanded_tail(0.95, 1.00001, 99_999) == pytest.approx(0.025, abs=1e-5)


def test_same_seed_same_interval() -> None:
    samples = np.arange(20.0)
    assert estimate(samples, seed=3) == estimate(samples, seed=3)
    assert estimate(samples, seed=3) != estimate(samples, seed=4)


def test_one_sample_has_no_interval() -> None:
    found = estimate([2.5])
    assert found.value == 2.5
    assert np.isnan([found.low, found.high]).all()
    assert not found.excludes_zero


def test_pairing_sees_what_two_intervals_cannot() -> None:
    noise = np.random.default_rng(5).normal(0, 100, 20)
    better = noise + 1.0 + np.random.default_rng(6).normal(0, 0.5, 20)
    difference = paired_difference(better, noise)
    assert difference.excludes_zero
    assert difference.value == pytest.approx(1.0, abs=0.4)
    assert estimate(better).low < estimate(noise).high


def trained(rng: np.random.Generator, num_runs: int, mean: float) -> np.ndarray:
    """Returns of a learner's runs on 2 scenarios of 20 episodes: noise of the training, the episode and of both."""
    noise = (
        rng.normal(0, 2.0, (num_runs, 1, 1)) + rng.normal(0, 1.0, (1, 2, 20)) + rng.normal(0, 1.0, (num_runs, 2, 20))
    )
    return np.asarray(mean + np.array([[0.0], [50.0]]) + noise)


def test_the_interval_of_several_runs_is_one_for_another_training() -> None:
    """Of five: 94 % of the intervals hold the truth; of those over episodes alone, of the runs' mean, 30 %."""
    rng = np.random.default_rng(7)
    samples = [trained(rng, 5, -25.0) for _ in range(200)]
    found = [estimate(one, num_resamples=1000) for one in samples]
    alone = [estimate(one.mean(axis=0), num_resamples=1000) for one in samples]
    assert 0.89 <= np.mean([e.low <= 0.0 <= e.high for e in found]) <= 0.98
    assert np.mean([e.low <= 0.0 <= e.high for e in alone]) < 0.6
    assert found[0].value == pytest.approx(alone[0].value)


def test_the_difference_of_learners_has_the_variance_of_both_trainings() -> None:
    rng = np.random.default_rng(8)
    pairs = [(trained(rng, 5, 1.0), trained(rng, 3, 0.0)) for _ in range(150)]
    found = [paired_difference(*pair, num_resamples=1000) for pair in pairs]
    assert 0.9 <= np.mean([e.low <= 1.0 <= e.high for e in found]) <= 0.99
    assert found[0].value == pytest.approx(pairs[0][0].mean() - pairs[0][1].mean())
    rule = pairs[0][1][0]
    assert paired_difference(pairs[0][0], rule).value == pytest.approx(-paired_difference(rule, pairs[0][0]).value)


def test_runs_that_are_alike_add_nothing() -> None:
    rule = np.random.default_rng(9).normal(0, 1, (2, 30))
    once, thrice = estimate(rule), estimate(np.stack([rule] * 3))
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high), abs=1e-9)


def test_interquartile_mean() -> None:
    assert interquartile_mean([0.0, 1.0, 2.0, 1000.0]) == pytest.approx(1.5)
    assert interquartile_mean([7.0]) == pytest.approx(7.0)
    # five values: the middle half is 2.5 of them, 0.75 + 1 + 0.75
    assert interquartile_mean([-99.0, 1.0, 2.0, 6.0, 99.0]) == pytest.approx((0.75 * 1 + 2 + 0.75 * 6) / 2.5)
    assert interquartile_mean(np.ones((3, 8))).shape == (3,)


def test_an_estimate_of_another_statistic() -> None:
    samples = np.r_[np.ones(19), 1000.0]
    assert estimate(samples, interquartile_mean).value == pytest.approx(1.0)
    assert estimate(samples, mean).value > 50


@pytest.mark.parametrize("samples", [[], [[]], [[[[1.0, 2.0]]]], 1.0])
def test_samples_must_be_of_episodes(samples: list[float]) -> None:
    with pytest.raises(ConfigError, match="num_episodes"):
        estimate(samples)


def test_pairs_must_match() -> None:
    with pytest.raises(ConfigError, match="the same episodes"):
        paired_difference([1.0, 2.0], [1.0])
    with pytest.raises(ConfigError, match="confidence"):
        estimate([1.0, 2.0], confidence=1.0)


def test_a_ratio_is_that_of_the_means_and_a_multiple_has_no_width() -> None:
    below = np.array([[1.0, 2.0, 3.0, 4.0], [5.0, 5.0, 6.0, 8.0]])
    above = below * 0.5 + [[0.3, -0.1, 0.2, 0.4], [0.1, 0.0, -0.2, 0.3]]
    found = paired_ratio(above, below)
    assert found.value == pytest.approx(above.mean() / below.mean())
    assert found.low < found.value < found.high
    for factor in (0.0, 1.0):
        exact = paired_ratio(factor * below, below)
        assert (exact.value, exact.low, exact.high) == (factor, factor, factor)
    assert paired_ratio(above, below) == found


def test_a_ratio_s_interval_covers_the_truth_and_pairing_narrows_it() -> None:
    rng = np.random.default_rng(6)
    covered, widths = [], []
    for _ in range(300):
        below = rng.gamma(4.0, 1.0, (2, 12))
        found = paired_ratio(0.7 * below + rng.normal(0.0, 0.5, below.shape), below, num_resamples=800)
        covered.append(found.low <= 0.7 <= found.high)
        widths.append(found.high - found.low)
    assert 0.91 <= np.mean(covered) <= 0.98
    assert np.mean(widths) == pytest.approx(2 * 1.96 * 0.5 / np.sqrt(24) / 4.0, rel=0.2)


def test_a_ratio_needs_something_below() -> None:
    assert np.isnan(paired_ratio([1.0, 2.0], [-1.0, 0.5]).value)
    unsure = paired_ratio([1.0, 2.0, 2.0], [-1.0, 0.5, 4.0])
    assert unsure.value == pytest.approx(5.0 / 3.5)
    assert np.isnan([unsure.low, unsure.high]).all()
    one = paired_ratio([[1.0], [2.0]], [[2.0], [4.0]])
    assert one.value == 0.5
    assert np.isnan(one.low)
    with pytest.raises(ConfigError, match=r"shapes .*must be of the same episodes, below of one run"):
        paired_ratio([1.0, 2.0], [1.0, 2.0, 3.0])


def test_several_runs_widen_a_ratio() -> None:
    rng = np.random.default_rng(7)
    below = rng.gamma(9.0, 1.0, (3, 20))
    runs = np.stack([factor * below for factor in (0.2, 0.5, 0.8)])
    found = paired_ratio(runs, below)
    assert found.value == pytest.approx(0.5)
    assert found.low < 0.3
    assert found.high > 0.7
