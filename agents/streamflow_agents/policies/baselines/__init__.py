"""The hand-made policies that agents are compared with, by name. Nothing here needs torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final

from streamflow_agents.policies.baselines.admission import Admission, AdmissionSettings
from streamflow_agents.policies.baselines.baseline import Baseline
from streamflow_agents.policies.baselines.expert import ExpertSettings, make_expert
from streamflow_agents.policies.baselines.hpa import Hpa, HpaSettings
from streamflow_agents.policies.baselines.keda import Keda, KedaSettings
from streamflow_agents.policies.baselines.predictive import Predictive, PredictiveSettings
from streamflow_agents.policies.baselines.static import Playbook, StaticBaseline
from streamflow_env.environment.observations import ObservationTable
from streamflow_env.errors import ConfigError
from streamflow_env.paths import config_names, config_path
from streamflow_env.system import System
from streamflow_env.system.schema import load

__all__ = [
    "BASELINE_NAMES",
    "WITHOUT",
    "Baseline",
    "DoesNotFitError",
    "Playbook",
    "StaticBaseline",
    "baseline_files",
    "each_without",
    "is_baseline",
    "make_baseline",
    "make_fitting",
]


Maker = Callable[[System, ObservationTable], Baseline]
"""Makes a baseline whose parameters have been read. Raises ConfigError where they do not fit the system."""


class DoesNotFitError(ConfigError):
    """A baseline sets or reads what a system does not have."""


def _do_nothing() -> Maker:
    return lambda system, table: StaticBaseline(system, table, {})


def _hpa() -> Maker:
    hpa = _hpa_settings()
    return lambda system, table: Baseline(system, table, {}, lambda desk: [Hpa(desk, _of_its_pools(hpa, system))])


def _playbook() -> Maker:
    playbook = _playbook_settings()
    return lambda system, table: StaticBaseline(system, table, playbook)


def _playbook_hpa() -> Maker:
    """The playbook's settings, but autoscalers set the replicas."""
    playbook, hpa = _playbook_settings(), _hpa_settings()
    return lambda system, table: Baseline(system, table, playbook, lambda desk: [Hpa(desk, hpa)])


def _keda() -> Maker:
    keda = load(KedaSettings, config_path("baselines", "keda"))
    return lambda system, table: Baseline(system, table, {}, lambda desk: [Keda(desk, keda)])


def _predictive() -> Maker:
    """The playbook, with replicas sized ahead."""
    playbook, ahead = _playbook_settings(), load(PredictiveSettings, config_path("baselines", "predictive"))
    return lambda system, table: Baseline(system, table, playbook, lambda desk: [Predictive(desk, ahead)])


def _aimd() -> Maker:
    """The playbook with autoscalers; the rate limit follows how long requests queue."""
    playbook, hpa = _playbook_settings(), _hpa_settings()
    admission = load(AdmissionSettings, config_path("baselines", "aimd"))
    return lambda system, table: Baseline(
        system, table, playbook, lambda desk: [Hpa(desk, hpa), Admission(desk, admission)]
    )


def _settings_of(name: str) -> Maker:
    """The fixed settings in the file of this name."""
    settings = load(Playbook, config_path("baselines", name)).settings
    return lambda system, table: StaticBaseline(system, table, settings)


def _expert_of(name: str, without: str = "") -> Maker:
    """The expert in the file of this name, without its part or rule called `without`."""
    settings = load(ExpertSettings, config_path("baselines", name)).without([without] if without else [])
    return lambda system, table: make_expert(system, table, settings)


def _hpa_settings() -> HpaSettings:
    return load(HpaSettings, config_path("baselines", "hpa"))


def _of_its_pools(hpa: HpaSettings, system: System) -> HpaSettings:
    """Without the settings of pools that the system lacks. Those of its own pools have the common ones."""
    return hpa.model_copy(update={"pools": {name: own for name, own in hpa.pools.items() if name in system.services}})


def _playbook_settings() -> dict[str, float]:
    return dict(load(Playbook, config_path("baselines", "playbook")).settings)


def _tuned(form: str) -> list[str]:
    """The names of what the tuning of this form has written, one for each level."""
    return [name for name in config_names("baselines") if name.startswith(form)]


_MAKERS: Final[dict[str, Callable[[], Maker]]] = {
    "do_nothing": _do_nothing,
    "hpa": _hpa,
    "keda": _keda,
    "playbook": _playbook,
    "playbook_hpa": _playbook_hpa,
    "predictive": _predictive,
    "aimd": _aimd,
    "expert": partial(_expert_of, "expert"),
    "adaptive_expert": partial(_expert_of, "adaptive_expert"),
    **{name: partial(_settings_of, name) for name in _tuned("tuned_static")},
    **{name: partial(_expert_of, name) for name in _tuned("tuned_expert")},
}
BASELINE_NAMES: Final = tuple(_MAKERS)
_FILES: Final[dict[str, tuple[str, ...]]] = {
    "do_nothing": (),
    "playbook_hpa": ("hpa", "playbook"),
    "predictive": ("playbook", "predictive"),
    "aimd": ("aimd", "hpa", "playbook"),
}
"""The files of a baseline that has not just the one of its name."""


WITHOUT: Final = "~"
_EXPERTS: Final = ("expert", "adaptive_expert", *_tuned("tuned_expert"))


def is_baseline(name: str) -> bool:
    """Whether `name` names a baseline, or an expert without one of its parts: `expert~hpa`."""
    base, mark, _ = name.partition(WITHOUT)
    return base in _MAKERS and (not mark or base in _EXPERTS)


def baseline_files(name: str) -> tuple[Path, ...]:
    """The parameter files of the baseline called `name`. Raises ConfigError: there is no such file."""
    base = name.partition(WITHOUT)[0]
    return tuple(config_path("baselines", file) for file in _FILES.get(base, (base,)))


def each_without(name: str) -> tuple[str, ...]:
    """For each part of an expert, the name of the expert without it. Raises ConfigError for another policy."""
    if name not in _EXPERTS:
        raise ConfigError(f"baseline {name!r}: must be one of {', '.join(_EXPERTS)} to have parts")
    return tuple(f"{name}{WITHOUT}{part}" for part in load(ExpertSettings, config_path("baselines", name)).names)


def make_baseline(name: str, system: System, table: ObservationTable) -> Baseline:
    """The baseline called `name` for `system`, its parameters read from `configs/baselines`.

    `expert~NAME` is the expert without the part or rule of that name.

    Raises:
        DoesNotFitError: it sets or reads what the system does not have.
        ConfigError: an unknown name, or a wrong parameter file.
    """
    if not is_baseline(name):
        raise ConfigError(f"baseline {name!r}: must be one of {', '.join(BASELINE_NAMES)}")
    base, mark, left_out = name.partition(WITHOUT)
    make = _expert_of(base, left_out) if mark else _MAKERS[base]()
    try:
        return make(system, table)
    except ConfigError as error:
        raise DoesNotFitError(f"baseline {name!r} does not fit system {system.name!r}: {error}") from None


def make_fitting(names: Iterable[str], system: System, table: ObservationTable) -> tuple[dict[str, Baseline], str]:
    """The baselines of these names that fit `system`, and one line on those that do not, empty if all do.

    Raises:
        ConfigError: an unknown name, or a wrong parameter file.
    """
    made: dict[str, Baseline] = {}
    left_out: list[str] = []
    for name in names:
        try:
            made[name] = make_baseline(name, system, table)
        except DoesNotFitError:
            left_out.append(name)
    return made, f"left out, for they do not fit system {system.name}: {', '.join(left_out)}" if left_out else ""
