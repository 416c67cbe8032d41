"""Paired timing: what is compared is run in turn, round after round, so that a busy machine is busy for all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from studies.benchmark.results import Sample


def seconds_of(work: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_turn(works: Mapping[str, Callable[[], float]], num_rounds: int, unit: str) -> dict[str, Sample]:
    """Call every work `num_rounds` times, in turn, each round beginning with another; samples of what they return."""
    names = list(works)
    values: dict[str, list[float]] = {name: [] for name in names}
    for number in range(num_rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            values[name].append(works[name]())
    return {name: Sample(unit, tuple(seen)) for name, seen in values.items()}


@dataclass
class Watch:
    """Wall-clock time spent in some methods, by name; a method's time is also that of whoever called it."""

    total_s: dict[str, float] = field(default_factory=dict)

    def take(self) -> dict[str, float]:
        """The seconds since the last call."""
        taken, self.total_s = self.total_s, {}
        return taken

    def add(self, name: str, seconds: float) -> None:
        self.total_s[name] = self.total_s.get(name, 0.0) + seconds


@contextmanager
def watching(watch: Watch, methods: Mapping[str, tuple[type[Any], str]]) -> Iterator[None]:
    """While it lasts, the time spent in each method (a class and its attribute) is added to `watch`."""
    found = {name: getattr(owner, attribute) for name, (owner, attribute) in methods.items()}
    own = {name for name, (owner, attribute) in methods.items() if attribute in vars(owner)}

    def timed(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            start = time.perf_counter()
            try:
                return method(*args, **more)
            finally:
                watch.add(name, time.perf_counter() - start)

        return call

    for name, (owner, attribute) in methods.items():
        setattr(owner, attribute, timed(name, found[name]))
    try:
        yield
    finally:
        for name, (owner, attribute) in methods.items():
            if name in own:
                setattr(owner, attribute, found[name])
            else:
                delattr(owner, attribute)
