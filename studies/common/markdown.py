"""Markdown that the studies' reports share: tables, and lists of names in a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int | None = None) -> Iterator[str]:
    """The lines of a table. The first `left` columns are flush left and the others flush right; None: all are left."""
    num_left = len(head) if left is None else left
    yield line(head)
    yield "|" + "---|" * num_left + "---:|" * (len(head) - num_left)
    yield from map(line, rows)


def line(cells: Sequence[str]) -> str:
    """One line of a table."""
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)


def listed(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
