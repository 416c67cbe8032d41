from __future__ import annotations

import math

import pytest

from studies.validation.checks import Check, markdown


def check(seen: tuple[float, ...], **more: float | None) -> Check:
    return Check("M/M/1", "mean wait", "s", seen, "theory", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seen", "more", "passes"),
    [
        ((4.0, 4.01, 3.99, 4.0), {"expected": 4.0}, True),
        ((4.0, 4.01, 3.99, 4.0), {"expected": 4.2}, False),
        ((4.0, 5.0, 3.0, 4.0), {"expected": 4.0}, False),  # right on average, but it would be whatever is asked for
        ((4.0,), {"expected": 4.0}, False),
        ((4.0, 4.1), {"low": 3.9, "high": 4.2}, True),
        ((4.0, 4.3), {"low": 3.9, "high": 4.2}, False),
        ((math.inf, math.inf), {"low": 60.0}, True),
        ((math.inf, 4.0), {"expected": 4.0}, False),
        ((4.0, 4.1), {"low": 3.9, "reference": 4.0}, True),
        ((4.0, 4.1), {"low": 3.9, "reference": 4.0000001}, False),
    ],
)
def test_what_passes(seen: tuple[float, ...], more: dict[str, float], passes: bool) -> None:
    assert check(seen, **more).passes is passes


def test_the_table() -> None:
    lines = list(markdown([check((4.0, 4.1), low=3.9, reference=4.0), check((1.0,), low=0.0, high=0.5)]))
    assert lines[2] == "| M/M/1 | mean wait | at least 3.9 s | theory | 4.05 (4 to 4.1) | 2 | 4 = 4 | right |"
    assert lines[3] == "| M/M/1 | mean wait | 0 to 0.5 s | theory | 1 | 1 | 1 – | **wrong** |"


def test_the_table_of_what_never_happens() -> None:
    lines = list(
        markdown([check((math.inf,) * 3, low=math.inf, high=math.inf), check((0.0, math.inf), low=0.0, high=0.0)])
    )
    assert lines[2] == "| M/M/1 | mean wait | never | theory | never | 3 | never – | right |"
    assert lines[3] == "| M/M/1 | mean wait | 0 s | theory | never (0 to never) | 2 | 0 – | **wrong** |"
