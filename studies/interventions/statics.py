"""Part 2 in words: is one fixed setting enough for all scenarios, and how are its LLM controls set?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from streamflow_agents.evaluation.statistics import estimate
from streamflow_env.system.controls import ControlTable
from studies.common.markdown import listed
from studies.interventions.bases import BASES, DO_NOTHING
from studies.interventions.llm_controls_picture import curve
from studies.interventions.numbers import figures, natural, signed
from studies.interventions.plan import Plan
from studies.interventions.results import Results
from studies.interventions.simulation import ALWAYS, BEST_OF, CROSS, NEVER, REACTIVE, llm_controls
from studies.interventions.sweep import held
from studies.interventions.trials import Action

FLAT_FRACTION: Final = 0.01
"""A control is flat where moving it over its whole axis changes less than this share of the return."""
AT_END: Final = 0.05
"""A position so near to an end of [-1, 1] is at the end. It matters where it wins `FLAT_FRACTION` over all within."""


def crossing(results: Results, plan: Plan) -> Iterator[str]:
    """Returns of every fixed setting in every scenario, the best fixed one bold, and what they say."""
    names = [*BASES, *(BEST_OF + scenario for scenario in plan.scenarios)]
    means = {name: [results.mean(CROSS, name, scenario) for scenario in plan.scenarios] for name in (*names, *REACTIVE)}
    best = np.max([means[name] for name in names], axis=0)
    rows = []
    for name, values in means.items():
        cells = [f"**{v:.1f}**" if v == b and name in names else f"{v:.1f}" for v, b in zip(values, best, strict=True)]
        rows.append((name, *cells, f"{float(np.max(best - values)):.1f}"))
    yield from figures(("held in →", *plan.scenarios, "loses at most"), rows)
    yield from _robust(means, names, best, plan)
    yield from _alike(results, plan)


def _robust(
    means: Mapping[str, list[float]],
    names: list[str],
    best: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    plan: Plan,
) -> Iterator[str]:
    losses = {name: best - np.array(means[name]) for name in names if name.startswith(BEST_OF)}
    robust = min(losses, key=lambda name: float(losses[name].max()))
    worst = int(np.argmax(losses[robust]))
    yield f"No other fixed setting is as safe as `{robust}`, which loses at most {losses[robust][worst]:.1f}"
    yield f"({losses[robust][worst] / -best[worst]:.0%} of the return), in {plan.scenarios[worst]}."


def _alike(results: Results, plan: Plan) -> Iterator[str]:
    beaten = []
    for scenario in plan.scenarios:
        others = [BEST_OF + name for name in plan.scenarios if name != scenario]
        other = max(others, key=lambda name: results.mean(CROSS, name, scenario))
        found = results.difference(CROSS, other, BEST_OF + scenario, scenario)
        if found.value > 0:
            beaten.append(f"{scenario} (by `{other}`, {signed(found)})")
    if beaten:
        yield f"On held-out episodes the setting found for a scenario is beaten by another's in {listed(beaten)}."
    else:
        yield "On held-out episodes each scenario's own setting is the best of them there."
    yield ""


def shortcuts(results: Results, plan: Plan) -> Iterator[str]:
    """What never and always asking the LLM add to the best fixed setting of each scenario."""
    rows, winning = [], []
    for name in (NEVER, ALWAYS):
        cells = [name]
        for scenario in plan.scenarios:
            mine = results.samples(CROSS, name, scenario)
            theirs = results.samples(CROSS, BEST_OF + scenario, scenario)
            found = estimate(mine - theirs)
            cells.append(signed(found))
            if found.low > 0:
                winning.append(f"{name} in {scenario}")
        rows.append(cells)
    yield from figures(("Δ return against the best", *plan.scenarios), rows)
    yield f"A shortcut that wins: {listed(winning)}.\n" if winning else "Neither shortcut wins anywhere.\n"


def settings(best: Mapping[str, Action], plan: Plan, controls: ControlTable) -> Iterator[str]:
    """The fixed settings that were found, in natural units."""
    rows = []
    for index, name in enumerate(controls.names):
        values = [held(name, best[scenario], controls) for scenario in plan.scenarios]
        rows.append((f"`{name}`", natural(controls.default[index]), *map(natural, values)))
    yield from figures(("control", DO_NOTHING, *plan.scenarios), rows)


def positions(results: Results, best: Mapping[str, Action], plan: Plan, controls: ControlTable) -> Iterator[str]:
    """Where each of the LLM's controls is in the best settings, and what its two ends lose: a matter of how flat."""
    rows, edges = [], []
    for control in llm_controls(controls):
        cells = [f"`{control}`"]
        for scenario in plan.scenarios:
            text, at_end = _place(results, control, scenario, best[scenario], plan, controls)
            cells.append(text)
            if at_end:
                edges.append(f"`{control}` in {scenario}")
        rows.append(cells)
    yield from figures(("control", *plan.scenarios), rows)
    if edges:
        yield f"Best at an end of its axis, by more than that over every place within: {listed(edges)}.\n"
    else:
        yield "Every control has a place within its axis that does as well as the ends, to less than that.\n"


def _place(
    results: Results, control: str, scenario: str, action: Action, plan: Plan, controls: ControlTable
) -> tuple[str, bool]:
    """`0.7 (-3, -12)`: the setting, and what the two ends of the axis add; whether it is at an end that matters."""
    places, gains = curve(results, control, scenario, action, plan, controls)
    setting = natural(held(control, action, controls))
    little = FLAT_FRACTION * -results.mean(CROSS, BEST_OF + scenario, scenario)
    if np.ptp(gains) < little:
        return f"{setting} (flat)", False
    within = np.abs(places) <= 1 - AT_END
    return f"{setting} ({gains[0]:+.0f}, {gains[-1]:+.0f})", bool(gains.max() - gains[within].max() > little)
