"""Settings that never change: the default configuration, and the playbook an engineer would set by hand."""

from __future__ import annotations

from collections.abc import Mapping

from streamflow_agents.policies.baselines.baseline import Baseline
from streamflow_env.environment.observations import ObservationTable
from streamflow_env.system import System
from streamflow_env.system.schema import Frozen, Integer, Number, Text


class Playbook(Frozen):
    """Settings by control name, in natural units; a control that is not named keeps its default."""

    settings: dict[Text, Number | Integer]


class StaticBaseline(Baseline):
    """`settings` from the first step on, the other controls at their defaults.

    Raises:
        ConfigError: the system lacks a control, or a value is out of its range.
    """

    def __init__(self, system: System, table: ObservationTable, settings: Mapping[str, float]) -> None:
        super().__init__(system, table, settings)
