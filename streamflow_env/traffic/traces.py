"""Reads recorded traffic: a CSV file of counts or of single events becomes requests per interval."""

from __future__ import annotations

import csv
import datetime
import gzip
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, TextIO

import numpy as np

from streamflow_env.errors import ConfigError
from streamflow_env.traffic.profile import Array

INTERVAL_TOLERANCE: Final = 1e-3
"""The share of the interval by which the time of a row may differ; recorded times are sometimes rounded."""
EVENT_BIN_S: Final = 5.0
"""Default length of the bins that single events are counted into: a bin of the simulation."""
MAX_EVENT_BINS: Final = 10_000_000
"""Events further apart than this many bins (19 months of 5 s) are an error: one must have a wrong time."""
LATEST_S: Final = 4_102_444_800.0
"""The year 2100, in seconds since 1970. A larger number is not in seconds."""
EARLY_S: Final = 1e8
"""A time since 1970 that is beyond this (1973), in some unit, is taken to be meant in that unit."""
EPOCH_UNITS: Final = {"nanoseconds": 1e9, "microseconds": 1e6, "milliseconds": 1e3}
COMPACT_DATES: Final = ("%Y%m%d", "%Y%m%d%H", "%Y%m%d%H%M", "%Y%m%d%H%M%S")
COMPACT: Final = "may be a date or a number of seconds; must be YYYY-MM-DD HH:MM:SS, or seconds with a decimal point"
_FORMS: Final = ("a date", "a number of seconds")
Rows = list[tuple[int, list[str]]]
"""(line number in the file, cells)."""


@dataclass(frozen=True, eq=False)
class Trace:
    """Requests counted in intervals that follow each other without a gap.

    Attributes:
        times_s: shape (num_rows,), the beginning of each interval; seconds since a midnight (for dates: since 1970).
        counts: shape (num_rows,), requests in each interval, in any unit.
    """

    times_s: Array
    counts: Array
    interval_s: float

    @property
    def duration_s(self) -> float:
        return len(self.counts) * self.interval_s

    @property
    def median(self) -> float:
        return float(np.median(self.counts))

    def counts_in(self, middles_s: Array, width_s: float) -> Array:
        """Requests in bins of `width_s` around `middles_s`, in seconds after the first row. The shape is theirs.

        Bins that cover the trace without overlap sum to its total. Within rows that are no longer than a bin the rate
        is constant. In longer rows it is linear between the middles of rows: that moves an eighth of a row's curvature,
        (before - 2 · itself + after) / 8, between neighbours. Before and after the trace the rate is that of the first
        and last row.
        """
        in_steps = self.interval_s <= width_s
        until = self._steps_until if in_steps else self._lines_until
        return until(middles_s + width_s / 2.0) - until(middles_s - width_s / 2.0)

    def _steps_until(self, offsets_s: Array) -> Array:
        """Requests between the first row's beginning and `offsets_s` after it, the rate constant in each row."""
        until = np.concatenate(([0.0], np.cumsum(self.counts)))
        row = np.clip(np.floor(offsets_s / self.interval_s), 0, self.counts.size - 1).astype(np.int64)
        return np.asarray(until[row] + self.counts[row] * (offsets_s / self.interval_s - row))

    def _lines_until(self, offsets_s: Array) -> Array:
        """The same with a rate that is linear between the rows' middles."""
        knots_s = np.concatenate(([0.0], (np.arange(self.counts.size) + 0.5) * self.interval_s, [self.duration_s]))
        rates_rps = np.pad(self.counts, 1, mode="edge") / self.interval_s
        lengths_s = np.diff(knots_s)
        slopes = np.diff(rates_rps) / lengths_s
        until = np.concatenate(([0.0], np.cumsum(lengths_s * (rates_rps[:-1] + rates_rps[1:]) / 2.0)))
        piece = np.clip(np.searchsorted(knots_s, offsets_s, side="right") - 1, 0, slopes.size - 1)
        since_s = offsets_s - knots_s[piece]
        return np.asarray(until[piece] + since_s * (rates_rps[piece] + slopes[piece] * since_s / 2.0))


