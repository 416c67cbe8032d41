"""The page `docs/reports/faults.md`: how many trials ended in a clear error, in a sane run, or otherwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from studies.faults.cases import VALUES
from studies.faults.trial import ERROR, LOADED, OTHER, SANE

ENDS: Final = (ERROR, SANE, LOADED, OTHER)
OPENING: Final = """# Wrong and extreme values

Every field of every kind of configuration is put to each of {num_values} values, one at a time. A trial is

- a *clear error*, if it ends in one `ConfigError` that names the field or what holds it;
- a *sane run*, if both engines run it in time and agree, observations are in their space, and rewards are finite and
  not above 0. Baselines act on observations from one end of their space to the other;
- a *sane load*, if hyperparameters of training or panels of pictures are accepted: they are loaded only;
- *other*, if anything else happens: a crash, a hang, another exception, an error that does not name the field.

Each trial is made in a process that may take 8 GiB of memory and a minute.
Written by `make study NAME=faults`.
"""


def page(rows: Sequence[dict[str, str]]) -> str:
    """The whole page."""
    return "\n".join(_page(rows)) + "\n"


def _page(rows: Sequence[dict[str, str]]) -> Iterator[str]:
    yield OPENING.format(num_values=len(VALUES))
    yield from _table("configuration", "kind", rows)
    yield ""
    yield from _table("value", "value", rows)
    others = [row for row in rows if row["ended"] == OTHER]
    if others:
        yield "\n## Other\n"
        yield from (f"- {row['kind']}: `{row['field']}` = {row['value']}: {row['said']}" for row in others)


def _table(title: str, key: str, rows: Iterable[dict[str, str]]) -> Iterator[str]:
    counts = Counter((row[key], row["ended"]) for row in rows)
    yield f"| {title} | tried | {' | '.join(ENDS)} |"
    yield f"|---|---{'|---' * len(ENDS)}|"
    names = list(dict.fromkeys(name for name, _ in counts))
    for name in (*names, ""):
        each = [sum(n for (one, end), n in counts.items() if end == ended and name in ("", one)) for ended in ENDS]
        yield f"| {name or '**all**'} | {sum(each):,} | {' | '.join(f'{number:,}' for number in each)} |"
