"""Cascade 1 under other loads and with users who wait longer: it shows why the 504s do not come last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from streamflow_env.system import System
from studies.calibration.cascades import LLM_LIMITED_LEVEL, LLM_RATE_LIMIT
from studies.calibration.onsets import chain
from studies.calibration.recording import record
from studies.calibration.situations import SECOND, llm_limited_at

LEVELS: Final = (LLM_LIMITED_LEVEL, 2.0, 3.0)
DEADLINES_S: Final = (5.0, 10.0, 15.0, 20.0)


@dataclass(frozen=True)
class PatienceResult:
    """The onsets of cascade 1 at one load and with one deadline of the users, in seconds after the cause began."""

    level: float
    deadline_s: float
    onsets_s: tuple[float, ...]


def measure_patience(run: tuple[System, float, float, int]) -> PatienceResult:
    """Simulate one episode of (system, load, deadline, seed). Only the users' deadline of the system changes."""
    system, level, deadline_s, seed = run
    users = system.users.model_copy(update={"deadline_s": deadline_s})
    patient = system.model_copy(update={"users": users})
    recording = record(patient, llm_limited_at(level), seed, engine="compiled", interval_s=SECOND)
    return PatienceResult(level, deadline_s, chain(LLM_RATE_LIMIT, recording).onsets_s)


def patience_runs(system: System, seed: int) -> Iterator[tuple[System, float, float, int]]:
    """Every load with every deadline."""
    for level in LEVELS:
        for deadline_s in DEADLINES_S:
            yield system, level, deadline_s, seed
