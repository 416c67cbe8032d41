"""The page `docs/reports/performance.md`: targets, what was measured, and what was tried to make it faster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

from pydantic import Field

from streamflow_env.system.schema import Frozen, Positive, Text, load
from studies.benchmark.parts import PARTS
from studies.benchmark.picture import write_pictures
from studies.benchmark.results import (
    RESULTS,
    Measurement,
    Part,
    Results,
    Sample,
    Target,
    merged,
    read_results,
    three_digits,
    to_json,
)
from studies.common.markdown import table
from studies.common.study import Outputs

OPTIMISATIONS: Final = Path(__file__).with_name("optimisations.yaml")
HEADINGS: Final = {
    "engines": (
        "Compiled against reference engine",
        "The same control steps of the same episode on both engines, with the default action, on one core; in turn,"
        " round by round. Both give the same telemetry, to the nanosecond (`make equivalence`).",
    ),
    "tandem": (
        "Against other simulators",
        "Eight servers one after the other, 100 requests a second, exponential service of 6 ms. A request that has"
        " waited 50 ms at a server gives up. Each peer is written as its manual has it"
        " (`studies/benchmark/peers.py`); the bare `heapq` loop has no event for patience. The engines also keep"
        " deadlines, priorities and telemetry.",
    ),
    "cells": (
        "Many cells",
        "Control steps a second of all cells together, observation, reward and info included, with the default"
        " action: at normal load, at three times that, and in the collapse after a retry storm at 1.5 times.",
    ),
    "growth": (
        "Cost of an event as the system grows",
        "One system of so many cells (`system/scaling.py`), with the default action; 400 cells at three times the"
        " normal load are the fleet at its evening peak, 50M users and 36,000 requests a second. `start` is the warm"
        " state and the warm-up; `memory` is the most memory of a process that did nothing else.",
    ),
    "overhead": (
        "What the environment adds",
        "Microseconds of a control step of 15 s. `kernel` is the compiled code alone: arrivals, controls, events."
        " The engine adds its telemetry, the environment observation, reward and metrics, `gymnasium.make` its"
        " wrappers.",
    ),
    "training": (
        "PPO, end to end",
        "`scripts/train.py` without its evaluations: from the default action on `mixed`, default hyperparameters, two"
        " threads for the cells, one for torch.",
    ),
    "startup": (
        "Import, compiling, memory",
        "From an empty process to the first step, first with an empty cache of kernels, then with a full one. A"
        " cell's arrays, and by how much a process grows for each of 64 more cells.",
    ),
}


class Optimisation(Frozen):
    """Something that was tried: millions of events a second before and after, at normal and at three times the load."""

    what: Text
    expected: Text
    normal: Annotated[tuple[Positive, Positive], Field(strict=False)]
    three_times: Annotated[tuple[Positive, Positive], Field(strict=False)]


class Limit(Frozen):
    """Why a target is not reached; `target` is the beginning of its words."""

    target: Text
    why: Text


class Optimisations(Frozen):
    """What was tried, what it left unchanged, and the limits."""

    optimisations: tuple[Optimisation, ...]
    unchanged: Text
    limits: tuple[Limit, ...]


def write(results: Results, to: Outputs) -> Results:
    """Write page, pictures and results: everything or nothing. Returns the results that were written.

    The parts that an earlier run measured, and this one did not, are kept.
    """
    earlier = read_results(to.data / RESULTS) if (to.data / RESULTS).is_file() else None
    results = merged(earlier, results, PARTS)
    to.page.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=to.page.parent, prefix=".partial-") as made:
        pictures = write_pictures(results, Path(made))
        (Path(made) / RESULTS).write_text(to_json(results), encoding="utf-8")
        (Path(made) / to.page.name).write_text(page(results, to.pictures.name, pictures), encoding="utf-8")
        for folder, names in (
            (to.pictures, pictures.values()),
            (to.data, (RESULTS,)),
            (to.page.parent, (to.page.name,)),
        ):
            folder.mkdir(parents=True, exist_ok=True)
            for name in names:
                (Path(made) / name).replace(folder / name)
    return results


def page(results: Results, folder: str, pictures: Mapping[str, str]) -> str:
    """The whole page, in Markdown. `pictures` are names of files in `folder`, by the part that they show."""
    lines = ["# How fast it is", "", *_opening(results), "", *_targets(results)]
    for part in results.parts:
        lines += ["", *_part(part)]
        if part.name in pictures:
            lines += ["", f"![{HEADINGS[part.name][0]}]({folder}/{pictures[part.name]})"]
    return "\n".join([*lines, "", *_tried(), "", *_machine(results), ""])


def summary(results: Results) -> str:
    """The targets, as the page has them."""
    return "\n".join(_targets(results))


def _opening(results: Results) -> Iterator[str]:
    loads = [part.load for part in results.parts]
    yield "Written by `make study NAME=benchmark`; do not edit. What is compared was run in turn within one run, round"
    yield "after round, and a ratio is taken within each round. A number is the median of the rounds, with the lowest"
    yield f"and the highest behind it. The load average before a part was {min(loads):.1f} to {max(loads):.1f}. 1 or 2"
    yield "of it is the part before, and the rest is other people's work, which makes every absolute number too low."
    if results.quick:
        yield ""
        yield "**A trial run (`--quick`): rounds too short, and systems too small, for these numbers to mean much.**"


def _targets(results: Results) -> list[str]:
    targets = [target for part in results.parts for target in part.targets]
    if not targets:
        return []
    met = sum(target.met for target in targets)
    lines = table(("target", "aimed at", "measured", ""), map(_target, targets))
    return [f"{met} of {len(targets)} targets are met.", "", *lines, "", *_limits(targets)]


def _limits(targets: list[Target]) -> Iterator[str]:
    """Why some targets are not met."""
    for limit in load(Optimisations, OPTIMISATIONS).limits:
        missed = [target.what for target in targets if not target.met and target.what.startswith(limit.target)]
        if missed:
            yield f"- *{limit.target}*: {limit.why}"


def _target(target: Target) -> tuple[str, ...]:
    unit = f" {target.sample.unit}" if target.sample.unit else ""
    aim = f"{'≥' if target.at_least else '≤'} {target.bound:,g}{unit}"
    return target.what, aim, _cell(target.sample), "met" if target.met else "**not met**"


def _part(part: Part) -> Iterator[str]:
    heading, how = HEADINGS[part.name]
    yield f"## {heading}"
    yield ""
    yield how
    yield from part.notes
    for columns, group in groupby(part.measurements, key=_columns):
        yield ""
        rows = ((one.label, *map(_cell, one.samples.values())) for one in group)
        yield from table(("", *columns), rows, left=1)
    yield ""
    yield f"*{part.measured_at}, in {part.took_s:.0f} s; load average before it {part.load:.1f}.*"


def _columns(measurement: Measurement) -> tuple[str, ...]:
    return tuple(f"{name}, {sample.unit}" if sample.unit else name for name, sample in measurement.samples.items())


def _cell(sample: Sample) -> str:
    """The median, and the range where there were several."""
    median = three_digits(sample.median)
    if len(sample.values) == 1:
        return median
    return f"{median} ({three_digits(sample.lowest)}–{three_digits(sample.highest)})"


def _tried() -> Iterator[str]:
    tried = load(Optimisations, OPTIMISATIONS)
    yield "## What was tried"
    yield ""
    yield "Each against the state before it, in turn, on the shared machine on which it was written; millions of events"
    yield "a second, one core (`studies/benchmark/optimisations.yaml`)."
    yield ""
    rows = (
        (one.what, one.expected, *(f"{before} → {after}" for before, after in (one.normal, one.three_times)))
        for one in tried.optimisations
    )
    yield from table(("what", "expected, because", "normal load", "3x"), rows, left=2)
    yield ""
    yield tried.unchanged


def _machine(results: Results) -> Iterator[str]:
    yield "## The machine"
    yield ""
    yield from table(("", ""), results.machine.items())
