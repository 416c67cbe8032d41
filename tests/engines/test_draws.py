"""Draws: published vectors, exact quantiles, the distributions' moments, and numbers that know no order."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow_env.engines.draws import distributions, hashing
from streamflow_env.engines.draws.distributions import duration_code, duration_ns, normal_quantile, popular_key, to_ns
from streamflow_env.engines.draws.hashing import NUM_PURPOSES, REQUESTS, draw_index, raw, stream_key, uniform
from streamflow_env.engines.draws.sweeps import sweep_multiplier, sweep_position

SPLITMIX64 = {
    1234567: (
        6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821,
    ),
    0: (16294208416658607535, 7960286522194355700, 487617019471545679, 17909611376780542444, 1961750202426094747),
}  # fmt: skip
"""seed: first outputs; Vigna's splitmix64.c."""
UNIFORMS = st.floats(1e-12, 1 - 1e-12)


def key_of(seed: int, source: int, index: int) -> np.uint64:
    """A key, as the type that the kernels want: the JIT hands integers out as Python's."""
    return np.uint64(stream_key(seed, source, index))


@pytest.fixture(params=["jit", "python"])
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the JIT on, and with every function of the draws replaced by the Python that it was compiled from."""
    if request.param == "python":
        for module in (hashing, distributions):
            for name, function in list(vars(module).items()):
                if hasattr(function, "py_func"):
                    monkeypatch.setattr(module, name, function.py_func)
    return str(request.param)


@pytest.mark.parametrize("seed", SPLITMIX64)
def test_published_vectors_of_splitmix64(mode: str, seed: int) -> None:
    with np.errstate(over="ignore"):
        outputs = [int(hashing.raw(np.uint64(seed), n)) for n in range(5)]
    assert outputs == list(SPLITMIX64[seed])


def test_uniforms_are_the_top_bits(mode: str) -> None:
    with np.errstate(over="ignore"):
        u = hashing.uniform(np.uint64(1234567), 0)
    assert u == ((6457827717110365317 >> 12) + 0.5) / 2**52
    assert 0 < 0.5 * hashing._TO_UNIT < (2**52 - 0.5) * hashing._TO_UNIT < 1


def test_keys_and_variates_are_the_same_bits_with_the_jit_off() -> None:
    def sample() -> list[Any]:
        with np.errstate(over="ignore"):
            keys = [np.uint64(hashing.stream_key(7, source, index)) for source in range(4) for index in (0, 1, 2**38)]
            draws = [hashing.uniform(key, hashing.draw_index(9, 3, 17, 5)) for key in keys]
        codes = [(0.05, 1.0, "lognormal"), (0.05, 0.3, "lognormal"), (2.0, 1.0, "exponential"), (0.1, 0.0, "constant")]
        times = [distributions.duration_ns(u, *duration_code(*code), 1.7) for u in draws for code in codes]
        users = [distributions.popular_key(u, 125_000, exponent) for u in draws for exponent in (0.6, 1.0)]
        return [*map(int, keys), *draws, *times, *users]

    compiled = sample()
    with pytest.MonkeyPatch.context() as patch:
        for module in (hashing, distributions):
            for name, function in list(vars(module).items()):
                if hasattr(function, "py_func"):
                    patch.setattr(module, name, function.py_func)
        assert sample() == compiled


@pytest.mark.parametrize(
    ("p", "x"),
    [(0.5, 0.0), (0.975, 1.959963984540054), (0.99, 2.3263478740408408), (0.001, -3.090232306167813),
     (1e-9, -5.997807015007686), (0.8413447460685429, 1.0)],
)  # fmt: skip
def test_normal_quantiles_of_the_tables(p: float, x: float) -> None:
    assert normal_quantile(p) == pytest.approx(x, rel=1e-12, abs=1e-15)


@given(UNIFORMS)
def test_normal_quantile_is_the_inverse_of_the_distribution(p: float) -> None:
    x = normal_quantile(p)
    assert x == pytest.approx(NormalDist().inv_cdf(p), rel=1e-12, abs=1e-15)
    tail = 0.5 * math.erfc(abs(x) / math.sqrt(2))  # independent of any approximation of the inverse
    assert tail == pytest.approx(min(p, 1 - p), rel=1e-9)


@pytest.mark.parametrize("u", [2.0**-53, 1 - 2.0**-53])
@pytest.mark.parametrize("code", [(0.05, 1.2, "lognormal"), (0.05, 1.0, "exponential")])
def test_the_most_extreme_draws_give_finite_durations(u: float, code: tuple[float, float, str]) -> None:
    assert 0 <= duration_ns(u, *duration_code(*code), 8.0) < 10**12


@pytest.mark.parametrize(
    ("mean_s", "cv", "family", "expected_cv"),
    [(0.26, 1.2, "lognormal", 1.2), (0.05, 0.6, "lognormal", 0.6), (4.0, 0.1, "exponential", 1.0),
     (0.1, 0.7, "constant", 0.0), (0.1, 0.0, "lognormal", 0.0), (0.0, 0.6, "lognormal", 0.0)],
)  # fmt: skip
def test_means_and_coefficients_of_variation(mean_s: float, cv: float, family: str, expected_cv: float) -> None:
    number, factor = 200_000, 3.0
    code, key = duration_code(mean_s, cv, family), key_of(11, REQUESTS, 5)
    sample = np.array([duration_ns(uniform(key, n), *code, factor) for n in range(number)]) * 1e-9
    error = 5 * expected_cv / math.sqrt(number)  # five standard errors
    assert sample.mean() == pytest.approx(mean_s * factor, rel=error + 1e-9)
    assert sample.std() == pytest.approx(expected_cv * mean_s * factor, rel=0.05, abs=1e-9)


def test_uniforms_are_uniform_across_items_and_within_one() -> None:
    across = [uniform(key_of(3, REQUESTS, request), draw_index(7, 0, 2, 0)) for request in range(50_000)]
    key = key_of(3, REQUESTS, 9)
    within = [uniform(key, n) for n in range(50_000)]
    for sample in (np.array(across), np.array(within)):
        counts = np.histogram(sample, bins=100, range=(0, 1))[0]
        assert ((counts - 500) ** 2 / 500).sum() < 149  # chi-squared with 99 degrees of freedom, p = 0.001
        assert abs(np.corrcoef(sample[:-1], sample[1:])[0, 1]) < 0.02


@given(st.floats(0, 1e6))
def test_seconds_are_rounded_half_up(seconds: float) -> None:
    assert abs(to_ns(seconds) - seconds * 1e9) <= 0.5 + seconds * 1e-7
    assert [to_ns(x) for x in (0.4e-9, 0.5e-9, 1.4e-9, 1.0)] == [0, 1, 1, 10**9]


@given(UNIFORMS, UNIFORMS, st.sampled_from([(0.05, 1.2, "lognormal"), (4.0, 1.0, "exponential")]))
def test_a_variate_is_monotone_in_its_draw(a: float, b: float, code: tuple[float, float, str]) -> None:
    low, high = sorted((a, b))
    assert duration_ns(low, *duration_code(*code), 1.0) <= duration_ns(high, *duration_code(*code), 1.0)


@given(st.floats(2.0**-53, 1 - 2.0**-53), st.integers(1, 10**7), st.floats(0, 3) | st.just(1.0))
def test_a_popular_key_is_a_key(u: float, num_keys: int, exponent: float) -> None:
    assert 0 <= popular_key(u, num_keys, exponent) < num_keys


@pytest.mark.parametrize("exponent", [0.0, 0.6, 1.0, 1.4])
def test_popular_keys_follow_the_law(exponent: float) -> None:
    """p(k) ∝ ∫ from k + 1 to k + 2 of x^-exponent."""
    num_keys, number = 1000, 100_000
    edges = np.arange(1, num_keys + 2, dtype=float)
    integral = np.log(edges) if exponent == 1 else edges ** (1 - exponent) / (1 - exponent)
    expected = np.diff(integral) / (integral[-1] - integral[0])
    keys = [popular_key((n + 0.5) / number, num_keys, exponent) for n in range(number)]  # a stratified sample
    counts = np.bincount(keys, minlength=num_keys)
    assert np.abs(counts - number * expected).max() <= 1.01


@given(st.permutations(range(20)), st.integers(0, 2**40), st.integers(0, 2**38))
def test_draws_know_no_order(order: list[int], seed: int, request: int) -> None:
    key = key_of(seed, REQUESTS, request)
    straight = [uniform(key, n) for n in range(20)]
    assert {n: uniform(key, n) for n in order} == dict(enumerate(straight))


INDICES = st.tuples(st.integers(0, NUM_PURPOSES - 1), st.integers(0, 7), st.integers(0, 65535), st.integers(0, 1023))


@given(INDICES, INDICES)
def test_no_two_purposes_share_a_number(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    assert (draw_index(*a) == draw_index(*b)) == (a == b)


def test_sources_items_and_seeds_have_keys_of_their_own() -> None:
    keys = {stream_key(seed, source, index) for seed in range(10) for source in range(4) for index in range(250)}
    assert len(keys) == 10_000
    assert raw(key_of(1, 2, 3), 4) != raw(key_of(1, 2, 4), 3)


@given(st.integers(1, 3000))
def test_a_sweep_comes_to_every_key_once(num_keys: int) -> None:
    multiplier = sweep_multiplier(num_keys)
    assert sorted(sweep_position(key, multiplier, num_keys) for key in range(num_keys)) == list(range(num_keys))


def test_a_sweep_is_spread_over_popular_keys() -> None:
    """Of the thousand most popular keys about a tenth is in any tenth of the sweep."""
    multiplier = sweep_multiplier(125_000)
    positions = np.array([sweep_position(key, multiplier, 125_000) for key in range(1000)])
    assert np.histogram(positions, bins=10, range=(0, 125_000))[0] == pytest.approx(np.full(10, 100), abs=2)
