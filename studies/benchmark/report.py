"""The page: targets and what was measured, part by part, and what was tried to make it faster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from streamflow_env.system.schema import Frozen, Positive, Text, load
from studies.benchmark.results import Part, Results, Row, Sample, Target, three_digits

LEVERS: Final = Path(__file__).with_name("levers.yaml")
HEADINGS: Final = {
    "engines": (
        "Compiled against reference engine",
        "The same control steps of the same episode on both, as found, on one core; in turn, round by round. Both give"
        " the same telemetry, to the nanosecond (`make equivalence`).",
    ),
    "tandem": (
        "Against other simulators",
        "Eight desks one after the other, one server each, 100 requests a second, exponential service of 6 ms; who has"
        " waited 50 ms at a desk gives up. Each peer is written as its manual has it (`benchmarks/peers.py`); the bare"
        " `heapq` loop takes no event for patience. The engines also keep deadlines, priorities and telemetry.",
    ),
    "cells": (
        "Many cells",
        "Control steps a second of all cells together, observation, reward and info included, as found: at normal load,"
        " at three times that, and in the collapse that a retry storm leaves at 1.5 times.",
    ),
    "growth": (
        "Cost of an event as the system grows",
        "One system of so many cells (`system/scaling.py`), as found; 400 cells at three times the normal load are the"
        " fleet at its evening peak, 50M users and 36,000 requests a second. `start` is the warm state and the warm-up;"
        " `memory` is the most that a process held which did nothing else.",
    ),
    "overhead": (
        "What the environment adds",
        "Microseconds of a control step of 15 s. `kernel` is the compiled code alone: arrivals, controls, events. The"
        " engine adds its telemetry, the environment observation, reward and metrics, `gymnasium.make` its wrappers.",
    ),
    "training": (
        "PPO, end to end",
        "`make train` without its evaluations: from the as-found start on `mixed`, default hyperparameters, two threads"
        " for the cells, one for torch.",
    ),
    "startup": (
        "Import, compiling, memory",
        "From an empty process to the first step, first with an empty cache of kernels, then with a full one. A cell's"
        " arrays, and by how much a process grows for each of 64 more cells.",
    ),
}


class Lever(Frozen):
    """Something tried: millions of events a second before and after, at normal load and at three times that."""

    what: Text
    expected: Text
    normal: Annotated[tuple[Positive, Positive], Field(strict=False)]
    three_times: Annotated[tuple[Positive, Positive], Field(strict=False)]


class Limit(Frozen):
    """Why a target is not reached: one whose words begin so."""

    target: Text
    why: Text


class Levers(Frozen):
    levers: tuple[Lever, ...]
    unchanged: Text
    limits: tuple[Limit, ...]


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
    yield "Written by `make benchmark`; do not edit. What is compared was run in turn within one run, round after"
    yield "round, and a ratio is taken within each round; a number is the median of the rounds, with the lowest and the"
    yield f"highest behind it. The load average before a part was {min(loads):.1f} to {max(loads):.1f}: 1 or 2 of it is"
    yield "the part before, the rest was other people's work, which makes every absolute number too low."
    if results.quick:
        yield ""
        yield "**A trial run (`--quick`): rounds too short, and systems too small, for these numbers to mean much.**"


def _targets(results: Results) -> list[str]:
    targets = [target for part in results.parts for target in part.targets]
    if not targets:
        return []
    met = sum(target.met for target in targets)
    lines = [f"{met} of {len(targets)} targets are met.", "", "| target | aimed at | measured | |", "|---|---|---|---|"]
    return [*lines, *map(_target, targets), "", *_limits(targets)]


def _limits(targets: list[Target]) -> Iterator[str]:
    """What stands in the way of the targets that are not met."""
    for limit in load(Levers, LEVERS).limits:
        missed = [target.what for target in targets if not target.met and target.what.startswith(limit.target)]
        if missed:
            yield f"- *{limit.target}*: {limit.why}"


def _target(target: Target) -> str:
    unit = f" {target.sample.unit}" if target.sample.unit else ""
    aim = f"{'≥' if target.at_least else '≤'} {target.bound:,g}{unit}"
    return f"| {target.what} | {aim} | {_cell(target.sample)} | {'met' if target.met else '**not met**'} |"


def _part(part: Part) -> Iterator[str]:
    heading, how = HEADINGS[part.name]
    yield f"## {heading}"
    yield ""
    yield how
    yield from part.said
    for columns, rows in groupby(part.rows, key=_columns):
        yield ""
        yield from _table(columns, tuple(rows))
    yield ""
    yield f"*{part.measured_at}, in {part.took_s:.0f} s; load average before it {part.load:.1f}.*"


def _columns(row: Row) -> tuple[str, ...]:
    return tuple(f"{name}, {sample.unit}" if sample.unit else name for name, sample in row.samples.items())


def _table(columns: tuple[str, ...], rows: tuple[Row, ...]) -> Iterator[str]:
    yield "| | " + " | ".join(columns) + " |"
    yield "|---|" + "---:|" * len(columns)
    for row in rows:
        yield f"| {row.label} | " + " | ".join(map(_cell, row.samples.values())) + " |"


def _cell(sample: Sample) -> str:
    """The median, and the range where there were several."""
    median = three_digits(sample.median)
    if len(sample.values) == 1:
        return median
    return f"{median} ({three_digits(sample.lowest)}–{three_digits(sample.highest)})"


def _tried() -> Iterator[str]:
    tried = load(Levers, LEVERS)
    yield "## What was tried"
    yield ""
    yield "Each against the state before it, in turn, on the shared machine on which it was written; millions of events"
    yield "a second, one core (`benchmarks/levers.yaml`)."
    yield ""
    yield "| lever | expected, because | normal load | 3x |"
    yield "|---|---|---:|---:|"
    for lever in tried.levers:
        normal, three = (f"{before} → {after}" for before, after in (lever.normal, lever.three_times))
        yield f"| {lever.what} | {lever.expected} | {normal} | {three} |"
    yield ""
    yield tried.unchanged


def _machine(results: Results) -> Iterator[str]:
    yield "## The machine"
    yield ""
    yield "| | |"
    yield "|---|---|"
    for name, value in results.machine.items():
        yield f"| {name} | {value} |"
