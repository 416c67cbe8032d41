"""The page `docs/reports/validation.md`: what is claimed, how to read it, and a section for each part."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streamflow_env.errors import ConfigError
from studies.common.markdown import table
from studies.common.plots import save
from studies.common.study import Outputs
from studies.validation.section import Section, Settings
from studies.validation.sections import QUOTED, SECTIONS

CLAIM: Final = """# Validation

Is the simulator right where the right answer is known from elsewhere? The answers are from queueing theory, from
another simulator, from failures that others have published, and from the documentation and the tests of the controllers
that it imitates. Do its own accounts balance? Nothing here is tuned to the answers.
"""
READING: Final = """## How to read the tables

- *Seen* is the mean over the seeds and half of its 99.9 % interval (Student's t). Against a figure a row is right when
  the interval holds the figure and is narrow: to either side at most 3 % of the figure (5 % for high quantiles, heavy
  tails and many servers; 8 % for the quantiles of 100 servers). So a wrong figure is found. About one such row in a
  thousand is wrong by chance; the seeds are always the same.
- Against bounds every seed must be within them: *seen* is the mean, and in brackets the lowest and the highest seed.
- The last figures are those of the first seed, `compiled = reference`. The reference engine repeats that whole run. A
  row is right only if both figures are the same to the last bit. A dash: not repeated.
- What is wrong stays on the page, in bold, and the study exits with 1.
"""


@dataclass(frozen=True)
class Measured:
    """A section, and how long it took."""

    section: Section
    duration_s: float


def measure(settings: Settings, names: Sequence[str] = tuple(SECTIONS)) -> Iterator[Measured]:
    """The sections of these names, one after the other."""
    for name in names:
        began = time.monotonic()
        section = SECTIONS[name](settings)
        yield Measured(section, time.monotonic() - began)


def page(measured: Sequence[Measured], settings: Settings, folder: str) -> str:
    """The whole page. The pictures lie in `folder`, relative to it."""
    return "\n".join(_page(measured, settings, folder)) + "\n"


def _page(measured: Sequence[Measured], settings: Settings, folder: str) -> Iterator[str]:
    minutes = sum(each.duration_s for each in measured) / 60
    repeats = ", the reference engine repeating one seed a row" if settings.reference else ""
    yield CLAIM
    yield "Written by `make study NAME=validation` from the compiled engine" + repeats + "."
    yield f"It took {minutes:.1f} min in {settings.jobs} processes.\n"
    rows = [
        (f"[{each.section.title}](#{_anchor(each.section.title)})", each.section.verdict, f"{each.duration_s / 60:.1f}")
        for each in measured
    ]
    yield from table(("section", "", "min"), rows)
    yield ""
    yield READING
    for each in measured:
        yield from each.section.markdown(folder)


def _anchor(title: str) -> str:
    """GitHub's, of a heading."""
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c == "-")


def write(measured: Sequence[Measured], settings: Settings, to: Outputs) -> None:
    """Write page, pictures and data: all of them, or where something fails none, and the old ones stay."""
    to.page.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".validation-", dir=to.page.parent) as name:
        new = Path(name)
        pictures, files = _write_pictures(measured, new), _write_files(measured, new)
        (new / to.page.name).write_text(page(measured, settings, to.pictures.name), encoding="utf-8")
        for folder, paths in ((to.pictures, pictures), (to.data, files)):
            folder.mkdir(parents=True, exist_ok=True)
            for path in paths:
                os.replace(path, folder / path.name)
        os.replace(new / to.page.name, to.page)


def refresh(settings: Settings, out: Path) -> list[Section]:
    """Quote the kept results of accounting and mutants anew, and leave the rest of the page as it is.

    Raises:
        ConfigError: there is no page, or it lacks their sections.
    """
    if not out.is_file():
        raise ConfigError(f"{out}: there is no page to refresh")
    text, sections = out.read_text(encoding="utf-8"), [SECTIONS[name](settings) for name in QUOTED]
    for section in sections:
        row = re.compile(rf"^(\| \[{section.title}\]\(#\w+\) \|) .* (\| [\d.]+ \|)$", re.MULTILINE)
        body = re.compile(rf"^## {section.title}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
        if not (row.search(text) and body.search(text)):
            raise ConfigError(f"{out}: has no section {section.title!r} to refresh")
        new = "\n".join(section.markdown(out.with_suffix("").name)) + "\n"
        text = row.sub(lambda found, words=section.verdict: f"{found[1]} {words} {found[2]}", text)  # type: ignore[misc]
        text = body.sub(lambda _, new=new: new, text)  # type: ignore[misc]
    with tempfile.TemporaryDirectory(prefix=".validation-", dir=out.parent) as name:
        (Path(name) / out.name).write_text(text, encoding="utf-8")
        os.replace(Path(name) / out.name, out)
    return sections


def _write_pictures(measured: Sequence[Measured], folder: Path) -> list[Path]:
    written: list[Path] = []
    for each in measured:
        for name, picture in each.section.pictures.items():
            written.append(folder / name)
            save(picture.figure, written[-1])
    return written


def _write_files(measured: Sequence[Measured], folder: Path) -> list[Path]:
    written: list[Path] = []
    for each in measured:
        for name, write_to in each.section.files.items():
            written.append(folder / name)
            write_to(written[-1])
    return written
