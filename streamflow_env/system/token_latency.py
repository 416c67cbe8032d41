"""The latency of an LLM, computed from the token counts of recorded requests in a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from streamflow_env.system.pinned_files import pinned
from streamflow_env.system.schema import LONGEST_S, Frozen, NonNegative, Seconds, Text

MAX_LATENCIES: Final = 4096


class TokenLatency(Frozen):
    """The latency of an LLM from recorded requests: `base_s` plus a time per input token and per output token.

    `trace` is the path of a CSV file with a header; a relative path starts at the working directory. Its columns
    `input_column` and `output_column` hold whole numbers of tokens. Every latency is drawn from its rows. The path is
    kept as an absolute one, with the file's SHA-256 (`digest`): another file at its place is an error.
    """

    trace: Text
    input_column: Text = "ContextTokens"
    output_column: Text = "GeneratedTokens"
    base_s: Seconds = 0.0
    seconds_per_input_token: NonNegative
    seconds_per_output_token: NonNegative
    digest: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _pin(cls, data: Any) -> Any:
        return pinned(data, "trace", lambda trace: (str(Path(trace).resolve()), Path(trace)))

    @cached_property
    def latencies_ns(self) -> tuple[int, ...]:
        """The latencies of the rows in ns, ascending. Of more than `MAX_LATENCIES` rows, that many at even ranks."""
        counts = read_token_counts(self.trace, self.input_column, self.output_column)
        seconds = self.base_s + counts @ np.array([self.seconds_per_input_token, self.seconds_per_output_token])
        if seconds.max() > LONGEST_S:
            raise ValueError(
                f"token_latency: the longest of {self.trace} is {seconds.max():g} s: at most {LONGEST_S:g}"
            )
        ordered = np.sort(np.floor(seconds * 1e9 + 0.5).astype(np.int64))
        if len(ordered) > MAX_LATENCIES:
            ordered = ordered[((np.arange(MAX_LATENCIES) + 0.5) * len(ordered) / MAX_LATENCIES).astype(np.int64)]
        return tuple(ordered.tolist())

    @model_validator(mode="after")
    def _check(self) -> TokenLatency:
        if self.latencies_ns[0] < 0 or self.latencies_ns[-1] == 0:
            raise ValueError(f"token_latency: the latencies of {self.trace} must not be negative, nor all 0")
        return self


def read_token_counts(path: str | Path, input_column: str, output_column: str) -> NDArray[np.float64]:
    """Input and output tokens of each row, shape (num_rows, 2).

    Raises:
        ValueError: the file cannot be read, lacks a column, or has a value that is not a whole number; names the line.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            return _parse(csv.reader(file), str(path), (input_column, output_column))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"trace {path}: cannot be read: {error}") from None


def _parse(rows: Iterable[list[str]], path: str, columns: tuple[str, str]) -> NDArray[np.float64]:
    lines = iter(rows)
    header = next(lines, [])
    for column in columns:
        if column not in header:
            raise ValueError(f"trace {path}: has no column {column!r}, only {', '.join(header) or 'nothing'}")
    places = [header.index(column) for column in columns]
    counts = []
    for number, line in enumerate(lines, start=2):
        if not line:
            continue
        values = [line[place] if place < len(line) else "" for place in places]
        if not all(value.isascii() and value.isdigit() for value in values):
            raise ValueError(
                f"trace {path}, line {number}: {columns[0]}, {columns[1]} = {values}: must be whole numbers"
            )
        counts.append([int(value) for value in values])
    if not counts:
        raise ValueError(f"trace {path}: has no rows")
    return np.array(counts, dtype=np.float64)
