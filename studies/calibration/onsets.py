"""Onsets: when each link of a cascade first passes its threshold after the cause, and in which order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from studies.calibration.measures import reading
from studies.calibration.recording import Array, Recording

WINDOW_S: Final = 10.0
"""A link is judged by its mean over the last 10 s, once a second."""


@dataclass(frozen=True)
class Link:
    """One link of a chain: it is on where the reading `name` is at least `threshold` (with `falls`: at most).

    `unit` is the label of a picture's axis. A share is drawn in percent and is a fraction everywhere else.
    """

    label: str
    name: str
    threshold: float
    unit: str
    falls: bool = False


@dataclass(frozen=True)
class Cascade:
    """A chain of links, and the stretch of its cause in seconds from t = 0.

    `slug` names its picture, `title` and `caption` say what it shows.
    """

    slug: str
    title: str
    caption: str
    cause: str
    cause_s: tuple[float, float]
    links: tuple[Link, ...]


@dataclass(frozen=True)
class Chain:
    """A cascade in one episode: its curves, shape (num_links, num_samples), and each link's onset.

    `onsets_s` are seconds after the cause began: 0 where a link was on already, infinity where it never was.
    """

    cascade: Cascade
    times_s: Array
    curves: Array
    onsets_s: tuple[float, ...]


def chain(cascade: Cascade, recording: Recording) -> Chain:
    """The curves and onsets of a cascade's links."""
    readings = [reading(recording.system, link.name) for link in cascade.links]
    curves = [recording.sliding(ratio, WINDOW_S) for ratio in readings]
    times_s = curves[0][0]
    onsets = [
        first_onset(times_s, values, link, cascade.cause_s[0])
        for link, (_, values) in zip(cascade.links, curves, strict=True)
    ]
    return Chain(cascade, times_s, np.array([values for _, values in curves]), tuple(onsets))


def first_onset(times_s: Array, values: Array, link: Link, cause_s: float) -> float:
    """Seconds from `cause_s` to the first sample, not before it, at which the link is on; infinity where none is."""
    on = values <= link.threshold if link.falls else values >= link.threshold
    found = np.flatnonzero(on & (times_s >= cause_s - 1e-9))
    return float(times_s[found[0]] - cause_s) if found.size else math.inf


def in_order(onsets_s: Sequence[float]) -> bool:
    """Whether every link sets in, each after the one before it; only the last two may coincide."""
    if not all(map(math.isfinite, onsets_s)):
        return False
    earlier = all(before < after for before, after in pairwise(onsets_s[:-1]))
    return earlier and onsets_s[-2] <= onsets_s[-1]


@dataclass(frozen=True)
class InOrder:
    """1 where a cascade's links (or the first `num_links`) set in in their order, else 0."""

    cascade: Cascade
    num_links: int | None = None

    def __call__(self, recording: Recording) -> float:
        return float(in_order(chain(self.cascade, recording).onsets_s[: self.num_links]))
