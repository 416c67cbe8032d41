"""Recorded traffic as the load of an episode: a window of a trace, rescaled to the system's normal load."""

from __future__ import annotations

import datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BeforeValidator, model_validator

from streamflow_env.episode import BIN_S
from streamflow_env.errors import ConfigError
from streamflow_env.paths import CONFIGS
from streamflow_env.ranges import NonNegativeRange, Range, as_range, draw
from streamflow_env.system.pinned_files import pinned
from streamflow_env.system.schema import LARGEST, Flag, Positive, PositiveSeconds, Text
from streamflow_env.traffic.profile import DAY_HOURS, HOUR_S, Array, CurvedTraffic
from streamflow_env.traffic.traces import COMPACT, EVENT_BIN_S, Trace, is_compact_date, read_trace, seconds_of


def _as_start(value: Any) -> Any:
    """The forms of `start`; hours become a range."""
    if isinstance(value, str) and is_compact_date(value):
        raise ValueError(COMPACT)
    if isinstance(value, str) and seconds_of(value) is None:
        raise ValueError("must be YYYY-MM-DD HH:MM:SS, or hours after the first row: a number or [low, high]")
    return (
        value
        if value is None or isinstance(value, str)
        else as_range(value, allowed="hours of at least 0", low=0, high=LARGEST)
    )


def _find(trace: str) -> tuple[str, Path]:
    """The name by which a trace can be kept, and its path. Raises ConfigError where there is none."""
    if Path(trace).is_file():
        return str(Path(trace).resolve()), Path(trace)
    shipped = CONFIGS / "traces"
    for suffix in ("", ".csv", ".csv.gz"):
        if (path := shipped / f"{trace}{suffix}").is_file():
            return trace, path
    others = f", or the name of one in {shipped}" if Path(trace).name == trace else "; there is none"
    raise ConfigError(f"trace = {trace!r}: must be the path of a CSV file{others}")


class TraceTraffic(CurvedTraffic):
    """A window of a recorded trace; its median request rate becomes `median_level` times the normal load.

    Attributes:
        trace: the CSV: a path, or the name of a file in `configs/traces`.
        events: whether its rows are single requests instead of counts.
        event_bin_s: single requests are counted into bins of this length.
        start: where t = 0 lies: a time of the trace, or hours after its first row (a number or a range); null is
            anywhere where the episode fits in.
        max_level: what lies above is cut off; null is no limit.
        digest: the SHA-256 of the file, which is kept; another file at its place is an error.
    """

    kind: Literal["trace"]
    trace: Text
    events: Flag = False
    event_bin_s: PositiveSeconds = EVENT_BIN_S
    start: Annotated[str | NonNegativeRange | None, BeforeValidator(_as_start)] = None
    median_level: Positive = 1.0
    max_level: Positive | None = None
    digest: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _pin(cls, data: Any) -> Any:
        return pinned(data, "trace", _find)

    @model_validator(mode="after")
    def _check_trace(self) -> Self:
        if self.recorded.median == 0:
            raise ValueError(f"{self.trace}: the median of its requests is 0: must be above 0, to be rescaled")
        return self

    @cached_property
    def recorded(self) -> Trace:
        """The trace as recorded."""
        return read_trace(_find(self.trace)[1], self.event_bin_s if self.events else None)

    def levels_in(self, middles_s: Array, width_s: float) -> Array:
        """The load, as a multiple of the normal load, in bins around `middles_s` after the first row."""
        counts = self.recorded.counts_in(middles_s, width_s) * (self.recorded.interval_s / width_s)
        levels = counts * (self.median_level / self.recorded.median)
        return levels if self.max_level is None else np.minimum(levels, self.max_level)

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
        offset_s = draw(rng, self._offsets_s(horizon_s))
        hour = (float(self.recorded.times_s[0]) + offset_s) / HOUR_S % DAY_HOURS
        return self.levels_in(offset_s + times_s, BIN_S), hour

    def _offsets_s(self, horizon_s: float) -> Range:
        """Where t = 0 may lie, in seconds after the first row."""
        if self.start is None:
            return 0.0, self.recorded.duration_s - horizon_s
        if isinstance(self.start, str):
            offset_s = (seconds_of(self.start) or 0.0) - float(self.recorded.times_s[0])
            return offset_s, offset_s
        return self.start[0] * HOUR_S, self.start[1] * HOUR_S

    def _moment(self, offset_s: float) -> str:
        """What `start` would be for this offset, in both its forms."""
        moment = datetime.datetime.fromtimestamp(float(self.recorded.times_s[0]) + offset_s, datetime.UTC)
        return f"{offset_s / HOUR_S:g} h ({moment:%Y-%m-%d %H:%M:%S})"
