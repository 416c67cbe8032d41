"""Recorded traffic: what is read, what is refused and where, and how it becomes the load of an episode."""

from __future__ import annotations

import gzip
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamflow_env.episode import BIN_S
from streamflow_env.errors import ConfigError
from streamflow_env.paths import CONFIGS
from streamflow_env.system.schema import parse
from streamflow_env.traffic import Load, Trace, TraceTraffic, read_trace
from studies.traces.example_day import example_counts, example_csv

SHARED_TRACES = Path(__file__).resolve().parents[3] / "shared" / "traces"


@pytest.fixture
def csv_of(tmp_path: Path) -> Any:
    """A function that writes a CSV and gives its path."""

    def write(text: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "trace.csv"
        path.write_text(text, encoding=encoding)
        return path

    return write


def load(trace: Path | str, times_s: Any, horizon_s: float = 60.0, seed: int = 0, **data: Any) -> Load:
    traffic = parse(TraceTraffic, {"kind": "trace", "trace": str(trace), **data}, "test")
    traffic.check(horizon_s)
    return traffic.sample(seed, np.asarray(times_s, dtype=np.float64), horizon_s)


def ten_minutes(counts: Any) -> str:
    return "".join(f"{60 * i},{count}\n" for i, count in enumerate(counts))


@pytest.mark.parametrize(
    "text",
    [
        "time,requests\n2024-02-28 23:59:00,5\n2024-02-29 00:00:00,7\n2024-02-29 00:01:00,0\n",
        "2024-02-28 23:59:00,5\r\n2024-02-29 00:00:00,7\r\n2024-02-29 00:01:00,0",
        "\n2024-02-28T23:59, 5\n\n2024-02-29 00:00:00,7.0\n2024-02-29 00:01:00,0e0\n\n",
        "1709164740,5\n1709164800,7\n1709164860,0\n",
    ],
)
def test_a_trace_is_read_in_all_its_forms(csv_of: Any, text: str) -> None:
    trace = read_trace(csv_of(text))
    assert trace.counts.tolist() == [5.0, 7.0, 0.0]
    assert trace.interval_s == 60.0
    assert trace.duration_s == 180.0
    assert trace.times_s.tolist() == [1709164740.0, 1709164800.0, 1709164860.0]


def test_a_byte_order_mark_is_no_part_of_the_first_cell(csv_of: Any) -> None:
    assert read_trace(csv_of("0,1\n60,2\n", encoding="utf-8-sig")).counts.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has 0 rows of data: must have at least two"),
        ("time,requests\n", "has 0 rows of data: must have at least two"),
        ("time,requests\n0,1\n", "has 1 rows of data: must have at least two"),
        ("0,1\n60\n", "line 2: has 1 columns: must have two"),
        ("0,1\n60,1,1\n", "line 2: has 3 columns: must have two"),
        ("t,n\n0,1\n60,many\n", "line 3: requests = 'many': must be a finite number of at least 0"),
        ("0,many\n60,1\n", "line 1: requests = 'many': must be"),
        ("soon,1\n60,1\n", "line 1: time = 'soon': must be YYYY-MM-DD HH:MM:SS or a finite number of seconds"),
        ("0,1\n2024-13-01 00:00:00,1\n", "line 2: time = '2024-13-01 00:00:00': must be"),
        ("0,1\ninf,1\n", "line 2: time = 'inf': must be"),
        ("0,1\n60,\n", "line 2: requests = '': must be"),
        ("0,1\n60,-1\n", "line 2: requests = '-1': must be"),
        ("0,1\n60,nan\n", "line 2: requests = 'nan': must be"),
        ("0,1\n60,inf\n", "line 2: requests = 'inf': must be"),
        ("0,1\n60,1\n120,1\n240,1\n", "line 4: a gap: it is 120 s after the row before: must be 60 s"),
        ("0,1\n60,1\n\n90,1\n", "line 4: it is 30 s after the row before: must be 60 s"),
        ("0,1\n60,1\n60,1\n", "line 3: its time repeats that of the row before: times must ascend"),
        ("0,1\n0,1\n", "line 2: its time repeats that of the row before"),
        ("0,1\n60,1\n30,1\n", "line 3: its time is 30 s before that of the row before: times must ascend"),
    ],
)
def test_a_bad_line_is_one_error_that_names_it(csv_of: Any, text: str, message: str) -> None:
    path = csv_of(text)
    with pytest.raises(ConfigError) as error:
        read_trace(path)
    assert str(error.value).startswith(f"{path}: {message}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "1704067200000,600\n1704067260000,600\n",
            "line 1: time = .*: must be in seconds, .* milliseconds",
        ),
        ("t,n\n1704067200000000,6\n1704067260000000,6\n", "line 2: time = .*: must be in seconds, .* microseconds"),
        ("1704067200000000000,6\n1704067260000000000,6\n", "line 1: time = .*: must be in seconds, .* nanoseconds"),
        ("1704067200,6\n1704067260000,6\n", "line 2: time = '1704067260000': must be in seconds, .* milliseconds"),
        ("99999999999999999999999,6\n999999999999999999999999,6\n", "line 1: time = .*: must be in seconds"),
        ("20240101,6\n20240102,6\n", "line 1: time = '20240101': may be a date or .*; must be YYYY-MM-DD"),
        ("time,n\n2024010100,6\n2024010101,6\n", "line 2: time = '2024010100': may be a date or"),
        ("202401010000,6\n202401010001,6\n", "line 1: time = '202401010000': may be a date or"),
        ("20240101000000,6\n20240101000100,6\n", "line 1: time = '20240101000000': may be a date or"),
        ("2024-13-01 00:00:00,6OO\n2024-01-01 00:01:00,6\n", "line 1: "),
        ("2o24-01-01 00:00:00,x\n2024-01-01 00:01:00,6\n", "line 1: "),
        ("x024-01-01 00:00:00,x\n2024-01-01 00:01:00,6\n", "line 1: "),
        ("?,?\n0,6\n60,6\n", "line 1: "),
        ("0,6\n2024-01-01 00:01:00,6\n", "line 2: time = .*: must be a number of seconds, as in the first row"),
        ("2024-01-01,6\n0,6\n", "line 2: time = '0': must be a date, as in the first row"),
    ],
)
def test_no_unit_and_no_row_is_guessed_in_silence(csv_of: Any, text: str, message: str) -> None:
    path = csv_of(text)
    for event_bin_s in (None, 5.0):
        with pytest.raises(ConfigError, match=f"trace.csv: {message}"):
            read_trace(path, event_bin_s)


