"""Part 5: what the environment adds to the bare kernel, layer by layer, and what the vector step adds.

The kernel is the compiled code that simulates: arrivals, controls, events. The engine adds the telemetry, the
environment observation, reward and metrics, Gymnasium its wrappers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import gymnasium

import streamflow_env  # noqa: F401 - registers the ids
from streamflow_env.engines.compiled import engine as engine_module
from streamflow_env.engines.compiled.engine import CompiledEngine
from streamflow_env.engines.draws.arrivals import Arrivals
from streamflow_env.environment.env import StreamFlowEnv
from streamflow_env.system import System, load_system
from studies.benchmark.cells import ENV_ID, MANY, Cells, is_vectorised, make_cells
from studies.benchmark.loads import NORMAL, THREE_TIMES, run_steps, scenario, started_compiled, steps_before
from studies.benchmark.results import Measurement, Sample, Target, ratio
from studies.benchmark.timing import Watch, in_turn, seconds_of, watching

NUM_STEPS: Final = 64
"""Of a round of one cell."""
NUM_VECTOR_STEPS: Final = 4
MOST_OVER_KERNEL: Final = 1.05
MICROSECONDS: Final = 1e6
KERNEL: Final[dict[str, tuple[Any, str]]] = {
    "arrivals": (Arrivals, "until"),
    "controls": (engine_module, "put_in_force"),
    "events": (engine_module, "run_interval"),
}


def measure(quick: bool) -> tuple[list[Measurement], list[Target], list[str]]:
    """Microseconds a control step of each layer; the vector step over as many kernels."""
    measurements, targets, num_cells = [], [], 8 if quick else MANY
    for load in (NORMAL, THREE_TIMES):
        layers = _layers(load, 3 if quick else 15)
        kernel = layers["kernel"]
        measurements += [
            Measurement(f"{load} load, {name}", {"a control step": took, "over the kernel": ratio(took, kernel)})
            for name, took in layers.items()
        ]
        over = _vector_over_kernels(load, num_cells, 2 if quick else 7)
        measurements += over
        if load == NORMAL:
            what = f"vector step over N x kernel, {load} load, {num_cells} cells, one thread"
            targets.append(Target(what, MOST_OVER_KERNEL, False, over[0].samples["over the kernel"]))
    return measurements, targets, []


def _layers(load: str, num_rounds: int) -> dict[str, Sample]:
    """One cell in each layer, the same episode; the kernel's time is that within the engine's steps."""
    system = load_system()
    engine = started_compiled(system, load, seed=1)
    env = StreamFlowEnv(scenario(load))
    made = gymnasium.make(ENV_ID, scenario=scenario(load))
    for one in (env, made):
        one.reset(options={"episode_seed": 1})
        _steps(one, env.default_action, steps_before(load))
    kernels: list[float] = []

    def engine_steps() -> float:
        watch = Watch()
        with watching(watch, KERNEL):
            took_s = seconds_of(lambda: run_steps(engine, system, NUM_STEPS))
        kernels.append(MICROSECONDS * sum(watch.take().values()) / NUM_STEPS)
        return MICROSECONDS * took_s / NUM_STEPS

    def env_steps(one: Any) -> float:
        return MICROSECONDS * seconds_of(lambda: _steps(one, env.default_action, NUM_STEPS)) / NUM_STEPS

    works: dict[str, Callable[[], float]] = {
        "engine": engine_steps,
        "environment": partial(env_steps, env),
        "gymnasium.make": partial(env_steps, made),
    }
    layers = in_turn(works, num_rounds, "µs")
    return {"kernel": Sample("µs", tuple(kernels)), **layers}


def _steps(env: Any, action: Any, num_steps: int) -> None:
    for _ in range(num_steps):
        env.step(action)


def _vector_over_kernels(load: str, num_cells: int, num_rounds: int) -> list[Measurement]:
    """The same cells by the vector step, with and without metrics in its infos, and by their bare kernels in turn."""
    system = load_system()
    name = f"{load} load, vector step of {num_cells} cells, a cell"
    vectors = {name: make_cells(num_cells, 1, load)}
    if is_vectorised():
        vectors[f"{name}, without metrics"] = make_cells(num_cells, 1, load, metrics=False)
    engines = [started_compiled(system, load, seed) for seed in range(num_cells)]
    works: dict[str, Callable[[], float]] = {
        **{name: partial(_vector_steps, cells, num_cells) for name, cells in vectors.items()},
        "kernels": partial(_kernel_steps, engines, system),
    }
    took = in_turn(works, num_rounds, "µs")
    for cells in vectors.values():
        cells.close()
    kernels = took.pop("kernels")
    return [
        Measurement(name, {"a control step": sample, "over the kernel": ratio(sample, kernels)})
        for name, sample in took.items()
    ]


def _vector_steps(cells: Cells, num_cells: int) -> float:
    def run() -> None:
        for _ in range(NUM_VECTOR_STEPS):
            cells.step()

    return MICROSECONDS * seconds_of(run) / (NUM_VECTOR_STEPS * num_cells)


def _kernel_steps(engines: list[CompiledEngine], system: System) -> float:
    watch = Watch()
    with watching(watch, KERNEL):
        for _ in range(NUM_VECTOR_STEPS):
            for engine in engines:
                run_steps(engine, system, 1)
    return MICROSECONDS * sum(watch.take().values()) / (NUM_VECTOR_STEPS * len(engines))
