"""Part 7: from nothing to the first step, with kernels to compile and with kernels cached; memory of a cell.

Everything in processes of its own, the kernels' cache in a folder of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from streamflow_env.errors import ConfigError
from studies.benchmark.loads import LOADS, NORMAL
from studies.benchmark.results import Measurement, Sample, Target

ROOT: Final = Path(__file__).resolve().parents[2]
NUM_CELLS: Final = 64
NUM_LARGEST: Final = 6
MOST_COLD_S: Final = 25.0
MOST_CACHED_S: Final = 3.0
MOST_CELL_MB: Final = 1.5
START: Final = """
import json, time
moments = [time.perf_counter()]
import gymnasium, streamflow_env
moments.append(time.perf_counter())
env = gymnasium.make("StreamFlow-v1")
moments.append(time.perf_counter())
env.reset(seed=0)
moments.append(time.perf_counter())
env.step(env.unwrapped.default_action)
moments.append(time.perf_counter())
print(json.dumps([b - a for a, b in zip(moments, moments[1:])]))
"""
STAGES: Final = ("import", "make", "first reset", "first step")
MEMORY: Final = """
import json, os
from studies.benchmark.loads import started_compiled
from studies.benchmark.memory import arrays_of
from streamflow_env.system import load_system

def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

system = load_system()
first = started_compiled(system, LOAD, 0)
before = resident_mb()
engines = [started_compiled(system, LOAD, seed) for seed in range(1, NUM_CELLS + 1)]
growth = (resident_mb() - before) / NUM_CELLS
arrays = {name: array.nbytes / 1e6 for name, array in arrays_of(engines[0]).items()}
print(json.dumps([sum(arrays.values()), growth, before, arrays]))
"""


def measure(quick: bool) -> tuple[list[Measurement], list[Target], list[str]]:
    """Seconds from import to the first step; megabytes of a cell's arrays, and by which the process grows."""
    num_cold, num_cached = (1, 1) if quick else (2, 5)
    cold: list[list[float]] = []
    cached: list[list[float]] = []
    for _ in range(num_cold):
        with tempfile.TemporaryDirectory() as folder:
            cold.append(_python(START, folder))
            cached += [_python(START, folder) for _ in range(-(-num_cached // num_cold))]
    measurements = [_start_row("kernels to compile", cold), _start_row("kernels cached", cached)]
    found = {load: _python(MEMORY.replace("LOAD", repr(load)).replace("NUM_CELLS", str(NUM_CELLS))) for load in LOADS}
    memory = [_memory_row(load, *figures[:3]) for load, figures in found.items()]
    targets = [
        Target("import to first step, kernels to compile", MOST_COLD_S, False, measurements[0].samples["all"]),
        Target("import to first step, kernels cached", MOST_CACHED_S, False, measurements[1].samples["all"]),
        Target("memory of a cell, normal load", MOST_CELL_MB, False, memory[0].samples["process grows by"]),
    ]
    return [*measurements, *memory], targets, [_largest(found[NORMAL][3])]


def _start_row(label: str, runs: list[list[float]]) -> Measurement:
    stages = {stage: Sample("s", tuple(run[index] for run in runs)) for index, stage in enumerate(STAGES)}
    return Measurement(label, {**stages, "all": Sample("s", tuple(sum(run) for run in runs))})


def _largest(arrays: dict[str, float]) -> str:
    largest = sorted(arrays.items(), key=lambda item: -item[1])[:NUM_LARGEST]
    return f"The largest arrays at normal load: {', '.join(f'`{name}` {size:.2f} MB' for name, size in largest)}."


def _memory_row(load: str, arrays: float, growth: float, before: float) -> Measurement:
    return Measurement(
        f"a cell, {load} load",
        {
            "arrays": Sample("MB", (arrays,)),
            "process grows by": Sample("MB", (growth,)),
            "process with one cell": Sample("MB", (before,)),
        },
    )


def _python(code: str, cache: str | None = None) -> Any:
    """What `code` prints as JSON, in a process of its own. Raises ConfigError where it fails."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)} | ({} if cache is None else {"NUMBA_CACHE_DIR": cache})
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
    if done.returncode != 0:
        raise ConfigError(f"a process of the benchmark failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])