@pytest.mark.parametrize("header", ["time,requests", "# t,n", "Zeit,Anzahl", "_t,n2", ",requests", "t0,5min"])
def test_names_of_columns_are_no_data(csv_of: Any, header: str) -> None:
    assert read_trace(csv_of(f"{header}\n0,1\n60,2\n")).counts.tolist() == [1.0, 2.0]


def test_seconds_that_pass_by_a_date_are_seconds(csv_of: Any) -> None:
    times = [20_240_060 + 60 * i for i in range(4)]
    trace = read_trace(csv_of("".join(f"{time},1\n" for time in [20_240_000, *times])))
    assert trace.times_s.tolist() == [20_240_000, *times]
    assert read_trace(csv_of("20240101.0,1\n20240161.0,1\n")).times_s.tolist() == [20240101.0, 20240161.0]


def test_a_suffix_in_capitals_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "trace.CSV.GZ"
    path.write_bytes(gzip.compress(b"0,1\n60,2\n"))
    assert read_trace(path).counts.tolist() == [1.0, 2.0]


def test_a_start_is_not_guessed_either() -> None:
    with pytest.raises(ConfigError, match="start = '20240101': may be a date or a number of seconds"):
        load("example_day", [0.0], start="20240101")


def test_what_is_no_text_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_bytes(b"0,1\n60,\xff\n")
    with pytest.raises(ConfigError, match=r"trace.csv: line 2: requests = .*xff.*: must be"):
        read_trace(tmp_path / "trace.csv")
    (tmp_path / "trace.csv").write_text('0,1\n60,2\n120,"' + "3" * 200_000)
    with pytest.raises(ConfigError, match=r"trace.csv: line 3: cannot be read as a CSV: field larger"):
        read_trace(tmp_path / "trace.csv")
    with pytest.raises(ConfigError, match="cannot be read as a CSV"):
        read_trace(tmp_path)


