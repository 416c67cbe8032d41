"""The page `docs/calibration.md`: the table, what its words mean, and the three chains with their pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from studies.calibration.cascades import LLM_RATE_LIMIT
from studies.calibration.onsets import Chain, in_order
from studies.calibration.patience import Patience
from studies.calibration.picture import draw_chain
from studies.calibration.rows import markdown
from studies.calibration.runs import Calibration

DEFINITIONS: Final = """## What the words mean

- *Seen* is the mean over the seeds; every seed must be in the required range unless the row says how many. The 95 %
  interval is Student's t over the seeds.
- The last figures are those of the first seed, `compiled = reference`: the reference engine repeats that whole episode,
  in every situation, and a row is met only if its figure is the same to the last bit.
- *3x load* is reached from normal load in 30 min and then held. Saturation is shown by an *invalidation storm at 3x
  load*, in the worst minute of its first three: the front collapses after it, and the databases are idle again.
- *Goodput / offered* is answers (within the SLA or late) by attempts, users' retries included. *Minutes* are
  windows of 60 s, one beginning each second.
- *Whole again after*: the seconds from the end of the cause to the beginning of the first minute from which on every
  minute has goodput of at least 99 % of what is offered.
- Error rates and 504s are shares of the attempts that ended; a hit rate is a share of lookups of users' keys.
- *Onsets*: a link of a chain is judged by its mean over the last 10 s, once a second; its onset is the first such
  instant past the threshold, in seconds after the cause began (0: it was past it already). "In order" means that
  each link sets in later than the one before it; the last two may coincide. It is required of cascade 1 alone.
- *Calls to the engine that time out* are those during which the user's deadline passed, as a share of these and of
  the calls that led to an answer.
"""


IMPOSSIBLE: Final = """## The row that cannot be

Cascade 1 runs as the brief tells it, 429s, engine slots, engine queue, CPU, overflow, except that users time out
before the slots are full. That the 504s come last was asked for too, and no sizing of the services can show it beside
the other rows. For the engine's queue to be 100 long before 1 % of the attempts end at their deadline of 5 s, the
hundredth in it must be served within those: by Little's law 20 misses/s at the very least, beside the seconds of their
own service. At 80 % hits [given], 6 misses/s at normal load, that takes 3.3 times the load; but at 3 times it 2 to 5 %
of the attempts are errors [given], so that there the 504s have set in before the cause has begun.

It was tried: the table has the onsets in seconds after the cause began, on one seed, at other loads and with users of
more patience; of the system nothing else is changed. At the load of the row users with 20 s do not time out, and the
queue does not grow: what fills it is the retries of those who did. The queue comes before the timeouts if users wait
20 s at twice the load, or 15 s at three times; the CPU, which a queue of hundreds saturates, after them even so. So
the row below it, the chain without the deadline, is what is required; the row as it was asked for is measured still.
"""


def write_pictures(calibration: Calibration, folder: Path) -> list[Path]:
    """One PNG a cascade, of the first seed; the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for chains in calibration.chains:
        path = folder / f"{chains[0].cascade.slug}.png"
        draw_chain(chains[0], calibration.seeds[0]).savefig(path, dpi=110)
        written.append(path)
    return written


def page(calibration: Calibration, folder: str) -> str:
    """The whole page; the pictures lie in `folder`, relative to it."""
    return "\n".join(_page(calibration, folder)) + "\n"


def _page(calibration: Calibration, folder: str) -> Iterator[str]:
    seeds = calibration.seeds
    required = [row for row in calibration.rows if not row.is_impossible]
    met, total, impossible = sum(row.passes for row in required), len(required), len(calibration.rows) - len(required)
    yield "# Calibration\n"
    yield "What the shipped system shows as found, without any intervention, and what it must show; no constant of it"
    yield f"depends on the situation. Written by `make calibrate`; {met} of {total} required rows are met on"
    yield f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''} ({', '.join(map(str, seeds))})."
    yield f"Impossible beside the others, and shown all the same: {impossible}.\n"
    yield from markdown(calibration.rows)
    yield f"\n{DEFINITIONS}"
    if calibration.patience:
        yield IMPOSSIBLE
        yield from _patience(calibration.patience)
    yield "## The three cascades, link by link\n"
    for chains in calibration.chains:
        yield from _cascade(chains, folder)


def _patience(measured: tuple[Patience, ...]) -> Iterator[str]:
    links = LLM_RATE_LIMIT.links
    yield f"| load | users wait | {' | '.join(link.label for link in links)} | in order |"
    yield "|---" * (len(links) + 3) + "|"
    for found in sorted(measured, key=lambda one: (one.level, one.deadline_s)):
        onsets = " | ".join(map(_onset, found.onsets_s))
        verdict = "yes" if in_order(found.onsets_s) else "no"
        yield f"| {found.level:g}x | {found.deadline_s:g} s | {onsets} | {verdict} |"
    yield ""


def _cascade(chains: tuple[Chain, ...], folder: str) -> Iterator[str]:
    cascade = chains[0].cascade
    yield f"### {cascade.title}\n"
    yield f"![{cascade.title}]({folder}/{cascade.slug}.png)\n"
    yield f"{cascade.caption} The cause, shaded: {cascade.cause}.\n"
    yield "| link | threshold | onset, s after the cause: median | first to last of the seeds |"
    yield "|---|---|---|---|"
    for index, link in enumerate(cascade.links):
        onsets = sorted(chain.onsets_s[index] for chain in chains)
        threshold = f"{'≤' if link.falls else '≥'} {link.threshold:g}{_unit(link.unit)}"
        median = onsets[(len(onsets) - 1) // 2]
        yield f"| {link.label} | {threshold} | {_onset(median)} | {_onset(onsets[0])} to {_onset(onsets[-1])} |"
    yield ""


def _unit(unit: str) -> str:
    """A share stays a fraction on the page, as in the telemetry: "% of slots" becomes "of slots"."""
    return f" {unit.removeprefix('% ')}"


def _onset(onset_s: float) -> str:
    return f"{onset_s:g}" if math.isfinite(onset_s) else "never"
