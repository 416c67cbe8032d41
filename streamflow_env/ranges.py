"""Values that differ between episodes: in YAML a number or `[low, high]`, drawn uniformly from a named random stream.

The traffic, each of its surges and each incident have a random stream of their own. So adding one does not change the
others, and replacing a range by a number does not change the other draws of the same stream.
"""

from __future__ import annotations

import hashlib
import math
from functools import partial
from typing import Annotated, Any, Final

import numpy as np
from pydantic import BeforeValidator

from streamflow_env.system.schema import LARGEST, LONGEST_S, SMALLEST

# The named streams. The numbers are part of every episode's meaning: append, never renumber.
MIXTURE: Final = 1
TRAFFIC: Final = 2
SWING: Final = 3
SURGE: Final = 4
INCIDENT: Final = 5
SIGN: Final = 6
CELL: Final = 7


def stream(seed: int, name: int, index: int = 0) -> np.random.Generator:
    """The random stream `name`, of the element number `index` of its kind, in the episode of `seed`."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(name, index))))


def stream_called(seed: int, scenario: str, name: str) -> np.random.Generator:
    """The random stream of what differs between cells and is called `name`, in the scenario's episode of `seed`."""
    key = f"{scenario}/{name}".encode()
    return stream(seed, CELL, int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big"))


def draw(rng: np.random.Generator, limits: tuple[float, float]) -> float:
    """A number, uniform in [low, high]; always uses one draw."""
    low, high = limits
    return min(low + (high - low) * float(rng.random()), high)


def draw_factor(rng: np.random.Generator, limits: tuple[float, float]) -> float:
    """A factor, log-uniform in [low, high]; always uses one draw."""
    low, high = limits
    return min(low * math.exp(math.log(high / low) * float(rng.random())), high)


def draw_count(rng: np.random.Generator, limits: tuple[int, int]) -> int:
    """A whole number, uniform in [low, high], both included; always uses one draw."""
    low, high = limits
    return low + int((high - low + 1) * float(rng.random()))


def as_range(
    value: Any, *, allowed: str, low: float, high: float, above: bool = False, whole: bool = False
) -> tuple[float, float]:
    """(low, high) of a number, or of a list of two, each in [low, high] (or `above` low; or a `whole` number).

    Raises:
        ValueError: another value; the message says what is `allowed`.
    """
    listed = isinstance(value, (list, tuple))
    pair = tuple(value) if listed else (value, value)
    if len(pair) == 2 and all(_is_within(number, low, high, above, whole) for number in pair) and pair[0] <= pair[1]:
        return pair if whole else (float(pair[0]), float(pair[1]))
    culprit = f"{list(value)!r} " if listed else ""
    raise ValueError(f"{culprit}must be {allowed}, or [low, high] of these with low <= high")


def _is_within(number: Any, low: float, high: float, above: bool, whole: bool) -> bool:
    if isinstance(number, bool) or not isinstance(number, int if whole else (int, float)):
        return False
    if 0 < abs(number) < SMALLEST:
        return False
    return low <= number <= high and not (above and number == low)


Range = tuple[float, float]


def _range(allowed: str, low: float, high: float, *, above: bool = False, whole: bool = False) -> BeforeValidator:
    return BeforeValidator(partial(as_range, allowed=allowed, low=low, high=high, above=above, whole=whole))


NonNegativeRange = Annotated[Range, _range(f"a number in [0, {LARGEST}]", 0, LARGEST)]
PositiveRange = Annotated[Range, _range(f"a number above 0, at most {LARGEST}", 0, LARGEST, above=True)]
NumberRange = Annotated[Range, _range(f"a number in [-{LARGEST}, {LARGEST}]", -LARGEST, LARGEST)]
SecondsRange = Annotated[Range, _range(f"a number in [0, {LONGEST_S:.0f}] s", 0, LONGEST_S)]
PositiveSecondsRange = Annotated[
    Range, _range(f"a number above 0, at most {LONGEST_S:.0f} s", 0, LONGEST_S, above=True)
]
FactorRange = Annotated[Range, _range("a number in [0.001, 1000]", 0.001, 1000)]
LevelRange = Annotated[Range, _range("a number in [0, 1000]", 0, 1000)]
FractionRange = Annotated[Range, _range("a number in [0, 1]", 0, 1)]
HourRange = Annotated[Range, _range("a number in [0, 24]", 0, 24)]
CountRange = Annotated[tuple[int, int], _range(f"a whole number in [1, {LARGEST}]", 1, LARGEST, whole=True)]
SizeRange = Annotated[tuple[int, int], _range("a whole number in [0, 1000]", 0, 1000, whole=True)]