def test_a_gzipped_trace_is_read(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv.gz"
    packed = gzip.compress(b"time,requests\n" + ten_minutes(range(1, 2000)).encode())
    path.write_bytes(packed)
    assert read_trace(path).counts.tolist() == list(range(1, 2000))
    for damaged in (packed[:-100], b"0,1\n60,2\n", packed[:30] + b"?" * 30 + packed[60:]):
        path.write_bytes(damaged)
        with pytest.raises(ConfigError, match=r"trace.csv.gz: .*cannot be read as a CSV") as error:
            read_trace(path)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("step_s", "form"), [(1, "{:%Y-%m-%d %H:%M:%S}"), (0.5, "{:%Y-%m-%dT%H:%M:%S.%f}0Z"), (1800, "{:%Y-%m-%d %H:%M}")]
)
def test_intervals_are_of_any_length(csv_of: Any, step_s: float, form: str) -> None:
    times = [datetime(2024, 2, 28, 23, 59) + i * timedelta(seconds=step_s) for i in range(5)]
    trace = read_trace(csv_of("".join(f"{form.format(time)},{i}\n" for i, time in enumerate(times))))
    assert trace.interval_s == step_s
    assert trace.counts.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "text",
    [
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:46.9999999,1,2\n"
        "2023-11-16 18:15:50.9951690,396,109\n2023-11-16 18:15:51.0,3,4\n2023-11-16 18:16:01,,\n",
        "1700158546.68\n1700158547\n1700158547\n1700158551.0\n1700158561.5\n",
        "1700158546,GET,/a\n1700158546.5,POST\n1700158550.99,\n\n1700158551.2,x,y,z,200\n1700158563,GET,/b\n",
    ],
)
def test_single_events_are_counted(csv_of: Any, text: str) -> None:
    trace = read_trace(csv_of(text), event_bin_s=5.0)
    assert trace.counts.tolist() == [3, 1, 0, 1]
    assert trace.interval_s == 5.0
    assert trace.times_s[0] == 1700158546.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time\n7\n", "has 1 rows of data: must have at least two"),
        ("time,x\n7,1\nlater,1\n", "line 3: time = 'later': must be YYYY-MM-DD HH:MM:SS or a finite number"),
        ("7,1\n,1\n", "line 2: time = '': must be"),
        ("7\n\nnan\n", "line 3: time = 'nan': must be"),
        ("7\n9\n8.5\n", "line 3: is 0.5 s before the row before: times must not descend"),
        (
            "7\n9\n1700158546\n",
            "line 3: is 1.70016e+09 s after the row before: all events must lie within 10000000 bins",
        ),
    ],
)
def test_a_bad_event_is_one_error_that_names_its_line(csv_of: Any, text: str, message: str) -> None:
    path = csv_of(text)
    with pytest.raises(ConfigError) as error:
        read_trace(path, event_bin_s=5.0)
    assert str(error.value).startswith(f"{path}: {message}")
    assert "\n" not in str(error.value)


def middles_of(trace: Trace, width_s: float) -> Any:
    """Of the bins that tile the trace, which is a multiple of `width_s` long."""
    return (np.arange(round(trace.duration_s / width_s)) + 0.5) * width_s


