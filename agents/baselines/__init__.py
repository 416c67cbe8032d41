"""The hand-made policies that agents are compared with, by name. Nothing here needs torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from agents.baselines.baseline import Baseline
from agents.baselines.hpa import HpaBaseline, HpaSettings
from agents.baselines.static import Playbook, StaticBaseline
from streamflow_env.environment.observations import ObservationTable
from streamflow_env.errors import ConfigError
from streamflow_env.paths import config_path
from streamflow_env.system import System
from streamflow_env.system.schema import load

__all__ = ["BASELINE_NAMES", "Baseline", "HpaBaseline", "HpaSettings", "Playbook", "StaticBaseline", "make_baseline"]


def _as_found(system: System, table: ObservationTable) -> Baseline[Any]:
    return StaticBaseline(system, table, {})


def _hpa(system: System, table: ObservationTable) -> Baseline[Any]:
    return HpaBaseline(system, table, _hpa_settings())


def _playbook(system: System, table: ObservationTable) -> Baseline[Any]:
    return StaticBaseline(system, table, _playbook_settings())


def _playbook_hpa(system: System, table: ObservationTable) -> Baseline[Any]:
    """The playbook's settings, but the replicas are the autoscalers'."""
    return HpaBaseline(system, table, _hpa_settings(), _playbook_settings())


def _hpa_settings() -> HpaSettings:
    return load(HpaSettings, config_path("baselines", "hpa"))


def _playbook_settings() -> dict[str, float]:
    return dict(load(Playbook, config_path("baselines", "playbook")).settings)


_MAKERS: Final[dict[str, Callable[[System, ObservationTable], Baseline[Any]]]] = {
    "as_found": _as_found,
    "hpa": _hpa,
    "playbook": _playbook,
    "playbook_hpa": _playbook_hpa,
}
BASELINE_NAMES: Final = tuple(_MAKERS)


def make_baseline(name: str, system: System, table: ObservationTable) -> Baseline[Any]:
    """The baseline called `name` for `system`, its parameters read from `configs/baselines`.

    Raises:
        ConfigError: an unknown name, or a wrong parameter file.
    """
    if name not in _MAKERS:
        raise ConfigError(f"baseline {name!r}: must be one of {', '.join(BASELINE_NAMES)}")
    return _MAKERS[name](system, table)
