"""The tables of the pages about the environment and its scenarios, generated from the code."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from streamflow_env import ENV_IDS, SCENARIOS
from streamflow_env.cells import number_at
from streamflow_env.environment.accounting import ATTEMPT_ENDS, FAILURES
from streamflow_env.environment.metrics import MetricTable
from streamflow_env.environment.observations import Field, ObservationTable, reward_fields
from streamflow_env.environment.rewards import REWARD_GROUPS, REWARD_TERMS
from streamflow_env.paths import config_path
from streamflow_env.scenarios import load_scenario
from streamflow_env.system import Control, System
from studies.common import markdown
from studies.common.study import ROOT

PAGE: Final = ROOT / "docs" / "reference" / "environment.md"
SCENARIOS_PAGE: Final = ROOT / "docs" / "guide" / "scenarios.md"
PAGES: Final = (PAGE, SCENARIOS_PAGE)
SECTION: Final = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
CELLS: Final = ("varied", "storm")
LINE: Final = re.compile(r"^ *([\w.]+): *(\{.*?\}|\[.*?\])? *(?:# *(.+))?$", re.MULTILINE)
WEIGHT: Final = re.compile(r"^(\w+): *(\S+) *# *(.+)$", re.MULTILINE)


def documented(page: str, system: System) -> str:
    """`page`, with the tables between `<!-- table: NAME -->` and `<!-- end -->` written anew."""
    tables = {
        "ids": _ids(),
        "actions": _actions(system),
        "observations": _observations(system),
        "groups": _groups(),
        "reward_fields": _reward_fields(system),
        "rewards": _rewards(),
        "metrics": _metrics(system),
        "cells": _cells(system),
    }
    return SECTION.sub(lambda match: f"{match[1]}{tables[match[2]]}{match[3]}", page)


def _ids() -> str:
    scenarios = ("mixed", *SCENARIOS)
    rows = [(f"`{i}`", s, load_scenario(s).meaning) for i, s in zip(ENV_IDS, scenarios, strict=True)]
    return _table(("id", "scenario", "what happens"), rows)


def _actions(system: System) -> str:
    default = system.control_table.default
    rows = [
        (c.name, c.unit, *_numbers(c.low, c.high), c.scale, *_numbers(value), c.meaning, *_takes(c, system))
        for c, value in zip(system.controls, default, strict=True)
    ]
    head = ("control", "unit", "at -1", "at +1", "scale", "default", "meaning", "takes effect", "costs")
    return _table(head, rows)


def _numbers(*values: float) -> tuple[str, ...]:
    return tuple(f"{value:g}" for value in values)


def _takes(control: Control, system: System) -> tuple[str, str]:
    """When it takes effect and what it costs."""
    owner = system.owners(control.sets)[control.of]
    return control.sets.takes_effect_in(owner), control.sets.cost_in(owner)


def _observations(system: System) -> str:
    rows = [
        (str(index), f.name, f.unit, f"{f.low:g}", f"{f.high:g}", _scale(f), f.meaning, _short(f.formula))
        for index, f in enumerate(ObservationTable(system).fields)
    ]
    return _table(("#", "field", "unit", "low", "high", "scale", "meaning", "read off"), rows)


def _groups() -> str:
    rows = [(group, ", ".join(f"`{name}`" for name in names)) for group, names in REWARD_GROUPS.items()]
    return _table(("group", "its terms"), rows)


def _reward_fields(system: System) -> str:
    rows = [(f"`{term}`", _named(names)) for term, names in reward_fields(system).items()]
    return _table(("term", "fields that it can be read from"), rows)


def _named(names: tuple[str, ...]) -> str:
    """The names as code. All settings together are `control.*`."""
    if all(name.startswith("control.") for name in names):
        return "`control.*` of this observation and of the one before"
    return ", ".join(f"`{name}`" for name in names)


def _rewards() -> str:
    weights = WEIGHT.findall(config_path("reward", "default").read_text(encoding="utf-8"))
    rows = [(name, value, REWARD_TERMS.get(name, "setting"), reason) for name, value, reason in weights]
    return _table(("weight", "default", "what it weighs", "why"), rows)


def _cells(system: System) -> str:
    """One row a line of the cells' files. They have the same lines."""
    files = [config_path("cells", name).read_text(encoding="utf-8") for name in CELLS]
    ranges = [dict[str, str](), dict[str, str]()]
    reasons: dict[str, str] = {}
    for found, file in zip(ranges, files, strict=True):
        group = ""
        for name, value, reason in LINE.findall(file):
            group = name if not value else group
            key = name if "." in name else f"{group}.{name}"
            if value:
                found[key] = " ".join(value.strip("{}").replace(":", "").split())
                reasons[key] = reason
    rows = [(f"`{key}`", _nominal(system, key), *(found[key] for found in ranges), reasons[key]) for key in reasons]
    return _table(("what", "usually", *(f"`{name}`" for name in CELLS), "why"), rows)


def _nominal(system: System, key: str) -> str:
    group = key.split(".")[0]
    return {"prices": "1", "telemetry": "0"}.get(group) or f"{number_at(system, key):g}"


def _metrics(system: System) -> str:
    """One row a metric. Metrics that differ only in their service share a row."""
    services: dict[tuple[str, str, str, str], list[str]] = {}
    for metric in MetricTable(system).metrics:
        stem, _, service = metric.name.partition(".")
        name = f"{stem}.SERVICE" if service in system.services else metric.name
        key = (name, metric.unit, metric.meaning, _short(metric.reading.formula))
        services.setdefault(key, []).extend([service] if service in system.services else [])
    return _table(
        ("metric", "unit", "meaning", "read off", "services"),
        [(*key, ", ".join(names)) for key, names in services.items()],
    )


def _scale(field: Field) -> str:
    return f"log, knee {field.knee:g}" if field.scale == "log" else field.scale


def _short(formula: str) -> str:
    """The formula as code, with a name for each frequent sum."""
    formula = formula.replace(" + ".join(ATTEMPT_ENDS), "ended").replace(" + ".join(FAILURES), "failed_…")
    return f"`{formula.replace('(ended)', 'ended').replace('(failed_…)', 'failed_…')}`"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "".join(f"{line}\n" for line in markdown.table(head, rows))
