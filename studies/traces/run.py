"""Draw recorded traffic: the counts of a file, and the load of an episode on it.

By default this draws the pictures of the page `docs/reports/traces.md`. The World Cup's file is shipped. The taxi and
LLM traces are not: --taxi and --llm name their files, and without a file their pictures stay as they are. --trace draws
any other file instead, into the picture that --out names:

python scripts/study.py traces --trace requests.csv --out requests.png
python scripts/study.py traces --trace log.csv.gz --events --out log.png      one row per request
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamflow_agents.arguments import argument
from streamflow_env.errors import ConfigError
from streamflow_env.system.schema import parse
from streamflow_env.traffic import TraceTraffic
from streamflow_env.traffic.traces import EVENT_BIN_S
from studies.common.plots import save
from studies.common.study import ROOT, StudyArguments, load_plan, outputs
from studies.traces.picture import draw_trace
from studies.traces.report import Plan, TracePlan, page

NAME = "traces"


@dataclass(frozen=True)
class Arguments(StudyArguments):
    """Draw the recorded traces of the page, or any other trace."""

    taxi: str = argument("", "file of the taxi trips (numenta/NAB, nyc_taxi.csv)")
    llm: str = argument("", "file of the LLM's requests (Azure, AzureLLMInferenceTrace_conv.csv)")
    trace: str = argument("", "draw only this CSV, or the name of one in configs/traces; needs --out")
    out: str = argument("", "with --trace: picture to write")
    title: str = argument("", "with --trace: title; by default the file's name")
    events: bool = argument(False, "with --trace: the rows are single requests, not counts")
    event_bin_s: float = argument(EVENT_BIN_S, "with --trace: count single requests per so many seconds")
    median_level: float = argument(1.0, "with --trace: multiple of the normal load that the median becomes")
    max_level: float = argument(0.0, "with --trace: cut off what lies above this load; 0: no limit")


def run(arguments: Arguments) -> int:
    """Draw; always 0. Raises ConfigError: no such trace, or --trace without --out."""
    if arguments.trace:
        draw_one(arguments)
        return 0
    traces = load_plan(Plan, NAME).traces
    to = outputs(NAME, arguments.quick)
    given = {"taxi": arguments.taxi, "llm": arguments.llm}
    for trace in traces:
        file = str(ROOT / trace.file) if trace.file else given[trace.name]
        if file:
            draw(trace, file, to.pictures / f"{trace.name}.png")
        else:
            print(f"{trace.name}: not drawn; --{trace.name} names its file")
    to.page.parent.mkdir(parents=True, exist_ok=True)
    to.page.write_text(page(traces, to.pictures.name), encoding="utf-8")
    print(to.page)
    return 0


def draw(trace: TracePlan, file: str, picture: Path) -> None:
    """Draw one trace of the page."""
    traffic = traffic_of(file, events=trace.events, median_level=trace.median_level)
    save(draw_trace(traffic, trace.title), picture)
    print(picture)


def draw_one(arguments: Arguments) -> None:
    """Draw the trace that the command line names."""
    if not arguments.out:
        raise ConfigError("--trace: needs --out, the picture to write")
    options: dict[str, Any] = {
        "events": arguments.events, "event_bin_s": arguments.event_bin_s, "median_level": arguments.median_level,
    }  # fmt: skip
    if arguments.max_level:
        options["max_level"] = arguments.max_level
    traffic = traffic_of(arguments.trace, **options)
    save(draw_trace(traffic, arguments.title or Path(arguments.trace).name), Path(arguments.out))
    print(arguments.out)


def traffic_of(file: str, **options: Any) -> TraceTraffic:
    """The traffic of a trace. Raises ConfigError."""
    return parse(TraceTraffic, {"kind": "trace", "trace": file, **options}, "trace")
