"""Policies for the environments: baselines, training, evaluation.

Importing it asks OpenMP for one thread that does not spin, unless the caller's environment says otherwise: on a busy
machine torch's waiting threads cost far more than they give. It loads nothing else: the functions below are loaded when
they are first used. What they need beyond the environment comes with the extras `train` and `plots`.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from streamflow_agents.extras import explain_missing_extra

if TYPE_CHECKING:
    from streamflow_agents.evaluation.episodes import evaluate
    from streamflow_agents.policies.baselines import make_baseline
    from streamflow_agents.policies.loading import load_policy

__all__ = ["evaluate", "load_policy", "make_baseline"]

_MODULES: Final = {
    "evaluate": "streamflow_agents.evaluation.episodes",
    "load_policy": "streamflow_agents.policies.loading",
    "make_baseline": "streamflow_agents.policies.baselines",
}


def __getattr__(name: str) -> Any:
    """Load a function of `_MODULES` when it is first used.

    Raises:
        AttributeError: another name.
        MissingExtraError: a package that the function needs is not installed.
    """
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with explain_missing_extra():
        return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
