"""The page `docs/reports/interventions.md`, written from what was measured. Every verdict on it is computed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Final

from streamflow_env.system import System
from studies.common.plots import save
from studies.common.study import Outputs
from studies.interventions import singles, statics
from studies.interventions.bases import PLAYBOOK, base_actions
from studies.interventions.llm_controls_picture import draw_llm_controls
from studies.interventions.numbers import figures, signed
from studies.interventions.plan import Plan
from studies.interventions.results import PLAN, Found, Results, read_results
from studies.interventions.simulation import AUTOSCALED, DAY, PEAK_SIZED
from studies.interventions.sweep_picture import draw_sweep
from studies.interventions.trials import PEAK, Action

SWEEP_PNG: Final = "sweep.png"
LLM_CONTROLS_PNG: Final = "llm-controls.png"


def redraw(to: Outputs, system: System) -> None:
    """Write the page and its pictures from the kept results. Raises ConfigError where there are none."""
    results, found, plan = read_results(to.data)
    actions = base_actions(system)
    save(draw_sweep(results, actions, plan, system.control_table), to.pictures / SWEEP_PNG)
    save(draw_llm_controls(results, found.best, plan, system.control_table), to.pictures / LLM_CONTROLS_PNG)
    kept_plan = os.path.relpath(to.data / PLAN, to.page.parent)
    lines = [*_opening(found, plan, kept_plan), *_body(results, found, actions, plan, system, to.pictures.name)]
    to.page.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _opening(found: Found, plan: Plan, kept_plan: str) -> Iterator[str]:
    yield "# What the interventions do\n"
    yield "Three questions about the shipped system and reward. What does each control do by itself? Is one fixed"
    yield "setting as good as reacting? What does slack cost? Written by `make study NAME=interventions` in"
    yield f"{found.duration_s / 60:.0f} min; `ARGS=--redraw` writes it again from the kept results. The plan of the run"
    yield f"is [{PLAN}]({kept_plan}). Every verdict is computed.\n"
    yield "Episodes are paired: every setting meets the same. Δ is the mean difference, in brackets its bootstrap 95 %"
    yield f"interval over {plan.num_held_out_seeds} held-out episodes. Returns are of one hour, and 1 is about 1 %.\n"


def _body(
    results: Results, found: Found, actions: Mapping[str, Action], plan: Plan, system: System, folder: str
) -> Iterator[str]:
    yield from _first(results, actions, plan, system, folder)
    yield from _second(results, found, plan, system, folder)
    yield from _third(results, plan, system)


def _first(results: Results, actions: Mapping[str, Action], plan: Plan, system: System, folder: str) -> Iterator[str]:
    yield "## 1. Each intervention by itself\n"
    yield f"![What moving one control does]({folder}/{SWEEP_PNG})\n"
    yield f"Each control at {len(plan.positions)} positions of its axis, all else held; seeds"
    yield f"{', '.join(map(str, plan.sweep_seeds))}. A cell that changes colour from left to right has an optimum"
    yield "within the axis; white is no effect. Only the return includes answers' quality, staleness and age."
    for name, beside in plan.companions.items():
        values = ", ".join(f"`{control}` {value:g}" for control, value in beside.items())
        yield f"†: over the playbook `{name}` is swept beside {values}, without which it does nothing."
    yield ""
    yield "For each of the seven interventions, the one setting of one control that wins most in the sweep, judged on"
    yield "episodes that the sweep has not seen.\n"
    yield from singles.interventions(results, actions, plan, system.control_table)
    yield "### Control by control\n"
    yield "The most that a control wins and loses by itself in the sweep, with scenario and setting. The largest of"
    yield "many differences is too large by chance, so small ones mean nothing.\n"
    yield from singles.controls_alone(results, actions, plan, system.control_table)


def _second(results: Results, found: Found, plan: Plan, system: System, folder: str) -> Iterator[str]:
    controls = system.control_table
    yield "## 2. Fixed settings\n"
    yield f"For each scenario the best setting that never changes, of {found.num_trials} tried on seeds"
    yield f"{', '.join(map(str, plan.search.seeds))} by an evolution strategy over all {len(controls)} controls. What"
    yield "it returns in the other scenarios, on the held-out episodes. The last line is a policy that reacts:\n"
    yield from statics.crossing(results, plan)
    yield "Never asking the LLM, and always asking it and waiting for each answer, on top of the best:\n"
    yield from statics.shortcuts(results, plan)
    yield "The settings found:\n"
    yield from statics.settings(found.best, plan, controls)
    yield "### The LLM's controls\n"
    yield f"![The LLM's controls]({folder}/{LLM_CONTROLS_PNG})\n"
    yield "Each control's setting, and in brackets what the two ends of its axis add to the return (low end, high end);"
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
    yield from figures(head, rows)
    followed, fixed = (results.mean(DAY, n, plan.day, "replicas_cost_per_hour") for n in (AUTOSCALED, PEAK_SIZED))
    yield f"A fleet of peak size costs {fixed / followed:.2f} times the one that follows the load."


_DAY_FIGURES: Final = ("replicas_cost_per_hour", "cost_per_hour", "sla_fraction", "error_fraction", "return")
