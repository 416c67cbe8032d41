"""The combined expert: settings for calm hours, a fleet sized ahead and scaled, admission, and a runbook.

Its file, configs/baselines/expert.yaml, says what it does and can be read as a runbook. It sees telemetry alone.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pydantic import Field

from streamflow_agents.policies.baselines.admission import Admission, AdmissionSettings
from streamflow_agents.policies.baselines.baseline import Baseline
from streamflow_agents.policies.baselines.desk import Desk
from streamflow_agents.policies.baselines.hpa import Hpa, HpaSettings
from streamflow_agents.policies.baselines.parts import Part
from streamflow_agents.policies.baselines.predictive import Predictive, PredictiveSettings
from streamflow_agents.policies.baselines.runbook import Rule, Runbook
from streamflow_env.environment.observations import ObservationTable
from streamflow_env.errors import ConfigError
from streamflow_env.system import System
from streamflow_env.system.schema import Frozen, Integer, Number, Text


class ExpertSettings(Frozen):
    """Its parts, in the order in which they act; a part that is not given is left out."""

    settings: dict[Text, Number | Integer] = Field(default_factory=dict)
    predictive: PredictiveSettings | None = None
    hpa: HpaSettings | None = None
    admission: AdmissionSettings | None = None
    rules: tuple[Rule, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its parts and rules, in the order of its file."""
        parts = tuple(name for name in PARTS if getattr(self, name) is not None)
        return (*parts, *(rule.name for rule in self.rules))

    def without(self, names: Collection[str]) -> ExpertSettings:
        """A copy without the parts or rules of these names. Raises ConfigError for an unknown name."""
        for name in names:
            if name not in self.names:
                raise ConfigError(f"part {name!r}: must be one of {', '.join(self.names)}")
        left_out: dict[str, Any] = {name: None for name in PARTS if name in names}
        kept = tuple(rule for rule in self.rules if rule.name not in names)
        return self.model_copy(update={**left_out, "rules": kept})


PARTS = ("predictive", "hpa", "admission")


def make_expert(system: System, table: ObservationTable, settings: ExpertSettings) -> Baseline:
    """The policy. Each pool has the larger of the predicted size and the autoscaler's."""

    def make_parts(desk: Desk) -> list[Part[Any]]:
        parts: list[Part[Any]] = []
        if settings.predictive is not None:
            parts.append(Predictive(desk, settings.predictive))
        if settings.hpa is not None:
            parts.append(Hpa(desk, settings.hpa, largest=settings.predictive is not None))
        if settings.admission is not None:
            parts.append(Admission(desk, settings.admission))
        return [*parts, Runbook(desk, settings.rules)]

    return Baseline(system, table, settings.settings, make_parts)
