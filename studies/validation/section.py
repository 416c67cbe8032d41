"""A section of the validation's page, and how it is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from studies.accounting.report import ACCOUNTING
from studies.mutants.report import MUTANTS
from studies.validation import cases, checks
from studies.validation.plan import Scale, scale

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Settings:
    """How the page is measured. `accounting` and `mutants` are the files that those two studies keep."""

    jobs: int = 2
    reference: bool = True
    progress: bool = False
    scale: Scale = field(default_factory=scale)
    accounting: Path = ACCOUNTING
    mutants: Path = MUTANTS


@dataclass(frozen=True)
class Picture:
    """A figure and the line under it."""

    figure: Figure
    caption: str


@dataclass(frozen=True)
class Section:
    """What one part of the validation found.

    Attributes:
        title: its heading.
        text: Markdown before the tables: what is compared with what, seeds, lengths, warm-up.
        checks, cases: its tables.
        more: Markdown after them.
        pictures: by file name.
        files: by file name, what writes that file among the study's data.
        summary: a few words where there are neither checks nor cases.
        num_wrong: of what is neither a check nor a case.
    """

    title: str
    text: str
    checks: Sequence[checks.Check] = ()
    cases: Sequence[cases.Case] = ()
    more: str = ""
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    files: Mapping[str, Callable[[Path], object]] = field(default_factory=dict)
    summary: str = ""
    num_wrong: int = 0

    @property
    def passes(self) -> bool:
        """Whether nothing of it is wrong."""
        return not self.num_wrong and all(self._verdicts)

    @property
    def verdict(self) -> str:
        """How much of it is right, in a few words."""
        each = self._verdicts
        if not each:
            return self.summary if self.passes else f"**{self.summary}**"
        words = f"{sum(each)} of {len(each)} {'rows' if self.checks else 'cases'} are right"
        return words if self.passes else f"**{words}**"

    @property
    def _verdicts(self) -> list[bool]:
        return [check.passes for check in self.checks] + [case.passes for case in self.cases]

    def tables(self) -> Iterator[str]:
        """The lines of its tables."""
        if self.checks:
            yield from checks.markdown(self.checks)
            yield ""
        if self.cases:
            yield from cases.markdown(self.cases)
            yield ""
        if self.more:
            yield self.more

    def markdown(self, folder: str) -> Iterator[str]:
        """Its lines. The pictures lie in `folder`, relative to the page."""
        yield f"## {self.title}\n"
        yield self.text
        yield from self.tables()
        for name, picture in self.pictures.items():
            yield f"![{picture.caption}]({folder}/{name})\n"
            yield f"*{picture.caption}*\n"
