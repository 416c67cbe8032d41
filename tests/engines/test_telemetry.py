"""Telemetry: the histogram's stated error, its ends, and differences that miss nothing."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from streamflow_env.engines.telemetry import (
    ANSWER,
    CALL,
    CLASS,
    NUM_BUCKETS,
    PERCENTILE_ERROR,
    SERVICE,
    VISIT,
    Telemetry,
    bucket,
    bucket_middle_s,
    percentile_s,
)

SHORTEST, LONGEST = 2**17, 2**38  # the range of the histogram in ns: 131 µs to 275 s

interpreted: Any = getattr(bucket, "py_func")  # noqa: B009 - its decorator is typed as if it were the function


def histogram_of(durations_ns: list[int]) -> NDArray[np.int32]:
    histogram = np.zeros(NUM_BUCKETS, dtype=np.int32)
    for duration in durations_ns:
        histogram[bucket(duration)] += 1
    return histogram


@given(st.integers(SHORTEST, LONGEST - 1))
def test_a_bucket_is_within_the_stated_error(duration_ns: int) -> None:
    index = bucket(duration_ns)
    assert 0 <= index < NUM_BUCKETS
    assert abs(bucket_middle_s(np.array(index)) * 1e9 - duration_ns) <= PERCENTILE_ERROR * duration_ns
    assert interpreted(duration_ns) == index


@given(st.integers(0, 2**45), st.integers(0, 2**45))
def test_buckets_are_monotone(a: int, b: int) -> None:
    assert (a <= b) <= (bucket(a) <= bucket(b))


@pytest.mark.parametrize(
    ("duration_ns", "index"),
    [
        (0, 0),
        (1, 0),
        (SHORTEST - 1, 0),
        (SHORTEST, 0),
        (SHORTEST + SHORTEST // 32 - 1, 0),
        (SHORTEST + SHORTEST // 32, 1),
        (2 * SHORTEST - 1, 31),
        (2 * SHORTEST, 32),
        (LONGEST - 1, NUM_BUCKETS - 1),
        (LONGEST, NUM_BUCKETS - 1),
        (2**60, NUM_BUCKETS - 1),
    ],
)
def test_edges(duration_ns: int, index: int) -> None:
    assert bucket(duration_ns) == interpreted(duration_ns) == index


@given(st.lists(st.integers(SHORTEST, LONGEST - 1), min_size=1, max_size=60), st.floats(0, 1))
def test_percentiles_are_within_the_stated_error(durations_ns: list[int], fraction: float) -> None:
    rank = max(1, math.ceil(fraction * len(durations_ns)))
    exact_s = sorted(durations_ns)[rank - 1] * 1e-9
    assert percentile_s(histogram_of(durations_ns), fraction) == pytest.approx(exact_s, rel=PERCENTILE_ERROR)


@pytest.mark.parametrize("fraction", [0.0, 0.5, 0.99, 1.0])
def test_a_percentile_of_nothing_is_zero(fraction: float) -> None:
    assert percentile_s(np.zeros(NUM_BUCKETS, dtype=np.int32), fraction) == 0.0


def test_ranks() -> None:
    second, minute = 10**9, 60 * 10**9
    histogram = histogram_of([second] * 95 + [minute] * 5)
    assert percentile_s(histogram, 0.95) == pytest.approx(1.0, rel=PERCENTILE_ERROR)
    assert percentile_s(histogram, 0.951) == pytest.approx(60.0, rel=PERCENTILE_ERROR)


def telemetry() -> Telemetry:
    return Telemetry(
        0,
        15 * 10**9,
        np.zeros(3, SERVICE),
        np.zeros((2, 2), CLASS),
        np.zeros(1, CALL),
        np.zeros((3, NUM_BUCKETS), np.int32),
        np.zeros((2, 2, NUM_BUCKETS), np.int32),
        np.zeros(4),
        np.zeros(2, VISIT),
        np.zeros(2, ANSWER),
    )


def test_equal_telemetry_has_no_differences() -> None:
    assert telemetry().differences(telemetry()) == []
    assert telemetry().equals(telemetry())
    assert telemetry().interval_s == pytest.approx(15.0)


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Telemetry)])
def test_every_part_can_differ(name: str) -> None:
    """A difference of one in one place of one field, whichever it is, is found and named."""
    value: Any = getattr(telemetry(), name)
    if isinstance(value, int):
        later: dict[str, Any] = {name: value + 1}
        assert telemetry().differences(dataclasses.replace(telemetry(), **later)) == [name]
        return
    for key in value.dtype.names or (None,):
        changed = value.copy()
        (changed if key is None else changed[key]).flat[-1] += 1
        other = dataclasses.replace(telemetry(), **{name: changed})
        found = telemetry().differences(other)
        assert len(found) == 1
        assert found[0].startswith(f"{name}.{key}: " if name in ("services", "classes", "calls") else name)
        assert not telemetry().equals(other)


def test_a_longer_log_differs() -> None:
    longer = dataclasses.replace(telemetry(), visits=np.zeros(3, VISIT))
    assert telemetry().differences(longer) == ["visits"]
