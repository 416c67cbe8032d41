"""StreamFlow: an environment of cascading overload. Importing it registers the environments' ids with Gymnasium."""

from importlib.metadata import PackageNotFoundError, version

from gymnasium.envs.registration import register

try:
    __version__ = version("streamflow-env")
except PackageNotFoundError:
    __version__ = "0"

SCENARIOS = (
    "normal", "peak-hour", "evening-peak", "whole-day", "llm-rate-limit", "invalidation-storm", "retry-storm",
    "campaign", "compound", "trace", "mixed", "mixed-without-slow-auth",
)  # fmt: skip
"""The scenarios that have an id of their own: `evening-peak` is `StreamFlow-EveningPeak-v0`."""

ENV_IDS = ("StreamFlow-v0", *(f"StreamFlow-{name.title().replace('-', '')}-v0" for name in SCENARIOS))

for _id, _scenario in zip(ENV_IDS, ("mixed", *SCENARIOS), strict=True):
    register(
        id=_id,
        entry_point="streamflow_env.environment.env:StreamFlowEnv",
        vector_entry_point="streamflow_env.environment.vector_env:StreamFlowVectorEnv",
        kwargs={"scenario": _scenario},
    )
