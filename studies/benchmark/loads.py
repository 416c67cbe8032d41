"""The loads that are measured, with the default action: normal, three times that, collapsed after a retry storm."""

from __future__ import annotations

from typing import Any, Final

from streamflow_env.engines import Engine, make_engine
from streamflow_env.engines.compiled import CompiledEngine
from streamflow_env.episode import Episode
from streamflow_env.scenarios import Timeline
from streamflow_env.system import System
from streamflow_env.system.schema import parse
from studies.calibration.cascades import AUTH_FACTOR, AUTH_LEVEL

HORIZON_S: Final = 21_600.0
"""More than is ever simulated; the rates of all its bins are part of a cell's memory."""
SLOW_S: Final = 120.0
"""So long, from the start, is Auth slow where the system is to collapse; at this load it stays so."""
COLLAPSED_AFTER_STEPS: Final = 16
SETTLED_AFTER_STEPS: Final = 4
NORMAL, THREE_TIMES, COLLAPSED = "normal", "3x", "collapsed"
LOADS: Final = (NORMAL, THREE_TIMES, COLLAPSED)
_LEVELS: Final = {NORMAL: 1.0, THREE_TIMES: 3.0, COLLAPSED: AUTH_LEVEL}


def scenario(load: str) -> Timeline:
    """A steady load for some hours; nothing happens but, for `collapsed`, that Auth is slow for a while."""
    slow = {"kind": "slowdown", "service": "auth", "start_s": 0.0, "duration_s": SLOW_S, "factor": AUTH_FACTOR}
    data: dict[str, Any] = {
        "name": f"steady-{load}",
        "horizon_s": HORIZON_S,
        "traffic": {"kind": "ramps", "start_hour": 12, "level": _LEVELS[load]},
        "incidents": [slow] if load == COLLAPSED else [],
    }
    return parse(Timeline, data, "benchmark")


def steps_before(load: str) -> int:
    """Control steps after which the load is what its name says."""
    return COLLAPSED_AFTER_STEPS if load == COLLAPSED else SETTLED_AFTER_STEPS


def episode(load: str, system: System, seed: int) -> Episode:
    return scenario(load).episode(system, seed)


def started(name: str, system: System, load: str, seed: int) -> Engine:
    """An engine under this load."""
    engine = make_engine(name, system)
    engine.reset(episode(load, system, seed))
    run_steps(engine, system, steps_before(load))
    return engine


def started_compiled(system: System, load: str, seed: int) -> CompiledEngine:
    """The compiled engine under this load, which counts its events."""
    engine = started("compiled", system, load, seed)
    assert isinstance(engine, CompiledEngine)
    return engine


def run_steps(engine: Engine, system: System, num_steps: int) -> None:
    """Make `num_steps` steps with the default action."""
    default = system.control_table.default
    for _ in range(num_steps):
        engine.step(default)
