"""The made-up day of requests that is shipped as `configs/traces/example_day.csv`, and how it is made.

`python -m studies.traces.example_day > configs/traces/example_day.csv` makes it again, byte for byte.
"""

from __future__ import annotations

import datetime
from typing import Final

import numpy as np

from streamflow_env.traffic.profile import Array

MINUTES: Final = 1440
REQUESTS_PER_MINUTE: Final = 1800
"""A cell's normal load, 30 requests/s."""
HOURS: Final = (0.0, 2.0, 5.0, 8.0, 12.0, 16.0, 18.0, 20.0, 23.0, 24.0)
LEVELS: Final = (1.2, 0.6, 0.35, 0.8, 1.0, 1.1, 1.5, 2.4, 2.3, 1.2)
FLASH_MINUTE, FLASH_HEIGHT, FLASH_RISE_MINUTES, FLASH_DECAY_MINUTES = 1185, 0.6, 4.0, 25.0
"""A flash crowd at 19:45: a quick rise by six tenths of the load, and an exponential decay."""


def example_counts() -> Array:
    """Requests in each minute, shape (1440,): an evening-peaked day, a flash crowd, and noise as large as Poisson's.

    The noise uses raw bits of PCG64, which numpy guarantees for ever: the sum of 12 uniforms less 6 is near normal.
    """
    minutes = np.arange(MINUTES) + 0.5
    after = minutes - FLASH_MINUTE
    rise = np.clip(after / FLASH_RISE_MINUTES, 0.0, 1.0)
    flash = FLASH_HEIGHT * rise * np.exp(-np.maximum(after - FLASH_RISE_MINUTES, 0.0) / FLASH_DECAY_MINUTES)
    expected = REQUESTS_PER_MINUTE * np.interp(minutes / 60.0, HOURS, LEVELS) * (1.0 + flash)
    bits = np.random.PCG64(0).random_raw(12 * MINUTES) >> np.uint64(11)
    noise = (bits * 2.0**-53).reshape(MINUTES, 12).sum(axis=1) - 6.0
    return np.asarray(np.rint(np.maximum(expected + np.sqrt(expected) * noise, 0.0)), dtype=np.float64)


def example_csv() -> str:
    """The file's text."""
    midnight = datetime.datetime(2025, 1, 1)  # any day does
    rows = (f"{midnight + datetime.timedelta(minutes=i)},{count:.0f}" for i, count in enumerate(example_counts()))
    return "\n".join(("time,requests", *rows)) + "\n"


if __name__ == "__main__":
    print(example_csv(), end="")