@pytest.mark.parametrize("interval_s", [0.5, 1.0, 5.0, 60.0, 1800.0])
@pytest.mark.parametrize("width_s", [0.75, 5.0, 7.5, 12.0, 1800.0])
def test_the_total_of_a_trace_is_kept_in_bins_of_any_width(interval_s: float, width_s: float) -> None:
    counts = np.random.default_rng(1).integers(0, 1000, size=7200).astype(float)
    trace = Trace(np.linspace(0.0, 7199 * interval_s, 7200), counts, interval_s)
    binned = trace.counts_in(middles_of(trace, width_s), width_s)
    assert binned.sum() == pytest.approx(counts.sum(), rel=1e-12)
    assert binned.min() > -1e-6


def test_bins_of_several_rows_are_their_sums() -> None:
    counts = np.random.default_rng(2).integers(0, 9, size=100).astype(float)
    trace = Trace(np.arange(100.0), counts, 1.0)
    assert trace.counts_in(middles_of(trace, 5.0), 5.0) == pytest.approx(counts.reshape(20, 5).sum(axis=1))
    assert trace.counts_in(np.array([2.75]), 5.0) == pytest.approx(counts[:5].sum() + (counts[5] - counts[0]) / 4)


def test_a_row_of_several_bins_gives_an_eighth_of_its_curvature_to_its_neighbours() -> None:
    counts = np.random.default_rng(1).integers(0, 1000, size=50).astype(float)
    trace = Trace(np.arange(0.0, 3000.0, 60.0), counts, 60.0)
    rows = trace.counts_in(middles_of(trace, 5.0), 5.0).reshape(50, 12).sum(axis=1)
    assert rows[1:-1] == pytest.approx(counts[1:-1] + np.diff(counts, n=2) / 8)


def test_an_episode_has_the_requests_of_its_window(csv_of: Any) -> None:
    """One row per request, through counting, rescaling and resampling to the simulation's bins."""
    times_s = np.sort(np.random.default_rng(3).uniform(0, 600, size=5000))
    path = csv_of("t,tokens\n" + "".join(f"{time},1\n" for time in times_s))
    traffic = load(path, (np.arange(120) + 0.5) * BIN_S, horizon_s=600, start=0, events=True, event_bin_s=1)
    median = np.median(np.histogram(times_s, bins=600, range=(0, 600))[0])
    assert traffic.levels.sum() * BIN_S * median == pytest.approx(5000)


def test_the_median_becomes_the_normal_load(csv_of: Any) -> None:
    path = csv_of(ten_minutes([50, 100, 100, 100, 400]))
    last = 285  # past the middle of the last row, from where the rate is level
    assert load(path, [150], start=0).levels == pytest.approx([1.0])
    assert load(path, [150, last], start=0, median_level=1.5).levels == pytest.approx([1.5, 6.0])
    assert load(path, [150, last], start=0, max_level=3.0).levels == pytest.approx([1.0, 3.0])


def test_an_episode_is_a_window_of_the_trace(csv_of: Any) -> None:
    path = csv_of("".join(f"2024-01-01 10:{i:02}:00,{100 + i}\n" for i in range(21)))
    by_time = load(path, [30], start="2024-01-01 10:05:00")
    by_hours = load(path, [30], start=5 / 60)
    assert by_time.levels == by_hours.levels == pytest.approx([105 / 110])
    assert by_time.start_hour == by_hours.start_hour == pytest.approx(10 + 5 / 60)


def test_seconds_count_from_midnight(csv_of: Any) -> None:
    assert load(csv_of("93600,1\n93660,1\n"), [0], start=0).start_hour == pytest.approx(2.0)


