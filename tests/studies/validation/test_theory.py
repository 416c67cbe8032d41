"""The formulas against the numbers of the literature, to their last digit."""

from __future__ import annotations

import pytest

from studies.validation import theory

LAST_DIGIT = 0.5e-6


def test_mm1() -> None:
    assert theory.mm1_mean_sojourn_s(0.8, 1.0) == pytest.approx(5.0, rel=1e-12)
    assert theory.mm1_sojourn_quantile_s(0.8, 1.0, 0.99) == pytest.approx(23.03, abs=0.005)


@pytest.mark.parametrize(("servers", "load", "blocking"), [(10, 8, 0.121661), (50, 45, 0.054104), (100, 100, 0.075700)])
def test_erlang_b(servers: int, load: float, blocking: float) -> None:
    assert theory.erlang_b(servers, load) == pytest.approx(blocking, abs=LAST_DIGIT)


@pytest.mark.parametrize(
    ("servers", "utilisation", "waits", "wait_s"),
    [(2, 0.8, 0.711111, 1.777778), (10, 0.8, 0.409180, 0.204590), (50, 0.9, 0.363864, 0.072773),
     (100, 0.95, 0.506457, 0.101291)],
)  # fmt: skip
def test_erlang_c_and_the_mean_wait(servers: int, utilisation: float, waits: float, wait_s: float) -> None:
    load = servers * utilisation
    assert theory.erlang_c(servers, load) == pytest.approx(waits, abs=LAST_DIGIT)
    assert theory.mmc_mean_wait_s(load, 1.0, servers) == pytest.approx(wait_s, abs=LAST_DIGIT)


def test_quantiles_of_the_wait() -> None:
    """With one server P(wait > t) = ρ·exp(-(μ-λ)·t): ln(80) / 0.2 at ρ = .8; and 0 where the queue is short enough."""
    assert theory.mmc_wait_quantile_s(0.8, 1.0, 1, 0.99) == pytest.approx(21.910, abs=0.0005)
    waits = theory.erlang_c(10, 8.0)
    assert theory.mmc_wait_quantile_s(8.0, 1.0, 10, 1.0 - waits) == pytest.approx(0.0, abs=1e-12)
    assert theory.mmc_wait_quantile_s(8.0, 1.0, 10, 0.5) == 0.0


@pytest.mark.parametrize(
    ("servers", "capacity", "load", "blocking", "number"),
    [(1, 10, 1.2, 0.192586, 6.7107), (4, 20, 4, 0.052033, 10.8683)],
)
def test_mmck(servers: int, capacity: int, load: float, blocking: float, number: float) -> None:
    assert theory.mmck_blocking(servers, capacity, load) == pytest.approx(blocking, abs=LAST_DIGIT)
    assert theory.mmck_mean_number(servers, capacity, load) == pytest.approx(number, abs=0.5e-4)
    assert theory.mmck_blocking(servers, servers, load) == pytest.approx(theory.erlang_b(servers, load), rel=1e-12)


def test_cobham() -> None:
    assert theory.cobham_mean_waits_s((0.3, 0.5), (1.0, 1.0), (1.0, 1.0)) == pytest.approx(
        (1.142857, 5.714286), abs=LAST_DIGIT
    )


@pytest.mark.parametrize(("cv", "wait_s"), [(0.0, 2.0), (1.0, 4.0), (2.0, 10.0)])
def test_pollaczek_khinchine(cv: float, wait_s: float) -> None:
    """ρ = .8: 4 · (1 + CV²) / 2; one class of Cobham's is the same."""
    assert theory.mg1_mean_wait_s(0.8, 1.0, cv) == pytest.approx(wait_s, rel=1e-12)
    assert theory.cobham_mean_waits_s((0.8,), (1.0,), (cv,)) == pytest.approx((wait_s,), rel=1e-12)


def test_networks() -> None:
    """A tandem of three M/M/1; and a node to which half of what it served comes back: at twice the rate, twice."""
    assert theory.jackson_mean_response_s((0, 1, 2), (0.5,) * 3, (1.0,) * 3, (1,) * 3) == pytest.approx(6.0, rel=1e-12)
    assert theory.jackson_rates_rps((0.3, 0.1), ((0.5, 0.5), (0.0, 0.0))) == pytest.approx((0.6, 0.4), rel=1e-12)


def test_token_bucket() -> None:
    assert theory.token_bucket_bound(20.0, 10.0, 3.0) == 50.0


def test_where_there_is_no_steady_state() -> None:
    with pytest.raises(ValueError, match=r"utilisation 1\.2: must be in \[0, 1\)"):
        theory.mm1_mean_sojourn_s(1.2, 1.0)
