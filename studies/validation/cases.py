"""A case of a controller: what the original's tests or documentation say it does, and what ours did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from studies.common.markdown import table


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
        """Whether ours did what is expected."""
        return self.got == self.expected


def markdown(cases: Sequence[Case]) -> Iterator[str]:
    """The cases as lines of Markdown: a count per controller and source, then every case that does not pass."""
    passed: dict[tuple[str, str], list[bool]] = {}
    for case in cases:
        passed.setdefault((case.controller, case.source.split(":")[0]), []).append(case.passes)
    yield from table(
        ("controller", "from", "cases", "as there"),
        (
            (controller, source, str(len(group)), "all" if all(group) else f"**{sum(group)}**")
            for (controller, source), group in passed.items()
        ),
    )
    for case in cases:
        if not case.passes:
            yield ""
            yield f"**Wrong**: {case.controller}, {case.case} ({case.source}): {case.got}, not {case.expected}."
