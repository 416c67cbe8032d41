"""The agent's return less a baseline's, episode by episode: the episodes' luck cancels."""

from __future__ import annotations

import numpy as np

from streamflow_agents.evaluation.statistics import Estimate, paired_difference
from streamflow_agents.training.task import EPISODE

Figures = dict[str, float]


def compare(figures: Figures, reference: Figures) -> Estimate | None:
    """The mean difference of the returns with its 95 % interval; None where no episode is in both.

    Episodes are resampled within their scenario if each scenario has equally many, and two at least.
    """
    differences = _by_scenario(figures, reference)
    if not differences:
        return None
    counts = {len(values) for values in differences.values()}
    if len(counts) == 1 and min(counts) > 1:
        rows = np.array(list(differences.values()))
        return paired_difference(rows, np.zeros_like(rows))
    flat = np.concatenate([np.array(values) for values in differences.values()])
    return paired_difference(flat, np.zeros_like(flat))


def difference_figures(figures: Figures, reference: Figures) -> Figures:
    """The difference, the ends of its interval, and the mean difference of each scenario, for TensorBoard."""
    found = compare(figures, reference)
    if found is None:
        return {}
    named = {"": found.value, "_low": found.low, "_high": found.high}
    by_scenario = {f"/{name}": float(np.mean(values)) for name, values in _by_scenario(figures, reference).items()}
    return {f"paired_difference{name}": value for name, value in (named | by_scenario).items() if np.isfinite(value)}


def _by_scenario(figures: Figures, reference: Figures) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for name, value in figures.items():
        if name.startswith(EPISODE) and name in reference:
            scenario = name.removeprefix(EPISODE).rpartition("/")[0]
            found.setdefault(scenario, []).append(value - reference[name])
    return found
