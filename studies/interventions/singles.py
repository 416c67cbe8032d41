"""Part 1 in words: what each intervention and each control does by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from streamflow_agents.evaluation.statistics import Estimate
from streamflow_env.system.controls import ControlTable
from studies.common.markdown import listed
from studies.interventions.bases import BASES, DO_NOTHING, PLAYBOOK
from studies.interventions.choices import Choice, choose, gain, points
from studies.interventions.numbers import figures, natural, signed
from studies.interventions.plan import Plan
from studies.interventions.results import Results
from studies.interventions.simulation import CONFIRM
from studies.interventions.sweep import held
from studies.interventions.trials import Action

OVER: Final = {DO_NOTHING: "the default configuration", PLAYBOOK: "the playbook"}
NOTICEABLE: Final = 1.0
"""A smaller gain or loss of return counts as nothing. It is about a hundredth of an episode's return."""


@dataclass(frozen=True)
class Verdict:
    """A choice on the held-out episodes: what it adds to the return in each scenario."""

    choice: Choice
    gains: dict[str, Estimate]

    @property
    def helps_in(self) -> list[str]:
        """Scenarios in which the whole interval is above 0."""
        return [name for name, found in self.gains.items() if found.low > 0]

    @property
    def costs_in(self) -> list[str]:
        """Scenarios in which the whole interval is below 0."""
        return [name for name, found in self.gains.items() if found.high < 0]

    @property
    def dearest(self) -> str:
        """The scenario in which it adds the least."""
        return min(self.gains, key=lambda name: self.gains[name].value)


def verdicts(
    results: Results, base: str, actions: Mapping[str, Action], plan: Plan, controls: ControlTable
) -> list[Verdict]:
    """What the sweep chose over `base`, intervention by intervention, judged on the held-out episodes."""
    return [
        Verdict(
            choice,
            {s: results.difference(CONFIRM, choice.point.name, choice.point.base, s) for s in plan.scenarios},
        )
        for choice in choose(results, base, actions, plan, controls)
    ]


def interventions(results: Results, actions: Mapping[str, Action], plan: Plan, controls: ControlTable) -> Iterator[str]:
    """For each base the verdict in a sentence or two, and the table behind it."""
    for base in BASES:
        found = verdicts(results, base, actions, plan, controls)
        yield f"### Over {OVER[base]}\n"
        yield from _sentences(found)
        head = ("intervention", "shown by", "helps most in", "Δ return", "Δ SLA, points", "Δ errors, points",
                "Δ quality", "costs most in", "Δ return there", "helps / costs in")  # fmt: skip
        yield from figures(head, (_row(results, verdict, actions[base], controls) for verdict in found), left=3)


def _sentences(found: list[Verdict]) -> Iterator[str]:
    helping = [v.choice.intervention for v in found if v.helps_in]
    useless = [v.choice.intervention for v in found if not v.helps_in]
    everywhere = [v.choice.intervention for v in found if len(v.helps_in) == len(v.gains)]
    costly = [v.choice.intervention for v in found if v.costs_in]
    free = [v.choice.intervention for v in found if v.helps_in and not v.costs_in]
    if not useless:
        yield f"Each of the {len(found)} helps by itself in at least one scenario."
    elif helping:
        yield f"{len(helping)} of the {len(found)} help by themselves in some scenario; in none {listed(useless)}."
    else:
        yield "None helps by itself in any scenario."
    if everywhere:
        yield f"Everywhere helps {listed(everywhere)}."
    else:
        yield "None helps everywhere."
    if costly:
        yield f"The same setting costs return somewhere else: {listed(costly)}."
    if free:
        yield f"Free in these scenarios, so far as {len(found[0].gains)} of them can tell: {listed(free)}."
    yield ""


def _row(results: Results, verdict: Verdict, base: Action, controls: ControlTable) -> tuple[str, ...]:
    choice = verdict.choice
    point, where = choice.point, choice.scenario
    before, after = held(point.control, base, controls), held(point.control, point.action(base, controls), controls)
    beside = point.base.partition(", ")[2]
    changes = {
        figure: results.difference(CONFIRM, point.name, point.base, where, figure)
        for figure in ("sla_fraction", "error_fraction", "quality")
    }
    costs = verdict.gains[verdict.dearest]
    return (
        choice.intervention,
        f"`{point.control}` {natural(before)} → {natural(after)}{f' beside {beside}' if beside else ''}",
        where,
        signed(verdict.gains[where]),
        f"{100 * changes['sla_fraction'].value:+.1f}",
        f"{100 * changes['error_fraction'].value:+.1f}",
        f"{changes['quality'].value:+.3f}",
        verdict.dearest if costs.value < 0 else "–",
        signed(costs) if costs.value < 0 else "–",
        f"{len(verdict.helps_in)} / {len(verdict.costs_in)} of {len(verdict.gains)}",
    )


@dataclass(frozen=True)
class Extreme:
    """A control's largest gain (or loss) in a sweep: how much, in which scenario, at which natural value."""

    gain: float
    scenario: str
    value: float

    def text(self) -> str:
        if abs(self.gain) < NOTICEABLE:
            return "–"
        return f"{self.gain:+.0f} {self.scenario} at {natural(self.value)}"


def extremes(
    results: Results, base: str, control: str, actions: Mapping[str, Action], plan: Plan, controls: ControlTable
) -> tuple[Extreme, Extreme]:
    """The largest gain and the largest loss of `control` over `base` in the sweep."""
    found = [
        Extreme(
            gain(results, point, scenario, action, plan, controls),
            scenario,
            held(control, point.action(action, controls), controls),
        )
        for point, action in points(base, control, actions[base], plan, controls)
        for scenario in plan.scenarios
    ]
    return max(found, key=lambda e: e.gain), min(found, key=lambda e: e.gain)


def controls_alone(
    results: Results, actions: Mapping[str, Action], plan: Plan, controls: ControlTable
) -> Iterator[str]:
    """One row a control: what it can win and lose by itself; and which never win anything."""
    rows: list[list[str]] = []
    never: dict[str, list[str]] = {base: [] for base in BASES}
    for name in controls.names:
        cells = [f"`{name}`"]
        for base in BASES:
            best, worst = extremes(results, base, name, actions, plan, controls)
            cells += [best.text(), worst.text()]
            if best.gain < NOTICEABLE:
                never[base].append(f"`{name}`")
        rows.append(cells)
    head = ("control", "default: most won", "default: most lost", "playbook: most won", "playbook: most lost")
    yield from figures(head, rows, left=5)
    for base in BASES:
        if never[base]:
            yield f"Over {OVER[base]} these win less than {NOTICEABLE:g} anywhere: {listed(never[base])}."
    yield ""
