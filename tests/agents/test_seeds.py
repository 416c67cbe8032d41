"""Seed ranges: each purpose has its own."""

from __future__ import annotations

from itertools import pairwise

import pytest

from streamflow_agents import seeds
from streamflow_agents.seeds import EVALUATION, RANGES, TRAINING, VALIDATION, SeedRange, evaluation_seeds
from streamflow_env.errors import ConfigError


def test_no_two_ranges_share_a_seed() -> None:
    ordered = sorted(RANGES.values(), key=lambda one: one.first)
    assert all(one.end <= following.first for one, following in pairwise(ordered))


def test_every_range_is_listed() -> None:
    declared = [value for value in vars(seeds).values() if isinstance(value, SeedRange)]
    assert sorted(map(id, declared)) == sorted(map(id, RANGES.values()))


def test_the_ranges_that_trained_agents_depend_on_stay() -> None:
    assert SeedRange(0, 500_000) == TRAINING
    assert VALIDATION.first == 500_000
    assert EVALUATION.seeds(3) == evaluation_seeds(3) == (1_000_000, 1_000_001, 1_000_002)


def test_a_range_gives_its_seeds_in_order() -> None:
    some = SeedRange(10, 4)
    assert some.seeds(4) == (10, 11, 12, 13)
    assert some.seeds(2, skip=2) == (12, 13)
    assert [seed in some for seed in (9, 10, 13, 14)] == [False, True, True, False]


@pytest.mark.parametrize(
    ("num_seeds", "skip", "message"), [(0, 0, "at least 1"), (5, 0, "has 4"), (3, 2, "has 4"), (1, -1, "at least 0")]
)
def test_a_range_gives_no_more_than_it_has(num_seeds: int, skip: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SeedRange(10, 4).seeds(num_seeds, skip)
