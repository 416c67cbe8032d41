"""What of an evaluation fits its system: baselines and scenarios that name what another system has are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streamflow_agents.policies.baselines import is_baseline, make_fitting
from streamflow_env.environment.observations import ObservationTable
from streamflow_env.errors import ConfigError
from streamflow_env.scenarios import load_scenario
from streamflow_env.system import System


def fitting_policies(policies: Mapping[str, str], system: System) -> tuple[dict[str, str], str]:
    """`policies` (label -> name or path) without baselines that do not fit, and one line on these, empty if all do.

    Raises:
        ConfigError: none fits.
    """
    names = dict.fromkeys(source for source in policies.values() if is_baseline(source))
    made, line = make_fitting(names, system, ObservationTable(system))
    kept = {label: source for label, source in policies.items() if source in made or source not in names}
    if not kept:
        raise ConfigError(f"policies: none is left; {line}")
    return kept, line


def fitting_scenarios(names: Sequence[str], system: System) -> tuple[list[str], str]:
    """The scenarios that fit `system`, and one line on the others, empty if all do. Raises ConfigError: none fits."""
    kept, left_out = [], []
    for name in names:
        try:
            load_scenario(name).check(system)
            kept.append(name)
        except ConfigError:
            left_out.append(name)
    line = f"left out, for they do not fit system {system.name}: {', '.join(left_out)}" if left_out else ""
    if not kept:
        raise ConfigError(f"scenarios: none is left; {line}")
    return kept, line
