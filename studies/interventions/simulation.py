"""The simulations of the study, in order: sweep, confirm, search, compare, and the day of over-provisioning."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from streamflow_agents.seeds import evaluation_seeds
from streamflow_env.system import System
from streamflow_env.system.controls import ControlTable
from studies.interventions.bases import (
    ALWAYS_ASK,
    BASES,
    BEST,
    NEVER_ASK,
    PLAYBOOK,
    base_actions,
    base_of,
    fixed_action,
    with_companions,
    with_settings,
)
from studies.interventions.choices import choose, search_starts
from studies.interventions.plan import Plan
from studies.interventions.results import Found, Results
from studies.interventions.search import search_statics
from studies.interventions.sweep import sweep_trials
from studies.interventions.trials import PEAK, Action, Outcome, Trial, TrialRunner

CONFIRM: Final = "confirm"
CROSS: Final = "cross"
DAY: Final = "day"
AUTOSCALED: Final = "playbook_hpa"
PEAK_SIZED: Final = "playbook, peak-sized"
BEST_OF: Final = "best of "
NEVER: Final = "best, never asks"
ALWAYS: Final = "best, always asks"
REACTIVE: Final = (AUTOSCALED,)
"""Baselines that change their settings, beside the fixed ones in the cross table."""


def simulate(plan: Plan, system: System, runner: TrialRunner) -> tuple[list[Outcome], Found]:
    """Run everything. Returns the outcomes and the search's result. Raises ConfigError for an unknown control."""
    plan.check(system)
    began = time.monotonic()
    table, actions = system.control_table, base_actions(system)
    outcomes = runner.run(sweeps(plan, table, actions), "sweep")
    swept = Results(outcomes)
    outcomes += runner.run(confirmations(swept, plan, table, actions), "confirm")
    fixed = [fixed_action(name, system) for name in plan.search.fixed]
    starts = {s: [*search_starts(swept, actions, plan, table, s), *fixed] for s in plan.scenarios}
    searches = search_statics(runner, starts, table, plan.search)
    best = {scenario: search.best for scenario, search in searches.items()}
    outcomes += runner.run(llm_control_sweeps(plan, table, best), "LLM controls")
    outcomes += runner.run(crossings(plan, table, actions, best), "cross")
    outcomes += day(plan, table, actions[PLAYBOOK], runner)
    history = {scenario: search.history for scenario, search in searches.items()}
    num_trials = min(search.num_told for search in searches.values())
    return outcomes, Found(best, history, num_trials, time.monotonic() - began)


def sweeps(plan: Plan, table: ControlTable, actions: Mapping[str, Action]) -> list[Trial]:
    """Part 1: every control over both bases."""
    trials = []
    for base in BASES:
        groups: dict[str, list[str]] = {}
        for control in table.names:
            groups.setdefault(base_of(base, control, plan), []).append(control)
        for name, controls in groups.items():
            held = actions[base] if name == base else with_companions(actions[base], controls[0], plan, table)
            trials += sweep_trials(
                name, dict.fromkeys(plan.scenarios, held), controls, plan.positions, plan.sweep_seeds, table
            )
    return trials


def confirmations(swept: Results, plan: Plan, table: ControlTable, actions: Mapping[str, Action]) -> list[Trial]:
    """Part 1: what the sweeps chose for each intervention, in every scenario, on held-out episodes."""
    settings: dict[str, Action] = {}
    for base in BASES:
        for choice in choose(swept, base, actions, plan, table):
            control, name = choice.point.control, choice.point.base
            held = actions[base] if name == base else with_companions(actions[base], control, plan, table)
            settings |= {name: held, choice.point.name: choice.point.action(held, table)}
    return _on(CONFIRM, settings, plan)


def llm_control_sweeps(plan: Plan, table: ControlTable, best: Mapping[str, Action]) -> list[Trial]:
    """Part 2: the LLM's controls about the best fixed setting of each scenario."""
    seeds = plan.held_out_seeds[: plan.llm_control_seeds]
    return sweep_trials(BEST, best, llm_controls(table), plan.positions, seeds, table)


def llm_controls(table: ControlTable) -> tuple[str, ...]:
    """The controls of the LLM, in the table's order."""
    return tuple(name for name in table.names if name.startswith("llm_"))


def crossings(
    plan: Plan, table: ControlTable, actions: Mapping[str, Action], best: Mapping[str, Action]
) -> list[Trial]:
    """Part 2: the best fixed setting of each scenario in all of them; the shortcuts each in its own."""
    fixed = {**{base: actions[base] for base in BASES}, **{BEST_OF + name: best[name] for name in plan.scenarios}}
    trials = _on(CROSS, {**fixed, **{name: name for name in REACTIVE}}, plan)
    for name, settings in ((NEVER, NEVER_ASK), (ALWAYS, ALWAYS_ASK)):
        for scenario, action in best.items():
            changed = with_settings(action, settings, table)
            trials += [Trial(CROSS, name, scenario, seed, changed) for seed in plan.held_out_seeds]
    return trials


def day(plan: Plan, table: ControlTable, playbook: Action, runner: TrialRunner) -> list[Outcome]:
    """Part 3: the day under the playbook, autoscaled, and held at the most that the autoscalers asked for in it."""
    seeds = evaluation_seeds(plan.num_days)
    trials = [Trial(DAY, AUTOSCALED, plan.day, seed, AUTOSCALED) for seed in seeds]
    trials += [Trial(DAY, PLAYBOOK, plan.day, seed, playbook) for seed in seeds]
    outcomes = runner.run(trials, "day")
    sized = with_settings(playbook, peak_sizes(outcomes, table), table)
    return outcomes + runner.run([Trial(DAY, PEAK_SIZED, plan.day, seed, sized) for seed in seeds], "day, peak-sized")


def peak_sizes(outcomes: list[Outcome], table: ControlTable) -> dict[str, float]:
    """The most replicas that the autoscalers had in any of the days, by control."""
    pools = [control.name for control in table.controls if control.parameter == "replicas"]
    scaled = [outcome.figures for outcome in outcomes if outcome.setting == AUTOSCALED]
    return {name: max(figures[PEAK + name] for figures in scaled) for name in pools}


def _on(part: str, settings: Mapping[str, Action | str], plan: Plan) -> list[Trial]:
    """Every setting in every scenario on the held-out episodes."""
    return [
        Trial(part, name, scenario, seed, policy)
        for name, policy in settings.items()
        for scenario in plan.scenarios
        for seed in plan.held_out_seeds
    ]
