"""A fleet measures what its cells' engines alone would, whatever its threads and however its cells take turns."""

from __future__ import annotations

import pickle
from typing import Any

import numba
import numpy as np
import pytest

from streamflow_env.engines import ENGINE_NAMES, make_engine, make_fleet
from streamflow_env.engines.compiled import fleet as compiled_fleet
from streamflow_env.errors import ConfigError
from studies.equivalence.comparison import actions
from tests.engines.test_engine_state import SYSTEM, episode

NUM = 3


@pytest.mark.parametrize("num_threads", [1, 3])
@pytest.mark.parametrize("name", ENGINE_NAMES)
def test_a_fleet_is_its_engines(name: str, num_threads: int) -> None:
    fleet = make_fleet(name, SYSTEM, NUM, num_threads)
    alone = [make_engine(name, SYSTEM) for _ in range(NUM)]
    settings = [actions(SYSTEM, "random", seed) for seed in range(NUM)]
    fleet.reset(np.arange(NUM), [episode(seed) for seed in range(NUM)])
    latest = [engine.reset(episode(seed)) for seed, engine in enumerate(alone)]
    for turn in range(8 if name == "compiled" else 2):
        cells = np.flatnonzero(np.arange(NUM) != turn % 4)
        controls = np.array([next(setting) for setting in settings])
        fleet.step(cells, controls)
        for cell in cells.tolist():
            latest[cell] = alone[cell].step(controls[cell])
        if turn == 4:
            fleet.reset(np.array([1]), [episode(9)])
            latest[1] = alone[1].reset(episode(9))
        if turn == 5:
            fleet.close()
            fleet = pickle.loads(pickle.dumps(fleet))
        for cell, expected in enumerate(latest):
            assert fleet.telemetry.of(cell).differences(expected) == []
            np.testing.assert_array_equal(fleet.telemetry.counts[cell], expected.counts)
    fleet.close()


def test_the_lock_is_released_while_cells_are_simulated() -> None:
    kernel: Any = compiled_fleet.run_cells
    assert kernel.targetoptions["nogil"] is True


def test_without_the_jit_the_engines_step_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    fleets = [make_fleet("compiled", SYSTEM, 2) for _ in range(2)]
    controls = np.tile(SYSTEM.control_table.default, (2, 1))
    for fleet, is_off in zip(fleets, (0, 1), strict=True):
        monkeypatch.setattr(numba.config, "DISABLE_JIT", is_off)
        fleet.reset(np.arange(2), [episode(1), episode(2)])
        fleet.step(np.arange(2), controls)
    for cell in range(2):
        assert fleets[0].telemetry.of(cell).equals(fleets[1].telemetry.of(cell))


def test_a_wrong_engine_is_named() -> None:
    with pytest.raises(ConfigError, match="compiled, reference"):
        make_fleet("steam", SYSTEM, 1)
