"""First attempts: their rate, their users, and that the stream does not depend on how it is handed out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streamflow_env.engines.draws.arrivals import SECOND_NS, Arrivals, is_premium, llm_benefit_of
from streamflow_env.system import Users

FEED, TITLE, INGEST = range(3)
INTERACTIVE = (True, True, False)
RATES = np.array([[20.0], [5.0], [2.0]])


def users(**changes: Any) -> Users:
    fields: dict[str, Any] = {
        "num_users": 50_000, "popularity_exponent": 0.0, "return_fraction": 0.0, "return_gap_s": 60.0,
        "lookback_s": 300, "premium_fraction": 0.2, "entry": "door", "network_s": 0.0, "deadline_s": 5.0,
        "retry_fraction": 0.0, "max_retries": 0, "think_time_s": 0.0,
    }  # fmt: skip
    return Users(**{**fields, **changes})


def stream(seed: int = 1, rates: Any = RATES, bin_s: float = 10.0, **changes: Any) -> Arrivals:
    return Arrivals(seed, np.array(rates), int(bin_s * SECOND_NS), INTERACTIVE, users(**changes))


def until(end_s: float, pieces: int = 1, **arguments: Any) -> NDArray[Any]:
    """The stream up to `end_s`, handed out in equal pieces."""
    source = stream(**arguments)
    ends = [round(end_s * SECOND_NS * (i + 1) / pieces) for i in range(pieces)]
    return np.concatenate([source.until(end).copy() for end in ends])


def test_first_attempts_come_in_order_and_are_numbered() -> None:
    came = until(100)
    assert (np.diff(came["sent_ns"]) >= 0).all()
    assert came["sent_ns"][-1] < 100 * SECOND_NS
    assert came["request"].tolist() == list(range(len(came)))


def test_the_rate_is_right_in_every_bin_and_goes_on_after_the_last() -> None:
    levels = [1.0, 8.0, 0.0, 0.2, 3.0]
    came = until(70, rates=RATES * levels)
    for second, level in ((0, 1.0), (10, 8.0), (20, 0.0), (30, 0.2), (40, 3.0), (50, 3.0), (60, 3.0)):
        here = came[(came["sent_ns"] >= second * SECOND_NS) & (came["sent_ns"] < (second + 10) * SECOND_NS)]
        expected = 10 * level * RATES.sum()
        assert abs(len(here) - expected) <= 5 * expected**0.5, second


def test_it_is_a_poisson_process_of_classes_in_proportion() -> None:
    came = until(2000)
    gaps = np.diff(came["sent_ns"]) * 1e-9
    assert gaps.mean() == pytest.approx(1 / 27, rel=0.02)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.02)
    assert np.bincount(came["class_"]) / 2000 == pytest.approx(RATES[:, 0], rel=0.05)


def test_a_class_comes_only_while_it_has_a_rate() -> None:
    came = until(40, rates=[[50.0, 0.0], [0.0, 50.0], [0.0, 0.0]], bin_s=20.0)
    early = came["sent_ns"] < 20 * SECOND_NS
    assert set(came["class_"][early]) == {FEED}
    assert set(came["class_"][~early]) == {TITLE}


def test_nobody_comes_where_all_rates_are_zero() -> None:
    assert len(until(1000, rates=RATES * 0)) == 0


def test_a_background_request_has_no_user() -> None:
    came = until(100)
    background = came["class_"] == INGEST
    assert set(came["user"][background]) == {-1}
    assert set(came["premium"][background]) == {0}
    assert came["user"][~background].min() >= 0
    assert came["user"].max() < 50_000


@pytest.mark.parametrize("fraction", [0.0, 0.2, 1.0])
def test_the_share_of_premium_users(fraction: float) -> None:
    came = until(1000, premium_fraction=fraction)
    interactive = came[came["class_"] != INGEST]
    assert interactive["premium"].mean() == pytest.approx(fraction, abs=0.02)
    by_user = {(int(a["user"]), int(a["premium"])) for a in interactive}
    assert len(by_user) == len({user for user, _ in by_user}), "the priority is the user's own"


def test_users_return() -> None:
    """With 50,000 users drawn alike, a user who was here in the last minutes is one who returns."""
    shares = {}
    for fraction in (0.0, 0.5, 0.9):
        came = until(900, return_fraction=fraction, return_gap_s=30.0)
        interactive = came[came["class_"] != INGEST]
        last: dict[int, int] = {}
        gaps = []
        for user, sent_ns in zip(interactive["user"].tolist(), interactive["sent_ns"].tolist(), strict=True):
            if user in last:
                gaps.append((sent_ns - last[user]) * 1e-9)
            last[user] = sent_ns
        shares[fraction] = np.mean(np.array(gaps) < 200) * len(gaps) / len(interactive)
        if fraction == 0.5:
            assert 15 < np.median(gaps) < 40  # the median of exp(30 s) is 21 s; others return by chance, later
    assert shares[0.0] < 0.12
    assert 0.4 < shares[0.5] < 0.6
    assert shares[0.9] > 0.8


def test_history_returns_first() -> None:
    recent = (np.full(300, 77, np.int32), np.arange(-300, 0))
    population = users(return_fraction=1.0, return_gap_s=100.0)
    came = Arrivals(3, RATES, SECOND_NS, INTERACTIVE, population, recent).until(SECOND_NS)
    interactive = came[came["class_"] != INGEST]
    assert (interactive["user"] == 77).mean() > 0.8


def test_seeds_differ() -> None:
    assert not np.array_equal(until(10), until(10, seed=2))


@given(
    st.lists(st.floats(0.001, 30), min_size=1, max_size=12),
    st.integers(0, 1000),
    st.lists(st.floats(0, 4), min_size=1, max_size=5),
)
@settings(max_examples=25)
def test_the_stream_does_not_depend_on_how_it_is_handed_out(
    steps_s: list[float], seed: int, levels: list[float]
) -> None:
    arguments: dict[str, Any] = {"seed": seed, "rates": RATES * levels, "bin_s": 7.0, "return_fraction": 0.7}
    ends = np.cumsum([round(step * SECOND_NS) for step in steps_s]).tolist()
    whole = stream(**arguments).until(ends[-1]).copy()
    source = stream(**arguments)
    pieces = [source.until(end).copy() for end in ends]
    assert np.array_equal(np.concatenate(pieces), whole)


def test_asking_again_or_for_less_gives_nothing() -> None:
    source = stream()
    assert len(source.until(10 * SECOND_NS)) > 0
    assert len(source.until(10 * SECOND_NS)) == len(source.until(-SECOND_NS)) == 0


@pytest.mark.parametrize("lookback_s", [5, 30, 300])
def test_a_buffer_that_grows_does_not_change_the_stream(lookback_s: int) -> None:
    """Nor does it matter how many first attempts one interval has: the ring of recent users keeps what it must."""
    arguments: dict[str, Any] = {"rates": RATES * 40, "return_fraction": 0.9, "return_gap_s": 30.0}
    arguments["lookback_s"] = lookback_s
    in_pieces, at_once = until(60, pieces=240, **arguments), until(60, pieces=1, **arguments)
    assert len(at_once) > 3 * 4096
    assert np.array_equal(in_pieces, at_once)


def test_benefits_are_uniform_and_no_matter_of_priority() -> None:
    """The need of a user depends on the seed and the user alone, that of a background request on the request."""
    needs = np.array([llm_benefit_of(3, user, 0) for user in range(20_000)])
    premium = np.array([is_premium(3, user, 0.5) for user in range(20_000)])
    counts = np.histogram(needs, bins=20, range=(0, 1))[0]
    assert ((counts - 1000) ** 2 / 1000).sum() < 43.8  # chi-squared with 19 degrees of freedom, p = 0.001
    assert abs(np.corrcoef(needs, premium)[0, 1]) < 0.025
    assert llm_benefit_of(3, 7, 1) == llm_benefit_of(3, 7, 2) == needs[7] != llm_benefit_of(4, 7, 1)
    assert len({llm_benefit_of(3, -1, request) for request in range(100)}) == 100
