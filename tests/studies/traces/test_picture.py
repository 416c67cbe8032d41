"""The picture of a trace: what its three panels show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamflow_env.system.schema import parse
from streamflow_env.traffic import TraceTraffic
from studies.traces.picture import close_up, draw_trace, per, spell


def traffic_of(trace: Path | str, **data: Any) -> TraceTraffic:
    return parse(TraceTraffic, {"kind": "trace", "trace": str(trace), **data}, "test")


def steps(axis: Any, label: str) -> Any:
    """The data of the stairs of this label in a panel."""
    (patch,) = [patch for patch in axis.patches if str(patch.get_label()).startswith(label)]
    return patch.get_data()


def test_the_panels_show_the_rows_the_load_and_the_crowd(tmp_path: Path) -> None:
    counts = np.full(2880, 100)
    counts[2000:2010] = 420
    path = tmp_path / "trace.csv"
    path.write_text("".join(f"{60 * i},{count}\n" for i, count in enumerate(counts)))
    figure = draw_trace(traffic_of(path), "two days")
    recorded, whole, close = figure.axes
    assert figure.get_suptitle() == "two days: 291,200 requests in 2 days"
    assert steps(recorded, "").values.tolist() == counts.tolist()
    assert steps(whole, "load").values == pytest.approx(counts / 100)
    assert steps(whole, "load").edges[[0, -1]] == pytest.approx([0.0, 48.0])  # hours, for it has no dates
    assert steps(whole, "above 3x").values.max() == pytest.approx(4.2)
    assert steps(close, "recorded, per minute").values.size == 240
    load = steps(close, "load, per 5 s")
    assert load.values.size == 240 * 12
    assert load.values.sum() / 12 == pytest.approx(230 + 10 * 4.2)
    assert load.edges[0] < 2000 / 60 < 2010 / 60 < load.edges[-1]
    figure.savefig(tmp_path / "trace.png")
    assert (tmp_path / "trace.png").stat().st_size > 10_000


def test_the_close_up_stays_within_the_trace(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("2024-01-01 10:00:00.25\n2024-01-01 10:00:03\n2024-01-01 10:00:07.5\n")
    traffic = traffic_of(path, events=True)
    assert close_up(traffic) == (0.0, 10.0)
    title = draw_trace(traffic, "few").axes[2].get_title(loc="left")
    assert title == "The grey stretch of it: 10 s around the highest count, 1 January 2024, 10:00"
    start_s, end_s = close_up(traffic_of("example_day"))
    assert end_s - start_s == 240 * 60
    assert start_s < 20 * 3600 < end_s


def test_durations_in_words() -> None:
    assert [spell(s) for s in (5.0, 90.0, 1800.0, 14400.0, 604800.0)] == ["5 s", "1.5 min", "30 min", "4 h", "7 days"]
    assert [per(s) for s in (1.0, 60.0, 1800.0)] == ["per second", "per minute", "per 30 min"]