def test_without_a_start_the_window_lies_anywhere(csv_of: Any) -> None:
    path = csv_of(ten_minutes(range(1, 102)))
    levels = [load(path, [60, 3060], horizon_s=3120, seed=seed).levels * 51 for seed in range(200)]
    first, last = np.array(levels).T
    assert 1.5 <= first.min() < 2.5
    assert 49.5 < first.max() <= 50.5
    assert last == pytest.approx(first + 50)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"start": "soon"}, "start = 'soon': must be YYYY-MM-DD HH:MM:SS, or hours"),
        ({"start": -1}, "start = -1: must be hours of at least 0"),
        ({"start": [2, 1]}, r"start: \[2, 1\] must be hours of at least 0, or \[low, high\]"),
        ({"start": 23.5}, "start = .*must lie within trace example_day: start between 0 h .* and 23 h"),
        ({"start": "2024-12-31 23:00:00"}, "start = .*must lie within .*2025-01-01 00:00:00.*2025-01-01 23:00:00"),
        ({"horizon_s": 90000.0}, "horizon_s = 90000: must be at most 86400"),
        ({"max_level": 0}, "max_level = 0: must be greater than 0"),
        ({"events": "yes"}, "events = 'yes': "),
        ({"events": True, "event_bin_s": 0}, "event_bin_s = 0: must be greater than 0"),
        ({"median_level": -1}, "median_level = -1: must be greater than 0"),
        (
            {"trace": "no_such_day"},
            "trace = 'no_such_day': must be the path of a CSV file, or the name of one in .*traces$",
        ),
        ({"trace": "my/day.csv"}, "trace = 'my/day.csv': must be the path of a CSV file; there is none$"),
        ({"trace": ""}, "trace = '': .*at least 1 character"),
    ],
)
def test_what_is_wrong_is_named(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(**{"trace": "example_day", "times_s": [0], "horizon_s": 3600.0, **data})


def test_a_trace_that_is_mostly_empty_cannot_be_rescaled(csv_of: Any) -> None:
    with pytest.raises(ConfigError, match="the median of its requests is 0"):
        load(csv_of("0,0\n60,0\n120,7\n"), [0])


def test_a_bad_line_is_named_in_the_scenarios_error(csv_of: Any) -> None:
    with pytest.raises(ConfigError, match=r"^test: .*trace.csv: line 2: requests = '-1'"):
        load(csv_of("0,1\n60,-1\n"), [0])


def test_the_shipped_day_is_as_its_script_makes_it() -> None:
    assert (CONFIGS / "traces" / "example_day.csv").read_text() == example_csv()
    counts = example_counts()
    assert counts.shape == (1440,)
    assert 1.0 < counts.max() / np.median(counts) < 4.0


@pytest.mark.parametrize(
    ("path", "num_rows", "interval_s", "first_hour"),
    [
        (CONFIGS / "traces" / "world_cup_1998.csv.gz", 10080, 60.0, 0.0),
        (SHARED_TRACES / "nyc_taxi_half_hourly.csv", 10320, 1800.0, 0.0),
    ],
    ids=["world cup", "taxi"],
)
def test_real_traces_are_read(path: Path, num_rows: int, interval_s: float, first_hour: float) -> None:
    """The World Cup's is shipped. The taxi's may be absent."""
    if CONFIGS not in path.parents and not path.is_file():
        pytest.skip(f"the real trace {path} is not in this checkout")
    trace = read_trace(path)
    assert (trace.counts.size, trace.interval_s) == (num_rows, interval_s)
    traffic = load(path, np.arange(0, 86400.0, 5.0), horizon_s=86400.0, start=0)
    assert traffic.start_hour == first_hour
    day = trace.counts[: int(86400 / interval_s)]
    assert traffic.levels.mean() * trace.median == pytest.approx(day.mean(), rel=0.01)
    assert np.isfinite(traffic.levels).all()


def test_a_real_log_of_events_is_read_when_it_is_said_to_be_one() -> None:
    path = SHARED_TRACES / "azure_llm_inference_2023_conv.csv"
    if not path.is_file():
        pytest.skip(f"the real trace {path} is not in this checkout")
    with pytest.raises(ConfigError, match=r"line 2: has 3 columns: must have two, .* events: true"):
        read_trace(path)
    traffic = load(path, np.arange(2.5, 3500, 5.0), horizon_s=3500, start=0, events=True)
    assert traffic.start_hour == pytest.approx(18 + 15 / 60 + 46 / 3600)
    assert traffic.levels.sum() * 27 == pytest.approx(19366, abs=10)
