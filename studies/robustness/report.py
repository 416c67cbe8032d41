"""The part of the results page on the shift tests."""

from __future__ import annotations

from collections.abc import Iterator

from streamflow_agents.evaluation.comparison import table
from streamflow_agents.evaluation.kept_episodes import Episodes
from streamflow_env.errors import ConfigError
from studies.robustness.shifts import ShiftPlan


def section(episodes: Episodes, plan: ShiftPlan, reference: str) -> Iterator[str]:
    """A table for each shift, in Markdown. Raises ConfigError where the reference was not measured."""
    if reference not in episodes.figures:
        raise ConfigError(f"policy {reference!r}: was not measured; run the study robustness with it")
    yield "## Robustness: conditions that differ from tuning\n"
    yield "The shift tests were fixed beforehand (studies/robustness/plan.yaml). Nothing was tuned or trained under"
    yield f"them. Each has {len(episodes.seeds)} held-out episodes, paired; Δ is against `{reference}` under the same"
    yield "shift.\n"
    for index, name in enumerate(episodes.scenarios):
        shift = plan.shifts.get(name)
        yield f"### {name}\n\n{shift.meaning if shift else ''}\n"
        yield from table(episodes, reference, index)
