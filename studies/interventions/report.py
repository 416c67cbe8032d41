"""The page `docs/interventions.md`, drawn from what was measured; every verdict on it is computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from streamflow_env.system import System
from studies.interventions import singles, statics
from studies.interventions.bases import PLAYBOOK, base_actions
from studies.interventions.plan import Plan
from studies.interventions.results import PLAN, Found, Results, read_results
from studies.interventions.runs import PEAK, Action
from studies.interventions.statics_picture import draw_levers
from studies.interventions.study import AUTOSCALED, DAY, PEAK_SIZED
from studies.interventions.sweep_picture import draw_sweep
from studies.interventions.words import signed, table

DPI: Final = 110
SWEEP_PNG: Final = "sweep.png"
LEVERS_PNG: Final = "levers.png"


def redraw(path: Path, system: System) -> None:
    """Write the page `path` and its pictures from the raw results beside it. Raises ConfigError without."""
    folder = path.with_suffix("")
    results, found, plan = read_results(folder)
    actions = base_actions(system)
    draw_sweep(results, actions, plan, system.control_table).savefig(folder / SWEEP_PNG, dpi=DPI)
    draw_levers(results, found.best, plan, system.control_table).savefig(folder / LEVERS_PNG, dpi=DPI)
    path.write_text("\n".join(_page(results, found, actions, plan, system, folder.name)) + "\n", encoding="utf-8")


def _page(
    results: Results, found: Found, actions: Mapping[str, Action], plan: Plan, system: System, folder: str
) -> Iterator[str]:
    yield "# What the interventions do\n"
    yield "Three questions to the shipped system and reward: what does each control do by itself; does some fixed"
    yield "setting make reacting needless; what does slack cost? Written by `make interventions`"
    yield f"({found.duration_s / 60:.0f} min; `ARGS=--redraw` draws it anew from [{folder}/]({folder})); the plan is"
    yield f"[{folder}/{PLAN}]({folder}/{PLAN}). No verdict is by hand.\n"
    yield "Episodes are paired: every setting meets the same. Δ is the mean difference, in brackets its bootstrap 95 %"
    yield f"interval over {plan.num_fresh_seeds} held-out episodes; returns are of an hour, of which 1 is about 1 %.\n"
    yield from _first(results, actions, plan, system, folder)
    yield from _second(results, found, plan, system, folder)
    yield from _third(results, plan, system)


def _first(results: Results, actions: Mapping[str, Action], plan: Plan, system: System, folder: str) -> Iterator[str]:
    yield "## 1. Each intervention by itself\n"
    yield f"![What moving one control does]({folder}/{SWEEP_PNG})\n"
    yield f"Each control at {len(plan.positions)} positions of its axis, all else held; seeds"
    yield f"{', '.join(map(str, plan.sweep_seeds))}. Read a row: a cell that changes colour from left to right is an"
    yield "optimum within; white is no effect. Only the return sees answers' quality, staleness and age."
    for name, beside in plan.companions.items():
        values = ", ".join(f"`{control}` {value:g}" for control, value in beside.items())
        yield f"†: over the playbook `{name}` is swept beside {values}, without which it does nothing."
    yield ""
    yield "For each of the seven interventions, the one setting of one control that wins most in the sweep, judged on"
    yield "episodes that the sweep has not seen.\n"
    yield from singles.interventions(results, actions, plan, system.control_table)
    yield "### Control by control\n"
    yield "The most that a control wins and loses by itself in the sweep, with scenario and setting; the largest of"
    yield "many differences is flattered by luck, so take small ones for nothing.\n"
    yield from singles.levers(results, actions, plan, system.control_table)


def _second(results: Results, found: Found, plan: Plan, system: System, folder: str) -> Iterator[str]:
    controls = system.control_table
    yield "## 2. Fixed settings\n"
    yield f"For each scenario the best setting that never changes, of {found.num_trials} tried on seeds"
    yield f"{', '.join(map(str, plan.search.seeds))} by an evolution strategy over all {len(controls)} controls. What"
    yield "it returns in the other scenarios, on the held-out episodes; last a policy that reacts:\n"
    yield from statics.crossing(results, plan)
    yield "Never asking the LLM, and always asking it and waiting for each answer, on top of the best:\n"
    yield from statics.shortcuts(results, plan)
    yield "The settings found:\n"
    yield from statics.settings(found.best, plan, controls)
    yield "### Where the LLM's levers are\n"
    yield f"![The LLM's levers]({folder}/{LEVERS_PNG})\n"
    yield "Each lever's setting, and in brackets what the two ends of its axis add to the return (low end, high end);"
    yield f"*flat*: over the whole axis less than {statics.FLAT_FRACTION:.0%} of the return.\n"
    yield from statics.positions(results, found.best, plan, controls)


def _third(results: Results, plan: Plan, system: System) -> Iterator[str]:
    yield "## 3. Over-provisioning\n"
    yield f"`{plan.day}`, {plan.num_days} days: the playbook as written, its replicas left to autoscalers, and with"
    yield "every pool held all day at the most that the autoscalers asked for on any of these days"
    pools = [c.name for c in system.control_table.controls if c.parameter == "replicas"]
    sizes = {name: results.samples(DAY, AUTOSCALED, plan.day, PEAK + name).max() for name in pools}
    named = (f"{name.removesuffix('_replicas')} {size:g}" for name, size in sizes.items())
    yield f"({', '.join(named)}).\n"
    rows = []
    for name in (AUTOSCALED, PLAYBOOK, PEAK_SIZED):
        mean = {figure: results.mean(DAY, name, plan.day, figure) for figure in _DAY_FIGURES}
        costs = results.difference(DAY, name, AUTOSCALED, plan.day, "replicas_cost_per_hour")
        change = results.difference(DAY, name, AUTOSCALED, plan.day)
        rows.append((
            name, f"{mean['replicas_cost_per_hour']:.2f}", f"{mean['cost_per_hour']:.2f}",
            f"{100 * mean['sla_fraction']:.1f}", f"{100 * mean['error_fraction']:.2f}", f"{mean['return']:.0f}",
            "–" if name == AUTOSCALED else signed(costs, decimals=2), "–" if name == AUTOSCALED else signed(change),
        ))  # fmt: skip
    head = ("policy", "replicas /h", "cost /h", "SLA %", "errors %", "return", "Δ replicas /h", "Δ return")
    yield from table(head, rows)
    followed, fixed = (results.mean(DAY, n, plan.day, "replicas_cost_per_hour") for n in (AUTOSCALED, PEAK_SIZED))
    yield f"A fleet of peak size costs {fixed / followed:.2f} times the one that follows the load."


_DAY_FIGURES: Final = ("replicas_cost_per_hour", "cost_per_hour", "sla_fraction", "error_fraction", "return")
