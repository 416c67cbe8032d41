"""The page `docs/reports/exploring.md`, written from what was measured and from the sentences of the plan."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from streamflow_agents.evaluation.statistics import Estimate
from streamflow_env.system import System
from studies.common.markdown import listed, table
from studies.common.plots import save
from studies.common.study import Outputs
from studies.exploring.perturbations import STEP_DOWN, STEP_UP, noise_name, perturbations
from studies.exploring.picture import draw
from studies.exploring.plan import Plan, Reading
from studies.exploring.results import PLAN, Costs, KeptPlan, Worst, read_results

PNG: Final = "costs.png"
DEAR: Final = "**dear**"
LEAST_SHARE: Final = 0.15
"""Terms that pay less than this share of a cost are not named."""
MOST_TERMS: Final = 3


def redraw(to: Outputs, system: System, reading: Reading) -> None:
    """Write the page and its picture from the kept results. Raises ConfigError: there are none, or no sentence."""
    costs, plan = read_results(to.data)
    save(draw(costs, plan, reading), to.pictures / PNG)
    kept_plan = os.path.relpath(to.data / PLAN, to.page.parent)
    lines = page(costs, plan, reading, system, f"{to.pictures.name}/{PNG}", kept_plan)
    to.page.write_text("\n".join(lines) + "\n", encoding="utf-8")


def page(costs: Costs, plan: KeptPlan, reading: Reading, system: System, picture: str, kept_plan: str) -> Iterator[str]:
    """The page's lines. Raises ConfigError: a control without a sentence."""
    by_name = {control.name: control for control in system.controls}
    reading.check([by_name[name] for name in plan.controls])
    yield from _opening(costs, plan, reading, kept_plan)
    yield f"![What moving one control costs]({picture})\n"
    yield from _why(costs, plan, reading, {name: by_name[name].parameter for name in plan.controls})
    for perturbation in perturbations(plan):
        yield from _table(costs, plan, reading, perturbation.name)


def _opening(costs: Costs, plan: KeptPlan, reading: Reading, kept_plan: str) -> Iterator[str]:
    seeds, step, flag = plan.seeds, plan.step, reading.flag
    minutes, deviations = step.duration_s / 60, listed([f"{deviation:g}" for deviation in plan.noise])
    yield "# What exploring costs\n"
    yield "An agent that explores moves controls at random. What does that cost, control by control, and is the"
    yield f"cost physics or an artefact of the simulator? Here one control is moved at a time: `{plan.policy}` acts,"
    yield "sees what comes of it, and answers; something is added to one control of its action, on the axis from -1"
    yield f"to 1. Written by `make study NAME=exploring` in {plan.duration_s / 60:.0f} min; `ARGS=--redraw` writes it"
    yield f"again from the kept results. The plan of the run is [{PLAN}]({kept_plan}).\n"
    yield f"- *Noise* is normal with a standard deviation of {deviations}, new at every step."
    yield "  All amplitudes have the same random numbers."
    yield f"- *Step up* adds {step.amplitude:g} for {minutes:g} minutes, from minute {step.start_s / 60:g} on;"
    yield "  *step down* takes as much away."
    yield "- A *cost* is the return of an episode without the perturbation less that with it: the same users and the"
    yield f"  same luck. It is a mean over {len(seeds)} episodes a scenario (seeds {seeds[0]} to {seeds[-1]}). From"
    yield f"  {reading.interval_from:g} on its bootstrap 95 % interval is in brackets; bold: it excludes 0. A cost"
    yield "  below 0 is a gain."
    yield f"- A control is {DEAR} if noise of {flag.noise:g} costs {flag.cost:g} or more in some scenario."
    means = ", ".join(f"{scenario} {costs.base_return(scenario):.0f}" for scenario in costs.scenarios)
    yield f"- Returns without a perturbation: {means}.\n"


