"""Sums of floats do not depend on the version of Python."""

from __future__ import annotations

from streamflow_env.environment.sequential_sum import sequential_sum


def test_floats_are_added_one_after_the_other_and_rounded_each_time() -> None:
    """Python 3.12's `sum` gives 1.0 here, 3.11's 0.0."""
    assert sequential_sum([1e16, 1.0, -1e16]) == 0.0
    assert sequential_sum(iter(())) == 0.0
