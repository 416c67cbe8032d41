"""The parts of the benchmark, in order; a run of some or all of them, and what it leaves behind."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from streamflow_env.errors import ConfigError
from studies.benchmark.machine import machine
from studies.benchmark.results import Part, Results, Row, Target, merged, read_results, to_json

PARTS: Final = ("engines", "tandem", "cells", "growth", "overhead", "training", "startup")
"""Modules of this package, each with `measure(quick)`."""
RESULTS: Final = "results.json"


def run(only: Sequence[str], quick: bool, log: Callable[[str], None]) -> Results:
    """Measure the parts in `only`, or all of them where it is empty. Raises ConfigError: there is no such part."""
    if unknown := sorted(set(only) - set(PARTS)):
        raise ConfigError(f"part {unknown[0]!r}: must be one of {', '.join(PARTS)}")
    parts = []
    for name in (part for part in PARTS if not only or part in only):
        parts.append(_measured(name, quick))
        log(f"{name}: {parts[-1].took_s:.0f} s")
    return Results(machine(), quick, tuple(parts))


def _measured(name: str, quick: bool) -> Part:
    load, moment, start = os.getloadavg()[0], time.strftime("%Y-%m-%d %H:%M"), time.perf_counter()
    measure: Callable[[bool], tuple[list[Row], list[Target], list[str]]] = import_module(
        f"studies.benchmark.{name}"
    ).measure
    rows, targets, said = measure(quick)
    return Part(name, tuple(rows), tuple(targets), tuple(said), moment, load, time.perf_counter() - start)


def write(results: Results, out: Path) -> Results:
    """Write the page `out`, and beside it, in a folder of its name, pictures and results: everything or nothing.

    What an earlier run measured there, and this one did not, is kept. Returns what was written.
    """
    from studies.benchmark.page import page
    from studies.benchmark.picture import write_pictures

    folder = out.with_suffix("")
    earlier = read_results(folder / RESULTS) if (folder / RESULTS).is_file() else None
    results = merged(earlier, results, PARTS)
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent, prefix=".partial-") as made:
        pictures = write_pictures(results, Path(made))
        (Path(made) / RESULTS).write_text(to_json(results), encoding="utf-8")
        (Path(made) / out.name).write_text(page(results, folder.name, pictures), encoding="utf-8")
        folder.mkdir(exist_ok=True)
        for name in (*pictures.values(), RESULTS):
            (Path(made) / name).replace(folder / name)
        (Path(made) / out.name).replace(out)
    return results