def is_dear(costs: Costs, control: str, reading: Reading) -> bool:
    """Whether the flag's noise costs so much in some scenario."""
    return costs.worst(control, noise_name(reading.flag.noise)).cost.value >= reading.flag.cost


def _why(costs: Costs, plan: Plan, reading: Reading, parameters: dict[str, str]) -> Iterator[str]:
    dear = [control for control in plan.controls if is_dear(costs, control, reading)]
    yield "## Control by control\n"
    if dear:
        yield f"Dear, of {len(plan.controls)} controls: {listed([f'`{name}`' for name in dear])}.\n"
    else:
        yield f"None of the {len(plan.controls)} controls is dear.\n"
    yield "The most that each perturbation costs in any scenario. About a smooth optimum a third of the"
    yield "noise costs about a tenth. A cost that hardly shrinks with the noise is lost at each move, however small:"
    yield "by a switch, a rounding, or a flaw of the model. Every move pays for its churn, some hundredths at most. The"
    yield "largest of several costs is too large by chance.\n"
    names = [each.name for each in perturbations(plan)]
    rows = []
    for control in plan.controls:
        most = (f"{costs.worst(control, name).cost.value:.2f}".replace("-0.00", "0.00") for name in names)
        rows.append([f"`{control}`", *most, _where(costs, control, reading) if control in dear else ""])
    yield from table(["control", *names, "dear in"], rows, left=1)
    yield "\nWhy, by the parameter that a control sets:\n"
    for parameter in dict.fromkeys(parameters.values()):
        controls = [f"`{name}`" for name, own in parameters.items() if own == parameter]
        mark = f" ({DEAR})" if any(parameters[name] == parameter for name in dear) else ""
        yield f"- **{parameter}**: {listed(controls)}{mark}. {reading.physics[parameter].strip()}"
    yield ""


def _where(costs: Costs, control: str, reading: Reading) -> str:
    """`normal 3.3, peak-hour 6.0`: where the flag's noise costs so much."""
    found = zip(costs.scenarios, costs.by_scenario(control, noise_name(reading.flag.noise)), strict=True)
    return ", ".join(f"{name} {cost.value:.1f}" for name, cost in found if cost.value >= reading.flag.cost)


def _table(costs: Costs, plan: Plan, reading: Reading, perturbation: str) -> Iterator[str]:
    titles = {STEP_UP: "A step up, and back", STEP_DOWN: "A step down, and back"}
    yield f"## {titles.get(perturbation, perturbation.capitalize().replace('Noise', 'Noise of'))}\n"
    yield "Costs of return; the last column says which terms pay where it costs most.\n"
    rows = []
    for control in plan.controls:
        cells = [cost_text(cost, reading.interval_from) for cost in costs.by_scenario(control, perturbation)]
        rows.append([f"`{control}`", *cells, payers(costs.worst(control, perturbation), reading.interval_from)])
    yield from table(["control", *costs.scenarios, "paid by"], rows, left=1)
    yield ""


def cost_text(cost: Estimate, interval_from: float) -> str:
    """`0.02`, or from `interval_from` on `1.3 [0.9, 1.8]`, bold where the interval excludes 0."""
    if abs(cost.value) < interval_from:
        return f"{cost.value:.2f}".replace("-0.00", "0.00")
    number = f"**{cost.value:.2f}**" if cost.excludes_zero else f"{cost.value:.2f}"
    return f"{number} [{cost.low:.2f}, {cost.high:.2f}]"


def payers(worst: Worst, interval_from: float) -> str:
    """`normal: age 1.2, late 0.4`: the terms that pay most of the cost, and what others win; `–` of a small cost."""
    if worst.cost.value < interval_from:
        return "–"
    ordered = sorted(worst.by_term.items(), key=lambda item: -abs(item[1]))[:MOST_TERMS]
    named = [f"{name} {value:+.2f}" for name, value in ordered if abs(value) >= LEAST_SHARE * worst.cost.value]
    return f"{worst.scenario}: {', '.join(named)}"
