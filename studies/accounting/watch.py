"""Checks one episode with the invariants: every interval's telemetry, and the environment's observation and reward."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streamflow_env.engines.telemetry import CALL, CALL_FIELDS, CLASS, CLASS_FIELDS, Telemetry
from streamflow_env.environment.rewards import REWARD_GROUPS, REWARD_TERMS
from streamflow_env.environment.sequential_sum import sequential_sum
from streamflow_env.episode import Episode
from streamflow_env.system import System
from studies.accounting.balance import accounting_errors
from studies.accounting.invariants import RULES
from studies.accounting.settings import Facts, Quotas, Settings
from studies.accounting.view import View

FULL_BUDGET_MILLI: Final = 100_000
ADMISSION: Final = 10**9


class Watch:
    """Checks one episode of a system against every rule, interval by interval, from the `first` telemetry on."""

    def __init__(self, system: System, episode: Episode, first: Telemetry) -> None:
        self._facts = Facts(episode.system or system)
        self._settings = Settings(self._facts)
        self._quotas = Quotas(self._facts, episode)
        self._before = first
        begins = first.end_ns == 0
        self._totals = np.zeros(len(system.calls), CALL) if begins else None
        self._class_totals = np.zeros((len(system.classes), 2), CLASS) if begins else None
        self._budget_paid = np.where(self._settings.budget_milli < 0, np.inf, FULL_BUDGET_MILLI)
        ready = first.services["ready_replicas"]
        self._cpu_bound = np.asarray(ready * self._facts.cores_each)
        self._admission_bound = self._settings.rate_limit * ADMISSION

    def errors(self, telemetry: Telemetry) -> list[str]:
        """The rules that the next interval breaks, with the rows; empty where all hold."""
        before = self._before
        self._set(telemetry.controls)
        view = self._view(telemetry)
        found = accounting_errors(before, telemetry)
        found += [line for name, rule in RULES.items() for line in _broken(name, rule(view), view)]
        if not np.isfinite(telemetry.controls).all() or not self._in_range(telemetry.controls):
            found.append(f"controls: in their ranges: {telemetry.controls.tolist()}")
        if telemetry.start_ns != before.end_ns or view.dt != self._facts.interval_ns:
            found.append(f"time: one interval after another: [{telemetry.start_ns}, {telemetry.end_ns})")
        self._go_on(view)
        return found

    def _set(self, controls: NDArray[np.float64]) -> None:
        had = self._settings.rate_limit
        self._settings.put_in_force(controls)
        most = self._settings.rate_limit * ADMISSION
        self._admission_bound = most if had == 0 else min(most, self._admission_bound)

    def _view(self, telemetry: Telemetry) -> View:
        calls, before = telemetry.calls, self._before
        _add(self._totals, calls, CALL_FIELDS)
        _add(self._class_totals, telemetry.classes, CLASS_FIELDS)
        budget = self._settings.budget_milli
        self._budget_paid += np.where(budget < 0, np.inf, budget * calls["requests"])
        return View(
            facts=self._facts,
            settings=self._settings,
            now=telemetry,
            s=telemetry.services,
            before=before.services,
            calls=calls,
            classes=telemetry.classes,
            classes_before=before.classes,
            dt=telemetry.end_ns - telemetry.start_ns,
            quota=self._quotas.largest(telemetry.start_ns, telemetry.end_ns),
            totals=self._totals,
            class_totals=self._class_totals,
            cpu_bound=self._cpu_bound,
            admission_bound=self._admission_bound,
            budget_paid=self._budget_paid,
        )

    def _go_on(self, v: View) -> None:
        """Remember what bounds the next interval. Work on a core is held by a worker, so busy bounds it too."""
        cores = v.s["ready_replicas"] * self._facts.cores_each
        self._cpu_bound = np.asarray(np.maximum(cores, np.minimum(self._cpu_bound, v.s["busy"])))
        limit = self._settings.rate_limit
        if limit > 0:
            admitted = v.users("attempts") - int(v.s["shed"][self._facts.entry])
            self._admission_bound = min(limit * ADMISSION, self._admission_bound + v.dt * limit - admitted * ADMISSION)
        self._before = v.now

    def _in_range(self, controls: NDArray[np.float64]) -> bool:
        return all(c.low <= value <= c.high for c, value in zip(self._facts.system.controls, controls, strict=True))


def _add(totals: NDArray[Any] | None, records: NDArray[Any], fields: Iterable[str]) -> None:
    if totals is not None:
        for name in fields:
            totals[name] += records[name]


def _broken(name: str, wrong: Any, view: View) -> list[str]:
    """A line for a rule that is broken, with its rows."""
    if not np.any(wrong):
        return []
    rows = np.argwhere(np.atleast_1d(wrong)).tolist()
    system = view.facts.system
    of = {"call": system.call_names, "class": system.class_names}.get(name.split(":")[0], system.service_names)
    return [f"{name}: {', '.join(str(of[row[0]]) for row in rows)}" if np.ndim(wrong) else name]


def environment_errors(
    observation: NDArray[np.float32], space: Any, reward: float, info: Mapping[str, Any]
) -> list[str]:
    """What is wrong with a step of the environment: its space, its numbers, the signs of the reward's terms."""
    found = []
    if not np.isfinite(observation).all():
        found.append("observation: finite")
    if not space.contains(observation):
        found.append("observation: in its space")
    if not math.isfinite(reward):
        found.append("reward: finite")
    terms = info["reward_terms"]
    if tuple(terms) != tuple(REWARD_TERMS) or sequential_sum(terms.values()) != reward:
        found.append("reward: the sum of its terms")
    found += [
        f"reward: term {name} finite, at most 0: {value}" for name, value in terms.items() if not -math.inf < value <= 0
    ]
    of_sla = sequential_sum(0.0 - terms[name] for name in REWARD_GROUPS["sla"])
    if info["costs"].tolist() != [0.0 - value for value in terms.values()] or info["cost"] != of_sla:
        found.append("info: costs are minus the terms, and cost is the SLA's")
    for part in ("metrics", "controls"):
        found += [
            f"info: {part}.{name} finite: {value}" for name, value in info[part].items() if not math.isfinite(value)
        ]
    return found
