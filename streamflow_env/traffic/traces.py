"""Recorded traffic: a CSV of time and requests, rescaled to the system's normal load, as the load of an episode."""

from __future__ import annotations

import csv
import datetime
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NoReturn, Self

import numpy as np
from pydantic import BeforeValidator, model_validator

from streamflow_env.errors import ConfigError
from streamflow_env.paths import CONFIGS
from streamflow_env.ranges import Range, as_range, draw
from streamflow_env.system.schema import Positive, Text
from streamflow_env.traffic.profile import DAY_HOURS, HOUR_S, Array, CurvedTraffic

INTERVAL_TOLERANCE: Final = 1e-3
"""By what share of the interval a row's time may be off; recorded times are sometimes rounded."""


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

    def counts_at(self, offsets_s: Array) -> Array:
        """Requests per interval at `offsets_s` after the first row: linear between the middles of the intervals.

        Over a whole trace the total is exactly that of the rows; one row gives an eighth of its curvature,
        (before - 2 · itself + after) / 8, to or from its neighbours.
        """
        middles = self.times_s - self.times_s[0] + self.interval_s / 2.0
        return np.interp(offsets_s, middles, self.counts)


def read_trace(path: str | Path) -> Trace:
    """Read a CSV of two columns, time and requests, with or without a header line; blank lines are skipped.

    A time is `YYYY-MM-DD HH:MM:SS` (any ISO 8601 form; with an offset, hours of the day are UTC's), or a number of
    seconds since a midnight. The interval is that between the first two rows; every row must keep to it.

    Raises:
        ConfigError: naming file, line, value and what is allowed.
    """
    rows = _rows(Path(path))
    if rows and _is_header(rows[0][1]):
        rows = rows[1:]
    if len(rows) < 2:
        raise ConfigError(f"{path}: has {len(rows)} rows of data: must have at least two, of time and requests")
    parsed = [_parse(path, line, row) for line, row in rows]
    times_s, counts = np.array(parsed, dtype=np.float64).T
    _check_times(path, [line for line, _ in rows], times_s)
    return Trace(times_s, counts, float(times_s[1] - times_s[0]))


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """(line number, cells) of the lines that are not blank."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read as a CSV of time and requests: {error}") from None


def _is_header(row: list[str]) -> bool:
    return all(_seconds(cell) is None for cell in row)


def _parse(path: str | Path, line: int, row: list[str]) -> tuple[float, float]:
    if len(row) != 2:
        _fail(path, line, f"has {len(row)} columns: must have two, time and requests")
    time_s, count = _seconds(row[0]), _number(row[1])
    if time_s is None or not math.isfinite(time_s):
        _fail(path, line, f"time = {row[0]!r}: must be YYYY-MM-DD HH:MM:SS or a finite number of seconds")
    if count is None or not math.isfinite(count) or count < 0:
        _fail(path, line, f"requests = {row[1]!r}: must be a finite number of at least 0")
    return time_s, count


def _check_times(path: str | Path, lines: list[int], times_s: Array) -> None:
    steps = np.diff(times_s)
    interval = steps[0]
    good = (steps > 0) & (np.abs(steps - interval) <= INTERVAL_TOLERANCE * interval)
    if good.all():
        return
    index = int(np.flatnonzero(~good)[0])
    line, step = lines[index + 1], float(steps[index])
    if step <= 0:
        what = "repeats that of the row before" if step == 0 else f"is {-step:g} s before that of the row before"
        _fail(path, line, f"its time {what}: times must ascend")
    kind = "a gap: it" if step > interval else "it"
    _fail(path, line, f"{kind} is {step:g} s after the row before: must be {interval:g} s, as the second row is")


def _fail(path: str | Path, line: int, message: str) -> NoReturn:
    raise ConfigError(f"{path}: line {line}: {message}")


def _seconds(text: str) -> float | None:
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


def _as_start(value: Any) -> Any:
    """The forms of `start`; hours become a range."""
    if isinstance(value, datetime.datetime):  # what YAML makes of an unquoted date
        return value.isoformat(" ")
    if isinstance(value, str) and _seconds(value) is None:
        raise ValueError("must be YYYY-MM-DD HH:MM:SS, or hours after the first row: a number or [low, high]")
    return value if value is None or isinstance(value, str) else as_range(value, allowed="hours of at least 0", low=0)


class TraceTraffic(CurvedTraffic):
    """A window of a recorded trace; its median request rate becomes `median_level` times the normal load.

    Attributes:
        trace: the CSV: a path, or the name of a file in `configs/traces`.
        start: where t = 0 lies: a time of the trace, or hours after its first row (a number or a range); null is
            anywhere where the episode fits in.
        max_level: what lies above is cut off; null is no limit.
    """

    kind: Literal["trace"]
    trace: Text
    start: Annotated[str | Range | None, BeforeValidator(_as_start)] = None
    median_level: Positive = 1.0
    max_level: Positive | None = None

    @model_validator(mode="after")
    def _check_trace(self) -> Self:
        if self.recorded.median == 0:
            raise ValueError(f"{self.trace}: the median of its requests is 0: must be above 0, to be rescaled")
        return self

    @cached_property
    def recorded(self) -> Trace:
        """The trace as recorded."""
        shipped = CONFIGS / "traces" / self.trace
        named = [path for path in (Path(self.trace), shipped, shipped.with_suffix(".csv")) if path.is_file()]
        if not named:
            is_bare = Path(self.trace).name == self.trace
            raise ConfigError(
                f"trace = {self.trace!r}: must be the path of a CSV file"
                + (f", or the name of one in {shipped.parent}" if is_bare else "; there is none")
            )
        return read_trace(named[0])

    def check(self, horizon_s: float) -> None:
        super().check(horizon_s)
        room_s = self.recorded.duration_s - horizon_s
        if room_s < 0:
            raise ValueError(
                f"horizon_s = {horizon_s:g}: must be at most {self.recorded.duration_s:g}, all of trace {self.trace}"
            )
        low, high = self._offsets_s(horizon_s)
        if low < 0 or high > room_s:
            raise ValueError(
                f"traffic.start = {self.start!r}: an episode of horizon_s = {horizon_s:g} must lie within trace "
                f"{self.trace}: start between {self._moment(0.0)} and {self._moment(room_s)}"
            )

    def _base(self, rng: np.random.Generator, times_s: Array, horizon_s: float) -> tuple[Array, float]:
        trace = self.recorded
        offset_s = draw(rng, self._offsets_s(horizon_s))
        levels = trace.counts_at(offset_s + times_s) * (self.median_level / trace.median)
        hour = (float(trace.times_s[0]) + offset_s) / HOUR_S % DAY_HOURS
        return levels if self.max_level is None else np.minimum(levels, self.max_level), hour

    def _offsets_s(self, horizon_s: float) -> Range:
        """Where t = 0 may lie, in seconds after the first row."""
        if self.start is None:
            return 0.0, self.recorded.duration_s - horizon_s
        if isinstance(self.start, str):
            offset_s = (_seconds(self.start) or 0.0) - float(self.recorded.times_s[0])
            return offset_s, offset_s
        return self.start[0] * HOUR_S, self.start[1] * HOUR_S

    def _moment(self, offset_s: float) -> str:
        """What `start` would be for this offset, in both its forms."""
        moment = datetime.datetime.fromtimestamp(float(self.recorded.times_s[0]) + offset_s, datetime.UTC)
        return f"{offset_s / HOUR_S:g} h ({moment:%Y-%m-%d %H:%M:%S})"
