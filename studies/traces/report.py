"""The page `docs/reports/traces.md`: three recorded traces, and the LLM's latency from recorded token counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from streamflow_env.system.schema import Flag, Frozen, Positive, Text

OPENING: Final = """# Three real traces, as recorded and as load

Each picture shows the counts of the file, and the same as the load of an episode, in multiples of the normal load.
The 3x of the evening peak is marked, and what lies above it is shaded. The last panel is a close-up of the highest
count: the file's rows (grey) and the simulation's bins of 5 s. The World Cup is shipped; the two other files are not
part of the project. [scenarios.md](../guide/scenarios.md#your-own-traffic) says what a file may look like and how it
becomes load. Written by `make study NAME=traces ARGS="--taxi FILE --llm FILE"`.
"""
TOKENS: Final = """### Its token counts as the LLM's latency

The same file says how long requests and answers were. With `token_latency` an LLM endpoint draws each latency from
its rows, `base_s` plus so many seconds a token, instead of from `floor_latency_s` and `tail`. Quota, 429s and
slowdowns stay. The coefficients below put the 1st and the 99th percentile of this file at the brief's 200 ms and 2 s.
A misspelt column or a damaged row is an error that names the line.

```python
import gymnasium
import streamflow_env
from streamflow_env.system import load_system

system = load_system().model_dump()
system["services"]["llm"]["token_latency"] = {
    "trace": "AzureLLMInferenceTrace_conv.csv",
    "base_s": 0.15,
    "seconds_per_input_token": 2e-5,
    "seconds_per_output_token": 0.003,
}
env = gymnasium.make("StreamFlow-v1", system=system)
latencies = env.unwrapped.system.services["llm"].token_latency.latencies_ns
print([latencies[len(latencies) * percent // 100] / 1e9 for percent in (1, 50, 99)])  # s
```"""


class TracePlan(Frozen):
    """One trace of the page: its file (None: an option of the study names it), how it is read, and what is said of it.

    `median_level` is the multiple of the normal load that its median becomes.
    """

    name: Text
    title: Text
    file: Text | None = None
    events: Flag = False
    median_level: Positive = 1.0
    heading: Text
    picture: Text
    text: Text
    source: Text


class Plan(Frozen):
    """The traces of the page, in order."""

    traces: tuple[TracePlan, ...]


def page(traces: Sequence[TracePlan], folder: str) -> str:
    """The whole page. The pictures lie in `folder`, relative to it."""
    return "\n".join(_page(traces, folder)) + "\n"


def _page(traces: Sequence[TracePlan], folder: str) -> Iterator[str]:
    yield OPENING
    for trace in traces:
        yield f"## {trace.heading}\n"
        yield f"![{trace.picture}]({folder}/{trace.name}.png)\n"
        yield f"{trace.text}\n"
        yield f"Source: {trace.source}\n"
    yield TOKENS
