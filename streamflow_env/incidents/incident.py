"""The base of incidents, and what one causes in an episode: effects, extra requests, marks, announcements."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from streamflow_env.episode import Announcement, ChangeKind, Mark
from streamflow_env.ranges import Range, SecondsRange, draw
from streamflow_env.system import System
from streamflow_env.system.schema import Fraction, Frozen

BURST_RISE_FRACTION: Final = 0.2
"""The share of a burst's time for which it rises. Assumed."""


@dataclass(frozen=True)
class Effect:
    """`kind` of `service` is `value` from `start_s` to `end_s`, seconds from t = 0; or once, where they are equal."""

    service: str
    kind: ChangeKind
    value: float
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Extra:
    """`num_requests` first attempts of a class beyond its rate, in [start_s, end_s).

    They come `even`ly, or in a `burst`: a rate that rises linearly over the first fifth and falls linearly to 0, so
    that its highest is twice its mean.
    """

    request_class: str
    num_requests: int
    start_s: float
    end_s: float
    shape: Literal["even", "burst"] = "even"

    def come(self, times_s: NDArray[np.floating]) -> NDArray[np.float64]:
        """How many of them have come at `times_s`, which may be of any shape."""
        x = np.clip((times_s - self.start_s) / (self.end_s - self.start_s), 0.0, 1.0)
        if self.shape == "burst":
            rise = BURST_RISE_FRACTION
            x = np.where(x < rise, x**2 / rise, 1.0 - (1.0 - x) ** 2 / (1.0 - rise))
        return np.asarray(self.num_requests * x)


@dataclass(frozen=True)
class Outbreak:
    """What one incident causes in one episode."""

    effects: tuple[Effect, ...] = ()
    marks: tuple[Mark, ...] = ()
    extras: tuple[Extra, ...] = ()
    announcements: tuple[Announcement, ...] = ()


class BaseIncident(Frozen):
    """What all incidents share: they begin at `start_s` after t = 0, with probability `chance`."""

    start_s: SecondsRange
    chance: Fraction = 1.0

    @property
    def sign_chance(self) -> float:
        """How probable it is that, if it happens, it can be foreseen: it is announced, or has a warning sign before."""
        return 0.0

    @abstractmethod
    def check(self, system: System) -> None:
        """Raises ValueError, naming the key, where the incident does not fit the system."""

    @abstractmethod
    def sample(self, rng: np.random.Generator, has_sign: bool = True) -> Outbreak:
        """The incident as it happens in one episode; its other numbers are the same with and without its sign.

        `chance` and `sign_chance` are not drawn here.
        """


def stretch(rng: np.random.Generator, start_s: Range, duration_s: Range) -> tuple[float, float]:
    """Start and end of something that begins at `start_s` and lasts `duration_s`."""
    start = draw(rng, start_s)
    return start, start + draw(rng, duration_s)


def check_service(system: System, key: str, name: str, kind: str | None = None) -> None:
    """Raises ValueError, naming `key`, where the system has no such service, or none of that kind."""
    known = [n for n, service in system.services.items() if kind in (None, service.kind)]
    if name not in known:
        what = f"a service of kind {kind}" if kind else "a service"
        raise ValueError(f"{key} = {name!r}: must be {what} of the system: {', '.join(known) or 'it has none'}")


def check_class(system: System, key: str, name: str, kind: Literal["interactive", "background"]) -> None:
    """Raises ValueError, naming `key`, where the system has no such request class of that kind."""
    known = [n for n, request_class in system.classes.items() if request_class.kind == kind]
    if name not in known:
        listed = ", ".join(known) or "it has none"
        article = "an" if kind == "interactive" else "a"
        raise ValueError(f"{key} = {name!r}: must be {article} {kind} class of the system: {listed}")
