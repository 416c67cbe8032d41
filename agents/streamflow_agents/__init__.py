"""Policies for the environments: baselines, training, evaluation.

`make_baseline`, `load_policy` and `evaluate` are imported when they are first used.

Importing this package asks OpenMP for one thread that does not spin, unless the environment variables say otherwise: on
a busy machine torch's waiting threads cost far more than they give.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamflow_agents.evaluation.episodes import evaluate
    from streamflow_agents.policies.baselines import make_baseline
    from streamflow_agents.policies.loading import load_policy

__all__ = ["evaluate", "load_policy", "make_baseline"]

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

_MODULES = {
    "evaluate": "streamflow_agents.evaluation.episodes",
    "load_policy": "streamflow_agents.policies.loading",
    "make_baseline": "streamflow_agents.policies.baselines",
}


def __getattr__(name: str) -> Any:
    """The public function called `name`. Raises AttributeError for any other name."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
