"""StreamFlow: a Gymnasium environment of cascading overload in a simulated recommendation service.

Importing this package registers the ids of the environments with Gymnasium: `gymnasium.make("StreamFlow-v1")`. It loads
nothing heavy: the classes and functions below are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

from gymnasium.envs.registration import register

from streamflow_env.errors import ConfigError

if TYPE_CHECKING:
    from streamflow_env.environment.env import StreamFlowEnv
    from streamflow_env.environment.vector_env import StreamFlowVectorEnv
    from streamflow_env.scenarios import load_scenario
    from streamflow_env.system import load_system

__all__ = [
    "ENV_IDS",
    "SCENARIOS",
    "ConfigError",
    "StreamFlowEnv",
    "StreamFlowVectorEnv",
    "__version__",
    "load_scenario",
    "load_system",
]

try:
    __version__ = version("streamflow-env")
except PackageNotFoundError:
    __version__ = "0"

SCENARIOS = (
    "normal", "peak-hour", "evening-peak", "whole-day", "llm-rate-limit", "invalidation-storm", "retry-storm",
    "campaign", "compound", "trace", "mixed", "mixed-without-slow-auth", "varied-normal", "varied-peak-hour",
    "varied-llm-rate-limit", "varied-invalidation-storm", "varied-retry-storm", "varied-campaign", "varied-compound",
    "varied-real-hour", "varied-held-out-hour", "varied", "storm-normal", "storm-peak-hour", "storm-llm-rate-limit",
    "storm-invalidation-storm", "storm-retry-storm", "storm-campaign", "storm-compound", "storm-held-out-hour", "storm",
)  # fmt: skip
"""The scenarios that have an id of their own: `evening-peak` is `StreamFlow-EveningPeak-v1`."""

_NUM_STEPS: Final = {"evening-peak": 1440, "whole-day": 5760, "trace": 960}
"""Control steps of an episode of those scenarios whose episodes are not as long as `_USUAL_NUM_STEPS`."""
_USUAL_NUM_STEPS: Final = 240

ENV_IDS = ("StreamFlow-v1", *(f"StreamFlow-{name.title().replace('-', '')}-v1" for name in SCENARIOS))
"""The registered ids. `StreamFlow-v1` is the scenario `mixed`."""

for _id, _scenario in zip(ENV_IDS, ("mixed", *SCENARIOS), strict=True):
    _num_steps = _NUM_STEPS.get(_scenario, _USUAL_NUM_STEPS)
    register(
        id=_id,
        entry_point="streamflow_env.environment.env:make_env",
        vector_entry_point="streamflow_env.environment.vector_env:make_vector_env",
        max_episode_steps=_num_steps,
        kwargs={"scenario": _scenario, "max_steps": _num_steps},
    )

_MODULES: Final = {
    "StreamFlowEnv": "streamflow_env.environment.env",
    "StreamFlowVectorEnv": "streamflow_env.environment.vector_env",
    "load_scenario": "streamflow_env.scenarios",
    "load_system": "streamflow_env.system",
}


def __getattr__(name: str) -> Any:
    """Load a class or function of `_MODULES` when it is first used. Raises AttributeError for another name."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
