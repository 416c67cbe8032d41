"""What a control step costs, without a clock: events are counted, arrays stay where they are, instructions are counted.

Instructions are those that `valgrind --tool=callgrind` counts between two control steps, Python's share included; the
same on every machine that compiles for the same processor. Numba compiles for a generic one here, into a cache of its
own, so that nothing is compiled within valgrind.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from streamflow_env.engines.compiled import CompiledEngine
from streamflow_env.scenarios import load_scenario
from streamflow_env.system import load_system
from studies.benchmark.memory import arrays_of

ROOT: Final = Path(__file__).parents[2]
SEED: Final = 1
NUM_STEPS: Final = 40
EVENTS: Final = {"normal": 134773, "evening-peak": 238536}
"""Of the first `NUM_STEPS` control steps of episode `SEED`, with the default controls. More is a change, or waste."""
INSTRUCTIONS_PER_EVENT: Final = 956.0
"""On 25 November 2026, generic x86-64."""
MOST: Final = 1.3 * INSTRUCTIONS_PER_EVENT
COUNTED: Final = """
import os, subprocess, sys
from streamflow_env.engines.compiled import CompiledEngine
from streamflow_env.scenarios import load_scenario
from streamflow_env.system import load_system

def count(on):
    if IN_VALGRIND:
        subprocess.run(["callgrind_control", "-i", on, str(os.getpid())], check=True, stdout=subprocess.DEVNULL)

system = load_system()
engine = CompiledEngine(system)
engine.reset(load_scenario("normal").episode(system, SEED))
default = system.control_table.default
engine.step(default)
first = engine.num_events
count("on")
for _ in range(10):
    engine.step(default)
count("off")
print("events", engine.num_events - first)
"""


def started(scenario: str) -> CompiledEngine:
    system = load_system()
    engine = CompiledEngine(system)
    engine.reset(load_scenario(scenario).episode(system, SEED))
    return engine


def run(engine: CompiledEngine, num_steps: int) -> None:
    default = load_system().control_table.default
    for _ in range(num_steps):
        engine.step(default)


@pytest.mark.parametrize("scenario", EVENTS)
def test_events_of_forty_steps(scenario: str) -> None:
    engine = started(scenario)
    first = engine.num_events
    run(engine, NUM_STEPS)
    assert engine.num_events - first == EVENTS[scenario]


def test_an_engine_counts_no_events_before_its_first_episode() -> None:
    assert CompiledEngine(load_system()).num_events == 0


@pytest.mark.parametrize("scenario", EVENTS)
def test_a_step_keeps_every_array_where_it_is(scenario: str) -> None:
    engine = started(scenario)
    run(engine, 4)
    before = arrays_of(engine)
    run(engine, NUM_STEPS)
    after = arrays_of(engine)
    assert after.keys() == before.keys()
    assert [name for name in before if after[name] is not before[name]] == []


@pytest.mark.slow
def test_instructions_of_an_event(tmp_path: Path) -> None:
    if shutil.which("valgrind") is None or shutil.which("callgrind_control") is None:
        pytest.skip("valgrind is not installed: instructions are not counted")
    python(tmp_path, [sys.executable], in_valgrind=False)
    counts = tmp_path / "callgrind.out"
    valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={counts}", sys.executable]
    said = python(tmp_path, valgrind, in_valgrind=True)
    events = int(said.split("events ")[1].split()[0])
    found = re.search(r"^totals: (\d+)", counts.read_text(encoding="utf-8", errors="replace"), re.M)
    assert found is not None
    assert int(found[1]) / events <= MOST


def python(folder: Path, command: list[str], *, in_valgrind: bool) -> str:
    """What the counted steps print, under a command; kernels are compiled for a generic processor, once a folder."""
    code = COUNTED.replace("IN_VALGRIND", str(in_valgrind)).replace("SEED", str(SEED))
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0", "NUMBA_CACHE_DIR": str(folder / "kernels"),
        "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "",
    }  # fmt: skip
    done = subprocess.run(
        [*command, "-c", code], capture_output=True, text=True, env=environment, cwd=ROOT, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
