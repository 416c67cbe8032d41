"""What tests of scenarios share: the names of the shipped ones, and how two episodes are compared."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from streamflow_env.episode import BIN_S, Episode
from streamflow_env.system import System

HOURLY = ("normal", "peak-hour", "llm-rate-limit", "invalidation-storm", "retry-storm", "campaign", "compound")
VARIED = tuple(f"varied-{name}" for name in (*HOURLY, "real-hour"))
HELD_OUT_HOURS = ("varied-held-out-hour", "storm-held-out-hour")
STORM = (*(f"storm-{name}" for name in HOURLY), "storm-held-out-hour")


def levels(system: System, episode: Episode) -> Any:
    """The users' load in multiples of normal, in each bin from t = 0 on."""
    normal = sum(c.normal_rate_rps for c in system.classes.values() if c.kind == "interactive")
    return episode.rates_rps[list(system.interactive)].sum(axis=0)[int(system.warmup_s / BIN_S) :] / normal


def same(a: Episode, b: Episode) -> bool:
    names = {field.name for field in fields(Episode)} - {"rates_rps"}
    return np.array_equal(a.rates_rps, b.rates_rps) and all(getattr(a, name) == getattr(b, name) for name in names)
