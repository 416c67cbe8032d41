"""The settings that are held while one control is moved: the default ones, the playbook's, a scenario's best ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from streamflow_agents.policies.baselines import StaticBaseline, make_baseline
from streamflow_env.environment.observations import ObservationTable
from streamflow_env.errors import ConfigError
from streamflow_env.system import System
from streamflow_env.system.controls import ControlTable
from studies.interventions.plan import Plan
from studies.interventions.trials import Action

DO_NOTHING: Final = "do_nothing"
PLAYBOOK: Final = "playbook"
BASES: Final = (DO_NOTHING, PLAYBOOK)
BEST: Final = "best"
NEVER_ASK: Final[Mapping[str, float]] = {"llm_ask": 0.0, "llm_defer": 0.0}
ALWAYS_ASK: Final[Mapping[str, float]] = {
    "llm_ask": 1.0, "llm_fallback": 0.0, "llm_timeout": 10.0, "llm_breaker_threshold": 1.0, "llm_retry_budget": 1.0,
}  # fmt: skip
"""The two shortcuts: never ask the LLM, and always ask it and wait for each answer."""


def base_actions(system: System) -> dict[str, Action]:
    """The actions of `BASES`, by name."""
    return {name: fixed_action(name, system) for name in BASES}


def fixed_action(name: str, system: System) -> Action:
    """The action of a baseline that never changes it. Raises ConfigError for one that does, or is unknown."""
    baseline = make_baseline(name, system, ObservationTable(system))
    if not isinstance(baseline, StaticBaseline):
        raise ConfigError(f"baseline {name!r}: must be one whose settings never change")
    return _action(system.control_table, baseline.settings)


def base_of(base: str, control: str, plan: Plan) -> str:
    """The name of the base over which `control` is swept: over the playbook, with its companions."""
    if base != PLAYBOOK or control not in plan.companions:
        return base
    return ", ".join([base, *(f"{name} {value:g}" for name, value in plan.companions[control].items())])


def with_companions(action: Action, control: str, plan: Plan, table: ControlTable) -> Action:
    """`action` with the companions of `control`, if any."""
    return with_settings(action, plan.companions.get(control, {}), table)


def with_settings(action: Action, settings: Mapping[str, float], table: ControlTable) -> Action:
    """`action` with some controls set, in natural units."""
    natural = table.natural(np.array(action))
    for name, value in settings.items():
        natural[table.names.index(name)] = value
    return _action(table, natural)


def _action(table: ControlTable, natural: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Action:
    return tuple(table.action(natural).astype(float).tolist())
