"""A case of a controller: what the original's tests or documentation say it does, and what ours did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True)
class Case:
    """One case: `expected` is from `source`, a test or a sentence of the original; `got` is ours."""

    controller: str
    case: str
    source: str
    expected: str
    got: str

    @property
    def passes(self) -> bool:
        return self.got == self.expected


def markdown(cases: Sequence[Case]) -> Iterator[str]:
    """The cases as lines of Markdown: a count per controller and source, then every case that does not pass."""
    yield "| controller | from | cases | as there |"
    yield "|---|---|---|---|"
    for (controller, source), group in groupby(cases, key=lambda case: (case.controller, case.source.split(":")[0])):
        passed = [case.passes for case in group]
        all_pass = "all" if all(passed) else f"**{sum(passed)}**"
        yield f"| {controller} | {source} | {len(passed)} | {all_pass} |"
    for case in cases:
        if not case.passes:
            yield ""
            yield f"**Wrong**: {case.controller}, {case.case} ({case.source}): {case.got}, not {case.expected}."