def read_trace(path: str | Path, event_bin_s: float | None = None) -> Trace:
    """Read a CSV, plain or (`.gz`) gzipped, with or without a header line; blank lines are skipped.

    A time is `YYYY-MM-DD HH:MM:SS` (any ISO 8601 form, also with a fraction of any length; with an offset, hours of
    the day are UTC's), or a number of seconds since a midnight.

    Args:
        path: where it lies.
        event_bin_s: None: the rows are counts, of two columns, time and requests; the interval is that between the
            first two rows, and every row must keep to it. A number: the rows are single events, the first column is
            the time of one request, other columns are ignored; events are counted into bins of so many seconds, the
            first of which begins at the whole second of the first event.

    Raises:
        ConfigError: naming file, line, value and what is allowed.
    """
    rows = list(_rows(Path(path)))
    if rows and _is_header(rows[0][1]):
        rows = rows[1:]
    if len(rows) < 2:
        raise ConfigError(f"{path}: has {len(rows)} rows of data: must have at least two")
    return _of_counts(path, rows) if event_bin_s is None else _of_events(path, rows, event_bin_s)


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank. Bytes that are not UTF-8 are kept, escaped, for the error that names the line."""
    line = 0
    try:
        with _open(path) as file:
            reader = csv.reader(file)
            for row in reader:
                if any(cell.strip() for cell in row):
                    yield line + 1, row
                line = reader.line_num
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        where = f"line {line + 1}: " if line else ""
        raise ConfigError(f"{path}: {where}cannot be read as a CSV: {error}") from None


def _open(path: Path) -> TextIO:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", errors="backslashreplace", newline="")
    return path.open(encoding="utf-8-sig", errors="backslashreplace", newline="")


def _is_header(row: list[str]) -> bool:
    """Whether these are names of columns. A damaged row of data is none: it begins with digits, or has many."""
    named = next(cell.strip() for cell in row if cell.strip())
    return (
        all(seconds_of(cell) is None for cell in row)
        and (named[0].isalpha() or named[0] in "_#")
        and sum(sign.isdigit() for sign in row[0]) < 4
    )


def _of_counts(path: str | Path, rows: Rows) -> Trace:
    counts = np.array([_count(path, line, row) for line, row in rows])
    times_s = _times_s(path, rows)
    _check_interval(path, rows, times_s)
    return Trace(times_s, counts, float(times_s[1] - times_s[0]))


def _count(path: str | Path, line: int, row: list[str]) -> float:
    if len(row) != 2:
        _fail(path, line, f"has {len(row)} columns: must have two, time and requests (single events: events: true)")
    count = _number(row[1])
    if count is None or not math.isfinite(count) or count < 0:
        _fail(path, line, f"requests = {row[1]!r}: must be a finite number of at least 0")
    return count


def _times_s(path: str | Path, rows: Rows) -> Array:
    """The times, shape (num_rows,): dates in all rows, or numbers in all."""
    first = rows[0][1][0]
    if is_compact_date(first):
        _fail(path, rows[0][0], f"time = {first!r}: {COMPACT}")
    times_s = np.array([_time_s(path, line, row) for line, row in rows])
    is_number = _number(first) is not None
    for line, row in rows:
        if (_number(row[0]) is not None) != is_number:
            _fail(path, line, f"time = {row[0]!r}: must be {_FORMS[is_number]}, as in the first row")
    return times_s


def _time_s(path: str | Path, line: int, row: list[str]) -> float:
    time_s = seconds_of(row[0])
    if time_s is None or not math.isfinite(time_s):
        _fail(path, line, f"time = {row[0]!r}: must be YYYY-MM-DD HH:MM:SS or a finite number of seconds")
    if abs(time_s) > LATEST_S:
        unit = next((f", it looks like {unit}" for unit, many in EPOCH_UNITS.items() if time_s / many > EARLY_S), "")
        _fail(path, line, f"time = {row[0]!r}: must be in seconds, at most {LATEST_S:.0f} (the year 2100){unit}")
    return time_s


def _is_of_form(text: str, form: str) -> bool:
    text = text.strip()
    if len(text) != len(datetime.datetime(2000, 1, 1).strftime(form)) or not (text.isascii() and text.isdigit()):
        return False
    try:
        return 1970 <= datetime.datetime.strptime(text, form).year < 2100
    except ValueError:
        return False


def _check_interval(path: str | Path, rows: Rows, times_s: Array) -> None:
    steps = np.diff(times_s)
    interval = steps[0]
    good = (steps > 0) & (np.abs(steps - interval) <= INTERVAL_TOLERANCE * interval)
    if good.all():
        return
    index = int(np.flatnonzero(~good)[0])
    line, step = rows[index + 1][0], float(steps[index])
    if step <= 0:
        what = "repeats that of the row before" if step == 0 else f"is {-step:g} s before that of the row before"
        _fail(path, line, f"its time {what}: times must ascend")
    kind = "a gap: it" if step > interval else "it"
    _fail(path, line, f"{kind} is {step:g} s after the row before: must be {interval:g} s, as the second row is")


def _of_events(path: str | Path, rows: Rows, bin_s: float) -> Trace:
    times_s = _times_s(path, rows)
    steps = np.diff(times_s)
    if (steps < 0).any():
        index = int(np.flatnonzero(steps < 0)[0])
        _fail(path, rows[index + 1][0], f"is {-steps[index]:g} s before the row before: times must not descend")
    first_s = math.floor(times_s[0])
    if times_s[-1] - first_s > MAX_EVENT_BINS * bin_s:
        index = int(steps.argmax())
        most = f"all events must lie within {MAX_EVENT_BINS} bins of {bin_s:g} s"
        _fail(path, rows[index + 1][0], f"is {steps[index]:g} s after the row before: {most}")
    counts = np.bincount(((times_s - first_s) // bin_s).astype(np.int64)).astype(np.float64)
    return Trace(first_s + np.arange(counts.size) * bin_s, counts, bin_s)


def _fail(path: str | Path, line: int, message: str) -> NoReturn:
    raise ConfigError(f"{path}: line {line}: {message}")


def is_compact_date(text: str) -> bool:
    """Whether `text` is a date without separators, which may as well be a number of seconds."""
    return any(_is_of_form(text, form) for form in COMPACT_DATES)


def seconds_of(text: str) -> float | None:
    """Seconds since 1970 of a date, or a number itself; None where `text` is neither."""
    number = _number(text)
    if number is not None:
        return number
    try:
        moment = datetime.datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
