"""The page `docs/reports/calibration.md`: the table, its definitions, and the three chains with their pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from studies.calibration.cascades import LLM_RATE_LIMIT
from studies.calibration.measurement import Calibration
from studies.calibration.onsets import Chain, in_order
from studies.calibration.patience import PatienceResult
from studies.calibration.picture import draw_chain
from studies.calibration.results import markdown
from studies.common.markdown import table
from studies.common.plots import save

DEFINITIONS: Final = """## What the words mean

- *Seen* is the mean over the seeds. Every seed must be in the required range unless the row says how many. The 95 %
  interval is Student's t over the seeds.
- The last figures are those of the first seed, `compiled = reference`. The reference engine repeats that whole episode
  in every situation. A row is met only if both figures are the same to the last bit.
- *3x load* is reached from normal load in 30 min and then held. Saturation is shown by an *invalidation storm at 3x
  load*, in the worst minute of its first three. After that the front collapses, and the databases are idle again.
- *Goodput / offered* is answers (within the SLA or late) divided by attempts, users' retries included. *Minutes* are
  windows of 60 s, one beginning each second.
- *Recovered after*: the seconds from the end of the cause to the beginning of the first minute from which on every
  minute has goodput of at least 99 % of what is offered.
- Error rates and 504s are shares of the attempts that ended. A hit rate is a share of lookups of users' keys.
- *Onsets*: a link of a chain is judged by its mean over the last 10 s, once a second. Its onset is the first such
  moment past the threshold, in seconds after the cause began (0: it was past the threshold already). "In order" means
  that each link sets in later than the one before it; the last two may coincide. Only cascade 1 requires it.
- *Calls to the engine that time out* are those during which the user's deadline passed, as a share of these and of
  the calls that led to an answer.
"""


IMPOSSIBLE: Final = """## The row that cannot be met

Cascade 1 runs as the brief says: 429s, engine slots, engine queue, CPU, overflow. There is one exception: users time
out before the slots are full. The brief also asks that the 504s come last. No sizing of the services can show that
together with the other rows. The engine's queue would have to be 100 long before 1 % of the attempts end at their
deadline of 5 s. So the hundredth request in it would have to be served within 5 s. By Little's law that needs at least
20 misses/s, the time of their own service not counted. At 80 % hits [given] there are 6 misses/s at normal load, so
that it takes 3.3 times the load. But at 3 times the load 2 to 5 % of the attempts are errors [given], so that there the
504s have set in before the cause has begun.

The table shows what was tried: the onsets in seconds after the cause began, on one seed, at other loads and with users
who wait longer. Nothing else of the system is changed. At the load of the row, users who wait 20 s do not time out, and
the queue does not grow: the retries of users who timed out are what fills it. The queue comes before the timeouts if
users wait 20 s at twice the load, or 15 s at three times. Even then the CPU, which a queue of hundreds saturates, comes
after them. So the row below it is required: the chain without the deadline. The row as the brief asks for it is still
measured.
"""


def write(calibration: Calibration, page_path: Path) -> None:
    """Write the page, and its pictures into the folder that has its name."""
    folder = page_path.with_suffix("")
    write_pictures(calibration, folder)
    page_path.write_text(page(calibration, folder.name), encoding="utf-8")


def write_pictures(calibration: Calibration, folder: Path) -> list[Path]:
    """Write one PNG a cascade, of the first seed. Returns the files."""
    written = []
    for chains in calibration.chains:
        path = folder / f"{chains[0].cascade.slug}.png"
        save(draw_chain(chains[0], calibration.seeds[0]), path)
        written.append(path)
    return written


def page(calibration: Calibration, folder: str) -> str:
    """The whole page; the pictures lie in `folder`, relative to it."""
    return "\n".join(_page(calibration, folder)) + "\n"


def _page(calibration: Calibration, folder: str) -> Iterator[str]:
    seeds = calibration.seeds
    required = [result for result in calibration.results if not result.is_impossible]
    met, total = sum(result.passes for result in required), len(required)
    yield "# Calibration\n"
    yield "What the shipped system shows with its default configuration, without any intervention, and what it must"
    yield "show. None of its constants depends on the situation."
    yield f"Written by `make study NAME=calibration`; {met} of {total} required rows are met on"
    yield f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''} ({', '.join(map(str, seeds))})."
    yield f"Rows that contradict others, and are shown but not counted: {len(calibration.results) - total}.\n"
    yield from markdown(calibration.results)
    yield f"\n{DEFINITIONS}"
    if calibration.patience:
        yield IMPOSSIBLE
        yield from _patience(calibration.patience)
    yield "## The three cascades, link by link\n"
    for chains in calibration.chains:
        yield from _cascade(chains, folder)


def _patience(measured: tuple[PatienceResult, ...]) -> Iterator[str]:
    head = ("load", "users wait", *(link.label for link in LLM_RATE_LIMIT.links), "in order")
    rows = [
        (
            f"{found.level:g}x", f"{found.deadline_s:g} s", *map(_onset, found.onsets_s),
            "yes" if in_order(found.onsets_s) else "no",
        )
        for found in sorted(measured, key=lambda one: (one.level, one.deadline_s))
    ]  # fmt: skip
    yield from table(head, rows)
    yield ""


def _cascade(chains: tuple[Chain, ...], folder: str) -> Iterator[str]:
    cascade = chains[0].cascade
    yield f"### {cascade.title}\n"
    yield f"![{cascade.title}]({folder}/{cascade.slug}.png)\n"
    yield f"{cascade.caption} The cause, shaded: {cascade.cause}.\n"
    head = ("link", "threshold", "onset, s after the cause: median", "first to last of the seeds")
    yield from table(head, (_link(chains, index) for index in range(len(cascade.links))))
    yield ""


def _link(chains: tuple[Chain, ...], index: int) -> tuple[str, ...]:
    link = chains[0].cascade.links[index]
    onsets = sorted(chain.onsets_s[index] for chain in chains)
    threshold = f"{'≤' if link.falls else '≥'} {link.threshold:g}{_unit(link.unit)}"
    median = onsets[(len(onsets) - 1) // 2]
    return link.label, threshold, _onset(median), f"{_onset(onsets[0])} to {_onset(onsets[-1])}"


def _unit(unit: str) -> str:
    """A share is a fraction on the page, as in the telemetry: "% of slots" becomes "of slots"."""
    return f" {unit.removeprefix('% ')}"


def _onset(onset_s: float) -> str:
    return f"{onset_s:g}" if math.isfinite(onset_s) else "never"
